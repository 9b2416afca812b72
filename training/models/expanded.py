"""Keys and values as attention takes them, without keeping them so for the backward pass.

A piece of a row attends to the keys of several pieces, with a copy for every query head of a group.
Autograd would keep all these copies; the pieces that they are made of are kept anyway, and the copies
made again when they are needed. The numbers are the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers.integrations.sdpa_attention import repeat_kv


class Expanded(saved_tensors_hooks):
    """Around a call of attention: what it is given through here, the call keeps as parts.

    ``repeats`` is how many query heads share a head of keys and values.
    """

    def __init__(self, repeats: int) -> None:
        super().__init__(self._pack, self._unpack)
        self._repeats = repeats
        self._parts: dict[int, list[Tensor]] = {}

    def __call__(self, parts: Sequence[Tensor]) -> Tensor:
        """The parts [1, heads, L, d] end to end, for every query head [1, heads * repeats, sum L, d]."""
        made = self._made(parts)
        self._parts[id(made)] = [part.detach() for part in parts]
        return made

    def _made(self, parts: Sequence[Tensor]) -> Tensor:
        whole = torch.cat(list(parts), dim=2) if len(parts) > 1 else parts[0]
        repeated: Tensor = repeat_kv(whole, self._repeats)
        return repeated

    def _pack(self, saved: Tensor) -> Tensor | list[Tensor]:
        return self._parts.get(id(saved), saved)

    def _unpack(self, kept: Tensor | list[Tensor]) -> Tensor:
        return kept if isinstance(kept, Tensor) else self._made(kept)
