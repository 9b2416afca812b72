from django.db import migrations

CREATE = """
CREATE FUNCTION refuse_change_of_done_snapshot() RETURNS trigger AS $$
BEGIN
  RAISE EXCEPTION 'Snapshot % is done: its content can no longer change. Request a new one.', OLD.id
    USING ERRCODE = 'integrity_constraint_violation';
END
$$ LANGUAGE plpgsql;

CREATE TRIGGER a_done_snapshot_is_immutable
BEFORE UPDATE OF status, query, sha256, rows, pairs, splits, manifest, folder, project_id
ON datasets_datasetsnapshot FOR EACH ROW
WHEN (
  OLD.status = 'done' AND (
    (OLD.status, OLD.query, OLD.sha256, OLD.rows, OLD.pairs, OLD.splits, OLD.manifest, OLD.folder, OLD.project_id)
    IS DISTINCT FROM
    (NEW.status, NEW.query, NEW.sha256, NEW.rows, NEW.pairs, NEW.splits, NEW.manifest, NEW.folder, NEW.project_id)
  )
)
EXECUTE FUNCTION refuse_change_of_done_snapshot();
"""

DROP = """
DROP TRIGGER a_done_snapshot_is_immutable ON datasets_datasetsnapshot;
DROP FUNCTION refuse_change_of_done_snapshot();
"""


class Migration(migrations.Migration):
    """The database itself keeps a finished snapshot as it is."""

    dependencies = [("datasets", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
