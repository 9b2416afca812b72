"""The statements of the writers' queue that must hold under concurrency: each finds, locks and writes at once.

A claim locks one opening with SKIP LOCKED, holds it and writes the demonstration in the same statement, so that two
people never get the same opening and none waits. Served first: higher priority, then the first demonstration of every
prompt before the second of any, then the oldest.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection

from annotation.prompts.languages import PRIMARY_LANGUAGE

EXPIRE_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asks for something to write in which project, and until when it would be theirs."""

    project_id: int
    author_id: int
    now: datetime
    lease_until: datetime


# What a person may not get: what they hold, gave or skipped already, and an edit of their own words.
_CLAIM = f"""
WITH picked AS (
    SELECT o.id, o.prompt_id, o.source_id FROM demonstrations_opening o
    JOIN prompts_prompt p ON p.id = o.prompt_id
    JOIN projects_project j ON j.id = o.project_id
    JOIN projects_membership m ON m.project_id = o.project_id AND m.user_id = %(author_id)s
     AND m.role = 'labeler'
    WHERE o.project_id = %(project_id)s AND o.state = 'open'
      AND NOT j.is_paused AND NOT j.is_archived AND m.paused_at IS NULL
      AND (p.language = '' OR cardinality(m.languages) = 0 OR {PRIMARY_LANGUAGE.format(code="p.language")}
           IN (SELECT {PRIMARY_LANGUAGE.format(code="spoken")} FROM unnest(m.languages) spoken))
      AND NOT EXISTS (SELECT 1 FROM demonstrations_demonstration d
                      WHERE d.author_id = %(author_id)s AND d.prompt_id = o.prompt_id
                        AND d.source_id IS NOT DISTINCT FROM o.source_id AND d.state <> 'expired')
      AND NOT EXISTS (SELECT 1 FROM generation_candidate w
                      WHERE w.id = o.source_id AND w.author_id = %(author_id)s)
    ORDER BY o.priority DESC, o.number, o.id
    FOR UPDATE OF o SKIP LOCKED LIMIT 1
), held AS (
    UPDATE demonstrations_opening o SET state = 'held' FROM picked WHERE o.id = picked.id
)
INSERT INTO demonstrations_demonstration AS d (project_id, opening_id, prompt_id, source_id, kind,
    author_id, state, text, leased_at, lease_until, skip_reason, active_ms, review_note, created_at)
SELECT %(project_id)s, picked.id, picked.prompt_id, picked.source_id,
    CASE WHEN picked.source_id IS NULL THEN 'written' ELSE 'edited' END,
    %(author_id)s, 'draft', COALESCE(c.text, ''), %(now)s, %(lease_until)s, '', 0, '', %(now)s
FROM picked LEFT JOIN generation_candidate c ON c.id = picked.source_id
ON CONFLICT (opening_id, author_id) DO UPDATE
    SET state = 'draft', leased_at = EXCLUDED.leased_at, lease_until = EXCLUDED.lease_until
    WHERE d.state = 'expired'
RETURNING id
"""  # noqa: S608 - only an expression of our own

_EXPIRE = """
WITH stale AS (
    SELECT id, opening_id FROM demonstrations_demonstration
    WHERE state = 'draft' AND lease_until <= %(now)s
    ORDER BY lease_until LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE demonstrations_demonstration d SET state = 'expired' FROM stale WHERE d.id = stale.id
), freed AS (
    UPDATE demonstrations_opening o SET state = 'open' FROM stale
    WHERE o.id = stale.opening_id AND o.state = 'held'
)
SELECT count(*) FROM stale
"""


def claim_next(claim: Claim) -> int | None:
    """Lease the first opening that fits this person; the demonstration's key, None if there is none."""
    return _number(_CLAIM, asdict(claim))


def expire(*, now: datetime) -> int:
    """End leases on drafts whose time is over, in every project; how many ended (at most one batch)."""
    return _number(_EXPIRE, {"now": now, "batch": EXPIRE_BATCH}) or 0


def _number(statement: str, values: dict[str, int | datetime]) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return row[0] if row else None
