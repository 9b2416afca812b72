"""The queue of each language, for labelers who named theirs; and what a batch holds back, for an empty queue.

With it gold is served again that was held back with its batch, or ended by an answer that began before it was gold.
"""

import django.db.models.expressions
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

SERVE_GOLD_AGAIN = """
UPDATE comparisons_comparison SET state = 'open'
WHERE kind = 'gold' AND state IN ('held', 'judged') AND EXISTS (
    SELECT FROM comparisons_golditem g
    WHERE g.comparison_id = comparisons_comparison.id AND g.retired_at IS NULL)
"""


class Migration(migrations.Migration):
    atomic = False  # indexes are built beside people's answers

    dependencies = [
        ('comparisons', '0014_draw_overlap_in_a_job'),
        ('generation', '0007_index_only_what_is_there'),
        ('projects', '0008_hold_early_stop'),
        ('prompts', '0005_drop_covered_index'),
    ]

    operations = [
        migrations.RunSQL(SERVE_GOLD_AGAIN, migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name='comparison',
            index=models.Index(models.F('project'), models.Func(models.F('language'), output_field=models.TextField(), template="split_part(translate(lower(%(expressions)s), '_', '-'), '-', 1)"), models.OrderBy(models.F('priority'), descending=True), models.F('slots_taken'), models.F('id'), condition=models.Q(('slots_taken__lt', models.F('overlap')), ('state', 'open'), models.Q(('kind', 'gold'), _negated=True)), name='to_serve_by_language'),
        ),
        AddIndexConcurrently(
            model_name='comparison',
            index=models.Index(models.F('project'), models.Func(models.F('language'), output_field=models.TextField(), template="split_part(translate(lower(%(expressions)s), '_', '-'), '-', 1)"), models.OrderBy(models.F('priority'), descending=True), django.db.models.expressions.CombinedExpression(models.F('slots_taken'), '*', models.Value(-1)), models.F('id'), condition=models.Q(('slots_taken__lt', models.F('overlap')), ('state', 'open'), models.Q(('kind', 'gold'), _negated=True)), name='to_finish_by_language'),
        ),
        AddIndexConcurrently(
            model_name='comparison',
            index=models.Index(condition=models.Q(('state', 'held')), fields=['batch'], name='comparisons_held_back'),
        ),
    ]
