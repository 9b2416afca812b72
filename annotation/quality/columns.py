"""Judgments as columns: 60 bytes a row instead of an object, and integer codes for the measures."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from annotation.comparisons.selectors import PairRow
from annotation.measures.table import RatingTable, Scale

STRENGTHS = Scale(("-3", "-2", "-1", "0", "1", "2", "3"), mirror=(6, 5, 4, 3, 2, 1, 0))
VERDICTS = Scale(("first", "tie", "second", "all bad"), mirror=(2, 1, 0, 3))
TIE, ALL_BAD = 1, 3
UNKNOWN = -1

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
WIDTH = 11


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairColumns:
    """One row a judged pair. ``items`` and ``labelers`` are codes from 0 into the ids beside them."""

    judgments: Ints
    comparisons: Ints  # ids
    items: Ints
    labelers: Ints
    strengths: Ints  # -3 second much better ... 3 first much better, 0 where all are bad
    is_all_bad: Mask
    shown_left: Ints  # 1 the first stood left, 0 right, -1 not known
    active_ms: Ints
    given_at: Ints  # seconds since 1970, UTC
    guidelines: Ints  # ids, -1 for none
    first_ids: Ints
    second_ids: Ints
    labeler_ids: Ints
    item_count: int

    def __len__(self) -> int:
        return len(self.judgments)

    @property
    def verdicts(self) -> Ints:
        """Codes into VERDICTS."""
        return np.where(self.is_all_bad, ALL_BAD, 1 - np.sign(self.strengths))

    def where(self, kept: Mask) -> "PairColumns":
        """The same columns on some of the rows; codes stay as they are."""
        names = [name for name in self.__slots__ if name not in ("labeler_ids", "item_count")]
        rows: dict[str, Any] = {name: getattr(self, name)[kept] for name in names}  # Any: dtypes
        return PairColumns(**rows, labeler_ids=self.labeler_ids, item_count=self.item_count)

    def strength_table(self) -> RatingTable:
        """Strengths on the seven-step scale; pairs that are all bad have none."""
        kept = ~self.is_all_bad
        codes = self.strengths[kept] + 3
        return RatingTable.from_columns(self.items[kept], self.labelers[kept], codes, STRENGTHS)

    def verdict_table(self) -> RatingTable:
        return RatingTable.from_columns(self.items, self.labelers, self.verdicts, VERDICTS)


class ColumnBuilder:
    """Takes pair rows one by one, in flat arrays."""

    __slots__ = ("_flat",)

    def __init__(self) -> None:
        self._flat = array("q")

    def add(self, row: PairRow) -> None:
        left = row.is_first_shown_left
        self._flat.extend(
            (
                row.judgment_id,
                row.comparison_id,
                row.labeler_id,
                row.strength,
                row.is_all_bad,
                UNKNOWN if left is None else left,
                row.active_ms,
                int(row.created_at.timestamp()),
                UNKNOWN if row.guideline_id is None else row.guideline_id,
                row.first_id,
                row.second_id,
            )
        )

    def extend(self, rows: Iterable[PairRow]) -> None:
        for row in rows:
            self.add(row)

    def build(self) -> PairColumns:
        flat = np.frombuffer(self._flat, dtype=np.int64) if self._flat else np.zeros(0, np.int64)
        table = flat.reshape(-1, WIDTH).T
        first, second = table[9], table[10]
        items, item_count = _pair_codes(first, second)
        labeler_ids, labelers = np.unique(table[2], return_inverse=True)
        return PairColumns(
            judgments=table[0],
            comparisons=table[1],
            items=items,
            labelers=labelers,
            strengths=table[3],
            is_all_bad=table[4].astype(bool),
            shown_left=table[5],
            active_ms=table[6],
            given_at=table[7],
            guidelines=table[8],
            first_ids=first,
            second_ids=second,
            labeler_ids=labeler_ids,
            item_count=item_count,
        )


def _pair_codes(first: Ints, second: Ints) -> tuple[Ints, int]:
    """An item is an unordered pair of candidates, in whatever comparisons it was judged."""
    ids = np.unique(np.concatenate([first, second]))
    keys = np.searchsorted(ids, first) * len(ids) + np.searchsorted(ids, second)
    distinct, codes = np.unique(keys, return_inverse=True)
    return codes, len(distinct)


def columns_of(rows: Iterable[PairRow]) -> PairColumns:
    """All rows at once."""
    builder = ColumnBuilder()
    builder.extend(rows)
    return builder.build()
