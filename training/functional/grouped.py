"""Advantages and loss of algorithms that compare a response with the others to its prompt.

Shapes: K responses to one prompt, R response tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from training.functional.kl import kl_estimates

EPSILON = 1e-4  # beside a deviation of 0: a prompt whose responses score alike teaches nothing


def against_the_others(rewards_K: Tensor) -> Tensor:
    """Each reward minus the mean of the others (RLOO: Ahmadian et al. 2024, eq. 6); 0 alone."""
    others = max(1, len(rewards_K) - 1)
    return (rewards_K - rewards_K.mean()) * len(rewards_K) / others


def against_the_group(rewards_K: Tensor, *, is_scaled: bool) -> Tensor:
    """Each reward minus the mean of all, over their deviation if ``is_scaled``; 0 alone.

    Scaled: GRPO (Shao et al. 2024, sec. 4.1.2). Not scaled: Dr. GRPO (Liu et al. 2025).
    """
    centered_K = rewards_K - rewards_K.mean()
    if not is_scaled or len(rewards_K) < 2:
        return centered_K
    return centered_K / (rewards_K.std() + EPSILON)


class GroupedLoss(NamedTuple):
    """The loss; the share of tokens clipped; KL(old || new) and KL to the reference a token; the mean ratio."""

    loss: Tensor
    clip_fraction: Tensor
    approximate_kl: Tensor
    reference_kl: Tensor
    ratio: Tensor


def grouped_policy_loss(  # noqa: PLR0913 - the terms of one formula
    logprobs_R: Tensor,
    old_logprobs_R: Tensor,
    reference_logprobs_R: Tensor,
    advantages_R: Tensor,
    *,
    weight_R: Tensor,
    clip: tuple[float, float],
    beta: float,
    count: float,
) -> GroupedLoss:
    """Sum of weight (-min(ratio A, clip(ratio, 1 - low, 1 + high) A) + beta KL) (Shao et al. 2024, eq. 3).

    ``weight_R`` says how tokens make a mean: 1 / (responses times length) in GRPO, 1 / (responses
    times the longest allowed) in Dr. GRPO. KL to the reference is k3 (eq. 4), with a gradient. What
    is told beside the loss are sums over the tokens divided by ``count``, those of the minibatch.
    """
    low, high = clip
    ratio_R = (logprobs_R - old_logprobs_R).exp()
    plain_R = -ratio_R * advantages_R
    clipped_R = -ratio_R.clamp(1 - low, 1 + high) * advantages_R
    kl_R = kl_estimates(logprobs_R, reference_logprobs_R, "k3")
    moved_R = kl_estimates(old_logprobs_R, logprobs_R.detach(), "k3")
    return GroupedLoss(
        loss=(weight_R * (torch.maximum(plain_R, clipped_R) + beta * kl_R)).sum(),
        clip_fraction=(clipped_R > plain_R).sum() / count,
        approximate_kl=moved_R.sum() / count,
        reference_kl=kl_R.detach().sum() / count,
        ratio=ratio_R.detach().sum() / count,
    )
