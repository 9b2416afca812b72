"""The numbers of one labeler, for themselves and for admins: each with its n, its interval and what it means.

What flags say is advice to look: one answer never blocks anyone, and speed alone is no fault.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.accounts.zones import start_of_day
from annotation.comparisons.gold import gold_answers, is_right_answer, stood
from annotation.comparisons.models import Judgment, TimeAtWork
from annotation.comparisons.selectors import Tiers, pair_rows
from annotation.measures.statistic import Interval, Statistic, missing, proportion
from annotation.projects.models import Project
from annotation.quality.columns import columns_of
from annotation.quality.dryrun import accuracy_when_fast, is_below
from annotation.quality.gold import accuracy_on_gold
from annotation.quality.models import Rule
from annotation.quality.rules import rules_of
from annotation.quality.selectors import stored_report

FAST_SECONDS = 5.0  # where no rule of the project says another
LOOKED_AT = 2_000  # comparisons, the newest, that speed is looked at on
BIAS_FROM = 50  # decided answers
FLIPS_FROM = 10  # repeats
GOLD_TOLD_FROM = 5  # answers, to the labeler who gave them
HALF = 0.5
TRAINING = Q(assignment__is_training=True)


class Repeats(NamedTuple):
    """What a labeler said when the same comparison came again with the sides swapped."""

    same: Statistic  # the same response chosen
    followed_side: int  # chose the same side, and so the other response


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Something to look at: what was seen, and what it may come from."""

    key: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelerNumbers:
    """Where a labeler stands. ``with_others``, ``left``, ``fast`` are of the newest agreement report."""

    judgments: int
    hours: float  # at work here: judging, skipping, writing
    gold: Statistic
    training: Statistic
    repeats: Repeats
    with_others: Statistic
    left: Statistic
    fast: Statistic  # share of answers that were read faster than people read
    fast_accuracy: Statistic  # of answers under ``fast_seconds``
    fast_seconds: float
    concerns: tuple[Concern, ...]


def own_numbers(project: Project, labeler: User) -> LabelerNumbers:
    """What labelers read of themselves: gold and repeats as of the last midnight of the site, gold once it is some.

    A figure that moved with an answer, or alone stood still, would tell that it was a test, and one that moved with its
    undo the known answer: so *left* counts tests too. A labeler's own zone would let them move midnight to and fro.
    """
    as_of = start_of_day(ZoneInfo(settings.TIME_ZONE), timezone.now())
    found = numbers_of(project, labeler.pk, as_of=as_of)
    if 0 < found.gold.n < GOLD_TOLD_FROM:
        found = replace(found, gold=missing(_("Too few known answers were asked yet.")))
    return replace(found, left=_left_of(project, labeler.pk))


def _left_of(project: Project, labeler_id: int) -> Statistic:
    """How often they chose the left of two, of all that they decided, gold and repeats too."""
    mine = Judgment.objects.filter(project=project, labeler_id=labeler_id, withdrawn_at=None)
    rows = mine.filter(is_imported=False).values_list("ranking", "shown_order")
    sides = [_side(ranking, shown) for ranking, shown in rows.iterator(chunk_size=2_000)]
    decided = [one for one in sides if one is not None]
    return proportion(
        decided.count(0), n=len(decided), nothing=_("There is no decisive verdict yet.")
    )


def numbers_of(
    project: Project, labeler_id: int, *, as_of: datetime | None = None
) -> LabelerNumbers:
    """Everything about one labeler, gold in real work and repeats as of a moment; a fixed number of queries."""
    mine = Judgment.objects.filter(project=project, labeler_id=labeler_id, is_imported=False)
    totals = mine.aggregate(
        judgments=Count("pk", filter=Q(withdrawn_at=None)), active=Sum("active_ms", default=0)
    )
    beside = TimeAtWork.objects.filter(project=project, labeler_id=labeler_id)
    active = totals["active"] + beside.aggregate(active=Sum("active_ms", default=0))["active"]
    report = reported(project, labeler_id)
    seconds = fast_seconds(project)
    repeats = repeats_of(project, labeler_id, as_of=as_of)
    found = LabelerNumbers(
        judgments=totals["judgments"],
        hours=active / 3_600_000,
        gold=_accuracy(gold_answers(project, as_of=as_of).exclude(TRAINING), labeler_id),
        training=_accuracy(gold_answers(project).filter(TRAINING), labeler_id),
        repeats=repeats,
        with_others=_statistic(report.get("agreement")),
        left=_statistic(report.get("left")),
        fast=_statistic(report.get("fast")),
        fast_accuracy=_accuracy_under(seconds, project, labeler_id),
        fast_seconds=seconds,
        concerns=(),
    )
    return replace(found, concerns=tuple(_concerns(found, _usual(project))))


def _concerns(found: LabelerNumbers, usual: float) -> Iterator[Concern]:
    if is_below(found.fast_accuracy, usual):
        yield Concern(
            key="too_fast",
            title=_("Fast answers differ from the others"),
            detail=_(
                "Answers under %(seconds)g seconds agree with the others less often than usual. "
                "Speed alone is no fault; reading a little longer may help."
            )
            % {"seconds": found.fast_seconds},
        )
    if found.left.n >= BIAS_FROM and _excludes(found.left, HALF):
        yield Concern(
            key="position",
            title=_("One side is chosen more often"),
            detail=_("Sides are drawn by lot, so both should be chosen about equally often."),
        )
    same = found.repeats.same
    if same.n >= FLIPS_FROM and _excludes(same, usual) and (same.value or 0) < usual:
        yield Concern(
            key="repeats",
            title=_("Repeats are answered differently"),
            detail=_(
                "The same comparisons came again with the sides swapped, and the answers changed "
                "more often than those of the others differ."
            ),
        )


