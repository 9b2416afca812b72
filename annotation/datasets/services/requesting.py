"""Asking for a snapshot; a worker builds it."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import Job, ring
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import NO_TRAINING, SnapshotQuery
from annotation.projects.models import Project
from annotation.quality.rules import exclusions_of

NAME_MAX = 120


@transaction.atomic
def request_snapshot(
    *,
    project: Project,
    name: str,
    query: Mapping[str, Any],
    actor: User | None,  # Any: JSON
) -> DatasetSnapshot:
    """Queue a snapshot of what the query lets in; raises InvalidInput naming a bad key."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX or "\0" in name:
        raise InvalidInput(f"A snapshot needs a name of 1 to {NAME_MAX} characters.")
    checked = checked_query(project, query)
    refuse_no_training(checked)
    refuse_unknown_criterion(project, checked.criterion)
    snapshot = DatasetSnapshot.objects.create(
        project=project, name=name, query=checked.as_json(), created_by=actor
    )
    audit.record("snapshot.requested", snapshot, actor=actor, query=snapshot.query)
    ring(Job.BUILD_SNAPSHOT, snapshot.pk)
    return snapshot


def checked_query(project: Project, query: Mapping[str, Any]) -> SnapshotQuery:  # Any: JSON
    """The query with what the project's rules leave out now, unless it says for itself what to leave out."""
    ruled = [one.as_json() for one in exclusions_of(project)]
    return SnapshotQuery.from_json({"exclusions": ruled, **query})


def refuse_no_training(query: SnapshotQuery) -> None:
    """A snapshot is there to train on, and the next one takes its shares."""
    if query.train <= 0:
        raise InvalidInput.at("train", NO_TRAINING)


def refuse_unknown_criterion(project: Project, criterion: str) -> None:
    if criterion == "overall" or project.criteria.filter(name=criterion).exists():
        return
    known = ", ".join(["overall", *project.criteria.values_list("name", flat=True)])
    raise InvalidInput(f"This project has no criterion {criterion!r}; it has {known}.")


@transaction.atomic
def cancel_snapshot(*, snapshot: DatasetSnapshot, actor: User) -> DatasetSnapshot:
    """Stop a snapshot that is not finished."""
    if snapshot.is_over:
        raise Conflict(f"{snapshot.name} is {snapshot.status} already; there is nothing to stop.")
    snapshot.request_cancel()
    audit.record("snapshot.cancelled", snapshot, actor=actor)
    return snapshot
