"""The statements of the queue that must hold under concurrency: each finds, locks and writes at once (docs/adr/0012).

A claim reads what its labeler holds, locks what is missing with SKIP LOCKED, writes the assignments and takes the
places in the same statement, so that two processes never take the same place and none waits. Served first: higher
priority, then fewest places taken (breadth first) or most (depth first), then oldest. Gold and repeats take no place.

The cost of a claim does not grow with the queue or with the labeler's history: `claim_near` looks at the front of the
queue and at a window ahead of where this labeler was last served beyond the front (`QueuePosition`). `claim_anywhere`
searches everything; it is asked only when the front is full of what the labeler has done, and moves the place. Those
who named languages are served from the queue of each, merged: what others read is never looked at.
"""

import json
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from annotation.comparisons.free import FREE, NEW_TO_THEM, READABLE, free_sql, turn_sql
from annotation.core import statements

WINDOW = 100  # comparisons looked at in front and ahead
EXPIRE_BATCH = 500
SEARCH_AGAIN_SECONDS = 60
REPEAT_AFTER = 10  # judgments of the labeler between the first and the repeat
REPEAT_WINDOW = 200  # judgments before those, from which a repeat is drawn
LONGEST_LEASES = 8  # a lease may be extended up to this many lease times


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asks for work in which project, how many leases they want to have, and until when."""

    project_id: int
    labeler_id: int
    now: datetime
    lease_until: datetime
    wanted: int = 1
    most: int = 9  # new leases at once
    held: list[int] = field(default_factory=list)  # leases that the client has: sent without texts
    languages: list[str] = field(
        default_factory=list
    )  # primary subtags ("en"), each once; empty: any
    is_depth_first: bool = False
    is_training: bool = False
    is_answering: bool = False  # leases that wait are renewed


_NAMES = [one.name for one in fields(Claim)]


class LeaseRow(NamedTuple):
    """A lease with all that its labeler is shown; ``texts`` and ``are_finished`` follow ``shown_order``.

    Those that the client holds have neither texts nor turns.
    """

    id: int
    comparison_id: int
    prompt_id: int
    candidate_ids: list[int]
    shown_order: list[int]
    leased_at: datetime
    lease_until: datetime
    is_repeat: bool
    is_training: bool
    takes_place: bool
    turns: list[dict[str, str]]
    texts: list[str]
    are_finished: list[bool]
    is_upsetting: bool  # someone skipped it as that


class QueueFacts(NamedTuple):
    """Why nothing was found: what the project has beside gold."""

    has_any: bool
    is_leased: bool  # something, by somebody
    is_paused: bool  # something, with its batch
    is_closed: bool  # something, with its batch
    has_free: bool
    has_readable: bool  # something free, in a language of this labeler
    has_ended: bool  # leases that still hold their places


# Locks are taken in one order everywhere: assignments (skipping what others hold), then comparisons by id.
_EXPIRE = """
WITH stale AS (
    SELECT id, comparison_id, takes_place FROM comparisons_assignment
    WHERE state = 'leased' AND lease_until <= %(now)s
      AND (%(project_id)s::bigint IS NULL OR project_id = %(project_id)s)
    ORDER BY lease_until LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE comparisons_assignment a SET state = 'expired' FROM stale WHERE a.id = stale.id
), held AS (
    SELECT id FROM comparisons_comparison
    WHERE id IN (SELECT comparison_id FROM stale WHERE takes_place) ORDER BY id FOR UPDATE
), freed AS (
    UPDATE comparisons_comparison c SET slots_taken = c.slots_taken - gone.places
    FROM (SELECT comparison_id, count(*) AS places FROM stale WHERE takes_place GROUP BY comparison_id) gone
    WHERE c.id = gone.comparison_id AND c.id IN (SELECT id FROM held)
)
SELECT count(*) FROM stale
"""

# Leases with under half their time left are renewed while their labeler answers. They are looked for once: ARRAY keeps
# the planner, who may know the table as empty, from looking again for each row.
_LIVE = """
renewed AS (
    UPDATE comparisons_assignment a
    SET lease_until = LEAST(%(lease_until)s, a.leased_at + %(longest)s * (%(lease_until)s - %(now)s))
    WHERE %(is_answering)s AND a.id = ANY(ARRAY(
        SELECT id FROM comparisons_assignment
        WHERE project_id = %(project_id)s AND labeler_id = %(labeler_id)s
          AND state = 'leased' AND lease_until > %(now)s
          AND lease_until < %(now)s + (%(lease_until)s - %(now)s) / 2
        FOR UPDATE SKIP LOCKED))
    RETURNING a.id, a.lease_until
), live AS (
    SELECT a.id, a.comparison_id, a.shown_order, a.leased_at, a.is_repeat, a.is_training, a.takes_place,
           GREATEST(a.lease_until, (SELECT r.lease_until FROM renewed r WHERE r.id = a.id)) AS lease_until
    FROM comparisons_assignment a
    WHERE a.project_id = %(project_id)s AND a.labeler_id = %(labeler_id)s
      AND a.state = 'leased' AND a.lease_until > %(now)s
)"""
# OFFSET 0 keeps the joins row by row, and LIMIT 1 a look at one comparison: a plan that is kept must not scan a table
# that is small today.
_SHOWN = """
SELECT l.id, l.comparison_id, c.prompt_id, c.candidate_ids, l.shown_order, l.leased_at, l.lease_until,
    l.is_repeat, l.is_training, l.takes_place,
    CASE WHEN l.id = ANY(%(held)s::bigint[]) THEN '[]' ELSE p.turns END AS turns, r.texts, r.are_finished,
    (SELECT true FROM comparisons_assignment s WHERE s.comparison_id = l.comparison_id
        AND s.state = 'skipped' AND s.skip_reason = 'upsetting' LIMIT 1) IS TRUE AS is_upsetting
