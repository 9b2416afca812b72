"""The index of skips begins with the project and tells why: how often a project is skipped is read off it alone."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built beside people's answers

    dependencies = [("comparisons", "0028_links_without_a_number")]

    operations = [
        AddIndexConcurrently(
            model_name="assignment",
            index=models.Index(
                condition=models.Q(("state", "skipped")),
                fields=["project", "labeler", "-skipped_at"],
                include=("skip_reason", "takes_place"),
                name="skips_by_project",
            ),
        ),
        RemoveIndexConcurrently(model_name="assignment", name="skips_by_labeler"),
    ]
