"""Numbers with their 95 % intervals: Wilson for a share, bootstrap over clusters for a mean."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

RESAMPLES = 2000
DRAWN_AT_ONCE = 1_000_000  # numbers: 8 MB each of draws, sums and sizes
Z_95 = 1.959964


class Measured(NamedTuple):
    """A number with its 95 % interval; ``value`` is None where ``reason`` says why."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    reason: str = ""


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share of n independent trials."""
    scale = 1 + Z_95**2 / n
    middle = (share + Z_95**2 / (2 * n)) / scale
    half = Z_95 * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def cluster_bootstrap(clusters: Sequence[Sequence[float]], *, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean when whole clusters are drawn again.

    Values of one cluster (the pairs of one prompt) are not independent, so they go together.
    """
    sums = torch.tensor([math.fsum(one) for one in clusters], dtype=torch.float64)
    sizes = torch.tensor([len(one) for one in clusters], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    at_once = max(1, DRAWN_AT_ONCE // len(sums))
    parts = [min(at_once, RESAMPLES - first) for first in range(0, RESAMPLES, at_once)]
    means = torch.cat([_redrawn_means(sums, sizes, part, generator) for part in parts])
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def _redrawn_means(
    sums: torch.Tensor, sizes: torch.Tensor, times: int, generator: torch.Generator
) -> torch.Tensor:
    drawn = torch.randint(len(sums), (times, len(sums)), generator=generator)
    return sums[drawn].sum(1) / sizes[drawn].sum(1)


def mean_of_clusters(clusters: Sequence[Sequence[float]], *, why_empty: str) -> Measured:
    """The mean over all values with its bootstrap interval."""
    n = sum(map(len, clusters))
    if not n:
        return Measured(None, None, 0, why_empty)
    mean = math.fsum(value for one in clusters for value in one) / n
    return Measured(mean, cluster_bootstrap(clusters), n)
