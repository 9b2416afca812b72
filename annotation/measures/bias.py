"""Leanings that are not about quality: to the response shown first, and to the longer one."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, expit, log_expit

from annotation.measures.newton import Curvature, Maximum, maximize
from annotation.measures.statistic import (
    FloatArray,
    Interval,
    Statistic,
    missing,
    normal_interval,
    proportion,
    wilson_interval,
)

SAME = 1e-12  # of the squares: what rounding leaves of none
SEPARATED = "The verdicts follow the length difference fully, so its effect has no finite size."


def even_chance_p_value(hits: int, *, n: int) -> float:
    """Exact two-sided binomial test against one half (symmetric, so twice the smaller tail)."""
    return min(1.0, 2 * float(bdtr(min(hits, n - hits), n, 0.5)))


def longer_wins(delta_length: npt.ArrayLike, won: npt.ArrayLike) -> Statistic:
    """Share of decisive verdicts for the longer response; equal lengths say nothing."""
    delta, first_won = np.asarray(delta_length, dtype=float), np.asarray(won, dtype=bool)
    unequal = delta != 0
    hits = int(((delta > 0) == first_won)[unequal].sum())
    return proportion(hits, n=int(unequal.sum()), nothing="No verdict is between unequal lengths.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthControl:
    """A win rate as if both responses were equally long."""

    raw_win_rate: Statistic
    win_rate: Statistic  # at equal length
    length_effect: Statistic  # log odds for a length difference of one tanh unit
    intercept: float | None
    win_rate_se: float | None


def length_control(delta_length: npt.ArrayLike, won: npt.ArrayLike) -> LengthControl:
    """Logit P(win) = theta + phi tanh(d / sd(d)), read off at d = 0 (Dubois et al. 2024, eq. 2).

    Their model without prompt difficulty; sd has n - 1. Their standard error is 0 for this model,
    so ours is the delta method: p (1 - p) se(theta).
    """
    delta, place = np.unique(np.asarray(delta_length, dtype=float), return_inverse=True)
    wins = np.bincount(place.ravel(), weights=np.asarray(won, dtype=float), minlength=len(delta))
    return length_control_of_counts(delta, wins, np.bincount(place.ravel(), minlength=len(delta)))


def length_control_of_counts(
    delta: FloatArray, wins: npt.NDArray[Any], verdicts: npt.NDArray[Any]
) -> LengthControl:
    """The same from the wins and verdicts at each length difference. Any: whole numbers or not."""
    n = int(verdicts.sum())
    raw = proportion(float(wins.sum()), n=n, nothing="There is no verdict yet.")
    spread = 0.0
    if n > 1:
        mean = float(verdicts @ delta) / n
        spread = float(np.sqrt(verdicts @ (delta - mean) ** 2 / (n - 1)))
    if spread == 0:
        return _uncontrolled(raw, "All length differences are equal, so there is no effect to see.")
    design = np.column_stack([np.ones_like(delta), np.tanh(delta / spread)])
    peak = logistic(design, wins.astype(np.float64), verdicts.astype(np.float64))
    if peak is None or not (peak.is_finite_at(0) and peak.is_finite_at(1)):
        return _uncontrolled(raw, SEPARATED)
    theta, phi = peak.parameters
    theta_se, phi_se = np.sqrt(np.diag(peak.covariance))
    rate = float(expit(theta))
    ends = normal_interval(float(theta), se=float(theta_se))
    interval = Interval(float(expit(ends.low)), float(expit(ends.high)))
    return LengthControl(
        raw_win_rate=raw,
        win_rate=Statistic(value=rate, interval=interval, n=n),
        length_effect=Statistic(
            value=float(phi), interval=normal_interval(float(phi), se=float(phi_se)), n=n
        ),
        intercept=float(theta),
        win_rate_se=rate * (1 - rate) * float(theta_se),
    )


def _uncontrolled(raw: Statistic, reason: str) -> LengthControl:
    nothing = missing(reason, n=raw.n)
    return LengthControl(
        raw_win_rate=raw, win_rate=nothing, length_effect=nothing, intercept=None, win_rate_se=None
    )


def logistic(design: FloatArray, wins: FloatArray, n: FloatArray) -> Maximum | None:
    """Maximum likelihood of logit P(win) = design @ parameters, ``wins`` of ``n`` a row; None under separation."""

    def curvature(parameters: FloatArray) -> Curvature:
        logits = design @ parameters
        chance = expit(logits)
        value = float((wins * log_expit(logits) + (n - wins) * log_expit(-logits)).sum())
        weights = n * chance * (1 - chance)
        slope = design.T @ (wins - n * chance)
        return Curvature(value, slope, -design.T @ (weights[:, None] * design))

    return maximize(curvature, np.zeros(design.shape[1]))


class RatioSums(NamedTuple):
    """What a ratio over items follows from; it adds up over items, so it can be kept and moved."""

    n: float  # items with something below the line
    top: float
    bottom: float
    top_top: float
    top_bottom: float
    bottom_bottom: float


def ratio_sums(top: FloatArray, bottom: FloatArray) -> RatioSums:
    """One number an item in ``top`` and ``bottom``."""
    used = bottom > 0
    t, b = top[used], bottom[used]
    return RatioSums(
        n=int(used.sum()),
        top=float(t.sum()),
        bottom=float(b.sum()),
        top_top=float((t * t).sum()),
        top_bottom=float((t * b).sum()),
        bottom_bottom=float((b * b).sum()),
    )


def ratio(sums: RatioSums, *, nothing: str) -> Statistic:
    """Sum of the top over sum of the bottom, items drawn: se^2 = sum (t - r b)^2 / (sum b)^2 n / (n - 1).

    The linearised standard error of a ratio (Cochran 1977, Sampling Techniques, eq. 6.4). Where all items have the same
    share it is 0, which is no certainty: the interval is Wilson's then, of as many observations as items.
    """
    n = int(sums.n)
    if n == 0:
        return missing(nothing)
    share = sums.top / sums.bottom
    if n == 1:
        reason = "One item says nothing of how much items vary."
        return Statistic(value=share, interval=None, n=n, reason=reason)
    squares = sums.top_top - 2 * share * sums.top_bottom + share * share * sums.bottom_bottom
    if squares <= SAME * sums.bottom_bottom:
        return Statistic(value=share, interval=wilson_interval(share * n, n=n), n=n)
    se = float(np.sqrt(squares * n / (n - 1)) / sums.bottom)
    return Statistic(value=share, interval=normal_interval(share, se=se).clipped(0.0, 1.0), n=n)
