"""Writing the audit trail, in the transaction of the act itself."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from annotation.audit.models import AuditEvent

# `record` within another statement, for acts by the hundred a second: ``stored`` is the row that was written.
RECORD = """
    INSERT INTO audit_auditevent (project_id, actor_id, verb, object_type, object_id, data, at)
    SELECT %(project_id)s, %(labeler_id)s, %(verb)s, %(object_type)s, stored.id, %(data)s::jsonb, %(now)s
    FROM stored
"""


def record(verb: str, row: models.Model, *, actor: AbstractBaseUser | None, **data: object) -> None:
    """Append one event; ``data`` is JSON, in which dates and times may be."""
    project_id = row.pk if row._meta.model_name == "project" else getattr(row, "project_id", None)
    AuditEvent.objects.create(
        project_id=project_id,
        actor_id=actor.pk if actor else None,
        verb=verb,
        object_type=row._meta.label_lower,
        object_id=row.pk,
        data=data,
    )
