"""What to ask next: one more label on an item, or another item; which pair of candidates; how many in all."""

from math import ceil
from typing import NamedTuple

import numpy as np
from scipy.special import expit, xlogy

from annotation.measures.ranking import Ranking
from annotation.measures.statistic import FloatArray, normal_quantile

UNIFORM_MIN = 0.2  # of what is asked is drawn evenly, so that every estimate stays unbiased


def entropy(shares: FloatArray) -> FloatArray:
    """Bits, over the last axis."""
    return np.asarray(-xlogy(shares, shares).sum(axis=-1) / np.log(2))


def label_information(posteriors: FloatArray, confusion: FloatArray) -> FloatArray:
    """Bits that one more label tells of each item's truth: I(T; L) = H(L) - sum_t p_t H(L | t).

    ``posteriors`` are items x true, ``confusion`` is true x said of the labeler who would be asked
    (Lindley 1956, Ann. Math. Stat. 27).
    """
    said = posteriors @ confusion
    return np.asarray(entropy(said) - posteriors @ entropy(confusion))


def new_item_information(class_shares: FloatArray, confusion: FloatArray) -> float:
    """Bits that the first label of an item not judged yet tells: what a further label competes with."""
    return float(label_information(class_shares[None, :], confusion)[0])


def pair_information(ranking: Ranking) -> FloatArray:
    """Nats that one more verdict on each two candidates tells of the strengths; zeros on the diagonal.

    log(1 + v I(x)) / 2, with v the variance of their difference x and I(x) = Var(win - loss) / 4 the
    Fisher information of a verdict under Davidson's model.
    """
    if ranking.strengths is None or ranking.covariance is None:
        raise ValueError(f"No strengths, so no pair tells more: {ranking.reason}")
    gaps = ranking.strengths[:, None] - ranking.strengths[None, :]
    spread = np.diag(ranking.covariance)
    variance = np.maximum(spread[:, None] + spread[None, :] - 2 * ranking.covariance, 0.0)
    tie = (ranking.tie_parameter or 0.0) / (2 * np.cosh(gaps / 2) + (ranking.tie_parameter or 0.0))
    win, loss = (1 - tie) * expit(gaps), (1 - tie) * expit(-gaps)
    fisher = (win + loss - (win - loss) ** 2) / 4
    gain = np.log1p(variance * fisher) / 2
    np.fill_diagonal(gain, 0.0)
    return np.asarray(gain)


def propensities(gains: FloatArray, *, uniform: float = UNIFORM_MIN) -> FloatArray:
    """The chance with which each is asked: ``uniform`` spread evenly, the rest by gain.

    Log them with what was drawn: weights 1 / propensity make later estimates unbiased (Horvitz and
    Thompson 1952). ValueError below 20 % uniform.
    """
    if not UNIFORM_MIN <= uniform <= 1:
        raise ValueError(
            f"At least {UNIFORM_MIN:.0%} is drawn evenly; {uniform:.0%} was asked for."
        )
    flat = np.asarray(gains, dtype=np.float64).ravel()
    total = flat.sum()
    by_gain = flat / total if total > 0 else np.full(flat.size, 1 / flat.size)
    return np.asarray((uniform / flat.size + (1 - uniform) * by_gain).reshape(np.shape(gains)))


class Plan(NamedTuple):
    """What an interval of a given width costs."""

    items: int
    labels: int


def items_for_width(
    *, agreement: float, half_width: float, labels_an_item: int, confidence: float = 0.95
) -> Plan:
    """Items so that percent agreement is known to +- ``half_width``: n = z^2 v / h^2.

    v is the variance of an item's share of agreeing pairs, at most that of one pair, A (1 - A), over
    floor(m / 2) pairs that share no label. ValueError for numbers outside their range.
    """
    if not 0 < agreement < 1 or not 0 < half_width < 1 or labels_an_item < 2:
        raise ValueError(
            f"Agreement and width lie between 0 and 1, labels an item are 2 or more; these are "
            f"{agreement}, {half_width}, {labels_an_item}."
        )
    spread = agreement * (1 - agreement) / (labels_an_item // 2)
    items = ceil(normal_quantile(confidence) ** 2 * spread / half_width**2)
    return Plan(items, items * labels_an_item)
