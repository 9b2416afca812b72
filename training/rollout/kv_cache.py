"""Keys and values of responses that are being sampled, in memory that is written in place.

transformers' own layers are laid out anew for every token, and again whenever rows leave. Here a
layer has room for some tokens more, a token is written where it belongs, and a row that leaves is
overwritten by one from the end of the batch. Layers with a sliding window or a recurrent state stay
transformers'.

Shapes: R rows, H key and value heads, S tokens held, D size of a head.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens that a layer grows by


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call] # transformers' own
    """A layer whose ``keys`` and ``values`` [R, H, S, D] are the filled part of larger ones."""

    keys: Tensor  # there once something is held
    values: Tensor
    _rooms: tuple[Tensor, Tensor] | None = None

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *_args: Any,  # Any: whatever a family passes to its cache
        **_kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Add tokens, and all that is held then."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        new = (key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._rooms is None or end > self._rooms[0].shape[-2]:
            self._rooms = self._larger(new, start, end)
        filled = [room[: len(key_states), :, :end] for room in self._rooms]
        for into, states in zip(filled, new, strict=True):
            into[:, :, start:] = states
        self.keys, self.values = filled
        return self.keys, self.values

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._rooms = None

    def join(self, others: Sequence["RoomyLayer"], *, unread: int) -> None:
        """Put their rows behind those here, whose first ``unread`` tokens are let go.

        Rows with fewer tokens are filled up on the left.
        """
        held = [(self.keys[:, :, unread:], self.values[:, :, unread:])]
        held += [(one.keys, one.values) for one in others]
        longest = max(keys.shape[-2] for keys, _ in held)
        self.keys, self.values = (
            torch.cat([functional.pad(one, (0, 0, longest - one.shape[-2], 0)) for one in states])
            for states in zip(*held, strict=True)
        )
        self._rooms = None

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order: those of ``closing_ranks``, of which few change their place."""
        if not self.get_seq_length():
            return
        count = len(indices)
        moved = (indices != torch.arange(count, device=indices.device)).nonzero()[:, 0]
        for held in (self.keys, self.values):
            held[moved] = held[indices[moved]]
        self.keys, self.values = self.keys[:count], self.values[:count]

    def _larger(self, new: tuple[Tensor, Tensor], start: int, end: int) -> tuple[Tensor, Tensor]:
        """Room for ``end`` tokens and some more, of the rows that are left, with what is held."""
        rooms = []
        for held, states in zip((self.keys, self.values), new, strict=True):
            rows, heads, _, size = states.shape
            room = states.new_empty(rows, heads, end + ROOM, size)
            if start:
                room[:, :, :start] = held
            rooms.append(room)
        return rooms[0], rooms[1]


def roomy_cache(config: Any) -> DynamicCache:  # Any: transformers' configs share no type
    """The cache of a model, with room in its layers of full attention."""
    cache = DynamicCache(config=config)
    cache.layers = [
        RoomyLayer() if type(one) is DynamicLayer else one  # type: ignore[no-untyped-call]
        for one in cache.layers
    ]
    return cache


def can_join(cache: DynamicCache) -> bool:
    """Whether every layer holds every token, so that rows of another cache can stand behind those here."""
    return all(isinstance(one, RoomyLayer) for one in cache.layers)


def join_rows(cache: DynamicCache, others: Sequence[DynamicCache], *, unread: int) -> None:
    """Put the rows of other caches behind those of this one; see ``RoomyLayer.join``."""
    for layer, *added in zip(cache.layers, *(one.layers for one in others), strict=True):
        layer.join(added, unread=unread)


def closing_ranks(stays_R: Tensor) -> Tensor:
    """Places of the rows that stay: each where it was, but the last ones in the places of those that leave."""
    stays = stays_R.nonzero()[:, 0]
    count = len(stays)
    order = torch.arange(count, device=stays.device)
    order[~stays_R[:count]] = stays[stays >= count]
    return order
