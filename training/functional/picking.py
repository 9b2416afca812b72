"""The next token of each row from its logits, by inverting the distribution at a given uniform number.

Shapes: R rows, V vocabulary, K kept candidates of the nucleus (top-p; Holtzman et al. 2020).
"""

from typing import NamedTuple

import torch
from torch import Tensor

NUCLEUS = 256  # candidates looked at first for top-p; more only where their mass falls short


class Picked(NamedTuple):
    """One token a row and its log-prob."""

    tokens_R: Tensor
    logprobs_R: Tensor


def pick_tokens(
    logits_RV: Tensor, uniform_R: Tensor, *, temperature: float, top_p: float
) -> Picked:
    """One token a row by inverting the distribution at ``uniform_R``; greedy at temperature 0."""
    logits_RV = logits_RV.float()
    if temperature > 0:
        logits_RV = logits_RV / temperature
    norm_R = logits_RV.logsumexp(-1)
    if temperature == 0:
        tokens_R = logits_RV.argmax(-1)
    elif top_p < 1:
        tokens_R = _from_nucleus(logits_RV, norm_R, uniform_R, top_p)
    else:
        tokens_R = _invert((logits_RV - norm_R[:, None]).exp(), uniform_R)
    return Picked(tokens_R, logits_RV.gather(1, tokens_R[:, None])[:, 0] - norm_R)


def _invert(probs_RV: Tensor, uniform_R: Tensor) -> Tensor:
    """The first place whose cumulated mass exceeds the uniform number: never one without mass."""
    mass_RV = probs_RV.cumsum(-1)
    target_R1 = (uniform_R * mass_RV[:, -1])[:, None]
    return torch.searchsorted(mass_RV, target_R1, right=True)[:, 0].clamp(max=probs_RV.shape[1] - 1)


def _from_nucleus(logits_RV: Tensor, norm_R: Tensor, uniform_R: Tensor, top_p: float) -> Tensor:
    """The smallest set of likeliest tokens whose mass reaches ``top_p``, sampled in proportion."""
    top = _likeliest(logits_RV, norm_R, min(NUCLEUS, logits_RV.shape[1]))
    if bool((top.before_RK[:, -1] < top_p).any()):
        top = _likeliest(logits_RV, norm_R, logits_RV.shape[1])
    place_R = _invert(top.probs_RK.where(top.before_RK < top_p, 0.0), uniform_R)
    return top.tokens_RK.gather(1, place_R[:, None])[:, 0]


class _Likeliest(NamedTuple):
    """The K likeliest tokens, their mass, and the mass before each."""

    tokens_RK: Tensor
    probs_RK: Tensor
    before_RK: Tensor


def _likeliest(logits_RV: Tensor, norm_R: Tensor, size: int) -> _Likeliest:
    values_RK, tokens_RK = logits_RV.topk(size)
    probs_RK = (values_RK - norm_R[:, None]).exp()
    return _Likeliest(tokens_RK, probs_RK, probs_RK.cumsum(-1) - probs_RK)
