"""Another index begins with each of these columns. The links get a model of their own, as only a model can say so."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def key(to, related_name, **options):
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE, related_name=related_name, to=to, **options
    )


class Migration(migrations.Migration):
    dependencies = [
        ("comparisons", "0009_signals"),
        ("generation", "0005_drop_covered_index"),
        ("projects", "0003_people_and_batches"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="ComparisonCandidate",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True,
                                primary_key=True,
                                serialize=False,
                                verbose_name="ID",
                            ),
                        ),
                        ("candidate", key("generation.candidate", "+")),
                        ("comparison", key("comparisons.comparison", "+")),
                    ],
                    options={
                        "db_table": "comparisons_comparison_candidates",
                        "unique_together": {("comparison", "candidate")},
                    },
                ),
                migrations.AlterField(
                    model_name="comparison",
                    name="candidates",
                    field=models.ManyToManyField(
                        related_name="comparisons",
                        through="comparisons.ComparisonCandidate",
                        to="generation.candidate",
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="comparisoncandidate",
            name="comparison",
            field=key("comparisons.comparison", "+", db_index=False),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="project",
            field=key("projects.project", "comparisons", db_index=False),
        ),
        migrations.AlterField(
            model_name="assignment",
            name="comparison",
            field=key("comparisons.comparison", "assignments", db_index=False),
        ),
        migrations.AlterField(
            model_name="judgment",
            name="project",
            field=key("projects.project", "judgments", db_index=False),
        ),
        migrations.AlterField(
            model_name="queueposition",
            name="project",
            field=key("projects.project", "+", db_index=False),
        ),
    ]
