"""One held-out pair with its scores, and shares over such pairs with their intervals."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from training.functional.intervals import Measured, cluster_bootstrap, wilson_interval


class ScoredPair(NamedTuple):
    """One judged pair with its scores; label, share of ties, votes, lengths (in characters) and names of the record."""

    prompt_id: str
    split: str
    difference: float
    label: float
    is_tie: bool = False
    tied: float = 0.0
    votes_chosen: float = 1.0
    votes_rejected: float = 0.0
    chosen_length: int = 0
    rejected_length: int = 0
    strength: float = 0.0
    criterion: str = "overall"
    source: str = "judgment"
    chosen: str = ""
    rejected: str = ""


def judged(pairs: Sequence[ScoredPair]) -> list[ScoredPair]:
    return [pair for pair in pairs if not pair.is_tie]


def half_win(difference: float) -> float:
    return 0.5 if difference == 0 else float(difference > 0)


def share_of(pairs: Sequence[ScoredPair], won: Callable[[ScoredPair], float]) -> Measured:
    """A share with Wilson's interval, or a bootstrap over prompts where one has several pairs."""
    clusters: dict[str, list[float]] = {}
    for pair in judged(pairs):
        clusters.setdefault(pair.prompt_id, []).append(won(pair))
    n = sum(map(len, clusters.values()))
    if not n:
        return Measured(None, None, 0, "There are no held-out pairs.")
    share = math.fsum(map(math.fsum, clusters.values())) / n
    if len(clusters) == n or share in {0.0, 1.0}:  # of all won or all lost nothing can be redrawn
        return Measured(share, wilson_interval(share, len(clusters)), n)
    return Measured(share, cluster_bootstrap(list(clusters.values())), n)
