"""The queue of each language, for labelers who named theirs; and what a batch holds back, for an empty queue."""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0014_draw_overlap_in_a_job'),
        ('generation', '0007_index_only_what_is_there'),
        ('projects', '0008_hold_early_stop'),
        ('prompts', '0005_drop_covered_index'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(models.F('project'), models.Func(models.F('language'), output_field=models.TextField(), template="split_part(translate(lower(%(expressions)s), '_', '-'), '-', 1)"), models.OrderBy(models.F('priority'), descending=True), models.F('slots_taken'), models.F('id'), condition=models.Q(('slots_taken__lt', models.F('overlap')), ('state', 'open'), models.Q(('kind', 'gold'), _negated=True)), name='to_serve_by_language'),
        ),
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(models.F('project'), models.Func(models.F('language'), output_field=models.TextField(), template="split_part(translate(lower(%(expressions)s), '_', '-'), '-', 1)"), models.OrderBy(models.F('priority'), descending=True), django.db.models.expressions.CombinedExpression(models.F('slots_taken'), '*', models.Value(-1)), models.F('id'), condition=models.Q(('slots_taken__lt', models.F('overlap')), ('state', 'open'), models.Q(('kind', 'gold'), _negated=True)), name='to_finish_by_language'),
        ),
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(condition=models.Q(('state', 'held')), fields=['batch'], name='comparisons_held_back'),
        ),
    ]
