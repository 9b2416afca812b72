"""How varied the answers of a policy are."""

from collections.abc import Iterable
from itertools import pairwise


def distinct_pairs(texts: Iterable[str]) -> float | None:
    """Different neighboring word pairs over all of them, in the texts together (Li et al. 2016, distinct-2).

    None where no text has two words.
    """
    seen: set[tuple[str, str]] = set()
    total = 0
    for text in texts:
        words = text.split()
        pairs = list(pairwise(words))
        seen.update(pairs)
        total += len(pairs)
    return len(seen) / total if total else None
