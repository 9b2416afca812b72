"""Funnel limits: how far a labeler may lie from the others by chance alone (Spiegelhalter 2005, Stat. Med. 24)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import ndtr

from annotation.measures.labelers import adjusted_p_values
from annotation.measures.statistic import FloatArray

LOOK, OUTSIDE = 1.96, 3.09  # 95 and 99.8 percent
WINSOR = 0.1
LABELERS_FOR_SPREAD = 5  # fewer say nothing of how much labelers vary
FALSE_DISCOVERIES = 0.05  # of those named outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """The common share and how much wider than chance the labelers spread."""

    mean: float
    overdispersion: float

    def limit(self, n: float, z: float) -> float:
        """The lower limit at ``n`` scored judgments; the upper with ``-z``."""
        spread = self.overdispersion * self.mean * (1 - self.mean) / max(n, 1)
        return self.mean - z * sqrt(spread)

    def p_values(self, shares: FloatArray, n: FloatArray) -> FloatArray:
        """One-sided: how often chance alone puts a labeler this far below the others."""
        spread = np.sqrt(self.overdispersion * self.mean * (1 - self.mean) / np.maximum(n, 1))
        if self.mean in (0.0, 1.0):
            return np.ones_like(spread)
        return np.asarray(ndtr((shares - self.mean) / spread))


def funnel_of(hits: Sequence[int], scored: Sequence[int]) -> Funnel | None:
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


def standings(funnel: Funnel | None, hits: Sequence[int], scored: Sequence[int]) -> list[str]:
    """For each labeler "outside", "look", "steady", or "unknown" where nothing was scored.

    Outside are those whom Benjamini and Hochberg's procedure finds below the others, 5 % of whom
    may be found by chance; to look at is who lies below the 95 % limit besides.
    """
    n = np.asarray(scored, dtype=np.float64)
    if funnel is None or not n.any():
        return ["unknown"] * len(n)
    met = n > 0
    p = np.ones_like(n)
    p[met] = funnel.p_values(np.asarray(hits)[met] / n[met], n[met])
    adjusted = np.ones_like(n)
    adjusted[met] = adjusted_p_values(p[met])
    below = p < 1 - float(ndtr(LOOK))
    words = np.where(adjusted <= FALSE_DISCOVERIES, "outside", np.where(below, "look", "steady"))
    return [str(word) for word in np.where(met, words, "unknown")]
