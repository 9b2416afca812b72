"""Reading the stored columns of a project: 18 bytes a judged pair, no objects.

A chunk has its rows field by field: what a view does not ask for is not gone through. A pair's code
is its place among the pairs of the project; what is known of the pair (candidates, lengths, sources,
batch) is stored once, under that code.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection

from annotation.projects.models import Project
from annotation.quality.models import ColumnStore, JudgmentChange

# One judged pair. Counted from the chunk's first judgment; seconds since 1970, UTC; tenths of a second.
ROW = np.dtype(
    [
        ("judgment", "<u4"),
        ("pair", "<u4"),
        ("given_at", "<u4"),
        ("labeler", "<u2"),
        ("active", "<u2"),
        ("guideline", "u1"),
        ("said", "u1"),
    ]
)
_FIELDS = ROW.names or ()
# Where a field begins in a chunk, times its rows: all values of a field, then all of the next.
_STARTS = {
    name: sum(ROW[before].itemsize for before in _FIELDS[:at]) for at, name in enumerate(_FIELDS)
}
SIDES = ("first", "second")
MARKS = ("headings", "items", "bold")  # Markdown outside of fenced code, 65,535 at most
# One pair of a comparison: ids, characters of the texts, codes of sources and language, marks in the texts.
PAIR = np.dtype(
    [
        ("comparison", "<i8"),
        ("prompt", "<i8"),
        ("first", "<i8"),
        ("second", "<i8"),
        ("batch", "<i8"),
        ("first_length", "<i4"),
        ("second_length", "<i4"),
        ("first_source", "<i4"),
        ("second_source", "<i4"),
        ("language", "<i2"),
        ("kind", "<i2"),
        *((f"{side}_{mark}", "<u2") for mark in MARKS for side in SIDES),
    ]
)
KINDS = (
    "normal",
    "overlap",
    "gold",
    "drawn",
)  # drawn: by what a verdict tells, whatever its overlap
GOLD, DRAWN = KINDS.index("gold"), KINDS.index("drawn")
# The byte ``said``: a strength, or all bad; where the first stood; where the judgment came from.
STRENGTH, TIE_CODE, ALL_BAD_CODE = 0b111, 3, 7
LEFT_SHIFT, LEFT = 3, 0b11
RIGHT_CODE, LEFT_CODE, PLACE_UNKNOWN = 0, 1, 2
ORIGIN, IMPORTED, REPEAT, ASKED_AGAIN = 0b11 << 5, 1 << 5, 2 << 5, 3 << 5  # 0: a usual place
DEAD = 1 << 7

Rows = npt.NDArray[np.void]
Mask = npt.NDArray[np.bool_]
SmallInts = npt.NDArray[np.integer[Any]]  # Any: as small as the values allow

_ROWS = """SELECT first_id, fields FROM quality_rowchunk
WHERE project_id = %s AND criterion = %s ORDER BY number"""
_ROWS_OF = """SELECT first_id, fields FROM quality_rowchunk
WHERE project_id = %s AND criterion = %s AND EXISTS (
    SELECT FROM unnest(%s::bigint[]) AS asked(id) WHERE asked.id BETWEEN first_id AND last_id)
