"""How far a labeler is: kept beside their place in the queue, and counted anew now and then."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from django.utils import timezone

from annotation.accounts.models import User
from annotation.accounts.zones import start_of_day, zone_of
from annotation.comparisons.free import NEW_TO_THEM, free_sql
from annotation.comparisons.models import Assignment
from annotation.core import statements

REMAINING_COUNTED = 1_000  # more is told as "1,000+", and does not go down one by one
COUNT_AGAIN_SECONDS = 120
LONGEST_MS = 2**31 - 1
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Done(NamedTuple):
    """What is kept of a labeler in a project; nothing before their first answer."""

    judged_today: int | None = None  # on the day of ``answered_at``, where the labeler lives
    answered_at: datetime | None = None
    remaining: int | None = None  # as counted last, less what was done since
    counted_at: datetime | None = None


DONE_COLUMNS = "q.judged_today, q.answered_at, q.remaining, q.counted_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a labeler is today: ``remaining`` is counted up to a limit, ``is_more`` says that there are more."""

    judged_today: int
    remaining: int
    is_more: bool

    @property
    def total(self) -> int:
        return self.judged_today + self.remaining


# Gold and repeats lower what remains as any other, or the counter would tell them apart. Within a larger statement
# ``after`` names the part that it waits for.
ANSWERED = """
    INSERT INTO comparisons_queueposition AS q (project_id, labeler_id, priority, slots_taken, comparison_id,
        answered_at, judged_today, remaining)
    SELECT %(project_id)s, %(labeler_id)s, 32767, 0, 0, %(answered_at)s::timestamptz, GREATEST(0, %(judged)s), 0 {after}
    ON CONFLICT (project_id, labeler_id) DO UPDATE SET
        judged_today = GREATEST(0, %(judged)s + CASE WHEN q.answered_at >= %(day_from)s
            THEN q.judged_today ELSE 0 END),
        remaining = CASE WHEN q.remaining > %(ceiling)s THEN q.remaining
                         ELSE GREATEST(0, q.remaining - %(passed)s) END,
        answered_at = GREATEST(q.answered_at, %(answered_at)s::timestamptz)
    RETURNING q.judged_today, q.answered_at, q.remaining, q.counted_at
"""
# The stretch of time that an act took: from the end of the act before it, or the begin of its lease, until it was
# given. Stretches of a labeler do not overlap, so no client claims more time than passed. The row is locked for
# that, and written by `ANSWERED` only after it was read here.
TIMED = """before AS (
    SELECT answered_at FROM comparisons_queueposition
    WHERE project_id = %(project_id)s AND labeler_id = %(labeler_id)s FOR NO KEY UPDATE
), timed AS (
    SELECT LEAST(%(longest_ms)s, floor(1000 * extract(epoch FROM
        GREATEST(%(answered_at)s::timestamptz, answered_at) - GREATEST(%(begun_at)s::timestamptz, answered_at)
    )))::integer AS elapsed_ms
    FROM (VALUES (1)) one LEFT JOIN before ON true
)"""
_WORK = f"""
WITH {TIMED}, worked AS (
    INSERT INTO comparisons_timeatwork AS t (project_id, labeler_id, quarter, active_ms)
    SELECT %(project_id)s, %(labeler_id)s,
        date_bin('15 minutes', %(answered_at)s::timestamptz, '2000-01-01T00:00:00Z'::timestamptz),
        LEAST(%(active_ms)s, elapsed_ms)
    FROM timed WHERE LEAST(%(active_ms)s, elapsed_ms) > 0
    ON CONFLICT (project_id, labeler_id, quarter) DO UPDATE SET active_ms = t.active_ms + EXCLUDED.active_ms
), done AS ({ANSWERED.format(after="FROM timed")})
SELECT LEAST(%(active_ms)s, elapsed_ms) FROM timed
"""  # noqa: S608 - only statements of our own
_COUNT = """
INSERT INTO comparisons_queueposition AS q (project_id, labeler_id, priority, slots_taken, comparison_id,
    judged_today, remaining, counted_at)
SELECT %(project_id)s, %(labeler_id)s, 32767, 0, 0, 0, found.free + found.held, %(now)s
FROM (SELECT
    (SELECT count(*) FROM ({front}) front JOIN comparisons_comparison c ON c.id = front.id
        WHERE {new_to_them}) AS free,
    (SELECT count(*) FROM comparisons_assignment a WHERE a.project_id = %(project_id)s
        AND a.labeler_id = %(labeler_id)s AND a.state = 'leased' AND a.lease_until > %(now)s
        AND a.takes_place) AS held) found
ON CONFLICT (project_id, labeler_id) DO UPDATE
    SET remaining = EXCLUDED.remaining, counted_at = EXCLUDED.counted_at
RETURNING q.judged_today, q.answered_at, q.remaining, q.counted_at
"""


