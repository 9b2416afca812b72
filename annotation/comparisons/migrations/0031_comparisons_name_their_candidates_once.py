"""What is compared stands in `candidate_ids` alone: its links, as rows, cost a fifth of an import's time (docs/adr/0028)."""

from django.db import migrations

# As the links' foreign keys did: at the end of the transaction, when its comparisons may be gone too.
GUARD = """
CREATE FUNCTION a_compared_candidate_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM comparisons_comparison
               WHERE prompt_id = OLD.prompt_id AND OLD.id = ANY(candidate_ids)) THEN
        RAISE foreign_key_violation USING MESSAGE = format(
            'Candidate %s is in a comparison, so it stays; remove the comparison first.', OLD.id);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER a_compared_candidate_stays AFTER DELETE ON generation_candidate
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION a_compared_candidate_stays();
"""
NO_GUARD = """
DROP TRIGGER a_compared_candidate_stays ON generation_candidate;
DROP FUNCTION a_compared_candidate_stays();
"""
LINKS = """
INSERT INTO comparisons_comparison_candidates (comparison_id, candidate_id)
SELECT id, unnest(candidate_ids) FROM comparisons_comparison
"""


class Migration(migrations.Migration):
    dependencies = [
        ("comparisons", "0030_time_at_work_beside_answers"),
        ("generation", "0011_runs_begun_together"),
    ]

    operations = [
        migrations.RunSQL(migrations.RunSQL.noop, LINKS),
        migrations.RemoveField(model_name="comparison", name="candidates"),
        migrations.DeleteModel(name="ComparisonCandidate"),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
