from django.db import migrations

NOTE = """
INSERT INTO quality_judgmentchange (project_id, judgment_id)
    SELECT j.project_id, j.id FROM comparisons_judgment j JOIN comparisons_comparison c ON c.id = j.comparison_id
    WHERE j.created_at >= c.asked_again_at ORDER BY j.id
"""


class Migration(migrations.Migration):
    """What was said of comparisons that were asked again is apart, so a worker reads it again and computes anew."""

    dependencies = [
        ("quality", "0011_labeler_groups"),
        ("comparisons", "0021_mark_what_was_asked_again"),
    ]

    operations = [
        migrations.RunSQL(NOTE, migrations.RunSQL.noop),
        migrations.RunSQL("UPDATE quality_agreementtally SET version = NULL", migrations.RunSQL.noop),
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop),
    ]
