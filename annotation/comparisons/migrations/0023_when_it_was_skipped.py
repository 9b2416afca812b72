"""When an assignment was skipped, to undo the newest; of earlier skips, when their lease began."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("comparisons", "0022_comparisons_of_the_prompts_project"),
    ]

    operations = [
        migrations.AddField(
            model_name="assignment",
            name="skipped_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="assignment",
            index=models.Index(
                condition=models.Q(("state", "skipped")),
                fields=["labeler", "project", "-skipped_at"],
                name="skips_by_labeler",
            ),
        ),
        migrations.RunSQL(
            "UPDATE comparisons_assignment SET skipped_at = leased_at WHERE state = 'skipped'",
            migrations.RunSQL.noop,
        ),
    ]
