"""How far predicted chances can be trusted, and the best that one label a pair allows."""

from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from annotation.measures.statistic import FloatArray, Interval


class ReliabilityBin(NamedTuple):
    """Predictions of one range of chances, beside what happened."""

    low: float
    high: float
    n: int
    predicted: float
    observed: float


def reliability(
    p: npt.ArrayLike, y: npt.ArrayLike, *, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Equal-width bins floor(bins p), the right end in the last; empty bins are left out."""
    chance, happened = _checked(p, y)
    place = np.minimum((chance * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    predicted = np.bincount(place, weights=chance, minlength=bins)
    observed = np.bincount(place, weights=happened, minlength=bins)
    return tuple(
        ReliabilityBin(
            low=float(b) / bins,
            high=float(b + 1) / bins,
            n=int(n[b]),
            predicted=float(predicted[b] / n[b]),
            observed=float(observed[b] / n[b]),
        )
        for b in np.flatnonzero(n)
    )


def expected_calibration_error(p: npt.ArrayLike, y: npt.ArrayLike, *, bins: int = 10) -> float:
    """sum_b n_b / n |observed_b - predicted_b| (Naeini et al. 2015)."""
    filled = reliability(p, y, bins=bins)
    total = sum(one.n for one in filled)
    return sum(one.n / total * abs(one.observed - one.predicted) for one in filled)


def brier(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Mean squared distance of chance and outcome (Brier 1950)."""
    chance, happened = _checked(p, y)
    return float(((chance - happened) ** 2).mean())


def log_loss(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Mean negative log-likelihood of the outcomes; infinite if a certain prediction fails."""
    chance, happened = _checked(p, y)
    return float(-(xlogy(happened, chance) + xlogy(1 - happened, 1 - chance)).mean())


def _checked(p: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    chance, happened = np.asarray(p, dtype=float), np.asarray(y, dtype=float)
    if chance.size == 0 or chance.shape != happened.shape:
        raise ValueError(
            f"Calibration needs one outcome a prediction; {chance.size} predictions"
            f" and {happened.size} outcomes were given."
        )
    if chance.min() < 0 or chance.max() > 1:
        raise ValueError(f"Chances lie from 0 to 1; these reach {chance.min()} to {chance.max()}.")
    return chance, happened


def accuracy_ceiling(agreement: float) -> Interval | None:
    """The band of the best single-label accuracy, from the agreement A of two labelers.

    With p a pair's chance of the label a, A = E[p^2 + (1 - p)^2] bounds E[max(p, 1 - p)] between
    A and (1 + sqrt(2 A - 1)) / 2 (Jensen). None below one half, where no such p exists.
    """
    if agreement < 0.5:
        return None
    return Interval(agreement, (1 + sqrt(2 * agreement - 1)) / 2)
