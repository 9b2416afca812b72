"""No last user turn may be in two splits."""

from array import array
from itertools import combinations

import numpy as np

from training.spec.records import SPLITS


class LeakCheck:
    """Remembers which last user turns went to which split, eight bytes a prompt."""

    def __init__(self) -> None:
        self._keys = {name: array("Q") for name in SPLITS}

    def add(self, key: int, split: str) -> None:
        self._keys[split].append(key)

    def alike(self) -> int:
        """Prompts whose last user turn another one has too."""
        keys = np.concatenate([np.array(one, dtype=np.uint64) for one in self._keys.values()])
        _, counts = np.unique(keys, return_counts=True)
        return int(counts[counts > 1].sum())

    def leaks(self) -> int:
        """Last user turns that are in two splits."""
        sets = [np.unique(np.array(keys, dtype=np.uint64)) for keys in self._keys.values()]
        return sum(len(np.intersect1d(one, other)) for one, other in combinations(sets, 2))
