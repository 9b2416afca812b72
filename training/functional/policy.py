"""The two clipped losses of PPO (Schulman et al. 2017, eq. 7 and 9), with what they tell.

Both are sums over the given tokens divided by ``count``, the number of tokens in the whole
minibatch: a minibatch may be forwarded in parts.

Shapes: R response tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from training.functional.kl import kl_estimates


class PolicyLoss(NamedTuple):
    """The loss; the share of tokens whose ratio was clipped; KL(old || new), as k3; mean ratio."""

    loss: Tensor
    clip_fraction: Tensor
    approximate_kl: Tensor
    ratio: Tensor


class ValueLoss(NamedTuple):
    """The loss, and the share of tokens where clipping made it larger."""

    loss: Tensor
    clip_fraction: Tensor


def clipped_policy_loss(
    logprobs_R: Tensor,
    old_logprobs_R: Tensor,
    advantages_R: Tensor,
    *,
    clip_range: float,
    count: float,
) -> PolicyLoss:
    """-min(ratio A, clip(ratio, 1 - eps, 1 + eps) A): the pessimistic of the two."""
    ratio_R = (logprobs_R - old_logprobs_R).exp()
    plain_R = -ratio_R * advantages_R
    clipped_R = -ratio_R.clamp(1 - clip_range, 1 + clip_range) * advantages_R
    moved_R = kl_estimates(old_logprobs_R, logprobs_R.detach(), "k3")
    return PolicyLoss(
        loss=torch.maximum(plain_R, clipped_R).sum() / count,
        clip_fraction=(clipped_R > plain_R).sum() / count,
        approximate_kl=moved_R.sum() / count,
        ratio=ratio_R.detach().sum() / count,
    )


def clipped_value_loss(
    values_R: Tensor,
    old_values_R: Tensor,
    returns_R: Tensor,
    *,
    clip_range: float,
    count: float,
) -> ValueLoss:
    """Half the squared error, the larger of the plain value's and the clipped value's."""
    kept_R = old_values_R + (values_R - old_values_R).clamp(-clip_range, clip_range)
    plain_R = (values_R - returns_R).square()
    clipped_R = (kept_R - returns_R).square()
    return ValueLoss(
        loss=0.5 * torch.maximum(plain_R, clipped_R).sum() / count,
        clip_fraction=(clipped_R > plain_R).sum() / count,
    )
