"""Whether a reward model's probabilities mean what they say, and one temperature to repair them.

Shapes: B pairs, K bins.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

BINS = 10
LOWEST, HIGHEST = 0.05, 20.0  # of the temperature


class Difference(NamedTuple):
    """Chosen minus rejected score of one pair, and how sure people were of chosen."""

    prompt_id: str
    split: str
    difference: float
    label: float


class Calibration(NamedTuple):
    """Expected calibration error before and after a temperature, and the pairs it is measured on."""

    temperature: float
    ece_before: float
    ece_after: float
    n: int


def calibrate(pairs: Sequence[Difference]) -> Calibration | None:
    """Fit a temperature on validation pairs; measure on test pairs. None with fewer than 20 pairs.

    Without both splits, each half of the prompts is measured with the temperature of the other
    half, and the temperature that is kept is fitted on all.
    """
    validation = [pair for pair in pairs if pair.split == "validation"]
    test = [pair for pair in pairs if pair.split == "test"]
    if len(pairs) < 2 * BINS:
        return None
    if validation and test:
        temperature = fit_temperature(*_tensors(validation))
        return _measured(temperature, [(test, temperature)])
    first = set(sorted({pair.prompt_id for pair in pairs})[::2])
    halves = [
        [pair for pair in pairs if pair.prompt_id in first],
        [pair for pair in pairs if pair.prompt_id not in first],
    ]
    if not all(halves):
        return None
    temperatures = [fit_temperature(*_tensors(half)) for half in reversed(halves)]
    kept = fit_temperature(*_tensors(pairs))
    return _measured(kept, list(zip(halves, temperatures, strict=True)))


def _measured(kept: float, parts: Sequence[tuple[Sequence[Difference], float]]) -> Calibration:
    """The error over parts, each of which has a temperature fitted elsewhere."""
    tensors = [(*_tensors(pairs), temperature) for pairs, temperature in parts]
    plain_B = torch.cat([difference for difference, _, _ in tensors])
    scaled_B = torch.cat([difference / temperature for difference, _, temperature in tensors])
    label_B = torch.cat([label for _, label, _ in tensors])
    return Calibration(kept, ece(plain_B, label_B), ece(scaled_B, label_B), len(label_B))


def _tensors(pairs: Sequence[Difference]) -> tuple[Tensor, Tensor]:
    difference_B = torch.tensor([pair.difference for pair in pairs], dtype=torch.float64)
    return difference_B, torch.tensor([pair.label for pair in pairs], dtype=torch.float64)


def ece(difference_B: Tensor, label_B: Tensor) -> float:
    """Expected calibration error (Guo et al. 2017) of sigmoid(difference), in ten bins.

    Chosen and rejected are names given after the fact, so each pair is read from the side that
    the model prefers: its confidence is at least 0.5, its label the share of people on that side.
    """
    side_B = torch.where(difference_B >= 0, 1.0, -1.0).double()
    confidence_B = torch.sigmoid(difference_B.double() * side_B)
    agreed_B = torch.where(side_B > 0, label_B, 1 - label_B).double()
    bin_B = ((confidence_B - 0.5) * 2 * BINS).long().clamp(max=BINS - 1)
    gap_K = torch.zeros(BINS, dtype=torch.float64)
    gap_K.index_add_(0, bin_B, confidence_B - agreed_B)
    return float(gap_K.abs().sum() / len(difference_B))


def fit_temperature(difference_B: Tensor, label_B: Tensor) -> float:
    """The T that minimizes the negative log-likelihood of sigmoid(difference / T).

    The likelihood is convex in s = 1 / T with slope mean((sigmoid(s d) - label) d): halving the
    bracket where the slope changes sign finds the minimum.
    """
    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(60):
        middle = (low + high) / 2
        slope = ((torch.sigmoid(middle * difference_B) - label_B) * difference_B).mean()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 2 / (low + high)
