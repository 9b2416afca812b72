"""The last layer only where somebody reads it: a reward at last tokens, log-probs at response tokens.

Below the last layer every token is needed, as a key and a value of others. In it, queries, the
projection after attention and the feed-forward block serve their own token alone: they are computed
at the places that are read, and everywhere else the layer adds nothing.

Shapes: T tokens of a row, N places that are read, D hidden size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

FAMILIES = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gpt2"}  # whose blocks add to a residual
PARTS = ("self_attn.q_proj", "self_attn.o_proj", "attn.c_proj", "mlp")


@contextmanager
def last_layer_at(backbone: Any, places_N: Tensor) -> Iterator[None]:
    """Inside, hidden states [1, T, D] are right at these places only.

    ``backbone`` is a transformers model (Any: their classes share no typed layers). Families that are
    not known to allow it compute everything.
    """
    hooks = [
        hook for part in _parts(backbone) for hook in _Gathered(torch.unique(places_N)).hooked(part)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _parts(backbone: Any) -> list[nn.Module]:  # Any: as above
    layers = getattr(backbone, "layers", None) or getattr(backbone, "h", None)
    if backbone.config.model_type not in FAMILIES or not layers:
        return []
    if any(type(one).__name__ == "Params4bit" for one in layers[-1].parameters()):
        return []  # bitsandbytes has no gradient for a single row
    last = dict(layers[-1].named_modules())
    return [last[name] for name in PARTS if name in last]


class _Gathered:
    """A module that sees the rows of some places, and whose output is 0 at the others."""

    def __init__(self, places_N: Tensor) -> None:
        self._places_N = places_N
        self._tokens = 0

    def hooked(self, module: nn.Module) -> Iterator[Any]:  # Any: torch's handles
        yield module.register_forward_pre_hook(self._gather)
        yield module.register_forward_hook(self._scatter)

    def _gather(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self._tokens = inputs[0].shape[1]
        return (inputs[0][:, self._places_N], *inputs[1:])

    def _scatter(self, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        everywhere = output.new_zeros(output.shape[0], self._tokens, output.shape[2])
        return everywhere.index_copy(1, self._places_N, output)
