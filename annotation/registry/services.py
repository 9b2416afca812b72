"""Publishing models."""

from typing import Any

from django.db import transaction
from django.db.models import Max

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion


@transaction.atomic
def register_version(  # noqa: PLR0913 - a version is made of these
    *,
    project: Project,
    kind: ModelVersion.Kind,
    name: str,
    location: str,
    parent: ModelVersion | None,
    lineage: dict[str, Any],  # Any: JSON
    metrics: dict[str, Any],
    actor: User | None,
) -> ModelVersion:
    """Publish a model under the next number of its name."""
    Project.objects.select_for_update().get(pk=project.pk)  # numbers are given one at a time
    named = ModelVersion.objects.filter(project=project, name=name)
    last = named.aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(
        project=project,
        kind=kind,
        name=name,
        number=last + 1,
        location=location,
        parent=parent,
        lineage=lineage,
        metrics=metrics,
        created_by=actor,
    )
    record("model.registered", version, actor=actor, kind=kind, name=name, number=version.number)
    return version
