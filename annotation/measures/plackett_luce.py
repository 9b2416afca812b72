"""Strengths from rankings of several candidates: Plackett-Luce."""

import numpy as np
import numpy.typing as npt

from annotation.measures.newton import Curvature, maximize
from annotation.measures.statistic import FloatArray


def plackett_luce(
    rankings: list[list[int]], *, candidate_count: int
) -> tuple[FloatArray, FloatArray] | None:
    """Centered log strengths and their covariance; None where no finite fit exists.

    P(r) = prod_k e^{theta_{r_k}} / sum_{l >= k} e^{theta_{r_l}} (Plackett 1975, Appl. Stat. 24;
    Luce 1959): at each step the best of those that remain is chosen.
    """
    stages = [
        np.asarray(ranking[at:], dtype=np.int64)
        for ranking in rankings
        for at in range(len(ranking) - 1)
    ]

    def curvature(parameters: FloatArray) -> Curvature:
        theta = np.concatenate([[0.0], parameters])
        return _curvature(stages, theta)

    peak = maximize(curvature, np.zeros(candidate_count - 1))
    if peak is None or not all(peak.is_finite_at(at) for at in range(candidate_count - 1)):
        return None
    center = np.eye(candidate_count) - 1 / candidate_count
    covariance = np.zeros((candidate_count, candidate_count))
    covariance[1:, 1:] = peak.covariance
    strengths = center @ np.concatenate([[0.0], peak.parameters])
    return strengths, center @ covariance @ center


def _curvature(stages: list[npt.NDArray[np.int64]], theta: FloatArray) -> Curvature:
    size = len(theta)
    value, gradient, hessian = 0.0, np.zeros(size), np.zeros((size, size))
    for remaining in stages:
        logits = theta[remaining]
        top = logits.max()
        weights = np.exp(logits - top)
        total = weights.sum()
        shares = weights / total
        value += float(logits[0] - top - np.log(total))
        gradient[remaining[0]] += 1
        gradient[remaining] -= shares
        hessian[np.ix_(remaining, remaining)] -= np.diag(shares) - np.outer(shares, shares)
    return Curvature(value, gradient[1:], hessian[1:, 1:])
