"""Who wrote a text that is a candidate under another author."""

from django.db import migrations

NOTE = """
UPDATE generation_candidate SET also_written_by = more.writers
FROM (
    SELECT c.id, array_agg(DISTINCT v.written_by_id) AS writers
    FROM demonstrations_version v
    JOIN demonstrations_demonstration d ON d.id = v.demonstration_id
    JOIN generation_candidate c ON c.id = d.candidate_id
    WHERE v.written_by_id IS DISTINCT FROM c.author_id
    GROUP BY c.id
) more
WHERE generation_candidate.id = more.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("demonstrations", "0002_hours_of_what_was_written"),
        ("generation", "0013_candidate_also_written_by"),
    ]

    operations = [migrations.RunSQL(NOTE, migrations.RunSQL.noop)]
