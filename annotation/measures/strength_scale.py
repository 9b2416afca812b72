"""Strengths from graded verdicts: the adjacent-category model, with covariates such as position, length and style."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from annotation.measures.newton import Curvature, maximize
from annotation.measures.statistic import FloatArray, Interval, normal_interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrengthScale:
    """Centered log strengths for one step of the scale; effects follow the covariates' columns."""

    strengths: FloatArray
    covariance: FloatArray
    effects: FloatArray
    effects_se: FloatArray
    steps: FloatArray  # how much each distance from the middle is used: log weights, tie = 0
    log_likelihood: float

    def effect_interval(self, at: int) -> Interval:
        return normal_interval(float(self.effects[at]), se=float(self.effects_se[at]))


def strength_scale(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    grades: npt.ArrayLike,
    *,
    candidate_count: int,
    top: int,
    covariates: npt.ArrayLike | None = None,
) -> StrengthScale | None:
    """Grades from -top (second much better) to top; None where no finite fit exists.

    log P(g) = g x / 2 + tau_|g| + const, x = theta_i - theta_j + covariates b: the odds of
    neighboring grades follow the difference (Agresti 1992, Appl. Stat. 41, eq. 3). With top = 1 it
    is Davidson's model, tau_1 = -log nu.
    """
    i, j = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    g = np.asarray(grades, dtype=np.int64)
    extra = np.zeros((len(g), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    design = np.zeros((len(g), candidate_count))
    design[np.arange(len(g)), i] += 1
    design[np.arange(len(g)), j] -= 1
    design = np.column_stack([design[:, 1:], extra])
    if np.linalg.matrix_rank(design.T @ design) < design.shape[1]:
        return None  # what cannot be told apart has no effect of its own
    scale = np.arange(-top, top + 1)
    steps = (np.abs(scale)[:, None] == np.arange(1, top + 1)[None, :]).astype(np.float64)

    def curvature(parameters: FloatArray) -> Curvature:
        return _curvature(parameters, design, g, scale, steps)

    peak = maximize(curvature, np.zeros(design.shape[1] + top))
    if peak is None or not all(peak.is_finite_at(at) for at in range(len(peak.parameters))):
        return None
    others, width = candidate_count - 1, design.shape[1]
    center = np.eye(candidate_count) - 1 / candidate_count
    covariance = np.zeros((candidate_count, candidate_count))
    covariance[1:, 1:] = peak.covariance[:others, :others]
    return StrengthScale(
        strengths=center @ np.concatenate([[0.0], peak.parameters[:others]]),
        covariance=center @ covariance @ center,
        effects=peak.parameters[others:width],
        effects_se=np.sqrt(np.diag(peak.covariance)[others:width]),
        steps=peak.parameters[width:],
        log_likelihood=peak.log_likelihood,
    )


def _curvature(
    parameters: FloatArray,
    design: FloatArray,
    grades: npt.NDArray[np.int64],
    scale: npt.NDArray[np.int64],
    steps: FloatArray,
) -> Curvature:
    """An exponential family: its gradient is observed less expected, its Hessian minus a covariance."""
    width, top = design.shape[1], steps.shape[1]
    x = design @ parameters[:width]
    logits = x[:, None] * scale / 2 + steps @ parameters[width:]
    norm = logsumexp(logits, axis=1)
    shares = np.exp(logits - norm[:, None])
    place = grades + top
    value = float((logits[np.arange(len(x)), place] - norm).sum())
    mean_grade, mean_step = shares @ scale / 2, shares @ steps
    gradient = np.concatenate(
        [design.T @ (grades / 2 - mean_grade), (steps[place] - mean_step).sum(axis=0)]
    )
    spread = shares @ (scale / 2) ** 2 - mean_grade**2
    mixed = (shares * (scale / 2)) @ steps - mean_grade[:, None] * mean_step
    hessian = np.empty((width + top, width + top))
    hessian[:width, :width] = -design.T @ (spread[:, None] * design)
    hessian[:width, width:] = -design.T @ mixed
    hessian[width:, :width] = hessian[:width, width:].T
    together = np.einsum("nk,ka,kb->ab", shares, steps, steps) - mean_step.T @ mean_step
    hessian[width:, width:] = -together
    return Curvature(value, gradient, hessian)
