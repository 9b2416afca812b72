"""Ratings as integer columns, and the histogram of their patterns.

A pattern is a count vector: how many labels of each kind an item received. Three labels on a
three-point scale can show only ten, so a million judgments become ten rows; every coefficient,
its standard error and its bootstrap follow from those. No array of items times labelers exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotation.measures.statistic import FloatArray, IntArray

LABELS_MAX = 100  # coefficients need a labels x labels matrix an item pattern
DIRECT_CODES_MAX = 1 << 22  # beyond this many possible patterns, sort instead of address
NUMBERED_MAX = 1 << 53  # beyond, a pattern is no exact number


@dataclass(frozen=True, slots=True)
class Scale:
    """The declared labels, in order; a label's code is its place here.

    ``mirror`` is for labels that name a side of a pair: each label's code where the two are named the other way round.
    Which of them is named first means nothing, so chance is computed as if every item stood there both ways.
    """

    names: tuple[str, ...]
    mirror: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("A scale needs at least one label; this one is empty.")
        if not all(name.strip() for name in self.names):
            raise ValueError(f"Every label of a scale has a name; one is empty: {self.names}.")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"A scale names each label once; this one repeats: {self.names}.")
        if len(self.names) > LABELS_MAX:
            raise ValueError(
                f"A scale has at most {LABELS_MAX} labels; this one has {len(self.names)}."
                " Choose a column of categories, or declare the scale."
            )

    def __len__(self) -> int:
        return len(self.names)

    def unsided(self, totals: FloatArray) -> FloatArray:
        """Totals (..., K) of labels, the mean of both ways to name the sides."""
        return (totals + totals[..., list(self.mirror)]) / 2 if self.mirror else totals

    def numbers(self) -> FloatArray | None:
        """The labels as numbers, or None if one of them is none."""
        try:
            numbers = np.array([float(name) for name in self.names])
        except ValueError:
            return None
        return numbers if np.isfinite(numbers).all() else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatingTable:
    """One row a judgment: who said what about which item, as codes from 0.

    A labeler may appear on an item once; agreement of a labeler with itself is another question.
    """

    items: IntArray
    labelers: IntArray
    labels: IntArray
    scale: Scale
    item_count: int
    labeler_count: int

    @classmethod
    def from_columns(
        cls,
        items: npt.ArrayLike,
        labelers: npt.ArrayLike,
        labels: npt.ArrayLike,
        scale: Scale | Sequence[str],
    ) -> "RatingTable":
        """Check three columns of integer codes and hold them; nothing is copied or sorted."""
        codes = [_codes(items, "items"), _codes(labelers, "labelers"), _codes(labels, "labels")]
        if len({column.size for column in codes}) > 1:
            sizes = ", ".join(str(column.size) for column in codes)
            raise ValueError(f"The columns differ in length: items, labelers, labels have {sizes}.")
        declared = scale if isinstance(scale, Scale) else Scale(tuple(scale))
        top = int(codes[2].max(initial=-1))
        if top >= len(declared):
            raise ValueError(f"Label code {top} lies outside the scale of {len(declared)} labels.")
        return cls(
            items=codes[0],
            labelers=codes[1],
            labels=codes[2],
            scale=declared,
            item_count=int(codes[0].max(initial=-1)) + 1,
            labeler_count=int(codes[1].max(initial=-1)) + 1,
        )


def _codes(column: npt.ArrayLike, name: str) -> IntArray:
    codes = np.asarray(column)
    if codes.size == 0:
        return np.zeros(0, dtype=np.int64)
    if codes.ndim != 1 or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"The column {name} must hold integer codes; it holds {codes.dtype}.")
    if codes.min() < 0:
        raise ValueError(f"The column {name} holds the negative code {codes.min()}.")
    return codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """Distinct count vectors (patterns x labels) and how many items show each."""

    counts: FloatArray
    items: FloatArray

    @classmethod
    def from_counts(cls, counts: npt.ArrayLike) -> "Patterns":
        """One row an item; rows need not be distinct, nor counts whole."""
        rows = np.atleast_2d(np.asarray(counts, dtype=np.float64))
        rows = rows[rows.sum(axis=1) > 0]
        return cls(counts=rows, items=np.ones(len(rows)))

    @classmethod
    def from_contingency(cls, contingency: npt.ArrayLike) -> "Patterns":
        """Two labelers' cross table: cell (i, j) counts the items labeled i and j."""
        cells = np.asarray(contingency, dtype=np.float64)
        rows, columns = np.nonzero(cells)
        unit = np.eye(len(cells))
        return cls(counts=unit[rows] + unit[columns], items=cells[rows, columns])

    @property
    def label_count(self) -> int:
        return int(self.counts.shape[1])

    @property
    def sizes(self) -> FloatArray:
        """Labels an item of each pattern has."""
        return np.asarray(self.counts.sum(axis=1))

    def without_label(self, label: int) -> "Patterns":
        """The same items with every label of one kind dropped (agreement without ties)."""
        counts = self.counts.copy()
        counts[:, label] = 0.0
        return Patterns(counts=counts, items=self.items)


