"""Strengths from rankings of several candidates: Plackett-Luce."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags

from annotation.measures.newton import Curvature, maximize
from annotation.measures.ranking import CLUSTERS_MIN
from annotation.measures.statistic import FloatArray, IntArray


class Choices(NamedTuple):
    """One row a choice of the best among those that remain."""

    chosen: IntArray  # the candidate
    remaining: csr_matrix  # choices x candidates: how many of each remain, the chosen one included

    @classmethod
    def of(cls, chosen: npt.ArrayLike, rows: IntArray, members: IntArray, size: int) -> "Choices":
        """From the members of each choice beside its row; a candidate may stand twice in a row."""
        best = np.asarray(chosen, dtype=np.int64)
        shape = (len(best), size)
        return cls(best, csr_matrix((np.ones(len(members)), (rows, members)), shape=shape))


def plackett_luce(
    rankings: Sequence[Sequence[int]], *, candidate_count: int
) -> tuple[FloatArray, FloatArray] | None:
    """Strengths and covariance from whole rankings without ties, as `plackett_luce_of_choices` has them."""
    stages = [ranking[at:] for ranking in rankings for at in range(len(ranking) - 1)]
    rows = np.repeat(np.arange(len(stages)), [len(stage) for stage in stages])
    members = np.array([one for stage in stages for one in stage], dtype=np.int64)
    choices = Choices.of([stage[0] for stage in stages], rows, members, candidate_count)
    return plackett_luce_of_choices(choices)


def plackett_luce_of_choices(
    choices: Choices, *, clusters: IntArray | None = None
) -> tuple[FloatArray, FloatArray] | None:
    """Centered log strengths and their covariance; None where no finite fit exists.

    P(r) = prod_k e^{theta_{r_k}} / sum_{l >= k} e^{theta_{r_l}} (Plackett 1975, Appl. Stat. 24;
    Luce 1959): at each step the best of those that remain is chosen. With ``clusters`` (a code a
    choice: a labeler) the covariance is the clustered sandwich, as in `ranking.rank`.
    """
    size = choices.remaining.shape[1]

    def curvature(parameters: FloatArray) -> Curvature:
        return _curvature(choices, np.concatenate([[0.0], parameters]))

    peak = maximize(curvature, np.zeros(size - 1))
    if peak is None or not all(peak.is_finite_at(at) for at in range(size - 1)):
        return None
    inner = peak.covariance
    if clusters is not None:
        inner = _clustered(choices, peak.parameters, inner, clusters)
    center = np.eye(size) - 1 / size
    covariance = np.zeros((size, size))
    covariance[1:, 1:] = inner
    strengths = center @ np.concatenate([[0.0], peak.parameters])
    return strengths, center @ covariance @ center


def _shares(choices: Choices, theta: FloatArray) -> tuple[csr_matrix, FloatArray]:
    """The chance that each choice falls on each candidate, and the log of its denominator."""
    top = theta.max()
    weights = choices.remaining @ diags(np.exp(theta - top))
    total = np.asarray(weights.sum(axis=1)).ravel()
    return diags(1 / total) @ weights, top + np.log(total)


def _curvature(choices: Choices, theta: FloatArray) -> Curvature:
    shares, norms = _shares(choices, theta)
    expected = np.asarray(shares.sum(axis=0)).ravel()
    gradient = np.bincount(choices.chosen, minlength=len(theta)) - expected
    hessian = (shares.T @ shares).toarray() - np.diag(expected)
    value = float((theta[choices.chosen] - norms).sum())
    return Curvature(value, gradient[1:], hessian[1:, 1:])


def _clustered(
    choices: Choices, parameters: FloatArray, covariance: FloatArray, clusters: IntArray
) -> FloatArray:
    """H^-1 (sum_c s_c s_c') H^-1 C / (C - 1) (Liang and Zeger 1986); unchanged where clusters are too few."""
    met, codes = np.unique(clusters, return_inverse=True)
    if len(met) < CLUSTERS_MIN:
        return covariance
    rows = np.arange(len(codes))
    shares, _ = _shares(choices, np.concatenate([[0.0], parameters]))
    took = csr_matrix((np.ones(len(codes)), (rows, choices.chosen)), shape=shares.shape)
    pick = csr_matrix((np.ones(len(codes)), (codes.ravel(), rows)), shape=(len(met), len(codes)))
    scores = (pick @ (took - shares)).toarray()[:, 1:]
    meat = scores.T @ scores * len(met) / (len(met) - 1)
    return np.asarray(covariance @ meat @ covariance)
