"""Whether a reward model's probabilities mean what they say, and one temperature to repair them.

A temperature is fitted with a prior, since few pairs of a weak model would carry it anywhere (if
the model orders them no better than chance, the likelihood alone is best at infinity), and kept
only where it lowers the loss of the pairs it was fitted on by more than noise.

Shapes: B pairs, K bins.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.functional.intervals import cluster_bootstrap

BINS = 10
FEWEST = 2 * BINS  # decided pairs to fit or to measure on
PRIOR_DEVIATION = math.log(2)  # of log T around 0: a factor of 2 is one deviation
LIMIT = math.log(20)  # of |log T|
GRID = 101


class Difference(NamedTuple):
    """Chosen minus rejected score of one pair, and how sure people were of chosen."""

    prompt_id: str
    split: str
    difference: float
    label: float


class Temperature(NamedTuple):
    """The temperature to use; where it is 1 for lack of a better one, ``reason`` says why."""

    value: float
    reason: str = ""


class Calibration(NamedTuple):
    """Expected calibration error before and after a temperature, and the pairs it is measured on."""

    temperature: Temperature
    ece_before: float
    ece_after: float
    n: int


def calibrate(pairs: Sequence[Difference]) -> Calibration | None:
    """Choose a temperature on validation pairs; measure on test pairs. None with under 20 pairs.

    Without both splits, each half of the prompts is measured with the temperature of the other
    half, and the temperature that is kept is chosen on all.
    """
    validation = [pair for pair in pairs if pair.split == "validation"]
    test = [pair for pair in pairs if pair.split == "test"]
    if len(pairs) < FEWEST:
        return None
    if validation and test:
        chosen = choose_temperature(validation)
        return _measured(chosen, [(test, chosen.value)])
    first = set(sorted({pair.prompt_id for pair in pairs})[::2])
    halves = [
        [pair for pair in pairs if pair.prompt_id in first],
        [pair for pair in pairs if pair.prompt_id not in first],
    ]
    if not all(halves):
        return None
    temperatures = [choose_temperature(half).value for half in reversed(halves)]
    return _measured(choose_temperature(pairs), list(zip(halves, temperatures, strict=True)))


def choose_temperature(pairs: Sequence[Difference]) -> Temperature:
    """The fitted temperature, or 1 where the pairs are too few or do not tell the two apart.

    They do if the loss falls by more than noise: the 95 % interval of the fall, a bootstrap over
    prompts, lies above 0.
    """
    if len(pairs) < FEWEST:
        return Temperature(
            1.0, f"{len(pairs)} decided pairs to fit on; at least {FEWEST} are needed."
        )
    difference_B, label_B = _tensors(pairs)
    fitted = fit_temperature(difference_B, label_B)
    fall_B = _nll(difference_B, label_B) - _nll(difference_B / fitted, label_B)
    falls: dict[str, list[float]] = {}
    for pair, fall in zip(pairs, fall_B.tolist(), strict=True):
        falls.setdefault(pair.prompt_id, []).append(fall)
    low, high = cluster_bootstrap(list(falls.values()))
    if low > 0:
        return Temperature(fitted)
    return Temperature(
        1.0,
        f"A temperature of {fitted:.2f} fits the {len(pairs)} pairs best, but lowers their loss "
        f"by no more than noise (95 % interval {low:.4f} to {high:.4f} nats).",
    )


def _measured(
    kept: Temperature, parts: Sequence[tuple[Sequence[Difference], float]]
) -> Calibration:
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
    """The likeliest T of sigmoid(difference / T), with the prior log T ~ N(0, (ln 2)^2).

    It minimizes sum_B nll(difference / T, label) + (log T / ln 2)^2 / 2. The sum grows with the
    pairs and the prior does not: it decides for few, and fades for many. Found on a grid of log T,
    then on a finer one around the best place.
    """
    middle, width = 0.0, LIMIT
    for _ in range(3):
        grid_K = torch.linspace(middle - width, middle + width, GRID, dtype=torch.float64)
        costs = [
            _nll(difference_B / math.exp(at), label_B).sum().item()
            + (at / PRIOR_DEVIATION) ** 2 / 2
            for at in grid_K.tolist()
        ]
        middle = grid_K[costs.index(min(costs))].item()
        width *= 2 / (GRID - 1)
    return math.exp(middle)


def _nll(difference_B: Tensor, label_B: Tensor) -> Tensor:
    """Negative log-likelihood of each label under sigmoid(difference), in nats."""
    return F.softplus(difference_B) - label_B * difference_B
