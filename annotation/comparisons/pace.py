"""How fast labels come: by day, how long one takes, and when the last comes. Of a project, or of one batch."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, ExpressionWrapper, F, FloatField, IntegerField, Min, QuerySet
from django.db.models.functions import Cast, Extract, Floor, Now
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Batch, Judgment
from annotation.comparisons.selectors import standing_judgments
from annotation.measures.budget import days_left
from annotation.measures.statistic import Statistic
from annotation.projects.models import Project

DAYS = 7  # that a pace is taken from
SECONDS_OF_A_DAY = 86_400
TIMED_JUDGMENTS = 1_000
FEWEST_TIMED = 20
LONGEST_MS = 10 * 60 * 1000  # longer is a person who went away
FARTHEST_DAYS = 3_650  # a day beyond is none


class Seconds(NamedTuple):
    """Mean active seconds of a judgment over the ``n`` newest by people; no mean where there are too few."""

    mean: float | None
    n: int


def seconds_of_a_judgment(project: Project) -> Seconds:
    """Measured in the browser; each counts for ten minutes at most."""
    rows = standing_judgments(project).filter(
        is_imported=False, active_ms__gt=0, labeler__kind=User.Kind.PERSON
    )
    times = list(rows.order_by("-pk").values_list("active_ms", flat=True)[:TIMED_JUDGMENTS])
    if len(times) < FEWEST_TIMED:
        return Seconds(None, len(times))
    return Seconds(sum(min(one, LONGEST_MS) for one in times) / len(times) / 1000, len(times))


def labels_by_day(project: Project, *, batch: Batch | None = None, days: int = DAYS) -> list[int]:
    """Counted labels of people in each of the last 24 hours, back from now, the newest last; none before the first."""
    now = timezone.now()
    rows = _given(project, batch, since=now - timedelta(days=days))
    seconds_ago = Cast(Extract(Now() - F("created_at"), "epoch"), FloatField())
    day = ExpressionWrapper(
        Cast(Floor(seconds_ago / SECONDS_OF_A_DAY), IntegerField()), output_field=IntegerField()
    )
    counts = dict(rows.annotate(day=day).values_list("day").annotate(many=Count("pk")))
    if not counts:
        return [0] * days if _given(project, batch, since=None).exists() else []
    first = _given(project, batch, since=None).aggregate(at=Min("created_at"))["at"]
    known = min(days, int((now - first).total_seconds() // SECONDS_OF_A_DAY) + 1)
    return [counts.get(ago, 0) for ago in reversed(range(known))]


def _given(project: Project, batch: Batch | None, *, since: datetime | None) -> QuerySet[Judgment]:
    rows = standing_judgments(project).filter(is_imported=False, labeler__kind=User.Kind.PERSON)
    rows = rows.filter(comparison__batch=batch) if batch else rows
    return rows.filter(created_at__gte=since) if since else rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The labels of the last days, and when those that are left come at the pace of the last seven."""

    left: int
    by_day: list[int]  # back from now, the newest last
    days: Statistic
    finish_at: datetime | None
    finish_earliest: datetime | None
    finish_latest: datetime | None

    @property
    def labels_a_day(self) -> float | None:
        """The mean that the forecast rests on; None before the first label."""
        taken = self.by_day[-DAYS:]
        return sum(taken) / len(taken) if taken else None


def forecast_of(
    project: Project, *, left: int, batch: Batch | None = None, days: int = DAYS
) -> Forecast:
    """When ``left`` labels are given; no day where there is no pace. ``days``, seven or more, are told by day."""
    by_day = labels_by_day(project, batch=batch, days=days)
    lasting = days_left(left, per_day=by_day[-DAYS:])
    return Forecast(
        left=left,
        by_day=by_day,
        days=lasting,
        finish_at=_day(lasting.value),
        finish_earliest=_day(lasting.interval.low if lasting.interval else None),
        finish_latest=_day(lasting.interval.high if lasting.interval else None),
    )


def _day(days: float | None) -> datetime | None:
    if days is None or days > FARTHEST_DAYS:
        return None
    return timezone.now() + timedelta(days=days)
