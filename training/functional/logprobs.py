"""Log-probabilities and entropy of given tokens, a tile of the lm-head at a time.

[R, V] logits are never whole in memory: a tile's are made, used, and made again for the gradient.

Shapes: R response tokens, D hidden size, V vocabulary.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

TILE = 256  # response tokens; 256 rows of a vocabulary of 50,000 are 51 MB in float32

Head = Callable[[Tensor], Tensor]


class TokenLogprobs(NamedTuple):
    """Log-probability of each token, and the entropy of the distribution it came from."""

    logprob_R: Tensor
    entropy_R: Tensor


def token_logprobs(
    hidden_RD: Tensor,
    targets_R: Tensor,
    head: Head,
    *,
    temperature: float = 1.0,
    tile: int = TILE,
) -> TokenLogprobs:
    """Log p(target) and H(p), where p = softmax(head(hidden) / temperature), in float32."""
    tiles = [
        _checkpointed(
            _chosen_and_entropy,
            hidden_RD[at : at + tile],
            targets_R[at : at + tile],
            head,
            temperature,
        )
        for at in range(0, len(targets_R), tile)
    ]
    if not tiles:
        return TokenLogprobs(hidden_RD.new_zeros(0), hidden_RD.new_zeros(0))
    return TokenLogprobs(*(torch.cat(parts) for parts in zip(*tiles, strict=True)))


def target_logprobs(
    hidden_RD: Tensor,
    targets_R: Tensor,
    head: Head,
    *,
    temperature: float = 1.0,
    tile: int = TILE,
) -> Tensor:
    """Log p(target) [R] alone, with the same bits: most losses need no entropy."""
    tiles = [
        _checkpointed(
            _chosen, hidden_RD[at : at + tile], targets_R[at : at + tile], head, temperature
        )
        for at in range(0, len(targets_R), tile)
    ]
    return torch.cat(tiles) if tiles else hidden_RD.new_zeros(0)


def _checkpointed(
    work: Callable[..., Any], hidden_RD: Tensor, *told: object
) -> Any:  # Any: a tile's
    if not (torch.is_grad_enabled() and hidden_RD.requires_grad):
        return work(hidden_RD, *told)
    return checkpoint(work, hidden_RD, *told, use_reentrant=False)


def _chosen(hidden_RD: Tensor, targets_R: Tensor, head: Head, temperature: float) -> Tensor:
    logprobs_RV = _logprobs(hidden_RD, head, temperature)
    return logprobs_RV.gather(-1, targets_R[:, None]).squeeze(-1)


def _chosen_and_entropy(
    hidden_RD: Tensor, targets_R: Tensor, head: Head, temperature: float
) -> tuple[Tensor, Tensor]:
    logprobs_RV = _logprobs(hidden_RD, head, temperature)
    logprob_R = logprobs_RV.gather(-1, targets_R[:, None]).squeeze(-1)
    return logprob_R, -(logprobs_RV.exp() * logprobs_RV).sum(-1)


def _logprobs(hidden_RD: Tensor, head: Head, temperature: float) -> Tensor:
    logits_RV = head(hidden_RD).float()
    if temperature != 1:
        logits_RV = logits_RV / temperature
    return torch.log_softmax(logits_RV, dim=-1)
