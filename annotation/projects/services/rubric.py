"""Writing the rubric: criteria one by one, or all at once in their order."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Criterion, Project
from annotation.projects.selectors import audit_of

MOST_CRITERIA = 12  # a labeler answers each, on every comparison
UNDONE_HERE = ("criterion.removed", "criterion.changed")


class Aspect(NamedTuple):
    """A criterion as it is typed."""

    name: str
    question: str
    title: str = ""


@transaction.atomic
def save_criterion(
    *, project: Project, name: str, question: str, actor: User, title: str | None = None
) -> Criterion:
    """Add a criterion, or change the question of the one with this name, and its title unless that is None."""
    Project.objects.select_for_update().get(pk=project.pk)
    said = {"question": question, **({} if title is None else {"title": title})}
    criterion = project.criteria.filter(name=name).first()
    if criterion is None:
        last = project.criteria.aggregate(last=Max("position"))["last"]
        place = 0 if last is None else last + 1
        new = Criterion.objects.create(project=project, name=name, position=place, **said)
        audit.record("criterion.added", new, actor=actor, name=name, **said)
        return new
    before = {field: was for field in said if (was := getattr(criterion, field)) != said[field]}
    if before:
        after = {field: said[field] for field in before}
        Criterion.objects.filter(pk=criterion.pk).update(**after)
        audit.record(
            "criterion.changed", criterion, actor=actor, name=name, before=before, after=after
        )
        criterion.refresh_from_db()
    return criterion


@transaction.atomic
def remove_criterion(*, project: Project, name: str, actor: User) -> None:
    """Stop asking about a criterion; judgments that answered it keep their answer."""
    criterion = project.criteria.filter(name=name).first()
    if criterion is None:
        raise NotFound(f"The rubric has no criterion {name!r}.")
    before = {field: getattr(criterion, field) for field in ("title", "question", "position")}
    audit.record("criterion.removed", criterion, actor=actor, name=name, before=before)
    criterion.delete()


@transaction.atomic
def undo_criterion(*, project: Project, event_id: int, actor: User) -> Criterion:
    """Undo the removal or the change of a criterion that an event of the trail tells of: it is as it was, in its place.

    Raises NotFound where no event keeps what was before, Conflict where the rubric has moved on since.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    event = audit_of(project).filter(pk=event_id, verb__in=UNDONE_HERE).first()
    if event is None or not event.object_id or "before" not in event.data:
        raise NotFound(f"Event {event_id} keeps no criterion of this project to put back.")
    name, before = event.data["name"], event.data["before"]
    now = project.criteria.filter(name=name).first()
    if event.verb == "criterion.removed":
        return _restored(project, event.object_id, name, before, now, actor)
    after = event.data["after"]
    if now is None or any(getattr(now, field) != value for field, value in after.items()):
        raise Conflict(f"The criterion {name!r} was changed again or removed; undo that first.")
    said = {"question": now.question, **before}
    return save_criterion(project=project, name=name, actor=actor, **said)


def _restored(
    project: Project,
    pk: int,
    name: str,
    before: Mapping[str, Any],  # Any: columns of several types
    now: Criterion | None,
    actor: User,
) -> Criterion:
    if now is not None:
        raise Conflict(f"The rubric has a criterion {name!r} already; remove or rename it first.")
    if project.criteria.count() >= MOST_CRITERIA:
        raise Conflict(f"A rubric has at most {MOST_CRITERIA} criteria; remove one first.")
    criterion = Criterion(pk=pk, project=project, name=name, **before)
    criterion.save(force_insert=True)
    audit.record("criterion.restored", criterion, actor=actor, name=name)
    return criterion


def aspects_of(project: Project) -> list[Aspect]:
    """The rubric as it is."""
    return [Aspect(row.name, row.question, row.title) for row in project.criteria.all()]


@transaction.atomic
def set_rubric(*, project: Project, aspects: Sequence[Aspect], actor: User) -> None:
    """Ask exactly these criteria in this order; judgments that answered one that goes keep their answer."""
    _check(project, aspects)
    Project.objects.select_for_update().get(pk=project.pk)
    before = aspects_of(project)
    if before == list(aspects):
        return
    project.criteria.exclude(name__in=[one.name for one in aspects]).delete()
    Criterion.objects.bulk_create(
        (
            Criterion(project=project, position=position, **one._asdict())
            for position, one in enumerate(aspects)
        ),
        update_conflicts=True,
        unique_fields=["project", "name"],
        update_fields=["question", "title", "position"],
    )
    audit.record("rubric.changed", project, actor=actor, before=before, after=list(aspects))


def _check(project: Project, aspects: Sequence[Aspect]) -> None:
    if len(aspects) > MOST_CRITERIA:
        raise InvalidInput(
            f"A rubric has at most {MOST_CRITERIA} criteria; {len(aspects)} were sent."
        )
    names = [one.name for one in aspects]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidInput(f"The criterion {min(twice)!r} is named twice; rename one.")
    for one in aspects:
        try:
            Criterion(project=project, **one._asdict()).clean_fields(exclude=["project"])
        except ValidationError as error:
            reasons = [f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items()]
            raise InvalidInput(f"Criterion {one.name!r}: {' '.join(reasons)}") from error
