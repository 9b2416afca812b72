"""What was written before hours counted it: all of a text where it was sent, or else begun."""

from django.db import migrations

COUNT = """
INSERT INTO comparisons_timeatwork (project_id, labeler_id, quarter, active_ms)
SELECT project_id, author_id,
    date_bin('15 minutes', coalesce(submitted_at, created_at), '2000-01-01T00:00:00Z'), sum(active_ms)
FROM demonstrations_demonstration WHERE active_ms > 0
GROUP BY 1, 2, 3
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("demonstrations", "0001_initial"),
        ("comparisons", "0030_time_at_work_beside_answers"),
    ]

    operations = [migrations.RunSQL(COUNT, migrations.RunSQL.noop)]
