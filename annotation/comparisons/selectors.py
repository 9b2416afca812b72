"""Reads of comparisons and judgments. `pair_rows` is what agreement and snapshots are made of."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, NamedTuple

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.comparisons.models import (
    Assignment,
    Comparison,
    Flag,
    Judgment,
    LabelerSettings,
)
from annotation.core.errors import InvalidInput, NotFound
from annotation.generation.models import Candidate
from annotation.generation.selectors import held_for_others
from annotation.projects.models import Project
from annotation.prompts.models import Prompt

OVERALL = "overall"
MAX_STRENGTH = 3
PAIRED_AT_ONCE = 10_000  # prompts
FLAG_STATES = ("open", "resolved")
IDS = Comparison._meta.get_field("candidate_ids")

Tiers = list[list[int]]
# What a labeler can undo: a judgment, or an assignment that they skipped.
Act = Judgment | Assignment


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
    """Judgments of the project that count: not withdrawn, given within their lease, no repeats."""
    rows = Judgment.objects.filter(project=project, withdrawn_at=None, is_counted=True)
    return rows.filter(is_repeat=False)


def judgments_of_people(project: Project) -> QuerySet[Judgment]:
    """The same without those of machine judges: what is asked again follows from these."""
    return standing_judgments(project).exclude(labeler__kind=User.Kind.MACHINE)


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


class Origin(NamedTuple):
    """Where a judgment came from; ``is_asked_again``: it was asked for because of what others said."""

    is_repeat: bool
    is_imported: bool
    is_asked_again: bool


def _asked_again(project: Project) -> Q:
    """Asked for because of what others said: the comparison was asked again, or its first verdicts differed.

    Early stop asks for no more where they are alike, so what comes after them was asked where they are not. Under
    another version of the guideline it begins anew: its verdicts are not compared with these.
    """
    after = Q(created_at__gte=F("comparison__asked_again_at"))
    if agreeing := project.stop_when_agreeing:
        version = Coalesce(OuterRef("guideline_id"), 0)
        before = judgments_of_people(project).filter(
            comparison=OuterRef("comparison"), pk__lt=OuterRef("pk")
        )
        before = before.alias(version=Coalesce("guideline_id", 0)).filter(version=version)
        after |= Q(Exists(before[agreeing - 1 : agreeing]))
    return after & Q(is_imported=False) & ~Q(labeler__kind=User.Kind.MACHINE)


def judgments_on_selected(project: Project) -> QuerySet[Judgment]:
    """Asked for because of what others said of the comparison, or on one drawn by what a verdict tells."""
    is_selected = Q(asked_again_at__isnull=False) | Q(propensity__isnull=False)
    if project.stop_when_agreeing:
        is_selected |= Q(judgments_counted__gt=project.stop_when_agreeing)
    rows = project.judgments.filter(comparison__in=project.comparisons.filter(is_selected))
    return rows.filter(_asked_again(project) | Q(comparison__propensity__isnull=False))


def pairs_of_judgments(
    project: Project, *, criterion: str, where: Q
) -> Iterator[tuple[PairRow, Origin]]:
    """The pairs of chosen judgments that were not withdrawn, by id; with each where it came from.

    Repeats and gold after training come too, unlike in `pair_rows`: they measure the labeler.
    """
    measures = Q(is_counted=True) | Q(is_repeat=True)
    gold = Q(comparison__kind=Comparison.Kind.GOLD) & ~Q(assignment__is_training=True)
    judgments = Judgment.objects.filter(measures | gold, where)
    judgments = judgments.filter(project=project, withdrawn_at=None).order_by("pk")
    is_asked_again = Coalesce(
        _asked_again(project), Value(value=False), output_field=BooleanField()
    )
    rows = judgments.values_list(*_COLUMNS, "is_repeat", "is_imported", is_asked_again)
    for *row, is_repeat, is_imported, is_again in rows.iterator(chunk_size=2_000):
        for pair in _pairs_of(tuple(row), criterion):
            yield pair, Origin(is_repeat, is_imported, is_again)


def _standing_on(project: Project, prompt_ids: Sequence[int]) -> QuerySet[Judgment]:
    """Found by comparison alone: with the project named too, stale statistics send the planner through all of it."""
    comparisons = project.comparisons.filter(prompt_id__in=prompt_ids).values_list("pk", flat=True)
    found = Judgment.objects.filter(comparison_id__in=list(comparisons))
    return found.filter(withdrawn_at=None, is_counted=True, is_repeat=False)


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


def last_act_of(last: Judgment | None, *, project: Project, labeler_id: int) -> Act | None:
    """Their newest skip, or ``last``, their newest judgment, where that came later; None if there is neither."""
    mine = Assignment.objects.filter(project=project, labeler_id=labeler_id)
    skips = mine.filter(state=Assignment.State.SKIPPED, skipped_at__isnull=False)
    skip = skips.select_related("labeler").order_by("-skipped_at", "-pk").first()
    if skip is None or skip.skipped_at is None:
        return last
    return skip if last is None or skip.skipped_at > last.created_at else last


def can_undo(last: Act | None) -> bool:
    """Whether the newest act of a labeler can still be taken back, as far as it tells itself."""
    if not isinstance(last, Judgment):
        return last is not None
    return last.frozen_at is None and last.assignment_id is not None


def preferences_of(labeler_id: int) -> LabelerSettings:
    """How this labeler likes to work; the usual way, unsaved, while they have not said."""
    stored = LabelerSettings.objects.filter(labeler_id=labeler_id).first()
    return stored or LabelerSettings(labeler_id=labeler_id)


def assignment_of(*, project: Project, labeler_id: int, pk: int) -> Assignment:
    """One of the labeler's own assignments in the project; NotFound otherwise."""
    rows = Assignment.objects.select_related("project", "comparison__prompt", "labeler")
    row = rows.filter(project=project, labeler_id=labeler_id, pk=pk).first()
    if row is None:
        raise NotFound(_("This assignment does not exist, or it is not yours. Load the next one."))
    return row


