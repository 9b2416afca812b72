"""What a labeler did last: their own judgments and skips, to read again, and to open again where that can be undone.

Candidates are in the letters that they saw; nothing tells who wrote what, nor what was gold or asked twice.
Their first answer to a comparison that they are asked again is left out until they said it again: it is not there to
be copied, not even once they skipped the repeat or let it expire.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.utils import timezone

from annotation.comparisons.bench import ShownCandidate, ShownTurn, shown_candidates, shown_turns
from annotation.comparisons.letters import verdict_in_signs
from annotation.comparisons.models import Assignment, Batch, Comparison, Judgment
from annotation.comparisons.selectors import Act, Response, can_undo, responses_of
from annotation.projects.models import Project
from annotation.quality.adjudication import adjudications_by_comparison
from annotation.quality.mine import letters_seen, question_of

KEPT = 200  # acts that can be read again
PAGE_SIZE = 10
SKIPS_OPEN_FOR = timedelta(days=1)  # then none is offered: gold and repeats would be told by it
_ASKED = Q(state=Assignment.State.LEASED)
_ASKED |= Q(is_repeat=True, state__in=(Assignment.State.SKIPPED, Assignment.State.EXPIRED))


class Key(NamedTuple):
    """When, and the row."""

    at: datetime
    is_judgment: bool
    pk: int


class Shown(NamedTuple):
    """A comparison as it was shown."""

    question: str
    turns: list[ShownTurn]
    candidates: list[ShownCandidate]


class LatestAct(NamedTuple):
    """A judgment or a skip; ``field`` and ``key`` name it to be undone; no key where it cannot be.

    ``is_surplus``: it came too late to be counted. Gold and repeats, which never are, are not told apart by it.
    """

    at: datetime
    shown: Shown
    said: str  # the verdict; empty of a skip
    why: str  # the rationale, or the reason of the skip
    field: str
    key: UUID | int | None
    is_surplus: bool = False


class Latest(NamedTuple):
    """A page of acts; ``page`` is for the way to the others."""

    acts: list[LatestAct]
    page: Page[Key]


def latest_of(project: Project, labeler_id: int, page: str | None) -> Latest:
    """A page of the newest acts of a labeler, the newest first; at most six queries."""
    shown = Paginator(_keys(project, labeler_id), PAGE_SIZE).get_page(page)
    rows = _rows(list(shown))
    texts = responses_of(sorted({pk for _at, row in rows for pk in _order(row)}))
    decided = adjudications_by_comparison(project, {row.comparison_id for _at, row in rows})
    told = [_told(at, row, texts, project, decided) for at, row in rows]
    return Latest(told, shown)


def _keys(project: Project, labeler_id: int) -> list[Key]:
    judged = Judgment.objects.filter(project=project, labeler_id=labeler_id, is_imported=False)
    mine = Assignment.objects.filter(project=project, labeler_id=labeler_id)
    asked = mine.filter(_ASKED).values("comparison")
    judged = judged.filter(withdrawn_at=None).exclude(comparison__in=asked).order_by("-created_at")
    skips = mine.filter(state=Assignment.State.SKIPPED)
    skips = skips.filter(skipped_at__isnull=False).order_by("-skipped_at")
    found = [
        *(Key(at, True, pk) for at, pk in judged.values_list("created_at", "pk")[:KEPT]),
        *(Key(at, False, pk) for at, pk in skips.values_list("skipped_at", "pk")[:KEPT] if at),
    ]
    return sorted(found, reverse=True)[:KEPT]


def _rows(keys: Sequence[Key]) -> list[tuple[datetime, Act]]:
    judged = Judgment.objects.select_related(
        "comparison__prompt", "comparison__batch", "assignment"
    )
    skips = Assignment.objects.select_related("comparison__prompt")
    judgments = judged.in_bulk([one.pk for one in keys if one.is_judgment])
    skipped = skips.in_bulk([one.pk for one in keys if not one.is_judgment])
    return [
        (one.at, judgments[one.pk] if one.is_judgment else skipped[one.pk])
        for one in keys
        if one.pk in (judgments if one.is_judgment else skipped)
    ]


def _order(row: Act) -> Sequence[int]:
    return row.shown_order or row.comparison.candidate_ids


def _told(
    at: datetime,
    row: Act,
    texts: Mapping[int, Response],
    project: Project,
    decided: Collection[int],
) -> LatestAct:
    turns = row.comparison.prompt.turns
    candidates = shown_candidates({pk: texts[pk] for pk in _order(row)})
    shown = Shown(question_of(turns), shown_turns(turns), candidates)
    if isinstance(row, Judgment):
        letters = letters_seen(row, row.comparison)
        said = verdict_in_signs(row, letters, scale=project.answer_scale)
        key = row.client_uuid if _opens(row, decided) else None
        return LatestAct(at, shown, said, row.rationale, "client_uuid", key, _is_surplus(row))
    reason, skip = row.get_skip_reason_display(), row.pk if _has_place(row) else None
    return LatestAct(at, shown, "", reason, "assignment", skip)


def _is_surplus(row: Judgment) -> bool:
    return not row.is_counted and row.assignment is not None and row.assignment.takes_place


def _opens(row: Judgment, decided: Collection[int]) -> bool:
    is_training = row.assignment is not None and row.assignment.is_training
    batch = row.comparison.batch
    is_over = batch is not None and batch.state == Batch.State.CLOSED
    return can_undo(row) and not (is_training or is_over or row.comparison_id in decided)


def _has_place(row: Assignment) -> bool:
    comparison = row.comparison
    if row.skipped_at is None or row.skipped_at < timezone.now() - SKIPS_OPEN_FOR:
        return False
    if not row.takes_place:
        return comparison.state not in (Comparison.State.CLOSED, Comparison.State.HELD)
    is_open = comparison.state == Comparison.State.OPEN
    return is_open and comparison.slots_taken < comparison.overlap
