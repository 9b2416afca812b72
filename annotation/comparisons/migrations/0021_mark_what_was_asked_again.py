"""Comparisons asked again so far, known by batch or re-queue; apart, so that no lock of the table is held meanwhile."""

from django.db import migrations

MARK = """
UPDATE comparisons_comparison c SET asked_again_at = asked.at
FROM (
    SELECT pk, min(at) AS at FROM (
        SELECT (row->>'pk')::bigint AS pk, b.created_at AS at
        FROM comparisons_batch b CROSS JOIN LATERAL jsonb_array_elements(b.asked_again) AS row
        UNION ALL
        SELECT c.id, b.created_at FROM comparisons_batch b JOIN comparisons_comparison c ON c.batch_id = b.id
        WHERE b.made_from ? 'card'
        UNION ALL
        SELECT pk, r.created_at FROM comparisons_requeue r CROSS JOIN LATERAL unnest(r.comparison_ids) AS pk
        WHERE r.scope = 'disagreed' AND (r.undone_at IS NULL OR EXISTS (
            SELECT FROM comparisons_judgment j
            WHERE j.comparison_id = pk AND j.created_at >= r.created_at AND j.withdrawn_at IS NULL))
    ) AS each GROUP BY pk
) AS asked
WHERE c.id = asked.pk
"""


class Migration(migrations.Migration):

    dependencies = [
        ("comparisons", "0020_comparisons_asked_again"),
    ]

    operations = [
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
