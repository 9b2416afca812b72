"""A draw of the overlap keeps the settings it goes by; those under way, what their project says now."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0017_requeue_keeps_free_places'),
    ]

    operations = [
        migrations.AddField(
            model_name='overlapdraw',
            name='overlap',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='overlapdraw',
            name='overlap_share',
            field=models.FloatField(default=1.0),
        ),
        migrations.RunSQL(
            "UPDATE comparisons_overlapdraw AS draw SET overlap = project.overlap,"
            " overlap_share = project.overlap_share FROM projects_project AS project"
            " WHERE project.id = draw.project_id",
            migrations.RunSQL.noop,
        ),
    ]
