"""Groups of labelers: a name for some of them, to look at their judgments apart. No other figure changes."""

from collections.abc import Collection, Sequence

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Project, Role
from annotation.quality.models import LabelerGroup
from annotation.quality.scope import CHOSEN_MAX, Scope
from annotation.quality.words import needed

NAME_MAX = 60


def groups_of(project: Project) -> QuerySet[LabelerGroup]:
    """The groups of a project that are there, by name."""
    return project.labeler_groups.filter(removed_at=None).order_by("name")


def with_names(rows: QuerySet[LabelerGroup]) -> QuerySet[LabelerGroup]:
    """Each with ``names`` of who is in it, in one query."""
    name = "labelers__username"
    is_there = Q(labelers__isnull=False)
    return rows.annotate(names=ArrayAgg(name, filter=is_there, order_by=name, default=[]))


def removed_groups(project: Project) -> QuerySet[LabelerGroup]:
    """Those that were removed, the last first."""
    return project.labeler_groups.exclude(removed_at=None).order_by("-removed_at")


def group_of(project: Project, pk: int) -> LabelerGroup:
    """One group of the project, removed or not; NotFound otherwise."""
    row = project.labeler_groups.select_related("project").filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such group of labelers in this project.")
    return row


def people_of(project: Project) -> QuerySet[User]:
    """Who can be in a group: the labelers, and whoever judged without being one (imports, machine judges)."""
    members = Q(memberships__project=project, memberships__role=Role.LABELER)
    judged = Q(pk__in=project.judgments.order_by().values("labeler"))
    return User.objects.filter(members | judged).distinct().order_by("username")


def labelers_within(project: Project, scope: Scope) -> Q:
    """Rows of the labelers whom those filters let in."""
    chosen = chosen_of(project, scope)
    return Q() if chosen is None else Q(labeler__in=chosen)


def chosen_of(project: Project, scope: Scope) -> tuple[int, ...] | None:
    """Ids of the labelers whom the filters of labelers and group let in; None: everybody.

    Raises InvalidInput for a group that is not there.
    """
    if not scope.group:
        return scope.chosen or None
    group = groups_of(project).filter(pk=scope.group).first()
    if group is None:
        raise InvalidInput(f"This project has no group {scope.group} of labelers.")
    inside = group.labelers.values_list("pk", flat=True)
    return tuple(pk for pk in inside if not scope.chosen or pk in scope.chosen)


@transaction.atomic
def save_group(
    *,
    project: Project,
    name: str,
    labeler_ids: Collection[int],
    actor: User,
    group: LabelerGroup | None = None,
) -> LabelerGroup:
    """Add a group, or change ``group``. Raises InvalidInput naming what is wrong, Conflict for a name that is taken."""
    told = needed(name, "name", NAME_MAX)
    people = _checked(project, labeler_ids)
    row = group or LabelerGroup(project=project, created_by=actor)
    before = {"name": row.name, "labelers": _names(row)} if group else {}
    row.name = told
    _save(row, ["name"] if group else None)
    row.labelers.set(people)
    labelers = [one.username for one in people]
    audit.record("group.saved", row, actor=actor, name=told, labelers=labelers, before=before)
    return row


@transaction.atomic
def change_group(
    *,
    group: LabelerGroup,
    actor: User,
    name: str | None = None,
    labelers: Collection[int] | None = None,
    is_removed: bool | None = None,
) -> None:
    """Change what is given: name, labelers, whether it is there."""
    if is_removed is not None:
        (remove_group if is_removed else restore_group)(group=group, actor=actor)
    if name is not None or labelers is not None:
        inside = group.labelers.values_list("pk", flat=True) if labelers is None else labelers
        save_group(
            project=group.project,
            name=group.name if name is None else name,
            labeler_ids=list(inside),
            actor=actor,
            group=group,
        )


def _checked(project: Project, labeler_ids: Collection[int]) -> Sequence[User]:
    wanted = set(labeler_ids)
    if not 1 <= len(wanted) <= CHOSEN_MAX:
        raise InvalidInput.at(
            "labelers", f"Choose 1 to {CHOSEN_MAX} labelers for a group; these are {len(wanted)}."
        )
    people = list(people_of(project).filter(pk__in=wanted))
    unknown = wanted - {one.pk for one in people}
    if unknown:
        raise InvalidInput.at("labelers", f"Nobody with id {min(unknown)} labels in this project.")
    return people


def _names(group: LabelerGroup) -> list[str]:
    return list(group.labelers.order_by("username").values_list("username", flat=True))


def _save(row: LabelerGroup, fields: list[str] | None) -> None:
    try:
        with transaction.atomic():
            row.save(update_fields=fields)
    except IntegrityError as error:
        raise Conflict(f"There is a group {row.name!r} already; choose another name.") from error


@transaction.atomic
def remove_group(*, group: LabelerGroup, actor: User) -> None:
    """Take a group out of the filters; its labelers and their judgments stay as they are."""
    there = LabelerGroup.objects.filter(pk=group.pk, removed_at=None)
    if not there.update(removed_at=timezone.now()):
        raise Conflict("This group is removed already.")
    audit.record("group.removed", group, actor=actor, name=group.name, labelers=_names(group))


@transaction.atomic
def restore_group(*, group: LabelerGroup, actor: User) -> None:
    """Take a removed group back. Raises Conflict where another has its name by now."""
    if group.removed_at is None:
        raise Conflict("This group is there already.")
    group.removed_at = None
    _save(group, ["removed_at"])
    audit.record("group.restored", group, actor=actor, name=group.name)
