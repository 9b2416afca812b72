"""A batch of comparisons that were judged and are asked again, and its undo while nobody has taken a place."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Greatest

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.batches import (
    ONE_MORE,
    asked_for_one_more,
    state_with_free_places,
)
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.batches import free_name, open_batch
from annotation.comparisons.services.further import (
    MOST_LABELS,
    give_place,
    mark_chosen,
    take_back,
    with_room,
)
from annotation.core.errors import Conflict, NotFound
from annotation.projects.models import Project

FIRST = 10  # priority of what is asked again: before new comparisons


@transaction.atomic
def ask_again(
    *,
    project: Project,
    name: str,
    comparisons: Sequence[int],
    made_from: dict[str, int | str],
    actor: User | None,
) -> Batch:
    """A batch of comparisons that were judged: each gets one further place, for somebody who has not judged it.

    Where they were is kept with the batch, and none is served later than it would have been. What still waits for a
    label, gold, what was withdrawn and what a blind evaluation counts stay as they are. Raises Conflict where nothing
    is left.
    """
    batch = open_batch(project=project, name=name, made_from=made_from, actor=actor, priority=FIRST)
    _ask(batch, comparisons, actor)
    return batch


def _ask(batch: Batch, comparisons: Sequence[int], actor: User | None) -> None:
    """Give each its place in the batch, which is locked or new, and note where it was; what is judged is forgotten."""
    free = give_place(_askable(batch.project, comparisons), most=len(comparisons))
    if not free:
        raise Conflict(_nothing(len(comparisons)))
    mark_chosen(free)
    rows = Comparison.objects.filter(pk__in=free)
    unjudged = batch.comparisons.exclude(state=Comparison.State.JUDGED)
    kept = set(unjudged.values_list("pk", flat=True)) - free.keys()
    batch.asked_again = [row for row in batch.asked_again if row["pk"] in kept]
    batch.asked_again += [
        {**row, "free": free[row["pk"]]} for row in rows.values("pk", "batch", "priority")
    ]
    batch.save(update_fields=["asked_again"])
    priority = Greatest("priority", Value(batch.priority))
    rows.update(batch=batch, priority=priority, state=Comparison.State.OPEN)
    audit.record("batch.asked_again", batch, actor=actor, comparisons=sorted(free))


def _askable(project: Project, comparisons: Sequence[int]) -> QuerySet[Comparison]:
    found = with_room(project.comparisons.filter(pk__in=comparisons))
    return found.exclude(batch__made_from__has_key="evaluation")


def askable(project: Project, comparisons: Sequence[int]) -> set[int]:
    """Of these comparisons those that can be asked again now."""
    return set(_askable(project, comparisons).values_list("pk", flat=True))


def _nothing(many: int) -> str:
    if many == 1:
        return (
            "This comparison cannot be asked again: it waits for a label already, is withdrawn, gold, part of a blind "
            f"evaluation, or has the {MOST_LABELS} labels that it may have."
        )
    return (
        f"None of the {many:,} comparisons can be asked again: they wait for a label already, are withdrawn, gold, "
        f"part of a blind evaluation, or have the {MOST_LABELS} labels that each may have."
    )


@transaction.atomic
def ask_one_more(*, comparison: Comparison, actor: User) -> Batch:
    """One further label on a comparison, in the open batch of all that are asked so: it. Raises Conflict as above."""
    batch = _batch_of_one_more(comparison.project, actor)
    _ask(batch, [comparison.pk], actor)
    return batch


def _batch_of_one_more(project: Project, actor: User) -> Batch:
    """The open batch, locked, or a new one; two who ask at the same time get the same."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    there = asked_for_one_more(project).filter(state=Batch.State.OPEN).select_for_update()
    return there.order_by("pk").last() or open_batch(
        project=project,
        name=free_name(project, "One more label"),
        made_from={"asked": ONE_MORE},
        actor=actor,
        priority=FIRST,
    )


def asked_more(project: Project, comparisons: Sequence[int]) -> set[int]:
    """Of these comparisons those on which one more label was asked for and is waited for."""
    batches = asked_for_one_more(project)
    noted = {row["pk"] for rows in batches.values_list("asked_again", flat=True) for row in rows}
    waiting = project.comparisons.filter(slots_taken__lt=F("overlap"), batch__in=batches)
    return set(waiting.filter(pk__in=noted & set(comparisons)).values_list("pk", flat=True))


@transaction.atomic
def undo_one_more(*, comparison: Comparison, actor: User) -> None:
    """Take that back. Raises Conflict where somebody has it, or nothing is waited for."""
    batches = asked_for_one_more(comparison.project).filter(comparisons=comparison)
    batch = batches.select_for_update(of=("self",)).first()
    rows = [row for row in batch.asked_again if row["pk"] == comparison.pk] if batch else []
    if batch is None or not rows or not _undo(batch, rows, actor):
        raise Conflict(
            f"Nobody is waited for on comparison {comparison.pk}; somebody has it, or it was taken back."
        )


@transaction.atomic
def undo_asking(*, project: Project, pk: int, actor: User) -> int:
    """Take back the places that nobody has taken, and put those comparisons where they were: how many.

    Those served meanwhile stay in the batch, and what is given back of them can be taken back later; without any it is
    removed, so that the same can be asked anew.
    """
    batch = Batch.objects.select_for_update().filter(project=project, pk=pk).first()
    if batch is None:
        raise NotFound(f"There is no batch {pk} in {project.name}.")
    if not batch.asked_again:
        raise Conflict("Nothing in this batch was asked again, or it was taken back already.")
    return len(_undo(batch, batch.asked_again, actor))


def _undo(batch: Batch, rows: Sequence[dict[str, Any]], actor: User) -> list[int]:  # Any: as below
    """Of these comparisons of a locked batch those that were taken back."""
    here = set(batch.comparisons.values_list("pk", flat=True))
    was = {row["pk"]: row for row in rows if row["pk"] in here}
    taken_back = take_back(batch.project, {key: row["free"] for key, row in was.items()})
    if here and not taken_back:
        return []
    _put_back(batch.project, [was[key] for key in taken_back])
    audit.record("batch.asking_undone", batch, actor=actor, comparisons=sorted(taken_back))
    batch.asked_again = [row for row in batch.asked_again if row["pk"] not in taken_back]
    batch.save(update_fields=["asked_again"])
    if not batch.comparisons.exists():
        batch.delete()
    return taken_back


def _put_back(project: Project, rows: Sequence[dict[str, Any]]) -> None:  # Any: numbers and None
    """Into the batch and to the priority that each had, held where that batch is not open."""
    there = set(project.batches.values_list("pk", flat=True))

    def place(row: dict[str, Any]) -> tuple[int, int]:  # Any: the same
        return (row["batch"] if row["batch"] in there else 0), row["priority"]

    for (batch_id, priority), alike in groupby(sorted(rows, key=place), key=place):
        found = Comparison.objects.filter(pk__in=[row["pk"] for row in alike])
        found.update(batch=batch_id or None, priority=priority)
        waiting = found.filter(state__in=(Comparison.State.OPEN, Comparison.State.HELD))
        waiting.update(state=state_with_free_places())
