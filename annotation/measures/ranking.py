"""Strengths from paired verdicts: Bradley-Terry, and with ties Davidson or Rao-Kupper.

A tie is not half a win: counting it so shrinks strengths to two thirds of their size.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit, ndtri, xlogy

from annotation.measures.newton import Curvature, Maximum, maximize
from annotation.measures.statistic import FloatArray, IntArray, Interval, normal_interval

CLUSTERS_MIN = 5  # fewer say nothing of how much clusters differ


class TieModel(StrEnum):
    """How ties come about."""

    NONE = "bradley_terry"  # there are none
    DAVIDSON = "davidson"  # their odds follow the geometric mean of the strengths
    RAO_KUPPER = "rao_kupper"  # differences below a threshold are not seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairCounts:
    """One row an ordered pair: how often the candidate shown first won, tied, lost."""

    first: IntArray
    second: IntArray
    wins: FloatArray
    ties: FloatArray
    losses: FloatArray

    @classmethod
    def from_rows(cls, rows: npt.ArrayLike) -> "PairCounts":
        """Rows of first, second, wins, ties, losses."""
        table = np.asarray(rows, dtype=np.float64).reshape(-1, 5)
        return cls(
            first=table[:, 0].astype(np.int64),
            second=table[:, 1].astype(np.int64),
            wins=table[:, 2],
            ties=table[:, 3],
            losses=table[:, 4],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """Log strengths with their mean at zero, or the reason why there are none."""

    strengths: FloatArray | None
    covariance: FloatArray | None  # of the centered strengths
    position: float | None  # log odds that being shown first adds
    position_se: float | None
    tie_parameter: float | None  # Davidson's nu, Rao and Kupper's theta
    tie_parameter_log_se: float | None
    log_likelihood: float | None  # without the constant of the counts
    deviance: float | None  # twice what a free probability for each pair would gain
    reason: str | None

    def interval(self, candidate: int) -> Interval | None:
        """The 95 % interval of one centered strength."""
        if self.strengths is None or self.covariance is None:
            return None
        se = float(np.sqrt(self.covariance[candidate, candidate]))
        return normal_interval(float(self.strengths[candidate]), se=se)

    def rank_intervals(self, *, confidence: float = 0.95) -> list[tuple[int, int]]:
        """For each candidate the best and worst rank it may have (Mogstad et al. 2024, sec. 3.1).

        Candidate i is below j where the interval of their difference, widened for all pairs of i
        at once (Bonferroni), lies on one side of zero.
        """
        if self.strengths is None or self.covariance is None:
            return []
        spread = np.diag(self.covariance)
        se = np.sqrt(np.maximum(spread[:, None] + spread[None, :] - 2 * self.covariance, 0.0))
        gap = self.strengths[None, :] - self.strengths[:, None]  # j above i
        others = max(len(self.strengths) - 1, 1)
        half = float(ndtri(1 - (1 - confidence) / (2 * others))) * se
        better = ((gap - half > 0) & (se > 0)).sum(axis=1)
        worse = ((gap + half < 0) & (se > 0)).sum(axis=1)
        size = len(self.strengths)
        return [(1 + int(b), size - int(w)) for b, w in zip(better, worse, strict=True)]

    def contrast(self, candidate: int, against: int) -> tuple[float, float] | None:
        """The difference of two log strengths and its standard error."""
        if self.strengths is None or self.covariance is None:
            return None
        c = self.covariance
        spread = c[candidate, candidate] + c[against, against] - 2 * c[candidate, against]
        difference = float(self.strengths[candidate] - self.strengths[against])
        return difference, float(np.sqrt(max(spread, 0.0)))


def rank(
    counts: PairCounts,
    *,
    candidate_count: int,
    ties: TieModel = TieModel.DAVIDSON,
    with_position: bool = False,
    clusters: IntArray | None = None,
) -> Ranking:
    """Maximum likelihood strengths, from x = theta_i - theta_j (+ position).

    With ``clusters`` (a code a row: a labeler, a prompt) the covariance is the clustered sandwich
    H^-1 (sum_c s_c s_c') H^-1 C / (C - 1) of their scores s_c (Liang and Zeger 1986, Biometrika 73),
    which holds where verdicts of one cluster are alike; it takes five clusters.

    Bradley-Terry (1952): P(i) : P(j) = e^{x/2} : e^{-x/2}
    Davidson (1970, eq. 2.4): P(i) : P(tie) : P(j) = e^{x/2} : nu : e^{-x/2}
    Rao-Kupper (1967): P(i) = s(x - log theta), P(j) = s(-x - log theta), the tie takes the rest
    """
    reason = _refusal(counts, candidate_count, ties)
    if reason:
        return _nothing(reason)
    fit = _Fit(counts, candidate_count, ties, with_position=with_position)
    peak = maximize(fit.curvature, fit.start())
    if peak is None or (with_position and not peak.is_finite_at(candidate_count - 1)):
        return _nothing("The verdicts have no finite best fit: some effect separates them fully.")
    if clusters is not None:
        peak = fit.clustered(peak, np.asarray(clusters, dtype=np.int64))
    return fit.ranking(peak)


def _refusal(counts: PairCounts, size: int, ties: TieModel) -> str | None:
    """Ford (1957): strengths exist only if no group of candidates always beats another."""
    if ties is TieModel.NONE and counts.ties.any():
        return "Bradley-Terry takes no ties: choose Davidson, or leave the ties out."
    beats = counts.wins + counts.ties > 0
    beaten = counts.losses + counts.ties > 0
    rows = np.concatenate([counts.first[beats], counts.second[beaten]])
    columns = np.concatenate([counts.second[beats], counts.first[beaten]])
    graph = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    groups, _ = connected_components(graph, directed=False)
    if groups > 1:
        return (
            f"There are {groups} groups that were never compared with each other: ask for comparisons "
            "between them."
        )
    tiers, _ = connected_components(graph, directed=True, connection="strong")
    if tiers > 1:
        return (
            f"There are {tiers} groups of which one won or lost every comparison with the others, so "
            "nothing says yet by how much. Compare the groups with each other until each has won or "
            "tied once."
        )
    return None


def _nothing(reason: str) -> Ranking:
    return Ranking(
        strengths=None,
        covariance=None,
        position=None,
        position_se=None,
        tie_parameter=None,
        tie_parameter_log_se=None,
        log_likelihood=None,
        deviance=None,
        reason=reason,
    )


class _Slopes(NamedTuple):
    """A row's log-likelihood and its derivatives in x and the log tie parameter t."""

    value: FloatArray
    x: FloatArray
    t: FloatArray
    xx: FloatArray
    xt: FloatArray
    tt: FloatArray


class _Fit:
    """Parameters: strengths of candidates 1.. (0 is the reference), position, log tie parameter."""

    def __init__(
        self, counts: PairCounts, size: int, ties: TieModel, *, with_position: bool
    ) -> None:
        self.counts, self.size, self.ties = counts, size, ties
        self.with_position = with_position
        self.with_ties = ties is not TieModel.NONE and bool(counts.ties.any())
        self.design = self._design()

    def _design(self) -> csr_matrix:
        """Rows x parameters of x: 1 for the first, -1 for the second, 1 for the position."""
        rows = np.arange(len(self.counts.first))
        ones = np.ones(len(rows))
        signs = np.concatenate([ones, -ones, ones])
        places = [self.counts.first, self.counts.second, np.full(len(rows), self.size)]
        cells = (np.tile(rows, 3), np.concatenate(places))
        full = csr_matrix((signs, cells), shape=(len(rows), self.size + 1))
        return full[:, 1 : self.size + self.with_position]

    def start(self) -> FloatArray:
        start = np.zeros(self.design.shape[1] + self.with_ties)
        if self.ties is TieModel.RAO_KUPPER and self.with_ties:
            start[-1] = 0.5
        return start

    def curvature(self, parameters: FloatArray) -> Curvature:
        width = self.design.shape[1]
        slopes = self._slopes(self.design @ parameters[:width], parameters[width:].sum())
        gradient = np.append(self.design.T @ slopes.x, slopes.t.sum())
        hessian = np.empty((width + 1, width + 1))
        hessian[:width, :width] = (self.design.T @ diags(slopes.xx) @ self.design).toarray()
        hessian[:width, width] = hessian[width, :width] = self.design.T @ slopes.xt
        hessian[width, width] = slopes.tt.sum()
        kept = slice(width + self.with_ties)
        return Curvature(float(slopes.value.sum()), gradient[kept], hessian[kept, kept])

    def _slopes(self, x: FloatArray, t: float) -> _Slopes:
        if self.ties is TieModel.RAO_KUPPER and self.with_ties:
            return _rao_kupper(self.counts, x, t)
        return _davidson(self.counts, x, t if self.with_ties else -np.inf)

    def clustered(self, peak: Maximum, clusters: npt.NDArray[np.int64]) -> Maximum:
        """The same peak with the sandwich covariance; unchanged where clusters are too few."""
        met, codes = np.unique(clusters, return_inverse=True)
        if len(met) < CLUSTERS_MIN:
            return peak
        width = self.design.shape[1]
        slopes = self._slopes(self.design @ peak.parameters[:width], peak.parameters[width:].sum())
        rows = diags(slopes.x) @ self.design
        pick = csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))))
        scores = (pick @ rows).toarray()
        if self.with_ties:
            scores = np.column_stack([scores, pick @ slopes.t])
        meat = scores.T @ scores * len(met) / (len(met) - 1)
        return Maximum(
            peak.parameters, peak.covariance @ meat @ peak.covariance, peak.log_likelihood
        )

    def ranking(self, peak: Maximum) -> Ranking:
        others = self.size - 1
        place = others if self.with_position else None
        tie = len(peak.parameters) - 1 if self.with_ties else None
        center = np.eye(self.size) - 1 / self.size
        covariance = np.zeros((self.size, self.size))
        covariance[1:, 1:] = peak.covariance[:others, :others]
        strengths = np.concatenate([[0.0], peak.parameters[:others]])
        return Ranking(
            strengths=center @ strengths,
            covariance=center @ covariance @ center,
            position=None if place is None else float(peak.parameters[place]),
            position_se=None if place is None else float(np.sqrt(peak.covariance[place, place])),
            tie_parameter=None if tie is None else float(np.exp(peak.parameters[tie])),
            tie_parameter_log_se=None if tie is None else float(np.sqrt(peak.covariance[tie, tie])),
            log_likelihood=peak.log_likelihood,
            deviance=2 * (_saturated(self.counts) - peak.log_likelihood),
            reason=None,
        )


