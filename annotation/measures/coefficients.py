"""Chance-corrected agreement: (p_a - p_e) / (1 - p_e), and Krippendorff's alpha.

Each coefficient is arithmetic on `Moments`, so the same line serves the data, its bootstrap and
its jackknife; ``nan`` marks a replicate where the coefficient has no value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from annotation.measures.moments import Moments, label_shares, pair_agreement
from annotation.measures.statistic import FloatArray
from annotation.measures.table import Patterns, Scale

NOTHING = 1e-12  # smaller, relative to the data, is rounding and not variation


class Level(StrEnum):
    """How the labels are to be compared: as names, by rank, or as numbers."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"
    RATIO = "ratio"


def identity_weights(size: int) -> FloatArray:
    """Full credit for the same label, none for any other."""
    return np.eye(size)


def linear_weights(numbers: FloatArray) -> FloatArray:
    """1 - |i - j| / range (Cicchetti and Allison 1971)."""
    gaps = np.abs(numbers[:, None] - numbers[None, :])
    return np.asarray(1 - gaps / max(gaps.max(), NOTHING))


def quadratic_weights(numbers: FloatArray) -> FloatArray:
    """1 - (i - j)^2 / range^2 (Fleiss and Cohen 1973)."""
    gaps = (numbers[:, None] - numbers[None, :]) ** 2
    return np.asarray(1 - gaps / max(gaps.max(), NOTHING))


def ordinal_weights(size: int) -> FloatArray:
    """1 - C(|i - j| + 1, 2) / C(K, 2) (Gwet 2014, sec. 3.5); not Krippendorff's ordinal metric."""
    gaps = np.abs(np.arange(size)[:, None] - np.arange(size)[None, :])
    return np.asarray(1 - (gaps + 1) * gaps / max(size * (size - 1), 1))


@dataclass(frozen=True, slots=True)
class ChanceModel:
    """What agreement chance would give, and how each item's label shares move it."""

    expected: Callable[[FloatArray, FloatArray], FloatArray]  # (shares (..., K), weights)
    slope: Callable[[FloatArray, FloatArray], FloatArray]  # (shares (K,), weights) -> (K,)


def _spread(weights: FloatArray) -> float:
    size = len(weights)
    return float(weights.sum()) / (size * (size - 1)) if size > 1 else np.nan


# No correction: percent agreement.
UNCORRECTED = ChanceModel(
    expected=lambda shares, _weights: np.zeros(shares.shape[:-1]),
    slope=lambda shares, _weights: np.zeros_like(shares),
)
# Fleiss (1971, Psychological Bulletin 76); Scott (1955) for two labelers.
FLEISS = ChanceModel(
    expected=lambda shares, weights: ((shares @ weights) * shares).sum(axis=-1),
    slope=lambda shares, weights: (weights + weights.T) @ shares / 2,
)
# Brennan and Prediger (1981), Bennett's S, Randolph's free-marginal kappa, PABAK.
BRENNAN_PREDIGER = ChanceModel(
    expected=lambda shares, weights: np.full(shares.shape[:-1], weights.mean()),
    slope=lambda shares, weights: np.full_like(shares, weights.mean()),
)
# Gwet (2008, Br. J. Math. Stat. Psychol. 61): AC1 with identity weights, AC2 with others.
GWET = ChanceModel(
    expected=lambda shares, weights: _spread(weights) * (shares * (1 - shares)).sum(axis=-1),
    slope=lambda shares, weights: _spread(weights) * (1 - shares),
)


