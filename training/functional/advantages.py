"""Advantages from rewards and values, on padded responses whose masks are True at real tokens.

Shapes: N responses, T response tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Advantages(NamedTuple):
    """How much better than expected each token was, and what the value should have said."""

    advantages_NT: Tensor
    returns_NT: Tensor


def generalized_advantages(
    rewards_NT: Tensor, values_NT: Tensor, mask_NT: Tensor, *, gamma: float, lam: float
) -> Advantages:
    """GAE (Schulman et al. 2016, eq. 16); after the last real token there is nothing to come.

    delta_t = r_t + gamma V_{t+1} - V_t, and A_t = sum over s >= t of (gamma lam)^(s - t) delta_s:
    one product with a triangular matrix instead of a loop over tokens.
    """
    values_NT = values_NT.where(mask_NT, 0.0)
    next_NT = torch.cat([values_NT[:, 1:], values_NT.new_zeros(len(values_NT), 1)], dim=1)
    delta_NT = (rewards_NT + gamma * next_NT - values_NT).where(mask_NT, 0.0)
    advantages_NT = delta_NT @ _decay(delta_NT.shape[1], gamma * lam).to(delta_NT)
    advantages_NT = advantages_NT.where(mask_NT, 0.0)
    return Advantages(advantages_NT, (advantages_NT + values_NT).where(mask_NT, 0.0))


def _decay(length: int, factor: float) -> Tensor:
    """[s, t] -> factor^(s - t) where s >= t, else 0."""
    place = torch.arange(length, dtype=torch.float64)
    apart = place[:, None] - place[None, :]
    return torch.pow(torch.tensor(factor, dtype=torch.float64), apart.clamp(min=0)).tril()


def whiten(values: Tensor, mask: Tensor, *, epsilon: float = 1e-8) -> Tensor:
    """Mean 0 and variance 1 over the real entries only; 0 elsewhere."""
    real = values[mask]
    if real.numel() < 2:
        return torch.zeros_like(values)
    whitened = (values - real.mean()) * torch.rsqrt(real.var(correction=0) + epsilon)
    return whitened.where(mask, 0.0)


def explained_variance(values: Tensor, returns: Tensor) -> Tensor:
    """1 - Var(returns - values) / Var(returns): 1 is perfect, 0 no better than a constant."""
    spread = returns.var(correction=0)
    left = (returns - values).var(correction=0)
    return torch.where(spread > 0, 1 - left / spread, torch.zeros_like(spread))


def shaped_rewards(scores_N: Tensor, kl_NT: Tensor, mask_NT: Tensor, *, beta: float) -> Tensor:
    """-beta KL at every token, and the score on the last real one (Ouyang et al. 2022, eq. 2)."""
    last_N = mask_NT.sum(-1, keepdim=True) - 1
    return (-beta * kl_NT.where(mask_NT, 0.0)).scatter_add(1, last_N, scores_N[:, None])