def _excludes(one: Statistic, value: float) -> bool:
    return one.interval is not None and not one.interval.low <= value <= one.interval.high


def _usual(project: Project) -> float:
    """How often labelers of the project agree with the others; one half before anyone knows."""
    stored = stored_report(project)
    funnel = stored.data.get("funnel") if stored else None
    return float(funnel["mean"]) if funnel else HALF


def reported(project: Project, labeler_id: int) -> dict[str, Any]:  # Any: the report
    """Their row of the table of labelers in the stored report; empty where there is none."""
    stored = stored_report(project)
    rows = stored.data.get("labelers", []) if stored else []
    return next((row for row in rows if row["id"] == labeler_id), {})


def _statistic(data: dict[str, Any] | None) -> Statistic:  # Any: JSON of a statistic
    if data is None:
        return missing(_("Nothing has been computed yet; figures follow the judgments."))
    interval = None if data["interval"] is None else Interval(*data["interval"])
    return Statistic(value=data["value"], interval=interval, n=data["n"], reason=data["reason"])


def fast_seconds(project: Project) -> float:
    """Under how many seconds this project leaves out, or looks at, the answers of who differs from the others."""
    on = [one for one in rules_of(project) if one.is_on and one.kind == Rule.Kind.TOO_FAST]
    return max((float(one.params["seconds"]) for one in on), default=FAST_SECONDS)


def _accuracy_under(seconds: float, project: Project, labeler_id: int) -> Statistic:
    """How often answers that took less equal the verdict of most of the others."""
    mine = Judgment.objects.filter(
        project=project, labeler_id=labeler_id, withdrawn_at=None, is_counted=True
    )
    recent = list(mine.order_by("-created_at").values_list("comparison_id", flat=True)[:LOOKED_AT])
    where = Q(comparison_id__in=recent) & ~Q(comparison__kind="gold")
    columns = columns_of(pair_rows(project, where=where)) if recent else None
    found = (
        {} if columns is None else accuracy_when_fast(columns, faster_than_ms=round(1000 * seconds))
    )
    nothing = missing(_("Too few fast answers that others can be held against."))
    return found.get(labeler_id, nothing)


def _accuracy(answers: QuerySet[Judgment], labeler_id: int) -> Statistic:
    right = [is_right_answer(one) for one in answers.filter(labeler_id=labeler_id)]
    return accuracy_on_gold(sum(right), len(right))


def repeats_of(project: Project, labeler_id: int, *, as_of: datetime | None = None) -> Repeats:
    """Each repeat beside the first answer of the same labeler, as they stood (`stood`); two queries."""
    mine = Judgment.objects.filter(stood(as_of), project=project, labeler_id=labeler_id)
    again = list(mine.filter(is_repeat=True))
    firsts = {
        one.comparison_id: one
        for one in mine.filter(
            is_repeat=False, comparison_id__in=[one.comparison_id for one in again]
        )
    }
    pairs = [(firsts[one.comparison_id], one) for one in again if one.comparison_id in firsts]
    same = sum(_verdict(first) == _verdict(second) for first, second in pairs)
    return Repeats(
        same=proportion(same, n=len(pairs), nothing=_("No comparison came a second time yet.")),
        followed_side=sum(_followed_side(first, second) for first, second in pairs),
    )


def _verdict(judgment: Judgment) -> tuple[bool, list[list[int]]]:
    return judgment.is_all_bad, judgment.ranking


def _followed_side(first: Judgment, second: Judgment) -> bool:
    """The same side was chosen twice though the responses had changed places."""
    sides = [_side(one.ranking, one.shown_order) for one in (first, second)]
    return None not in sides and sides[0] == sides[1] and _verdict(first) != _verdict(second)


def _side(ranking: Tiers, shown: Sequence[int]) -> int | None:
    """The place of the better of two; None where none was chosen, or where it was shown is not known."""
    return shown.index(ranking[0][0]) if len(ranking) == len(shown) == 2 else None


class Day(NamedTuple):
    """One day of the hours statement."""

    day: date
    judgments: int
    hours: float


def days_of(project: Project, labeler_id: int, *, zone: ZoneInfo) -> list[Day]:
    """Answers and active hours by day in a zone, the newest first; two queries.

    What was skipped or written counts as hours. What was undone keeps its time: it was work.
    """
    mine = Judgment.objects.filter(project=project, labeler_id=labeler_id, is_imported=False)
    beside = TimeAtWork.objects.filter(project=project, labeler_id=labeler_id)
    given, active = Counter[date](), Counter[date]()
    for day, count, spent in (
        mine.annotate(day=TruncDate("created_at", tzinfo=zone))
        .values_list("day")
        .annotate(given=Count("pk", filter=Q(withdrawn_at=None)), active=Sum("active_ms"))
    ):
        given[day], active[day] = count, spent
    for day, spent in (
        beside.annotate(day=TruncDate("quarter", tzinfo=zone))
        .values_list("day")
        .annotate(active=Sum("active_ms"))
    ):
        active[day] += spent
    return [Day(day, given[day], active[day] / 3_600_000) for day in sorted(active, reverse=True)]
