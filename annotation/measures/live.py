"""Agreement that follows each judgment as it comes: one item moves between two patterns.

Holds what a batch over the same judgments would count, so every coefficient is equal to the batch
value; an edit is a removal and an addition.
"""

from collections import Counter

import numpy as np

from annotation.measures.table import Patterns, Scale

Vector = tuple[int, ...]


class LivePatterns:
    """How many items show each count vector, kept up to date in constant time."""

    __slots__ = ("_of_item", "_shown", "scale")

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self._of_item: dict[int, Vector] = {}
        self._shown: Counter[Vector] = Counter()

    def add(self, *, item: int, label: int) -> None:
        self._move(item, label, 1)

    def remove(self, *, item: int, label: int) -> None:
        """Take a label back; ValueError if the item has none of that kind."""
        if not self._of_item.get(item, ()) or self._of_item[item][label] == 0:
            raise ValueError(f"Item {item} has no label {self.scale.names[label]!r} to take back.")
        self._move(item, label, -1)

    def _move(self, item: int, label: int, by: int) -> None:
        before = self._of_item.get(item, (0,) * len(self.scale))
        after = (*before[:label], before[label] + by, *before[label + 1 :])
        self._of_item[item] = after
        self._shown[after] += 1
        if self._shown[before] > 1:
            self._shown[before] -= 1
        else:
            self._shown.pop(before, None)

    def patterns(self) -> Patterns:
        """The histogram as the coefficients take it, in a fixed order."""
        shown = sorted((vector, n) for vector, n in self._shown.items() if any(vector))
        counts = np.array([vector for vector, _ in shown], dtype=np.float64)
        return Patterns(
            counts=counts.reshape(-1, len(self.scale)),
            items=np.array([n for _, n in shown], dtype=np.float64),
        )