ORDER BY number"""
_PAIRS = "SELECT data FROM quality_pairchunk WHERE project_id = %s ORDER BY number"


class Fields:
    """Rows as one array a field, each made at its first use."""

    def __init__(self, size: int, read: Callable[[str], npt.NDArray[Any]]) -> None:
        self._size, self._read = size, read
        self._known: dict[str, npt.NDArray[Any]] = {}  # Any: as the dtype of the rows has it

    @classmethod
    def of(cls, rows: Rows) -> "Fields":
        return cls(len(rows), lambda name: np.ascontiguousarray(rows[name]))

    @classmethod
    def of_chunks(cls, chunks: Sequence[bytes | memoryview]) -> "Fields":
        """Of rows as they are stored."""
        sizes = [len(data) // ROW.itemsize for data in chunks]

        def read(name: str) -> npt.NDArray[Any]:
            kind, start = ROW[name], _STARTS[name]
            parts = [
                np.frombuffer(data, kind, size, start * size)
                for data, size in zip(chunks, sizes, strict=True)
            ]
            return np.concatenate([np.zeros(0, kind), *parts])

        return cls(sum(sizes), read)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def where(self, kept: Mask) -> "Fields":
        """Some of the rows; itself where all are kept."""
        if kept.all():
            return self
        return Fields(int(np.count_nonzero(kept)), lambda name: self[name][kept])

    def rows(self) -> Rows:
        """Judged pairs as rows again."""
        rows = np.empty(self._size, dtype=ROW)
        for name in _FIELDS:
            rows[name] = self[name]
        return rows


def as_stored(rows: Rows) -> bytes:
    """What a chunk holds of these rows."""
    return b"".join(rows[name].tobytes() for name in _FIELDS)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredColumns:
    """The judgments under one criterion: rows, the pairs they are about, what the codes mean."""

    rows: Fields
    judgments: npt.NDArray[np.int64]
    pairs: Fields
    labeler_ids: tuple[int, ...]
    guideline_ids: tuple[int, ...]
    languages: tuple[str, ...]
    sources: tuple[str, ...]
    version: int

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def opens_judgment(self) -> Mask:
        return opening(self.judgments)

    def where(self, kept: Mask) -> "StoredColumns":
        """The same on some of the rows; codes stay as they are."""
        return StoredColumns(
            rows=self.rows.where(kept),
            judgments=self.judgments[kept],
            pairs=self.pairs,
            labeler_ids=self.labeler_ids,
            guideline_ids=self.guideline_ids,
            languages=self.languages,
            sources=self.sources,
            version=self.version,
        )


def opening(judgments: npt.NDArray[np.int64]) -> Mask:
    """The first row of each judgment: its rows follow each other, and a ranking of K has several."""
    first = np.ones(len(judgments), dtype=bool)
    first[1:] = judgments[1:] != judgments[:-1]
    return first


def first_of_each(columns: StoredColumns, kept: Mask) -> Mask:
    """Of the kept rows the first of each judgment."""
    if columns.opens_judgment.all():
        return kept
    first = kept.copy()
    first[kept] = opening(columns.judgments[kept])
    return first


def is_gold(columns: StoredColumns) -> Mask:
    return _is_of_kind(columns, GOLD)


def is_drawn(columns: StoredColumns) -> Mask:
    """About a comparison whose policies were drawn by what a verdict tells."""
    return _is_of_kind(columns, DRAWN)


def _is_of_kind(columns: StoredColumns, kind: int) -> Mask:
    found = columns.pairs["kind"] == kind
    if not found.any():
        return np.zeros(len(columns), dtype=bool)
    return np.asarray(found[columns.rows["pair"]])


def is_imported(columns: StoredColumns) -> Mask:
    return np.asarray((columns.rows["said"] & ORIGIN) == IMPORTED)


def is_repeat(columns: StoredColumns) -> Mask:
    return np.asarray((columns.rows["said"] & ORIGIN) == REPEAT)


def is_asked_again(columns: StoredColumns) -> Mask:
    """Asked for because of what others had said of the comparison."""
    return np.asarray((columns.rows["said"] & ORIGIN) == ASKED_AGAIN)


def labelers_in(columns: StoredColumns) -> list[int]:
    """Ids of those who gave these rows."""
    return [columns.labeler_ids[code] for code in np.unique(columns.rows["labeler"]).tolist()]


def among(ids: Iterable[int], known: tuple[int, ...], codes: Any) -> Mask:  # Any: small integers
    """Rows whose code stands for one of the ids."""
    wanted = np.isin(np.array([*known, -1]), np.array(list(ids), dtype=np.int64))
    return np.asarray(wanted[codes]) if wanted.any() else np.zeros(len(codes), dtype=bool)


def load_columns(project: Project, criterion: str) -> StoredColumns:
    """All that is stored of one criterion, withdrawn judgments left out."""
    store = ColumnStore.objects.filter(project=project).first() or ColumnStore(project=project)
    rows, judgments = _joined(fetched(_ROWS, project.pk, criterion))
    alive = (rows["said"] & DEAD) == 0
    return StoredColumns(
        rows=rows.where(alive),
        judgments=judgments if alive.all() else judgments[alive],
        pairs=Fields.of(load_pairs(project)),
        labeler_ids=tuple(store.labeler_ids),
        guideline_ids=tuple(store.guideline_ids),
        languages=tuple(store.languages),
        sources=tuple(store.sources),
        version=store.version,
    )


def rows_of_judgments(
    project: Project, criterion: str, judgment_ids: list[int]
) -> tuple[Fields, npt.NDArray[np.int64]]:
    """The rows of some judgments that are not withdrawn, and the judgment of each; reads their chunks alone."""
    rows, judgments = _joined(fetched(_ROWS_OF, project.pk, criterion, judgment_ids))
    kept = np.isin(judgments, judgment_ids) & ((rows["said"] & DEAD) == 0)
    return rows.where(kept), judgments[kept]


def _joined(chunks: list[tuple[Any, ...]]) -> tuple[Fields, npt.NDArray[np.int64]]:
    # Any: rows of the database
    rows = Fields.of_chunks([data for _, data in chunks])
    sizes = [len(data) // ROW.itemsize for _, data in chunks]
    firsts = np.repeat(np.array([first for first, _ in chunks], dtype=np.int64), sizes)
    return rows, firsts + rows["judgment"]


def load_pairs(project: Project) -> Rows:
    """What is known of each pair, by its code."""
    return np.frombuffer(b"".join(data for (data,) in fetched(_PAIRS, project.pk)), dtype=PAIR)


def fetched(query: str, *values: object) -> list[tuple[Any, ...]]:  # Any: a row of the database
    """Rows with their bytes as bytes: the usual cursor would send each as two letters."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(query, values, binary=True)
        return list(cursor.fetchall())


def is_behind(project: Project) -> bool:
    """Whether judgments wait that the columns do not know."""
    return JudgmentChange.objects.filter(project_id=project.pk).exists()


def waiting(project: Project, *, at_most: int) -> int:
    """How many changes wait, counted up to a limit."""
    return JudgmentChange.objects.filter(project_id=project.pk)[:at_most].count()
