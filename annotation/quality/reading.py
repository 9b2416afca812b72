"""What judgments, and the pairs they are about, say now: read from the tables into rows of numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from django.db import connection
from django.db.models import Q

from annotation.comparisons.selectors import OVERALL, Origin, PairRow, pairs_of_judgments
from annotation.projects.models import Project
from annotation.quality import stored
from annotation.quality.models import ColumnStore
from annotation.quality.stored import MARKS, PAIR, SIDES, Rows

# The byte of a verdict on two candidates, as `stored.ROW` has it; the first is the lower id.
_TWO = """
COPY (
    SELECT j.id, j.comparison_id, j.labeler_id, COALESCE(j.guideline_id, 0),
        floor(extract(epoch FROM j.created_at))::bigint, j.active_ms::bigint / 100,
        (CASE WHEN {bad} THEN 7
              WHEN jsonb_array_length({ranking}) = 1 THEN 3
              WHEN ({ranking}->0->>0)::bigint = c.candidate_ids[1]
              THEN 3 + ({strengths}->>0)::int
              ELSE 3 - ({strengths}->>0)::int END
         + (CASE WHEN j.shown_order = '{{}}' THEN 2
                 WHEN j.shown_order[1] = c.candidate_ids[1] THEN 1 ELSE 0 END << 3)
         + (CASE WHEN j.is_repeat THEN 2
                 WHEN j.is_imported THEN 1
                 WHEN (j.created_at >= c.asked_again_at OR %(agreeing)s > 0 AND EXISTS (
                     SELECT FROM comparisons_judgment e JOIN accounts_user u ON u.id = e.labeler_id
                     WHERE e.comparison_id = c.id AND e.id < j.id AND e.withdrawn_at IS NULL AND e.is_counted
                         AND NOT e.is_repeat AND u.kind <> 'machine'
                         AND e.guideline_id IS NOT DISTINCT FROM j.guideline_id OFFSET GREATEST(%(agreeing)s - 1, 0)))
                     AND NOT EXISTS (
                     SELECT FROM accounts_user u WHERE u.id = j.labeler_id AND u.kind = 'machine')
                 THEN 3 ELSE 0 END << 5))::bigint
    FROM comparisons_judgment j JOIN comparisons_comparison c ON c.id = j.comparison_id
    WHERE j.id = ANY(%(ids)s) AND j.withdrawn_at IS NULL
        AND (j.is_counted OR j.is_repeat OR c.kind = 'gold' AND NOT EXISTS (
            SELECT FROM comparisons_assignment a WHERE a.id = j.assignment_id AND a.is_training))
        AND cardinality(c.candidate_ids) = 2 {answered}
    ORDER BY j.id
) TO STDOUT (FORMAT binary)"""
_OVERALL = _TWO.format(
    bad="j.is_all_bad", ranking="j.ranking", strengths="j.strengths", answered=""
)
_CRITERION = _TWO.format(
    bad="false",
    ranking="(j.criteria->%(name)s->'ranking')",
    strengths="(j.criteria->%(name)s->'strengths')",
    answered="AND j.criteria ? %(name)s",
)
_COPIED = ("judgment", "comparison", "labeler", "guideline", "given_at", "active", "said")
_TUPLE = np.dtype(
    [("fields", ">i2")]
    + [part for name in _COPIED for part in ((f"{name}_size", ">i4"), (name, ">i8"))]
)
_HEADER = 19  # bytes before the first tuple of a binary COPY

_PAIRS = """
SELECT c.id, c.prompt_id, x.id, y.id, COALESCE(c.batch_id, 0), c.language,
    CASE WHEN c.propensity IS NOT NULL AND c.kind <> 'gold' THEN 'drawn' ELSE c.kind END,
    COALESCE(char_length(a.text), 0), COALESCE(char_length(b.text), 0),
    COALESCE('policy ' || a.policy_id, a.source_name, ''), COALESCE('policy ' || b.policy_id, b.source_name, '')
FROM comparisons_comparison c
    CROSS JOIN LATERAL unnest(c.candidate_ids) WITH ORDINALITY AS x(id, place)
    JOIN LATERAL unnest(c.candidate_ids) WITH ORDINALITY AS y(id, place) ON x.place < y.place
    LEFT JOIN generation_candidate a ON a.id = x.id
    LEFT JOIN generation_candidate b ON b.id = y.id
WHERE c.id = ANY(%s) ORDER BY c.id, x.place, y.place"""
# What is outside of fenced code; a text without the sign of a mark is not searched for it.
_MARKS = r"""
SELECT asked.id,
    CASE WHEN strpos(prose, '#') = 0 THEN 0
         ELSE LEAST(regexp_count(prose, '^ {0,3}#{1,6}[ \t]', 1, 'n'), 65535) END,
    LEAST(regexp_count(prose, '^[ \t]*([-*+]|\d{1,9}[.)])[ \t]', 1, 'n'), 65535),
    CASE WHEN strpos(prose, '**') = 0 THEN 0
         ELSE LEAST(regexp_count(prose, '\*\*[^*\n]+\*\*'), 65535) END
