"""Which split a prompt falls into: a seeded hash of its last user turn, so that near-duplicates stay together.

The split of a prompt does not depend on the other prompts: it is the same in every snapshot with the same seed.
"""

import hashlib
from array import array
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from annotation.core import text
from annotation.datasets.query import SnapshotQuery
from training.spec.records import SPLITS, Turn


def split_key(prompt: Sequence[Turn]) -> int:
    """64 bits of the last user turn, blind to case and spacing."""
    last = next((turn.content for turn in reversed(prompt) if turn.role == "user"), "")
    plain = " ".join(text.canonical(last).casefold().split())
    return int.from_bytes(hashlib.sha256(plain.encode()).digest()[:8], "big")


def split_of(key: int, query: SnapshotQuery) -> str:
    """The split whose share of the unit interval holds the seeded hash of the key."""
    seeded = hashlib.sha256(f"{query.seed}:{key}".encode()).digest()
    place = int.from_bytes(seeded[:8], "big") / 2**64
    edge = 0.0
    for name, share in query.shares.items():
        edge += share
        if place < edge:
            return name
    return next(name for name in reversed(SPLITS) if query.shares[name] > 0)


class LeakCheck:
    """Remembers which last user turns went to which split, eight bytes a prompt."""

    def __init__(self) -> None:
        self._keys = {name: array("Q") for name in SPLITS}

    def add(self, key: int, split: str) -> None:
        self._keys[split].append(key)

    def leaks(self) -> int:
        """Last user turns that are in two splits."""
        sets = [np.unique(np.array(keys, dtype=np.uint64)) for keys in self._keys.values()]
        return sum(len(np.intersect1d(one, other)) for one, other in combinations(sets, 2))
