"""The two statements of an answer: read and lock all that it depends on, then store all that it changes."""

import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from annotation.accounts.zones import start_of_day, zone_of
from annotation.audit.services import RECORD
from annotation.comparisons.models import Assignment, Judgment
from annotation.comparisons.progress import ANSWERED, TIMED, Done, Given, moment_of, timed_values
from annotation.comparisons.stations import STATION
from annotation.core import statements

RING_EVERY_SECONDS = 2


class Locked(NamedTuple):
    """An assignment, locked, and what its answer is checked against."""

    assignment_id: int
    comparison_id: int
    state: str
    created_at: datetime
    leased_at: datetime
    lease_until: datetime
    shown_order: list[int]
    is_repeat: bool
    is_training: bool
    takes_place: bool
    candidate_ids: list[int]
    comparison_state: str
    guideline_id: int | None  # of the version that was shown, or the newest where none is named
    earlier_id: int | None  # the judgment that was stored under this client_uuid


_LOCK = f"""
SELECT a.id, a.comparison_id, a.state, a.created_at, a.leased_at, a.lease_until, a.shown_order,
    a.is_repeat, a.is_training, a.takes_place, c.candidate_ids, c.state,
    (SELECT g.id FROM projects_guideline g WHERE g.project_id = p.id
        AND (%(guideline_version)s::bigint IS NULL OR g.version = %(guideline_version)s::bigint)
        ORDER BY g.version DESC LIMIT 1),
    (SELECT j.id FROM comparisons_judgment j WHERE j.client_uuid = %(client_uuid)s::uuid),
    {STATION}
FROM comparisons_assignment a
JOIN comparisons_comparison c ON c.id = a.comparison_id
JOIN projects_project p ON p.id = a.project_id
JOIN projects_membership m ON m.project_id = p.id AND m.user_id = a.labeler_id AND m.role = 'labeler'
LEFT JOIN comparisons_queueposition q ON q.project_id = p.id AND q.labeler_id = a.labeler_id
WHERE a.id = %(assignment_id)s AND a.project_id = %(project_id)s AND a.labeler_id = %(labeler_id)s
FOR NO KEY UPDATE OF a, c
"""  # noqa: S608 - only names of columns


def lock(
    *,
    assignment_id: int,
    project_id: int,
    labeler_id: int,
    client_uuid: UUID,
    guideline_version: int | None,
) -> tuple[Locked, tuple[Any, ...]] | None:  # Any: columns differ
    """The assignment of this labeler, locked, and the columns of their station; None if it is not theirs."""
    values = {
        "assignment_id": assignment_id,
        "project_id": project_id,
        "labeler_id": labeler_id,
        "client_uuid": str(client_uuid),
        "guideline_version": guideline_version,
    }
    rows = statements.run(_LOCK, values)
    if not rows:
        return None
    cut = len(Locked._fields)
    return Locked._make(rows[0][:cut]), rows[0][cut:]


def given(locked: Locked | Assignment, *, age_ms: int, now: datetime) -> Given:
    """When an answer or a skip was given that says it is so many milliseconds old.

    What was given before the newest lease began belongs to one before that.
    """
    answered_at = moment_of(age_ms, now=now)
    is_of_this_lease = answered_at >= locked.leased_at
    begun_at = locked.leased_at if is_of_this_lease else locked.created_at
    return Given(max(answered_at, begun_at), begun_at)


class Stored(NamedTuple):
    """What storing an answer gave back: its key and times, whether to ring for agreement, how far the labeler is."""

    judgment_id: int
    active_ms: int
    elapsed_ms: int
    is_agreement_due: bool
    done: Done


# Agreement is rung for at most once in a few seconds. Looks before it writes: an upsert alone would lock the row, and
# all answers of a project would queue for it.
RING = """
    INSERT INTO comparisons_agreementbell AS bell (project_id, rung_at)
    SELECT %(project_id)s, %(now)s WHERE NOT EXISTS (
        SELECT 1 FROM comparisons_agreementbell
        WHERE project_id = %(project_id)s AND rung_at >= %(rung_before)s
    )
    ON CONFLICT (project_id) DO UPDATE SET rung_at = EXCLUDED.rung_at
    WHERE bell.rung_at < %(rung_before)s
    RETURNING project_id
"""


def ring_values(project_id: int, now: datetime) -> dict[str, object]:
    """What `RING` asks for."""
    before = now - timedelta(seconds=RING_EVERY_SECONDS)
    return {"project_id": project_id, "now": now, "rung_before": before}


