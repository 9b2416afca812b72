"""A labeler's note about a comparison is one open flag: of several, the first stays; the others said the same."""

import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0015_serve_by_language'),
        ('projects', '0008_hold_early_stop'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(
            "DELETE FROM comparisons_flag AS later USING comparisons_flag AS first"
            " WHERE first.project_id = later.project_id AND first.comparison_id = later.comparison_id"
            " AND first.labeler_id = later.labeler_id AND first.note = later.note AND first.id < later.id"
            " AND first.resolved_at IS NULL AND later.resolved_at IS NULL",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name='flag',
            constraint=models.UniqueConstraint(models.F('project'), models.F('comparison'), models.F('labeler'), django.db.models.functions.text.MD5('note'), condition=models.Q(('resolved_at__isnull', True)), name='a_note_is_flagged_once_while_open'),
        ),
    ]
