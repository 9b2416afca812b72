"""Which split a prompt falls into: a seeded hash of its last user turn, so that near-duplicates stay together.

The split of a prompt does not depend on the other prompts: it is the same in every snapshot with the same seed.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence

from training.spec.records import SPLITS, Turn


def split_key(prompt: Sequence[Turn]) -> int:
    """64 bits of the last user turn, blind to case and spacing."""
    last = next((turn.content for turn in reversed(prompt) if turn.role == "user"), "")
    return int.from_bytes(hashlib.sha256(plain(last).encode()).digest()[:8], "big")


def plain(text: str) -> str:
    """The text without its case and spacing: equal where two differ in nothing else."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def split_of(key: int, *, seed: int, shares: Mapping[str, float]) -> str:
    """The split whose share of the unit interval holds the seeded hash of the key."""
    seeded = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    place = int.from_bytes(seeded[:8], "big") / 2**64
    edge = 0.0
    for name, share in shares.items():
        edge += share
        if place < edge:
            return name
    return next(name for name in reversed(SPLITS) if shares[name] > 0)
