from django.db import migrations

# As in 0003, and with the propensity: whether it is there decides whether a comparison was drawn.
FOLLOW = """
DROP TRIGGER a_comparison_moved_is_noted ON comparisons_comparison;
CREATE TRIGGER a_comparison_moved_is_noted AFTER UPDATE OF kind, batch_id, language, propensity ON comparisons_comparison
    FOR EACH ROW WHEN ((OLD.kind, OLD.batch_id, OLD.language, OLD.propensity IS NULL)
        IS DISTINCT FROM (NEW.kind, NEW.batch_id, NEW.language, NEW.propensity IS NULL))
    EXECUTE FUNCTION quality_note_moved();
INSERT INTO quality_judgmentchange (project_id, judgment_id)
    SELECT j.project_id, j.id FROM comparisons_judgment j JOIN comparisons_comparison c ON c.id = j.comparison_id
    WHERE c.propensity IS NOT NULL ORDER BY j.id;
"""
AS_BEFORE = """
DROP TRIGGER a_comparison_moved_is_noted ON comparisons_comparison;
CREATE TRIGGER a_comparison_moved_is_noted AFTER UPDATE OF kind, batch_id, language ON comparisons_comparison
    FOR EACH ROW WHEN ((OLD.kind, OLD.batch_id, OLD.language) IS DISTINCT FROM (NEW.kind, NEW.batch_id, NEW.language))
    EXECUTE FUNCTION quality_note_moved();
"""


class Migration(migrations.Migration):
    """What was said of drawn comparisons is apart, so a worker reads it again; the trigger sees what is drawn."""

    dependencies = [
        ("quality", "0013_formulas_of_stored_figures"),
        ("comparisons", "0024_chance_with_which_it_was_drawn"),
    ]

    operations = [migrations.RunSQL(FOLLOW, AS_BEFORE)]