def comparison_of(*, project: Project, pk: int) -> Comparison:
    """One comparison of the project; NotFound otherwise."""
    row = project.comparisons.select_related("prompt", "project").filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such comparison in this project.")
    return row


def is_compared() -> Exists:
    """Whether a candidate is in a comparison, for a filter of candidates; they are of one prompt."""
    itself = Func(OuterRef("pk"), template="ARRAY[%(expressions)s]", output_field=IDS)
    named = Comparison.objects.filter(prompt=OuterRef("prompt"), candidate_ids__contains=itself)
    return Exists(named)


def texts_of(candidate_ids: Sequence[int]) -> dict[int, str]:
    """The texts of candidates, and nothing about where they came from: that never reaches a labeler."""
    rows = Candidate.objects.filter(pk__in=candidate_ids)
    return dict(rows.values_list("pk", "text"))


class Response(NamedTuple):
    """The text of a candidate as a labeler may see it; it is finished if it ended by itself."""

    text: str
    is_finished: bool


def responses_of(candidate_ids: Sequence[int]) -> dict[int, Response]:
    """Candidates in this order, as labelers may see them."""
    rows = Candidate.objects.filter(pk__in=candidate_ids).only("text", "is_finished")
    found = {one.pk: Response(one.text, one.is_finished) for one in rows}
    return {pk: found[pk] for pk in candidate_ids}


def comparisons_in(project: Project, *, state: str = "", kind: str = "") -> QuerySet[Comparison]:
    """The comparisons of a project, narrowed by state and kind where given; InvalidInput for one that is unknown."""
    asked = {"state": (state, Comparison.State.values), "kind": (kind, Comparison.Kind.values)}
    for name, (value, known) in asked.items():
        if value and value not in known:
            raise InvalidInput.at(name, f"{name}={value[:60]!r} is not one of {', '.join(known)}.")
    return project.comparisons.select_related("prompt").filter(
        **{name: value for name, (value, _known) in asked.items() if value}
    )


def flags_in(project: Project, *, state: str = "") -> QuerySet[Flag]:
    """The flags of a project, narrowed to the open or the resolved ones where that is asked."""
    if not state:
        return project.flags.all()
    return project.flags.filter(resolved_at__isnull=state == "open")


def flag_of(*, project: Project, pk: int) -> Flag:
    """One flag of the project; NotFound otherwise."""
    row = project.flags.select_related("labeler").filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such flag in this project.")
    return row


def flag_counts(project: Project) -> dict[str, int]:
    """How many flags are in each state; one query."""
    is_open = Q(resolved_at=None)
    return project.flags.aggregate(
        open=Count("pk", filter=is_open), resolved=Count("pk", filter=~is_open)
    )


def flags_with_texts(flags: QuerySet[Flag]) -> QuerySet[Flag]:
    """The same with who wrote them, about what, in which order it was shown to them, and who resolved them.

    The newest first. ``shown_order`` is None where the assignment is gone.
    """
    served = Assignment.objects.filter(
        comparison=OuterRef("comparison"),
        labeler=OuterRef("labeler"),
        created_at__lte=OuterRef("created_at"),
    )
    shown = Subquery(served.order_by("-pk").values("shown_order")[:1])
    rows = flags.select_related("labeler", "resolved_by", "comparison__prompt")
    return rows.annotate(shown_order=shown).order_by("-pk")


def prompts_to_pair(project: Project) -> QuerySet[Prompt]:
    """Prompts with candidates to compare and no comparison yet, the oldest; no more than fit in a request.

    Those are left out that wait for another policy, and are compared by themselves.
    """
    several = Candidate.objects.filter(project=project).values("prompt").annotate(many=Count("pk"))
    compared = Comparison.objects.filter(prompt=OuterRef("pk"))
    waiting = project.prompts.filter(
        ~Exists(compared), ~held_for_others(), pk__in=several.filter(many__gt=1).values("prompt")
    )
    return waiting.order_by("pk")[:PAIRED_AT_ONCE]


def judgments_on(comparison: Comparison) -> QuerySet[Judgment]:
    """Every judgment given on a comparison, surplus and withdrawn ones too, oldest first."""
    return comparison.judgments.select_related("labeler", "guideline").order_by("pk")


def leases_of(project: Project) -> QuerySet[Assignment]:
    """The leases of a project that have not ended."""
    return project.assignments.filter(state=Assignment.State.LEASED, lease_until__gt=timezone.now())
