from django.db import migrations

NOTE = """
INSERT INTO quality_judgmentchange (project_id, judgment_id)
    SELECT j.project_id, j.id FROM comparisons_judgment j
        JOIN comparisons_comparison c ON c.id = j.comparison_id JOIN projects_project p ON p.id = j.project_id
    WHERE c.judgments_counted > p.stop_when_agreeing ORDER BY j.id;
DELETE FROM quality_agreementreport r USING projects_project p
    WHERE p.id = r.project_id AND p.stop_when_agreeing IS NOT NULL;
"""


class Migration(migrations.Migration):
    """What early stop asked for, where the first verdicts differed, is apart, so a worker reads it again."""

    dependencies = [("quality", "0014_what_was_drawn_is_apart"), ("projects", "0010_criterion_title")]

    operations = [migrations.RunSQL(NOTE, migrations.RunSQL.noop)]