# Enough verdicts of people, and all that stand are equal to this one. The comparison is locked by then, so none is
# overlooked. The first line spares the others where there are too few, or nobody asked.
_HAVE_AGREED = """(judgments_counted + 1 >= %(stop_when_agreeing)s AND (
                SELECT count(*) + 1 >= %(stop_when_agreeing)s
                    AND bool_and(other.ranking = %(ranking)s::jsonb AND other.is_all_bad = %(is_all_bad)s)
                FROM comparisons_judgment other JOIN accounts_user u ON u.id = other.labeler_id
                WHERE other.comparison_id = %(comparison_id)s AND u.kind <> 'machine'
                AND other.is_counted AND other.withdrawn_at IS NULL))"""

_STORE = f"""
WITH {TIMED}, stored AS (
    INSERT INTO comparisons_judgment (project_id, comparison_id, assignment_id, labeler_id, guideline_id,
        client_uuid, ranking, strengths, is_all_bad, criteria, marks, rationale, is_repeat, shown_order,
        active_ms, elapsed_ms, is_counted, is_imported, created_at)
    SELECT %(project_id)s, %(comparison_id)s, %(assignment_id)s, %(labeler_id)s, %(guideline_id)s,
        %(client_uuid)s::uuid, %(ranking)s::jsonb, %(strengths)s::jsonb, %(is_all_bad)s, %(criteria)s::jsonb,
        %(marks)s::jsonb, %(rationale)s, %(is_repeat)s, %(shown_order)s::bigint[],
        LEAST(%(active_ms)s, elapsed_ms), elapsed_ms, %(is_counted)s, false, %(now)s
    FROM timed
    RETURNING id, active_ms, elapsed_ms
), ended AS (
    UPDATE comparisons_assignment SET state = 'submitted', skip_reason = '', skipped_at = NULL
    WHERE id = %(assignment_id)s
), placed AS (
    UPDATE comparisons_comparison SET
        judgments_counted = judgments_counted + CASE WHEN %(is_counted)s THEN 1 ELSE 0 END,
        slots_taken = slots_taken - CASE WHEN %(is_counted)s THEN 0 ELSE 1 END,
        state = CASE WHEN NOT %(is_counted)s OR kind = 'gold' THEN state
            WHEN judgments_counted + 1 >= overlap OR {_HAVE_AGREED} THEN 'judged'
            WHEN state <> 'judged' THEN state
            WHEN EXISTS (SELECT 1 FROM comparisons_batch b WHERE b.id = batch_id AND b.state <> 'open') THEN 'held'
            ELSE 'open' END
    WHERE id = %(comparison_id)s AND (%(is_counted)s OR (%(frees_place)s AND slots_taken > 0))
), done AS ({ANSWERED.format(after="FROM timed")}), rung AS ({RING}), audited AS ({RECORD})
SELECT stored.*, EXISTS (SELECT 1 FROM rung), done.* FROM stored, done
"""  # noqa: S608 - only statements of our own


def store(judgment: Judgment, *, locked: Locked, given: Given, now: datetime) -> Stored:
    """Store a judgment, end its assignment, count it or free its place, audit it: one statement.

    Its active time is that of the judgment, at most the time that passed.
    Raises IntegrityError where the same labeler's judgment of the comparison, or the client_uuid, is there already.
    """
    values: dict[str, object] = {
        "comparison_id": judgment.comparison_id,
        "assignment_id": judgment.assignment_id,
        "labeler_id": judgment.labeler_id,
        "guideline_id": judgment.guideline_id,
        "client_uuid": str(judgment.client_uuid),
        "ranking": json.dumps(judgment.ranking),
        "strengths": json.dumps(judgment.strengths),
        "is_all_bad": judgment.is_all_bad,
        "criteria": json.dumps(judgment.criteria),
        "marks": json.dumps(judgment.marks),
        "rationale": judgment.rationale,
        "is_repeat": judgment.is_repeat,
        "shown_order": judgment.shown_order,
        "active_ms": judgment.active_ms,
        "is_counted": judgment.is_counted,
        "stop_when_agreeing": judgment.project.stop_when_agreeing,
        "frees_place": locked.takes_place and locked.state == "leased",
        "verb": "judgment.submitted",
        "object_type": Judgment._meta.label_lower,
        "data": json.dumps({"is_counted": judgment.is_counted}),
        **ring_values(judgment.project_id, now),
    }
    day_from = start_of_day(zone_of(judgment.labeler), given.answered_at)
    progressed = timed_values(given, day_from=day_from, judged=1)
    key, active_ms, elapsed_ms, is_due, *done = statements.run(_STORE, values | progressed)[0]
    return Stored(key, active_ms, elapsed_ms, is_due, Done._make(done))
