"""Writing the rubric: criteria one by one, or all at once in their order."""

from collections.abc import Sequence
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import InvalidInput, NotFound
from annotation.projects.models import Criterion, Project

MOST_CRITERIA = 12  # a labeler answers each, on every comparison


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
    last = project.criteria.aggregate(last=Max("position"))["last"]
    said = {"question": question, **({} if title is None else {"title": title})}
    criterion, is_new = Criterion.objects.update_or_create(
        project=project,
        name=name,
        defaults=said,
        create_defaults={**said, "position": 0 if last is None else last + 1},
    )
    verb = "criterion.added" if is_new else "criterion.changed"
    audit.record(verb, criterion, actor=actor, name=name, **said)
    return criterion


@transaction.atomic
def remove_criterion(*, project: Project, name: str, actor: User) -> None:
    """Stop asking about a criterion; judgments that answered it keep their answer."""
    criterion = project.criteria.filter(name=name).first()
    if criterion is None:
        raise NotFound(f"The rubric has no criterion {name!r}.")
    audit.record("criterion.removed", criterion, actor=actor, name=name)
    criterion.delete()


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