def divide(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise; ``nan`` where the denominator is nothing but rounding."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    hollow = np.full(top.shape, np.nan)
    return np.asarray(np.divide(top, bottom, out=hollow, where=np.abs(bottom) > NOTHING))


def _unsided(totals: FloatArray, scale: Scale | None) -> FloatArray:
    return totals if scale is None else scale.unsided(totals)


def corrected(
    moments: Moments, weights: FloatArray, model: ChanceModel, scale: Scale | None = None
) -> FloatArray:
    """(p_a - p_e) / (1 - p_e) for every replicate (Gwet 2014, eq. 2.1)."""
    observed = divide(moments.agreement, moments.pairable)
    shares = _unsided(divide(moments.shares, moments.items[..., None]), scale)
    expected = model.expected(shares, weights)
    return divide(observed - expected, 1 - expected)


def corrected_se(
    patterns: Patterns, weights: FloatArray, model: ChanceModel, scale: Scale | None = None
) -> float:
    """Standard error by linearisation over items (Gwet 2014, ch. 5; infinite population)."""
    items, total = patterns.items, patterns.items.sum()
    pairable = patterns.sizes > 1
    item_shares = label_shares(patterns.counts)
    shares = _unsided(items @ item_shares / total, scale)
    observed = pair_agreement(patterns.counts, weights)
    coverage = items[pairable].sum() / total
    if total < 2 or coverage == 0:
        return float("nan")
    expected = float(model.expected(shares, weights))
    if 1 - expected <= NOTHING:
        return float("nan")
    value = (items @ observed / total / coverage - expected) / (1 - expected)
    chance = item_shares @ model.slope(shares, weights) - expected
    scores = (observed - expected * pairable) / coverage - 2 * (1 - value) * chance
    influence = scores / (1 - expected) - value
    return float(np.sqrt(items @ influence**2 / (total * (total - 1))))


def distances(totals: FloatArray, level: Level, scale: Scale) -> FloatArray:
    """Krippendorff's squared metric differences (2011, sec. 3), from each label's total n_k.

    The ordinal one, (sum_{g=i..j} n_g - (n_i + n_j) / 2)^2, is the interval metric on mid-ranks.
    """
    if level is Level.NOMINAL:
        return np.broadcast_to(1 - np.eye(len(scale)), (*totals.shape, len(scale)))
    if level is Level.ORDINAL:
        places = np.cumsum(totals, axis=-1) - totals / 2
        return np.asarray((places[..., :, None] - places[..., None, :]) ** 2)
    numbers = scale.numbers()
    if numbers is None:
        raise ValueError(f"The level {level} needs numbers as labels; these are {scale.names}.")
    gaps = numbers[:, None] - numbers[None, :]
    if level is Level.RATIO:
        gaps = np.nan_to_num(divide(gaps, numbers[:, None] + numbers[None, :]))
    return np.broadcast_to(gaps**2, (*totals.shape, len(scale)))


def alpha(moments: Moments, level: Level, scale: Scale) -> FloatArray:
    """Krippendorff's alpha under the metric of ``level`` for every replicate, or ``nan``."""
    totals = scale.unsided(moments.coincidences.sum(axis=-1))
    return _alpha_of_metric(moments, totals, distances(totals, level, scale))


def weighted_alpha(moments: Moments, weights: FloatArray) -> FloatArray:
    """Krippendorff's alpha for agreement weights in place of a metric."""
    return _alpha_of_metric(moments, moments.coincidences.sum(axis=-1), 1 - weights)


def _alpha_of_metric(moments: Moments, totals: FloatArray, metric: FloatArray) -> FloatArray:
    """1 - D_o / D_e on the coincidence matrix (Krippendorff 2011, eq. 1)."""
    labels = totals.sum(axis=-1)
    largest = np.maximum(metric.max(axis=(-2, -1)), np.finfo(float).tiny)
    everything = np.maximum(labels * labels, 1.0) * largest
    observed = (moments.coincidences * metric).sum(axis=(-2, -1)) / everything
    chance = (totals[..., :, None] * totals[..., None, :] * metric).sum(axis=(-2, -1)) / everything
    return np.asarray(1 - (labels - 1) * divide(observed, chance))


def alpha_se(patterns: Patterns, level: Level, scale: Scale) -> float:
    """Standard error of alpha by linearisation over items (Gwet 2014, ch. 5).

    As there, alpha's small-sample term is left out of the scores, and the ordinal metric is taken
    as given, as if the label totals behind it were known.
    """
    used = patterns.sizes > 1
    totals = scale.unsided(patterns.items[used] @ patterns.counts[used])
    metric = distances(totals, level, scale)
    weights = 1 - metric / max(metric.max(initial=0.0), np.finfo(float).tiny)
    return weighted_alpha_se(patterns, weights, scale)


def weighted_alpha_se(patterns: Patterns, weights: FloatArray, scale: Scale | None = None) -> float:
    """The same for agreement weights in place of a metric."""
    used = patterns.sizes > 1
    counts, items = patterns.counts[used], patterns.items[used]
    total = items.sum()
    if total < 2:
        return float("nan")
    sizes = counts.sum(axis=1)
    mean = items @ sizes / total
    shares = _unsided(items @ counts / total / mean, scale)
    expected = shares @ weights @ shares
    if 1 - expected <= NOTHING:
        return float("nan")
    agreement = pair_agreement(counts, weights) * sizes / mean
    value = (items @ agreement / total - expected) / (1 - expected)
    small = 1 / (items @ sizes)
    corrected_agreement = (1 - small) * (items @ agreement / total) + small
    excess = (sizes - mean) / mean
    observed = agreement - corrected_agreement * excess
    chance = counts @ weights @ shares / mean - expected * excess
    scores = observed - expected - 2 * (1 - value) * (chance - expected)
    influence = scores / (1 - expected) - value
    return float(np.sqrt(items @ influence**2 / (total * (total - 1))))