@cache
def _count(languages: int) -> str:
    front = free_sql(languages, limit=REMAINING_COUNTED + 1)
    return _COUNT.replace("{front}", front).replace("{new_to_them}", NEW_TO_THEM)


def answered_values(
    *, answered_at: datetime | None, day_from: datetime, judged: int, passed: int = 1
) -> dict[str, object]:
    """What `ANSWERED` asks for beside project and labeler; ``day_from``: when their day of the answer began."""
    return {
        "answered_at": answered_at,
        "day_from": day_from,
        "judged": judged,
        "passed": passed,
        "ceiling": REMAINING_COUNTED,
    }


class Given(NamedTuple):
    """When an act was done and when work on it can have begun, both by the server's clock."""

    answered_at: datetime
    begun_at: datetime


def timed_values(
    given: Given, *, day_from: datetime, judged: int, passed: int = 1
) -> dict[str, object]:
    """What `TIMED` and `ANSWERED` ask for beside project and labeler."""
    values = answered_values(
        answered_at=given.answered_at, day_from=day_from, judged=judged, passed=passed
    )
    return values | {"begun_at": given.begun_at, "longest_ms": LONGEST_MS}


def moment_of(age_ms: int, *, now: datetime) -> datetime:
    """When something was given that says it is so many milliseconds old; never later than now."""
    return now - timedelta(milliseconds=max(0, min(age_ms, LONGEST_MS)))


def note_work(
    *, project_id: int, labeler: User, given: Given, active_ms: int, passed: int = 0
) -> int:
    """Keep the active time of what is no judgment: the milliseconds that count, at most those that passed.

    The time of what comes next begins here. ``passed``: how many comparisons remain less, 1 for a skip.
    """
    day_from = start_of_day(zone_of(labeler), given.answered_at)
    values = timed_values(given, day_from=day_from, judged=0, passed=passed)
    said = {"active_ms": max(0, min(active_ms, LONGEST_MS))}
    where = {"project_id": project_id, "labeler_id": labeler.pk}
    ((counted,),) = statements.run(_WORK, values | said | where)
    return int(counted)


def note_undo(assignment: Assignment, *, judgments: int) -> None:
    """Keep that an assignment is open again, on whatever day it was judged or, with no judgment, skipped."""
    values = answered_values(answered_at=None, day_from=EVER, judged=-judgments, passed=-1)
    where = {"project_id": assignment.project_id, "labeler_id": assignment.labeler_id}
    statements.run(ANSWERED.format(after=""), values | where)


def progress_of(
    *, project_id: int, labeler: User, languages: list[str], done: Done, held: int
) -> Progress:
    """How far a labeler is on their day; what remains in their languages is counted anew if that was long ago.

    At least the ``held`` leases remain, gold among them; where there are none, nothing does.
    """
    due = timezone.now() - timedelta(seconds=COUNT_AGAIN_SECONDS)
    if held and (done.counted_at is None or done.counted_at < due):
        done = _counted(project_id, labeler, languages)
    return _progress(labeler, done, max(done.remaining or 0, held) if held else 0)


def progress_ahead(*, project_id: int, labeler: User, languages: list[str]) -> Progress:
    """The same before they ask the queue for anything, on a page that leases nothing: what remains is counted anew."""
    done = _counted(project_id, labeler, languages)
    return _progress(labeler, done, done.remaining or 0)


def _counted(project_id: int, labeler: User, languages: list[str]) -> Done:
    values = {"project_id": project_id, "labeler_id": labeler.pk, "languages": languages}
    asked = values | {"now": timezone.now()}
    return Done._make(statements.run(_count(len(languages)), asked)[0])


def _progress(labeler: User, done: Done, remaining: int) -> Progress:
    morning = start_of_day(zone_of(labeler), timezone.now())
    is_today = done.answered_at is not None and done.answered_at >= morning
    return Progress(
        judged_today=(done.judged_today or 0) if is_today else 0,
        remaining=min(remaining, REMAINING_COUNTED),
        is_more=remaining > REMAINING_COUNTED,
    )
