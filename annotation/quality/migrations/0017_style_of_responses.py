from django.db import migrations

# Pairs know the Markdown marks of their texts, so their bytes are laid out anew: a worker fills the columns again.
AGAIN = """
DELETE FROM quality_rowchunk;
DELETE FROM quality_pairchunk;
DELETE FROM quality_labelertally;
DELETE FROM quality_agreementtally;
DELETE FROM quality_agreementreport;
DELETE FROM quality_judgmentchange;
INSERT INTO quality_judgmentchange (project_id, judgment_id)
    SELECT project_id, id FROM comparisons_judgment ORDER BY id;
"""


class Migration(migrations.Migration):
    """Columns are filled anew from the judgments, which stay as they are."""

    dependencies = [
        ("quality", "0016_compute_reports_with_skips"),
        ("comparisons", "0029_skips_by_project"),
    ]

    operations = [migrations.RunSQL(AGAIN, AGAIN)]
