"""A set of candidates is of one prompt: the constraint that begins with the prompt finds its comparisons as well."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("comparisons", "0025_one_more_label_by_its_purpose")]

    operations = [
        migrations.RemoveConstraint(
            model_name="comparison", name="a_set_of_candidates_is_compared_once"
        ),
        migrations.AddConstraint(
            model_name="comparison",
            constraint=models.UniqueConstraint(
                fields=["prompt", "candidate_ids"], name="a_set_of_candidates_is_compared_once"
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="prompt",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="comparisons",
                to="prompts.prompt",
            ),
        ),
    ]
