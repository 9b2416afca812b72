"""Running mean and deviation of numbers that come in batches (Chan et al. 1979)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """How many numbers came, their mean, and the sum of squared distances from it."""

    seen: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def deviation(self) -> float:
        """The deviation so far; 1 while there is none to divide by."""
        deviation = math.sqrt(self.squares / self.seen) if self.seen else 0.0
        return deviation or 1.0


def with_batch(moments: Moments, values: Tensor) -> Moments:
    """The moments of everything so far and this batch."""
    batch = values.to(torch.float64)
    count, mean = float(batch.numel()), batch.mean().item()
    apart = mean - moments.mean
    total = moments.seen + count
    return Moments(
        total,
        moments.mean + apart * count / total,
        moments.squares
        + (batch - mean).square().sum().item()
        + apart**2 * moments.seen * count / total,
    )
