"""Funnel limits: how far a labeler may lie from the others by chance alone (Spiegelhalter 2005, Stat. Med. 24)."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

LOOK, OUTSIDE = 1.96, 3.09  # 95 and 99.8 percent
WINSOR = 0.1
LABELERS_FOR_SPREAD = 5  # fewer say nothing of how much labelers vary


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """The common share and how much wider than chance the labelers spread."""

    mean: float
    overdispersion: float

    def limit(self, n: float, z: float) -> float:
        """The lower limit at ``n`` scored judgments; the upper is its mirror about the mean."""
        spread = self.overdispersion * self.mean * (1 - self.mean) / max(n, 1)
        return self.mean - z * sqrt(spread)

    def standing(self, share: float, n: int) -> str:
        """Below the wide limit "outside", between the two "look", else "steady"."""
        if share < self.limit(n, OUTSIDE):
            return "outside"
        return "look" if share < self.limit(n, LOOK) else "steady"

    def curve(self, *, up_to: int, z: float) -> list[tuple[float, float]]:
        """Places of a limit for a plot."""
        steps = np.geomspace(1, max(up_to, 2), 40)
        return [(float(n), self.limit(float(n), z)) for n in steps]


def funnel_of(hits: list[int], scored: list[int]) -> Funnel | None:
    """The pooled share with the mean of the winsorised squared z-scores, at least 1 (eqs. 6 and 8)."""
    counts = [(right, n) for right, n in zip(hits, scored, strict=True) if n > 0]
    total = sum(n for _, n in counts)
    if not counts or total == 0:
        return None
    mean = sum(right for right, _ in counts) / total
    if not 0 < mean < 1 or len(counts) < LABELERS_FOR_SPREAD:
        return Funnel(mean=mean, overdispersion=1.0)
    scores = np.array([(right / n - mean) / sqrt(mean * (1 - mean) / n) for right, n in counts])
    low, high = np.quantile(scores, [WINSOR, 1 - WINSOR])
    return Funnel(
        mean=mean, overdispersion=max(1.0, float((np.clip(scores, low, high) ** 2).mean()))
    )
