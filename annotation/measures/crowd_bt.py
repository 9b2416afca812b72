"""Strengths and labelers together: Crowd-BT, where each labeler reports the better response with their own chance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from annotation.measures.statistic import FloatArray

RIDGE = 0.1  # of strengths: the virtual node of the paper, as a normal prior
PRIOR_RIGHT, PRIOR_WRONG = 10.0, 1.0  # Beta prior of a labeler's reliability (their sec. 5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrowdBradleyTerry:
    """Centered log strengths, and the chance that each labeler reports what they see."""

    strengths: FloatArray
    reliability: FloatArray
    log_posterior: float


def crowd_bradley_terry(
    labelers: npt.ArrayLike,
    winners: npt.ArrayLike,
    losers: npt.ArrayLike,
    *,
    candidate_count: int,
    labeler_count: int,
) -> CrowdBradleyTerry:
    """P(i over j by g) = eta_g s(x) + (1 - eta_g) s(-x) (Chen et al. 2013, WSDM, eq. 4).

    The maximum of the posterior by L-BFGS with exact gradients; eta has a Beta prior, strengths a
    normal one, so that it exists for any data.
    """
    who = np.asarray(labelers, dtype=np.int64)
    won, lost = np.asarray(winners, dtype=np.int64), np.asarray(losers, dtype=np.int64)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        theta, rho = parameters[:candidate_count], parameters[candidate_count:]
        eta, x = expit(rho)[who], theta[won] - theta[lost]
        chance = eta * expit(x) + (1 - eta) * expit(-x)
        pull = (2 * eta - 1) * expit(x) * expit(-x) / chance
        trust = (2 * expit(x) - 1) * eta * (1 - eta) / chance
        gained = np.bincount(won, weights=pull, minlength=candidate_count)
        by_theta = (
            gained - np.bincount(lost, weights=pull, minlength=candidate_count) - RIDGE * theta
        )
        earned = np.bincount(who, weights=trust, minlength=labeler_count)
        by_rho = earned + PRIOR_RIGHT * expit(-rho) - PRIOR_WRONG * expit(rho)
        prior = PRIOR_RIGHT * log_expit(rho) + PRIOR_WRONG * log_expit(-rho)
        value = np.log(chance).sum() + prior.sum() - RIDGE * (theta**2).sum() / 2
        return -float(value), -np.concatenate([by_theta, by_rho])

    start = np.concatenate([np.zeros(candidate_count), np.full(labeler_count, 2.0)])
    from scipy.optimize import minimize  # here: the web process need not hold it

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    theta = found.x[:candidate_count]
    return CrowdBradleyTerry(
        strengths=theta - theta.mean(),
        reliability=np.asarray(expit(found.x[candidate_count:])),
        log_posterior=-float(found.fun),
    )
