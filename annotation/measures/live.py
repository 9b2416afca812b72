"""Agreement that follows each judgment as it comes: one item moves between two patterns.

Holds what a batch over the same judgments would count, so every coefficient is equal to the batch
value; an edit takes the item as it was away and puts it back as it is.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.statistic import IntArray
from annotation.measures.table import LabelerCells, PatternIndex, Patterns, RatingTable
from annotation.measures.table import labeler_cells as cells_of

Vector = tuple[int, ...]
Said = Sequence[tuple[int, int]]  # labeler, label


class LiveHistogram:
    """How many items show each count vector, and who said what on them, moved in constant time.

    Numbers below zero are allowed: then it holds what has to be added to another histogram.
    """

    __slots__ = ("cells", "patterns", "width")

    def __init__(self, width: int) -> None:
        self.width = width  # labels of the scale
        self.patterns: Counter[Vector] = Counter()
        self.cells: Counter[tuple[int, Vector, int]] = Counter()  # labeler, pattern, label

    def put(self, said: Said, times: int = 1) -> None:
        """Count one item with its labels; ``times`` -1 takes it away. An item without labels is none."""
        if not said:
            return
        counts = [0] * self.width
        for _, label in said:
            counts[label] += 1
        vector = tuple(counts)
        self.patterns[vector] += times
        for labeler, label in said:
            self.cells[labeler, vector, label] += times

    def move(self, *, before: Said, after: Said) -> None:
        """One item whose labels changed."""
        self.put(before, -1)
        self.put(after)


class Tally(NamedTuple):
    """The same histogram as arrays; a cell is a labeler, the place of a pattern, and a label."""

    vectors: IntArray  # patterns x labels
    items: IntArray  # that show each pattern
    labelers: IntArray
    patterns: IntArray
    labels: IntArray
    counts: IntArray

    def grouped(self, label_of: Sequence[int]) -> "Tally":
        """The same under fewer labels, patterns in the order of a batch; label -1 is left out."""
        new = np.asarray(label_of, dtype=np.int64)
        width = int(new.max()) + 1
        turned = self.vectors @ (new[:, None] == np.arange(width)).astype(np.int64)
        used = (self.items > 0) & turned.any(axis=1)
        vectors, place, items = _merged(turned, used, self.items)
        kept = (self.counts > 0) & (new[self.labels] >= 0)
        kinds = max(len(vectors), 1)
        keys = self.labelers[kept].astype(np.int64) * kinds + place[self.patterns[kept]]
        keys = keys * width + new[self.labels[kept]]
        present, counts = _added(keys, self.counts[kept])
        return Tally(
            vectors=vectors,
            items=items,
            labelers=present // (kinds * width),
            patterns=present // width % kinds,
            labels=present % width,
            counts=counts,
        )

    def as_patterns(self) -> Patterns:
        return Patterns(counts=self.vectors.astype(np.float64), items=self.items.astype(np.float64))

    def as_cells(self) -> LabelerCells:
        return LabelerCells(
            labelers=self.labelers,
            patterns=self.patterns,
            labels=self.labels,
            counts=self.counts.astype(np.float64),
        )


def _merged(
    vectors: IntArray, used: npt.NDArray[np.bool_], items: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Distinct vectors by their last label first, the place of each row among them, and their items."""
    distinct, inverse = np.unique(vectors[used][:, ::-1], axis=0, return_inverse=True)
    place = np.full(len(vectors), -1, dtype=np.int64)
    place[used] = inverse.ravel()
    total = np.bincount(inverse.ravel(), weights=items[used], minlength=len(distinct))
    return distinct[:, ::-1], place, np.round(total).astype(np.int64)


def _added(keys: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct keys in order with the sum of their counts."""
    present, inverse = np.unique(keys, return_inverse=True)
    total = np.bincount(inverse.ravel(), weights=counts, minlength=len(present))
    return present, np.round(total).astype(np.int64)


def tally_of(table: RatingTable) -> Tally:
    """The histogram of a batch."""
    index = PatternIndex(table)
    cells = cells_of(table, index)
    return Tally(
        vectors=index.patterns.counts.astype(np.int64),
        items=index.patterns.items.astype(np.int64),
        labelers=cells.labelers,
        patterns=cells.patterns,
        labels=cells.labels,
        counts=cells.counts.astype(np.int64),
    )


def tally_from(vectors: Iterable[Vector], histogram: LiveHistogram) -> Tally:
    """A live histogram as arrays; ``vectors`` names the order of its patterns."""
    places = {vector: at for at, vector in enumerate(vectors)}
    cells = [
        (labeler, places[vector], label, n)
        for (labeler, vector, label), n in histogram.cells.items()
    ]
    flat = np.array(cells, dtype=np.int64).reshape(-1, 4).T
    return Tally(
        vectors=np.array(list(places), dtype=np.int64).reshape(-1, histogram.width),
        items=np.array([histogram.patterns[vector] for vector in places], dtype=np.int64),
        labelers=flat[0],
        patterns=flat[1],
        labels=flat[2],
        counts=flat[3],
    )