FROM (
    SELECT id, comparison_id, shown_order, leased_at, lease_until, is_repeat, is_training, takes_place
    FROM live
    UNION ALL
    SELECT id, comparison_id, shown_order, leased_at, lease_until, is_repeat, is_training, takes_place
    FROM leased
) l CROSS JOIN LATERAL (
    SELECT prompt_id, candidate_ids FROM comparisons_comparison WHERE id = l.comparison_id OFFSET 0
) c CROSS JOIN LATERAL (SELECT turns FROM prompts_prompt WHERE id = c.prompt_id OFFSET 0) p
CROSS JOIN LATERAL (
    SELECT COALESCE(array_agg(w.text ORDER BY shown.place), '{}') AS texts,
        COALESCE(array_agg(w.is_finished ORDER BY shown.place), '{}') AS are_finished
    FROM unnest(l.shown_order) WITH ORDINALITY AS shown(id, place)
    JOIN generation_candidate w ON w.id = shown.id WHERE NOT l.id = ANY(%(held)s::bigint[])
) r"""
_MISSING = "LIMIT GREATEST(0, LEAST(%(most)s, %(wanted)s - (SELECT count(*) FROM live)))"

# The place is asked for in scalar subqueries: so the planner walks the index from there on, whatever it believes.
_PLACE = """(SELECT q.{column} FROM comparisons_queueposition q
                 WHERE q.project_id = %(project_id)s AND q.labeler_id = %(labeler_id)s)"""
_BEYOND = """ AND c.priority = {at_priority} AND ({turn}, c.id) > ({at_slots}{sign}, {at_id})"""
_NEAR = """
    SELECT id, false AS is_far FROM ({front}) front
    UNION ALL
    SELECT id, true FROM ({ahead}) ahead
"""
_ANYWHERE = "SELECT id, true AS is_far FROM ({everything}) everything"
_DRAWN = "(SELECT array_agg(one ORDER BY random()) FROM unnest(c.candidate_ids) one)"

# LATERAL makes the search lazy: it stops at, and locks, the first comparisons that fit.
_PICK_PLACES = """
    SELECT fit.*, seen.is_far FROM ({scope}) seen CROSS JOIN LATERAL (
        SELECT c.id, {drawn} AS shown_order, c.priority, c.slots_taken FROM comparisons_comparison c
        WHERE c.id = seen.id AND c.state = 'open' AND c.slots_taken < c.overlap AND c.kind <> 'gold'
          AND {new_to_them}
        FOR UPDATE OF c SKIP LOCKED
    ) fit
    WHERE {guard}
    {missing}
"""
_PICK_GOLD = """
    SELECT c.id, {drawn} AS shown_order, c.priority, c.slots_taken, false AS is_far
    FROM comparisons_comparison c
    WHERE c.project_id = %(project_id)s AND c.kind = 'gold' AND c.state = 'open' AND {readable} AND {new_to_them}
    ORDER BY hashint8extended(c.id, %(labeler_id)s) {missing}
"""
# The window is over judgments alone, so that it ends wherever their comparisons are.
_PICK_REPEAT = """
    SELECT past.comparison_id AS id, past.swapped AS shown_order, c.priority, c.slots_taken, false AS is_far
    FROM (
        SELECT j.comparison_id, ARRAY(
                   SELECT one FROM unnest(j.shown_order) WITH ORDINALITY AS shown(one, place)
                   ORDER BY place DESC) AS swapped
        FROM comparisons_judgment j
        WHERE j.project_id = %(project_id)s AND j.labeler_id = %(labeler_id)s
          AND NOT j.is_repeat AND NOT j.is_imported AND j.withdrawn_at IS NULL
        ORDER BY j.created_at DESC OFFSET %(repeat_after)s LIMIT %(repeat_window)s
    ) past CROSS JOIN LATERAL (
        SELECT kind, state, batch_id, priority, slots_taken FROM comparisons_comparison
        WHERE id = past.comparison_id OFFSET 0
    ) c
    WHERE cardinality(past.swapped) > 1 AND c.kind <> 'gold' AND c.state NOT IN ('closed', 'held')
      AND NOT EXISTS (SELECT 1 FROM comparisons_batch b WHERE b.id = c.batch_id AND b.state = 'paused')
      AND NOT EXISTS (SELECT 1 FROM comparisons_assignment a WHERE a.comparison_id = past.comparison_id
                      AND a.labeler_id = %(labeler_id)s AND a.is_repeat AND a.state <> 'expired')
    ORDER BY random() {missing}
