"""Maximum likelihood of concave models by Newton's method, for ranking and length control."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from annotation.measures.statistic import FloatArray

STEPS_MAX = 100
GRADIENT_MIN = 1e-10  # relative to the likelihood
ROUNDING = 1e-13  # relative to the likelihood: what the sum of its terms may be off
HALVINGS_MAX = 40
LOG_ODDS_MAX = 15.0  # three million to one


class Curvature(NamedTuple):
    """A log-likelihood with its gradient and Hessian at one point."""

    log_likelihood: float
    gradient: FloatArray
    hessian: FloatArray


class Maximum(NamedTuple):
    """Where a log-likelihood peaks; the covariance is the inverse of the information there."""

    parameters: FloatArray
    covariance: FloatArray
    log_likelihood: float

    def is_finite_at(self, place: int) -> bool:
        """False for a log odds so large that only separation explains it."""
        return bool(abs(self.parameters[place]) < LOG_ODDS_MAX)


def maximize(curvature: Callable[[FloatArray], Curvature], start: FloatArray) -> Maximum | None:
    """Climb with halved steps; None if there is no finite peak (separation, no information)."""
    at, here = start, curvature(start)
    for _ in range(STEPS_MAX):
        if np.abs(here.gradient).max(initial=0.0) <= GRADIENT_MIN * (1 + abs(here.log_likelihood)):
            return _peak(at, here)
        try:
            step = np.asarray(np.linalg.solve(-here.hessian, here.gradient), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        at, here = _climb(curvature, at, here, step)
    return None


def _climb(
    curvature: Callable[[FloatArray], Curvature], at: FloatArray, here: Curvature, step: FloatArray
) -> tuple[FloatArray, Curvature]:
    """A step that loses no likelihood; at the peak a good one may lose what rounding takes."""
    floor = here.log_likelihood - ROUNDING * (1 + abs(here.log_likelihood))
    for _ in range(HALVINGS_MAX):
        there = curvature(at + step)
        if there.log_likelihood >= floor:
            return at + step, there
        step = step / 2
    return at, here


def _peak(at: FloatArray, here: Curvature) -> Maximum | None:
    try:
        covariance = np.asarray(np.linalg.inv(-here.hessian), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return Maximum(at, covariance, here.log_likelihood)
