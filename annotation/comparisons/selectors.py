"""Reads of comparisons and judgments. `pair_rows` is what agreement and snapshots are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, NamedTuple

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.core.errors import NotFound
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import Prompt

OVERALL = "overall"
MAX_STRENGTH = 3
LEFT_COUNTED = 1_000
PAIRED_AT_ONCE = 200  # prompts

Tiers = list[list[int]]


class PairRow(NamedTuple):
    """What one judgment says of two candidates, in candidate space: ``first_id`` < ``second_id``, wherever they stood.

    ``strength`` is positive where the first is better, negative where the second is, 0 for a tie; 1 slightly, 2 better,
    3 much better. Where all are bad, ``is_all_bad`` is set and the strength is 0: that is no tie.
    ``is_first_shown_left`` is for position statistics only; None where the shown order is not known (imports).
    """

    judgment_id: int
    comparison_id: int
    prompt_id: int
    first_id: int
    second_id: int
    labeler_id: int
    strength: int
    is_all_bad: bool
    is_first_shown_left: bool | None
    active_ms: int
    created_at: datetime
    guideline_id: int | None
    kind: str


_COLUMNS = (
    "pk",
    "comparison_id",
    "comparison__prompt_id",
    "comparison__candidate_ids",
    "labeler_id",
    "ranking",
    "strengths",
    "is_all_bad",
    "criteria",
    "shown_order",
    "active_ms",
    "created_at",
    "guideline_id",
    "comparison__kind",
)


def standing_judgments(project: Project) -> QuerySet[Judgment]:
    """Judgments of the project that count: not withdrawn, and given within their lease."""
    return Judgment.objects.filter(project=project, withdrawn_at=None, is_counted=True)


def pair_rows(
    project: Project,
    *,
    criterion: str = OVERALL,
    after_judgment_id: int = 0,
    where: Q | None = None,
    prompt_ids: Sequence[int] | None = None,
    chunk_size: int = 5_000,
) -> Iterator[PairRow]:
    """Stream every pair of every standing judgment by judgment id; a ranking of K gives K(K-1)/2 rows.

    ``criterion`` names the aspect (judgments that did not answer it are left out); ``where`` narrows the judgments.
    With ``prompt_ids`` only what was said of these prompts comes, in no order: so the database goes by the prompts.
    """
    if prompt_ids is None:
        judgments = standing_judgments(project).order_by("pk")
    else:
        judgments = _standing_on(project, prompt_ids)
    judgments = judgments.filter(pk__gt=after_judgment_id)
    judgments = judgments.filter(where) if where is not None else judgments
    rows = judgments.values_list(*_COLUMNS)
    for row in rows.iterator(chunk_size=chunk_size):
        yield from _pairs_of(row, criterion)


def _standing_on(project: Project, prompt_ids: Sequence[int]) -> QuerySet[Judgment]:
    """Found by comparison alone: with the project named too, stale statistics send the planner through all of it."""
    comparisons = project.comparisons.filter(prompt_id__in=prompt_ids).values_list("pk", flat=True)
    found = Judgment.objects.filter(comparison_id__in=list(comparisons))
    return found.filter(withdrawn_at=None, is_counted=True)


def _pairs_of(row: tuple[Any, ...], criterion: str) -> Iterator[PairRow]:  # Any: columns differ
    pk, comparison_id, prompt_id, candidate_ids, labeler_id = row[:5]
    ranking, strengths, is_all_bad, criteria, shown, *rest = row[5:]
    if criterion != OVERALL:
        if criterion not in criteria:
            return
        ranking, strengths = criteria[criterion]["ranking"], criteria[criterion]["strengths"]
        is_all_bad = False
    levels = {} if is_all_bad else tier_levels(ranking, strengths)
    place = {candidate: index for index, candidate in enumerate(shown)}
    active_ms, created_at, guideline_id, kind = rest
    for first, second in combinations(sorted(candidate_ids), 2):
        yield PairRow(
            pk,
            comparison_id,
            prompt_id,
            first,
            second,
            labeler_id,
            0 if is_all_bad else _signed(levels[first] - levels[second]),
            is_all_bad,
            place[first] < place[second] if place else None,
            active_ms,
            created_at,
            guideline_id,
            kind,
        )


def tier_levels(ranking: Tiers, strengths: list[int]) -> dict[int, int]:
    """How far each candidate stands above the worst tier, in steps of strength."""
    level, levels = 0, {}
    for tier, step in zip(reversed(ranking), [0, *reversed(strengths)], strict=True):
        level += step
        levels.update(dict.fromkeys(tier, level))
    return levels


def _signed(difference: int) -> int:
    return max(-MAX_STRENGTH, min(MAX_STRENGTH, difference))


def last_judgment_of(*, project: Project, labeler_id: int) -> Judgment | None:
    """The newest judgment that this labeler gave and did not withdraw; None if there is none."""
    mine = Judgment.objects.filter(project=project, labeler_id=labeler_id, is_imported=False)
    return mine.filter(withdrawn_at=None).order_by("-created_at", "-pk").first()


def judged_since(*, project: Project, labeler_id: int, since: datetime) -> int:
    """How many judgments this labeler gave from a moment on."""
    mine = Judgment.objects.filter(project=project, labeler_id=labeler_id, created_at__gte=since)
    return mine.filter(withdrawn_at=None, is_imported=False).count()


def left_to_judge(*, project: Project, labeler_id: int, at_most: int) -> int:
    """How many comparisons are left for this labeler, the one in hand included; counted up to ``at_most``, so cheap."""
    free = project.comparisons.filter(state=Comparison.State.OPEN, slots_taken__lt=F("overlap"))
    nearest = free.order_by("-priority", "slots_taken", "pk").values("pk")[:at_most]
    mine = Assignment.objects.filter(comparison=OuterRef("pk"), labeler_id=labeler_id)
    done = mine.exclude(state=Assignment.State.EXPIRED)
    in_hand = leases_of(project).filter(labeler_id=labeler_id)
    return Comparison.objects.filter(~Exists(done), pk__in=nearest).count() + in_hand.count()


def assignment_of(*, project: Project, labeler_id: int, pk: int) -> Assignment:
    """One of the labeler's own assignments in the project; NotFound otherwise."""
    rows = Assignment.objects.select_related("project", "comparison__prompt", "labeler")
    row = rows.filter(project=project, labeler_id=labeler_id, pk=pk).first()
    if row is None:
        raise NotFound("This assignment does not exist, or it is not yours. Load the next one.")
    return row