"""
_TAKE = """, taken AS (
    UPDATE comparisons_comparison SET slots_taken = slots_taken + 1
    WHERE id = ANY(ARRAY(SELECT comparison_id FROM leased))
), moved AS (
    INSERT INTO comparisons_queueposition AS q
        (project_id, labeler_id, priority, slots_taken, comparison_id, judged_today, remaining)
    SELECT %(project_id)s, %(labeler_id)s, priority, slots_taken, id, 0, 0 FROM picked WHERE is_far
    ORDER BY priority, slots_taken{sign} DESC, id DESC LIMIT 1
    ON CONFLICT (project_id, labeler_id) DO UPDATE SET priority = EXCLUDED.priority,
        slots_taken = EXCLUDED.slots_taken, comparison_id = EXCLUDED.comparison_id
)"""
_LEASE = """
WITH {live}, picked AS ({pick}), once AS (
    SELECT DISTINCT ON (id) * FROM picked ORDER BY id, is_far
), leased AS (
    INSERT INTO comparisons_assignment AS a (project_id, comparison_id, labeler_id, state,
        shown_order, leased_at, lease_until, skip_reason, is_repeat, is_training, takes_place, created_at)
    SELECT %(project_id)s, id, %(labeler_id)s, 'leased', shown_order, %(now)s, %(lease_until)s, '',
        {is_repeat}, %(is_training)s, {takes_place}, %(now)s
    FROM once ORDER BY is_far, priority DESC, slots_taken{sign}, id
    ON CONFLICT (comparison_id, labeler_id, is_repeat) DO UPDATE
        SET state = 'leased', leased_at = EXCLUDED.leased_at, lease_until = EXCLUDED.lease_until,
            is_training = EXCLUDED.is_training, takes_place = EXCLUDED.takes_place, skip_reason = '', skipped_at = NULL
        WHERE a.state = 'expired'
    RETURNING a.*
){effects}
"""
_LEASES = "{shown} ORDER BY l.id"
_HELD = """EXISTS (SELECT 1 FROM comparisons_batch b JOIN comparisons_comparison c ON c.batch_id = b.id
            WHERE b.project_id = %(project_id)s AND b.state = '{state}' AND c.state = 'held')"""
# One row of facts, and the lease beside it if there is one.
_LEASES_OR_WHY = """
SELECT
    EXISTS (SELECT 1 FROM comparisons_comparison c WHERE c.project_id = %(project_id)s AND c.kind <> 'gold'),
    EXISTS (SELECT 1 FROM comparisons_assignment a WHERE a.project_id = %(project_id)s
            AND a.state = 'leased' AND a.lease_until > %(now)s AND a.takes_place),
    {with_batch_paused},
    {with_batch_closed},
    EXISTS (SELECT 1 FROM comparisons_comparison c WHERE {free}),
    EXISTS ({everything}),
    EXISTS (SELECT 1 FROM comparisons_assignment a WHERE a.project_id = %(project_id)s
            AND a.state = 'leased' AND a.lease_until <= %(now)s),
    shown.*
FROM (VALUES (1)) one LEFT JOIN LATERAL ({shown}) shown ON true ORDER BY shown.id
"""
_NOT_JUST_SEARCHED = """
    %(is_freed)s OR NOT EXISTS (SELECT 1 FROM comparisons_queueposition
                WHERE project_id = %(project_id)s AND labeler_id = %(labeler_id)s
                  AND searched_at > %(search_again_from)s)
