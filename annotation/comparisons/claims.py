"""The statements of the queue that must hold under concurrency: each finds, locks and writes at once (docs/adr/0012).

A claim locks one comparison with SKIP LOCKED, writes the assignment and takes the place in the same statement, so that
two processes never take the same place and none waits. Served first: higher priority, then fewest places taken
(breadth first), then oldest.

The cost of a claim does not grow with the queue or with the labeler's history: `claim_near` looks at the front of the
queue and at a window ahead of where this labeler was last served beyond the front (`QueuePosition`). `claim_anywhere`
searches everything; it is asked only when the front is full of what the labeler has done, and moves the place.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import connection

WINDOW = 100  # comparisons looked at in front and ahead
EXPIRE_BATCH = 500
SEARCH_AGAIN_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asks for work in which project, and until when it would be theirs."""

    project_id: int
    labeler_id: int
    now: datetime
    lease_until: datetime


_EXPIRE = """
WITH stale AS (
    SELECT id, comparison_id FROM comparisons_assignment
    WHERE state = 'leased' AND lease_until <= %(now)s
      AND (%(project_id)s::bigint IS NULL OR project_id = %(project_id)s)
    ORDER BY lease_until LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE comparisons_assignment a SET state = 'expired' FROM stale WHERE a.id = stale.id
), held AS (
    SELECT id FROM comparisons_comparison
    WHERE id IN (SELECT comparison_id FROM stale) ORDER BY id FOR UPDATE
), freed AS (
    UPDATE comparisons_comparison c SET slots_taken = c.slots_taken - gone.places
    FROM (SELECT comparison_id, count(*) AS places FROM stale GROUP BY comparison_id) gone
    WHERE c.id = gone.comparison_id AND c.id IN (SELECT id FROM held)
)
SELECT count(*) FROM stale
"""

_NEAR = """
    SELECT id, false AS is_far FROM (
        SELECT c.id FROM comparisons_comparison c
        WHERE c.project_id = %(project_id)s AND c.state = 'open' AND c.slots_taken < c.overlap
        ORDER BY c.priority DESC, c.slots_taken, c.id LIMIT %(window)s
    ) front
    UNION ALL
    SELECT id, true FROM (
        SELECT c.id FROM comparisons_queueposition q JOIN comparisons_comparison c
          ON c.project_id = q.project_id AND c.priority = q.priority
         AND (c.slots_taken, c.id) > (q.slots_taken, q.comparison_id)
        WHERE q.project_id = %(project_id)s AND q.labeler_id = %(labeler_id)s
          AND c.state = 'open' AND c.slots_taken < c.overlap
        ORDER BY c.priority DESC, c.slots_taken, c.id LIMIT %(window)s
    ) ahead
"""
_ANYWHERE = """
    SELECT c.id, true AS is_far FROM comparisons_comparison c
    WHERE c.project_id = %(project_id)s AND c.state = 'open' AND c.slots_taken < c.overlap
    ORDER BY c.priority DESC, c.slots_taken, c.id
"""

# LATERAL makes the search lazy: it stops at, and locks, the first comparison that fits.
_CLAIM = """
WITH picked AS (
    SELECT fit.*, seen.is_far FROM ({scope}) seen CROSS JOIN LATERAL (
        SELECT c.id, c.candidate_ids, c.priority, c.slots_taken FROM comparisons_comparison c
        WHERE c.id = seen.id AND c.state = 'open' AND c.slots_taken < c.overlap
          AND NOT EXISTS (SELECT 1 FROM comparisons_assignment a WHERE a.comparison_id = c.id
                          AND a.labeler_id = %(labeler_id)s AND a.state <> 'expired')
          AND NOT EXISTS (SELECT 1 FROM comparisons_judgment j WHERE j.comparison_id = c.id
                          AND j.labeler_id = %(labeler_id)s AND j.withdrawn_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM generation_candidate w WHERE w.id = ANY(c.candidate_ids)
                          AND w.author_id = %(labeler_id)s)
        FOR UPDATE OF c SKIP LOCKED
    ) fit
    WHERE EXISTS (SELECT 1 FROM projects_project
                  WHERE id = %(project_id)s AND NOT is_paused AND NOT is_archived)
      AND {guard}
    LIMIT 1
), leased AS (
    INSERT INTO comparisons_assignment AS a (project_id, comparison_id, labeler_id, state,
        shown_order, leased_at, lease_until, skip_reason, created_at)
    SELECT %(project_id)s, id, %(labeler_id)s, 'leased',
        (SELECT array_agg(one ORDER BY random()) FROM unnest(candidate_ids) one),
        %(now)s, %(lease_until)s, '', %(now)s
    FROM picked
    ON CONFLICT (comparison_id, labeler_id) DO UPDATE
        SET state = 'leased', leased_at = EXCLUDED.leased_at, lease_until = EXCLUDED.lease_until
        WHERE a.state = 'expired'
    RETURNING id, comparison_id
), taken AS (
    UPDATE comparisons_comparison c SET slots_taken = c.slots_taken + 1
    FROM leased WHERE c.id = leased.comparison_id
), moved AS (
    INSERT INTO comparisons_queueposition AS q
        (project_id, labeler_id, priority, slots_taken, comparison_id)
    SELECT %(project_id)s, %(labeler_id)s, priority, slots_taken, id FROM picked WHERE is_far
    ON CONFLICT (project_id, labeler_id) DO UPDATE SET priority = EXCLUDED.priority,
        slots_taken = EXCLUDED.slots_taken, comparison_id = EXCLUDED.comparison_id
){mark}
SELECT id FROM leased
"""
_NOT_JUST_SEARCHED = """
    NOT EXISTS (SELECT 1 FROM comparisons_queueposition
                WHERE project_id = %(project_id)s AND labeler_id = %(labeler_id)s
                  AND searched_at > %(search_again_from)s)
"""
_MARK_SEARCHED = """, marked AS (
    INSERT INTO comparisons_queueposition AS q
        (project_id, labeler_id, priority, slots_taken, comparison_id, searched_at)
    SELECT %(project_id)s, %(labeler_id)s, 32767, 0, 0, %(now)s
    WHERE NOT EXISTS (SELECT 1 FROM picked)
    ON CONFLICT (project_id, labeler_id) DO UPDATE SET searched_at = EXCLUDED.searched_at
        WHERE q.searched_at IS NULL OR q.searched_at <= %(search_again_from)s
)"""
_CLAIM_NEAR = _CLAIM.format(scope=_NEAR, guard="true", mark="")
_CLAIM_ANYWHERE = _CLAIM.format(scope=_ANYWHERE, guard=_NOT_JUST_SEARCHED, mark=_MARK_SEARCHED)


def expire(*, project_id: int | None, now: datetime) -> int:
    """End leases whose time is over and free their places; how many. ``project_id`` None: in every project."""
    return _number(_EXPIRE, {"project_id": project_id, "now": now, "batch": EXPIRE_BATCH}) or 0


def claim_near(claim: Claim) -> int | None:
    """Lease the first comparison that fits near the labeler's place; the assignment's key, None for a miss."""
    return _number(_CLAIM_NEAR, {**asdict(claim), "window": WINDOW})


def claim_anywhere(claim: Claim) -> int | None:
    """As `claim_near`, over the whole queue; not again for a while after it found nothing."""
    again_from = claim.now - timedelta(seconds=SEARCH_AGAIN_SECONDS)
    return _number(_CLAIM_ANYWHERE, {**asdict(claim), "search_again_from": again_from})


def _number(statement: str, values: dict[str, int | datetime | None]) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return row[0] if row else None