def comparison_of(*, project: Project, pk: int) -> Comparison:
    """One comparison of the project; NotFound otherwise."""
    row = project.comparisons.select_related("prompt", "project").filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such comparison in this project.")
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a labeler is today: ``remaining`` is counted up to a limit, ``is_more`` says that there are more."""

    judged_today: int
    remaining: int
    is_more: bool

    @property
    def total(self) -> int:
        return self.judged_today + self.remaining


def progress_of(*, project: Project, labeler_id: int) -> Progress:
    """The labeler's day in this project; three short queries, whatever the size of the project."""
    morning = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    left = left_to_judge(project=project, labeler_id=labeler_id, at_most=LEFT_COUNTED + 1)
    return Progress(
        judged_today=judged_since(project=project, labeler_id=labeler_id, since=morning),
        remaining=min(left, LEFT_COUNTED),
        is_more=left > LEFT_COUNTED,
    )


def texts_of(candidate_ids: Sequence[int]) -> dict[int, str]:
    """The texts of candidates, and nothing about where they came from: that never reaches a labeler."""
    rows = Candidate.objects.filter(pk__in=candidate_ids)
    return dict(rows.values_list("pk", "text"))


def comparisons_in(project: Project, *, state: str = "", kind: str = "") -> QuerySet[Comparison]:
    """The comparisons of a project, narrowed by state and kind where those are given."""
    rows = project.comparisons.select_related("prompt")
    rows = rows.filter(state=state) if state in Comparison.State.values else rows
    return rows.filter(kind=kind) if kind in Comparison.Kind.values else rows


def prompts_to_pair(project: Project) -> QuerySet[Prompt]:
    """Prompts with candidates to compare and no comparison yet, the oldest; no more than fit in a request."""
    several = Candidate.objects.filter(project=project).values("prompt").annotate(many=Count("pk"))
    compared = Comparison.objects.filter(prompt=OuterRef("pk"))
    waiting = project.prompts.filter(
        ~Exists(compared), pk__in=several.filter(many__gt=1).values("prompt")
    )
    return waiting.order_by("pk")[:PAIRED_AT_ONCE]


def judgments_on(comparison: Comparison) -> QuerySet[Judgment]:
    """Every judgment given on a comparison, surplus and withdrawn ones too, oldest first."""
    return comparison.judgments.select_related("labeler", "guideline").order_by("pk")


def leases_of(project: Project) -> QuerySet[Assignment]:
    """The leases of a project that have not ended."""
    return project.assignments.filter(state=Assignment.State.LEASED, lease_until__gt=timezone.now())
