from django.db import migrations, models

KINDS = [
    ("exclude", "Leave out a labeler"),
    ("too_fast", "Leave out fast answers of labelers who are wrong when fast"),
    ("gold_minimum", "Leave out labelers below an accuracy on gold"),
    ("pause_on_gold", "Pause labelers who fail gold"),
    ("count_machine", "Count a machine judge in resolutions"),
]


class Migration(migrations.Migration):
    """Machine judges are apart from people, so a worker computes figures, models and resolutions anew."""

    dependencies = [("quality", "0006_compute_reports_with_more_columns")]

    operations = [
        migrations.AlterField("rule", "kind", models.CharField(max_length=13, choices=KINDS)),
        migrations.RunSQL("UPDATE quality_agreementtally SET version = NULL", migrations.RunSQL.noop),
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop),
        migrations.RunSQL("DELETE FROM quality_labelermodel", migrations.RunSQL.noop),
        migrations.RunSQL(
            "UPDATE quality_columnstore SET is_all_unresolved = true", migrations.RunSQL.noop
        ),
    ]
