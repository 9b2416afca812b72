"""Comparing policies: a machine judge corrected by people, over-optimization, diversity."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import exp, log, log2
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.statistic import Statistic, missing, normal_interval

Ngrams = Counter[tuple[str, ...]]


class CorrectedRate(NamedTuple):
    """A win rate from few people and many machine verdicts."""

    statistic: Statistic
    judge_weight: float
    se: float


def prediction_powered_rate(
    people: npt.ArrayLike, judge_on_same: npt.ArrayLike, judge_on_rest: npt.ArrayLike
) -> CorrectedRate:
    """Lambda mean(f_rest) + mean(y - lambda f_same), PPI++ (Angelopoulos et al. 2023).

    lambda = cov(y, f) / ((1 + n / N) var f) trusts the judge as far as it follows people; the
    estimate is unbiased whatever the judge does.
    """
    y, f = np.asarray(people, dtype=float), np.asarray(judge_on_same, dtype=float)
    rest = np.asarray(judge_on_rest, dtype=float)
    n, more = y.size, rest.size
    if n < 2 or more < 2:
        few = f"It takes two verdicts of people and two more of the judge; there are {n}, {more}."
        return CorrectedRate(missing(few, n=n), 0.0, float("nan"))
    spread = float(np.concatenate([f, rest]).var())
    together = float(np.cov(y, f)[0, 1])
    weight = 0.0 if spread == 0 else together / ((1 + n / more) * spread)
    rate = weight * float(rest.mean()) + float((y - weight * f).mean())
    se = float(np.sqrt(weight**2 * rest.var() / more + (y - weight * f).var() / n))
    interval = normal_interval(rate, se=se).clipped(0.0, 1.0)
    return CorrectedRate(Statistic(value=rate, interval=interval, n=n), weight, se)


class Peak(NamedTuple):
    """Where the true reward turns down, with d = sqrt(KL)."""

    distance: float
    reward: float


def best_of_n_peak(a: float, b: float) -> Peak:
    """R = d (a - b d) peaks at d = a / 2b (Gao, Schulman and Hilton 2022)."""
    return Peak(a / (2 * b), a * a / (4 * b))


def policy_gradient_peak(a: float, b: float) -> Peak:
    """R = d (a - b log d) peaks at d = exp(a / b - 1), where R = b d (the same paper)."""
    distance = exp(a / b - 1)
    return Peak(distance, b * distance)


class OveroptimizationFit(NamedTuple):
    """R = d (a - b d) for best of n, d (a - b log d) for policy gradient; ``peak`` is None where b <= 0."""

    a: float
    b: float
    peak: Peak | None
    rmse: float


def overoptimization_fit(
    distance: npt.ArrayLike, reward: npt.ArrayLike, *, is_policy_gradient: bool
) -> OveroptimizationFit | None:
    """Least squares of R / d on d, or on log d, weighted by d^2 (Gao, Schulman and Hilton 2022, eq. 1).

    None below three points with a distance. Where b is not positive, nothing has turned down yet.
    """
    d, r = np.asarray(distance, dtype=float), np.asarray(reward, dtype=float)
    d, r = d[d > 0], r[d > 0]
    if len(np.unique(d)) < 3:
        return None
    bend = d * np.log(d) if is_policy_gradient else d * d
    (a, b), *_ = np.linalg.lstsq(np.column_stack([d, -bend]), r, rcond=None)
    rmse = float(np.sqrt(((r - a * d + b * bend) ** 2).mean()))
    peak_of = policy_gradient_peak if is_policy_gradient else best_of_n_peak
    peak = peak_of(float(a), float(b)) if b > 0 else None
    return OveroptimizationFit(float(a), float(b), peak, rmse)


def best_of_n_kl(n: int) -> float:
    """KL of the best of n samples from the policy: log n - (n - 1) / n (Stiennon et al. 2020)."""
    return log(n) - (n - 1) / n


def _ngrams(tokens: Sequence[str], size: int) -> Ngrams:
    return Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def distinct(texts: Iterable[str], *, size: int) -> float | None:
    """Different n-grams over all n-grams of the texts together (Li et al. 2016)."""
    seen: Ngrams = Counter()
    for text in texts:
        seen += _ngrams(text.split(), size)
    return len(seen) / seen.total() if seen else None


def unigram_entropy(texts: Iterable[str]) -> float | None:
    """Bits a token, from the token frequencies of the texts together."""
    seen = Counter(token for text in texts for token in text.split())
    total = seen.total()
    return -sum(n / total * log2(n / total) for n in seen.values()) if seen else None


def self_bleu(texts: Sequence[str], *, size: int = 4) -> float | None:
    """Mean BLEU of each text against the others (Zhu et al. 2018); high is monotonous.

    Precisions without a match count 0.1 matches (smoothing 1 of Chen and Cherry 2014).
    """
    tokens = [text.split() for text in texts]
    if len(tokens) < 2 or not all(tokens):
        return None
    scores = [_bleu(own, tokens[:i] + tokens[i + 1 :], size) for i, own in enumerate(tokens)]
    return sum(scores) / len(scores)


def _bleu(own: Sequence[str], others: Sequence[Sequence[str]], size: int) -> float:
    """Papineni et al. (2002): geometric mean of clipped precisions, times the brevity penalty."""
    logs = 0.0
    for n in range(1, size + 1):
        grams = _ngrams(own, n)
        ceiling: Ngrams = Counter()
        for other in others:
            ceiling |= _ngrams(other, n)
        matches = (grams & ceiling).total()
        if n == 1 and matches == 0:
            return 0.0
        logs += log((matches or 0.1) / max(grams.total(), 1)) / size
    closest = min((abs(len(other) - len(own)), len(other)) for other in others)[1]
    penalty = 1.0 if len(own) > closest else exp(1 - closest / len(own))
    return penalty * exp(logs)