def _saturated(counts: PairCounts) -> float:
    """The log-likelihood with each pair's own shares as probabilities."""
    cells = np.stack([counts.wins, counts.ties, counts.losses])
    return float((xlogy(cells, cells) - xlogy(cells, cells.sum(axis=0))).sum())


def _davidson(counts: PairCounts, x: FloatArray, t: float) -> _Slopes:
    """Log P = (x/2, t, -x/2) - log(e^{x/2} + e^t + e^{-x/2}); Bradley-Terry at t = -inf."""
    total = counts.wins + counts.ties + counts.losses
    tie_logits = np.full_like(x, t)
    logits = np.stack([x / 2, tie_logits, -x / 2])
    norm = np.logaddexp.reduce(logits)
    win, tie, loss = np.exp(logits - norm)
    lead = win - loss
    tied = counts.ties * tie_logits if np.isfinite(t) else 0.0
    return _Slopes(
        value=(counts.wins - counts.losses) * x / 2 + tied - total * norm,
        x=(counts.wins - counts.losses) / 2 - total * lead / 2,
        t=counts.ties - total * tie,
        xx=-total * (win + loss - lead**2) / 4,
        xt=total * tie * lead / 2,
        tt=-total * tie * (1 - tie),
    )


def _rao_kupper(counts: PairCounts, x: FloatArray, t: float) -> _Slopes:
    """P(tie) = s(x + t) - s(x - t) = s(x + t) s(t - x) (1 - e^{-2t}), so the logs add up.

    The rest is logistic in u = x - t (i wins) and v = -x - t (j wins); as s(-u) = s(u) e^{-u},
    a tie adds log s(u) + log s(v) + 2 t + log(1 - e^{-2t}).
    """
    u, v = x - t, -x - t
    gap = -np.expm1(-2 * t) if t > 0 else np.nan
    upper, lower = counts.wins + counts.ties, counts.losses + counts.ties
    bend_u, bend_v = expit(u) * expit(-u), expit(v) * expit(-v)
    value = upper * log_expit(u) + lower * log_expit(v) + counts.ties * (np.log(gap) + 2 * t)
    fade = 2 * np.exp(-2 * t) / gap if t > 0 else np.nan
    slope_u, slope_v = upper * expit(-u), lower * expit(-v)
    return _Slopes(
        value=value,
        x=slope_u - slope_v,
        t=-slope_u - slope_v + counts.ties * (2 + fade),
        xx=-upper * bend_u - lower * bend_v,
        xt=upper * bend_u - lower * bend_v,
        tt=-upper * bend_u - lower * bend_v - counts.ties * fade * (2 + fade),
    )
