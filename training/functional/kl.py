"""Estimates of KL(policy || reference) from sampled tokens, and the controller of its price."""

import torch
from torch import Tensor

ADJUSTMENT = 0.2  # Ziegler et al. 2019: the error is clipped to this


def kl_estimates(logprobs: Tensor, reference_logprobs: Tensor, estimator: str) -> Tensor:
    """Per-token estimates on tokens that the policy drew (Schulman 2020, "Approximating KL").

    With d = log pi - log ref: k1 = d, unbiased; k2 = d^2 / 2, low variance; k3 = exp(-d) - 1 + d,
    unbiased and never negative.
    """
    difference = logprobs - reference_logprobs
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    if estimator == "k3":
        return torch.expm1(-difference) + difference
    raise ValueError(f"KL estimator {estimator!r} is not one of k1, k2, k3.")


def adapted_coefficient(
    beta: float, *, kl: float, target: float, horizon: float, responses: int
) -> float:
    """The next price of KL (Ziegler et al. 2019, section 2.2); a target of 0 keeps it.

    beta (1 + e responses / horizon), with e = clip(kl / target - 1, -0.2, 0.2).
    """
    if target == 0:
        return beta
    error = min(max(kl / target - 1, -ADJUSTMENT), ADJUSTMENT)
    return beta * (1 + error * responses / horizon)