"""
_MARK_SEARCHED = """, marked AS (
    INSERT INTO comparisons_queueposition AS q
        (project_id, labeler_id, priority, slots_taken, comparison_id, searched_at, judged_today, remaining)
    SELECT %(project_id)s, %(labeler_id)s, 32767, 0, 0, %(now)s, 0, 0
    WHERE NOT EXISTS (SELECT 1 FROM picked)
    ON CONFLICT (project_id, labeler_id) DO UPDATE SET searched_at = EXCLUDED.searched_at
        WHERE q.searched_at IS NULL OR q.searched_at <= %(search_again_from)s
)"""


_FRAGMENTS = {
    "free": FREE,
    "readable": READABLE,
    "new_to_them": NEW_TO_THEM,
    "drawn": _DRAWN,
    "missing": _MISSING,
    "live": _LIVE,
    "shown": _SHOWN,
    "with_batch_paused": _HELD.format(state="paused"),
    "with_batch_closed": _HELD.format(state="closed"),
    **{name: f"{{{name}}}" for name in ("sign", "front", "ahead", "everything")},
}


def _statement(
    pick: str, effects: str = "", *, answer: str = _LEASES, is_repeat: bool = False
) -> str:
    """A claim, to be finished by `_asked`; only what takes a place has effects."""
    fields = {"is_repeat": is_repeat, "takes_place": bool(effects), **_FRAGMENTS}
    picked = pick.format(**_FRAGMENTS)
    return (_LEASE + answer).format(pick=picked, effects=effects, **fields)


def _places(scope: str, guard: str) -> str:
    return _PICK_PLACES.replace("{scope}", scope).replace("{guard}", guard)


_CLAIM_NEAR = _statement(_places(_NEAR, "true"), _TAKE)
_CLAIM_ANYWHERE = _statement(
    _places(_ANYWHERE, _NOT_JUST_SEARCHED), _TAKE + _MARK_SEARCHED, answer=_LEASES_OR_WHY
)
_CLAIM_GOLD = _statement(_PICK_GOLD)
_CLAIM_REPEAT = _statement(_PICK_REPEAT, is_repeat=True)
_PLACES = {
    f"at_{name}": _PLACE.format(column=column)
    for name, column in (
        ("priority", "priority"),
        ("slots", "slots_taken"),
        ("id", "comparison_id"),
    )
}


@cache
def _asked(statement: str, is_depth_first: bool, languages: int, window: int) -> str:
    """A claim in an order of serving, by a labeler of so many languages."""
    sign = " * -1" if is_depth_first else ""
    beyond = _BEYOND.format(turn=turn_sql(is_depth_first), sign=sign, **_PLACES)
    scopes = {
        "{front}": free_sql(languages, is_depth_first=is_depth_first, limit=window),
        "{ahead}": free_sql(languages, is_depth_first=is_depth_first, where=beyond, limit=window),
        "{everything}": free_sql(languages, is_depth_first=is_depth_first),
        "{sign}": sign,
    }
    for name, text in scopes.items():
        statement = statement.replace(name, text)
    return statement


def _run(statement: str, claim: Claim, **more: Any) -> list[tuple[Any, ...]]:  # Any: columns differ
    asked = _asked(statement, claim.is_depth_first, len(claim.languages), WINDOW)
    return statements.run(asked, _values(claim) | more)


def _values(claim: Claim) -> dict[str, Any]:  # Any: as the driver takes
    return {name: getattr(claim, name) for name in _NAMES} | {"longest": LONGEST_LEASES}


def expire(*, project_id: int | None, now: datetime) -> int:
    """End leases whose time is over and free their places; how many. ``project_id`` None: in every project."""
    values = {"project_id": project_id, "now": now, "batch": EXPIRE_BATCH}
    return int(statements.run(_EXPIRE, values)[0][0])


def claim_near(claim: Claim) -> list[LeaseRow]:
    """What the labeler holds, oldest first, filled up from near their place; nothing for a miss."""
    return [_lease(row) for row in _run(_CLAIM_NEAR, claim)]


def claim_anywhere(claim: Claim, *, is_freed: bool) -> tuple[list[LeaseRow], QueueFacts]:
    """As `claim_near`, over the whole queue; not again for a while after it found nothing, unless places were freed."""
    again_from = claim.now - timedelta(seconds=SEARCH_AGAIN_SECONDS)
    rows = _run(_CLAIM_ANYWHERE, claim, search_again_from=again_from, is_freed=is_freed)
    cut = len(QueueFacts._fields)
    facts = QueueFacts(*rows[0][:cut])
    return [_lease(row[cut:]) for row in rows if row[cut] is not None], facts


def claim_gold(claim: Claim) -> list[LeaseRow]:
    """What the labeler holds, filled up with gold that they have not seen, in an order of their own."""
    return [_lease(row) for row in _run(_CLAIM_GOLD, claim)]


def claim_repeat(claim: Claim) -> list[LeaseRow]:
    """What the labeler holds, filled up with what they judged a while ago, sides swapped."""
    window = {"repeat_after": REPEAT_AFTER, "repeat_window": REPEAT_WINDOW}
    return [_lease(row) for row in _run(_CLAIM_REPEAT, claim, **window)]


def _lease(row: tuple[Any, ...]) -> LeaseRow:  # Any: columns differ
    return LeaseRow._make((*row[:10], json.loads(row[10]), *row[11:]))
