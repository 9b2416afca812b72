"""A batch of comparisons that were judged and are asked again, and its undo while nobody has taken a place."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.batches import state_with_free_places
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
    made_from: dict[str, int],
    actor: User | None,
) -> Batch:
    """A batch of comparisons that were judged: each gets one further place, for somebody who has not judged it.

    Where they were is kept with the batch, and none is served later than it would have been. What still waits for a
    label, gold, what was withdrawn and what a blind evaluation counts stay as they are. Raises Conflict where nothing
    is left.
    """
    batch = open_batch(project=project, name=name, made_from=made_from, actor=actor, priority=FIRST)
    free = give_place(_askable(project, comparisons), most=len(comparisons))
    if not free:
        raise Conflict(_nothing(len(comparisons)))
    mark_chosen(free)
    rows = Comparison.objects.filter(pk__in=free)
    batch.asked_again = [
        {**row, "free": free[row["pk"]]} for row in rows.values("pk", "batch", "priority")
    ]
    batch.save(update_fields=["asked_again"])
    rows.update(batch=batch, priority=Greatest("priority", FIRST), state=Comparison.State.OPEN)
    audit.record("batch.asked_again", batch, actor=actor, comparisons=sorted(free))
    return batch


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


def ask_one_more(*, comparison: Comparison, actor: User) -> Batch:
    """One further label on a comparison, in a batch of its own by which it is undone."""
    project = comparison.project
    return ask_again(
        project=project,
        name=free_name(project, f"One more label on comparison {comparison.pk}"),
        comparisons=[comparison.pk],
        made_from={"comparison": comparison.pk},
        actor=actor,
    )


def asked_more(project: Project, comparisons: Sequence[int]) -> dict[int, int]:
    """Of these comparisons those on which one more label was asked for and is waited for: the batch of each."""
    batches = project.batches.filter(made_from__comparison__in=list(comparisons))
    waiting = Comparison.objects.filter(
        slots_taken__lt=F("overlap"), batch__in=batches.exclude(asked_again=[])
    )
    return dict(waiting.values_list("pk", "batch"))


@transaction.atomic
def undo_asking(*, project: Project, pk: int, actor: User) -> int:
    """Take back the places that nobody has taken, and put those comparisons where they were: how many.

    Those served meanwhile stay in the batch; without any it is removed, so that the same can be asked anew. Where all
    were served nothing changes, and what they give back can be taken back later.
    """
    batch = Batch.objects.select_for_update().filter(project=project, pk=pk).first()
    if batch is None:
        raise NotFound(f"There is no batch {pk} in {project.name}.")
    if not batch.asked_again:
        raise Conflict("Nothing in this batch was asked again, or it was taken back already.")
    here = set(batch.comparisons.values_list("pk", flat=True))
    was = {row["pk"]: row for row in batch.asked_again if row["pk"] in here}
    taken_back = take_back(project, {key: row["free"] for key, row in was.items()})
    if here and not taken_back:
        return 0
    _put_back(project, [was[key] for key in taken_back])
    audit.record("batch.asking_undone", batch, actor=actor, comparisons=sorted(taken_back))
    batch.asked_again = []
    batch.save(update_fields=["asked_again"])
    if not batch.comparisons.exists():
        batch.delete()
    return len(taken_back)


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