FROM unnest(%s::bigint[]) AS asked(id) LEFT JOIN generation_candidate c ON c.id = asked.id
    CROSS JOIN LATERAL (SELECT COALESCE(CASE WHEN strpos(c.text, '```') = 0 THEN c.text
        ELSE regexp_replace(c.text, '```.*?(```|$)', '', 'g') END, '') AS prose) AS outside
ORDER BY asked.id"""


# What is read of judgments: ``pair_of`` is the pair's place among those of its comparison.
_FOUND = np.dtype([(name, "<i8") for name in (*_COPIED, "pair_of")])


def read_judgments(project: Project, ids: npt.NDArray[np.int64], criterion: str) -> Rows:
    """The judgments that stand among ``ids``, one row a pair."""
    two = _copied(project, ids, criterion)
    found = np.zeros(len(two), dtype=_FOUND)
    for name in _COPIED:
        found[name] = two[name]
    more = _ranked(project, ids, criterion)
    return np.concatenate([found, more]) if len(more) else found


def _copied(project: Project, ids: npt.NDArray[np.int64], criterion: str) -> Rows:
    """Verdicts on two candidates, straight from PostgreSQL's binary COPY."""
    query = _OVERALL if criterion == OVERALL else _CRITERION
    agreeing = project.stop_when_agreeing or 0
    values = {"ids": ids.tolist(), "name": criterion, "agreeing": agreeing}
    connection.ensure_connection()
    with connection.connection.cursor() as cursor, cursor.copy(query, values) as copy:
        data = b"".join(bytes(part) for part in copy)
    return np.frombuffer(
        data, dtype=_TUPLE, offset=_HEADER, count=(len(data) - _HEADER - 2) // _TUPLE.itemsize
    )


def _ranked(project: Project, ids: npt.NDArray[np.int64], criterion: str) -> Rows:
    """Rankings of three candidates and more: each gives the pairs of its comparison, in order."""
    where = Q(pk__in=ids.tolist(), comparison__candidate_ids__len__gt=2)
    rows = list[tuple[int, ...]]()
    seen: tuple[int, int] = (0, 0)
    for row, origin in pairs_of_judgments(project, criterion=criterion, where=where):
        seen = (row.judgment_id, seen[1] + 1 if seen[0] == row.judgment_id else 0)
        rows.append(_found(row, origin, seen[1]))
    return np.array(rows, dtype=_FOUND)


def _found(row: PairRow, origin: Origin, place: int) -> tuple[int, ...]:
    left = stored.PLACE_UNKNOWN if row.is_first_shown_left is None else int(row.is_first_shown_left)
    said = stored.ALL_BAD_CODE if row.is_all_bad else row.strength + 3
    said |= left << stored.LEFT_SHIFT | _origin_code(origin)
    at = int(row.created_at.timestamp())
    guideline = row.guideline_id or 0
    ids = (row.judgment_id, row.comparison_id, row.labeler_id, guideline)
    return (*ids, at, row.active_ms // 100, said, place)


def _origin_code(origin: Origin) -> int:
    if origin.is_repeat:
        return stored.REPEAT
    if origin.is_imported:
        return stored.IMPORTED
    return stored.ASKED_AGAIN if origin.is_asked_again else 0


def read_pairs(store: ColumnStore, comparisons: Sequence[int]) -> Rows:
    """What is known of the pairs of these comparisons but the marks in their texts, in order of comparison and pair."""
    with connection.cursor() as cursor:
        cursor.execute(_PAIRS, [list(comparisons)])
        rows = cursor.fetchall()
    languages = _named(store.languages, [row[5] for row in rows])
    sources = _named(store.sources, [name for row in rows for name in row[9:11]])
    return np.array(
        [
            (
                *row[:5],
                row[7],
                row[8],
                *sources[2 * at : 2 * at + 2],
                languages[at],
                stored.KINDS.index(row[6]),
                *[0] * (len(SIDES) * len(MARKS)),
            )
            for at, row in enumerate(rows)
        ],
        dtype=PAIR,
    )


def with_marks(rows: Rows) -> Rows:
    """The same pairs with the Markdown marks of their texts."""
    if len(rows) == 0:
        return rows
    ids = np.unique(np.concatenate([rows[side] for side in SIDES]))
    with connection.cursor() as cursor:
        cursor.execute(_MARKS, [ids.tolist()])
        found = np.array(cursor.fetchall(), dtype=np.int64)
    marked = rows.copy()
    for side in SIDES:
        told = found[np.searchsorted(ids, rows[side])]
        for at, mark in enumerate(MARKS, start=1):
            marked[f"{side}_{mark}"] = told[:, at]
    return marked


def _named(known: list[str], names: Sequence[str]) -> list[int]:
    met = {name: code for code, name in enumerate(known)}
    for name in names:
        if name not in met:
            met[name] = len(known)
            known.append(name)
    return [met[name] for name in names]
