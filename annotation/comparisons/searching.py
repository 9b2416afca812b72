"""Comparisons by their number or by words of their prompt.

There is no index of words: building it would cost an import of prompts as much as the rest of it. A search looks
through so many comparisons, the newest first, and further back when asked, so it takes as long in a large project.
"""

from typing import NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast

from annotation.comparisons.models import Comparison
from annotation.core.text import is_key
from annotation.projects.models import Project
from annotation.prompts.models import Prompt

LOOKED_THROUGH = 50_000  # comparisons at once


class Found(NamedTuple):
    """What was found, newest first; ``back_to`` is the oldest that was looked at."""

    rows: list[Comparison]
    looked_through: int
    back_to: int | None  # None where there is nothing to look through
    has_older: bool


def search(
    project: Project, rows: QuerySet[Comparison], words: str, *, below: int | None, at_most: int
) -> Found:
    """Of these comparisons of a project those with the words, or of the number, among the newest below a number."""
    low, looked_through, has_older = _window(project, below)
    if low is None:
        return Found([], 0, None, has_older=False)
    within = rows.filter(pk__gte=low)
    within = within if below is None else within.filter(pk__lt=below)
    # A subquery by each row: a join would let the planner read every prompt first.
    turns = Prompt.objects.filter(pk=OuterRef("prompt")).values(said=Cast("turns", TextField()))
    named = list(rows.filter(pk=int(words))) if below is None and is_key(words) else []
    having = within.alias(said=Subquery(turns)).filter(said__icontains=words)
    having = having.exclude(pk__in=[one.pk for one in named])
    found = list(having.order_by("-pk")[: at_most + 1])
    if len(found) <= at_most:
        return Found([*named, *found], looked_through, low, has_older)
    last = found[at_most - 1].pk
    passed = project.comparisons.filter(pk__gte=last)
    passed = passed if below is None else passed.filter(pk__lt=below)
    return Found([*named, *found[:at_most]], passed.count(), last, has_older=True)


def _window(project: Project, below: int | None) -> tuple[int | None, int, bool]:
    """The oldest number to look at, how many comparisons there are down to it, and whether there are older ones."""
    ids = project.comparisons.order_by("-pk").values_list("pk", flat=True)
    ids = ids if below is None else ids.filter(pk__lt=below)
    edge = list(ids[LOOKED_THROUGH - 1 : LOOKED_THROUGH + 1])
    if edge:
        return edge[0], LOOKED_THROUGH, len(edge) > 1
    return ids.last(), ids.count(), False