class PatternIndex:
    """The patterns of a table, in order of their last label first, with the pattern of each item beside them."""

    __slots__ = ("of_item", "patterns")

    def __init__(self, table: RatingTable) -> None:
        sizes = np.bincount(table.items, minlength=table.item_count)
        base = int(sizes.max(initial=0)) + 1
        possible = base ** len(table.scale)
        if possible <= DIRECT_CODES_MAX:
            self.patterns, self.of_item = _address(table, base)
        elif possible <= NUMBERED_MAX:
            self.patterns, self.of_item = _number(table, base)
        else:
            self.patterns, self.of_item = _sort(table)


def _address(table: RatingTable, base: int) -> tuple[Patterns, IntArray]:
    """Write each count vector as a number in ``base`` and count the numbers directly."""
    code, powers = _codes_of_items(table, base)
    shown = np.bincount(code, minlength=1)
    shown[0] = 0  # the code of an item without labels
    present = np.flatnonzero(shown > 0)
    place = np.full(len(shown), -1, dtype=np.int32)
    place[present] = np.arange(len(present), dtype=np.int32)
    counts = (present[:, None] // powers[None, :]) % base
    patterns = Patterns(counts=counts.astype(np.float64), items=shown[present].astype(np.float64))
    return patterns, place[code]


def _codes_of_items(
    table: RatingTable, base: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each item's count vector as a number, and what one label of each kind is worth in it."""
    powers = base ** np.arange(len(table.scale), dtype=np.int64)
    digits = powers.astype(np.float64)[table.labels.astype(np.intp)]
    code = np.bincount(table.items, weights=digits, minlength=table.item_count)
    return code.astype(np.int64), powers


def _number(table: RatingTable, base: int) -> tuple[Patterns, IntArray]:
    """The same where the numbers are too many to address: sort them."""
    code, powers = _codes_of_items(table, base)
    present, place, shown = np.unique(code, return_inverse=True, return_counts=True)
    place = place.ravel()
    if len(present) and present[0] == 0:  # items without labels
        present, shown, place = present[1:], shown[1:], place - 1
    counts = (present[:, None] // powers[None, :]) % base
    patterns = Patterns(counts=counts.astype(np.float64), items=shown.astype(np.float64))
    return patterns, place


def _sort(table: RatingTable) -> tuple[Patterns, IntArray]:
    """The way for long scales with many labels an item: count vectors, then sort them."""
    width = len(table.scale)
    cells = table.items.astype(np.int64) * width + table.labels
    vectors = np.bincount(cells, minlength=table.item_count * width).reshape(-1, width)
    labeled = np.flatnonzero(vectors.any(axis=1))
    counts, inverse, shown = np.unique(
        vectors[labeled][:, ::-1], axis=0, return_inverse=True, return_counts=True
    )
    of_item = np.full(table.item_count, -1, dtype=np.int64)
    of_item[labeled] = inverse.ravel()
    patterns = Patterns(counts=counts[:, ::-1].astype(np.float64), items=shown.astype(np.float64))
    return patterns, of_item


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelerCells:
    """The histogram over (labeler, pattern, label), as its cells that are not empty."""

    labelers: IntArray
    patterns: IntArray
    labels: IntArray
    counts: FloatArray


def labeler_cells(table: RatingTable, index: PatternIndex) -> LabelerCells:
    """Count who said what on items of which pattern: all that leaving a labeler out needs."""
    width, kinds = len(table.scale), len(index.patterns.items)
    size = table.labeler_count * kinds * width
    cells = index.of_item[table.items].astype(np.intp)
    cells += table.labelers * kinds
    cells *= width
    cells += table.labels
    if size <= max(DIRECT_CODES_MAX, 8 * cells.size):
        histogram = np.bincount(cells)
        present = np.flatnonzero(histogram > 0)  # numpy finds what is true several times faster
        counts = histogram[present]
    else:
        present, counts = np.unique(cells, return_counts=True)
    patterns = present // width
    labelers = patterns // kinds
    return LabelerCells(
        labelers=labelers,
        patterns=patterns - labelers * kinds,  # twice as fast as the remainder
        labels=present - patterns * width,
        counts=counts.astype(np.float64),
    )
