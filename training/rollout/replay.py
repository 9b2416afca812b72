"""Decoding on a GPU: the step of a model as a CUDA graph, replayed for every token.

`CONCORD_DECODING=graph` asks for it; `make test-gpu` says whether it may be trusted on a GPU.
A step of a small model is a thousand kernels of a few microseconds, and launching them one by one takes the
time. A graph launches them at once. Its shapes are fixed: finished rows stay in the batch (nobody reads them),
and the cache is as long from the start as prompt and response may become.

Shapes: R rows, A of them alive, S tokens of the longest prompt, L tokens of the cache, V vocabulary.
"""

import logging
import os
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.models.attention import PREFIX_TREE
from training.runtime.device import is_out_of_memory
from training.runtime.sharding import is_sharded

logger = logging.getLogger(__name__)


class Prefilled(Protocol):
    """A decoder whose rows have their prompts behind them: its cache has transformers' layers of keys and values."""

    model: Any  # Any: transformers' models share no typed call
    cache: Any  # Any: the same for caches
    device: torch.device
    mask_RS: Tensor
    next_place_R: Tensor
    logits_RV: Tensor


def is_replayable(model: Any) -> bool:  # Any: as above
    """Whether a step is to be captured, and can be: plain causal attention, whole, on CUDA."""
    if os.environ.get("CONCORD_DECODING", "steps") != "graph":
        return False
    device: torch.device = next(model.parameters()).device
    is_plain = model.config._attn_implementation == PREFIX_TREE  # noqa: SLF001 - where transformers keeps it
    return device.type == "cuda" and is_plain and not is_sharded(model)


class ReplayedDecoder:
    """As the decoder that it goes on from, with a graph for a step."""

    def __init__(self, before: Prefilled, *, max_tokens: int) -> None:
        self.device = before.device
        self.logits_RV = before.logits_RV
        rows, prompt = before.mask_RS.shape
        self._model: nn.Module = before.model
        self._alive_A = torch.arange(rows, device=self.device)
        self._ids_R1 = torch.zeros(rows, 1, dtype=torch.long, device=self.device)
        self._places_R1 = before.next_place_R[:, None].clone()
        self._end_1 = torch.tensor([prompt], device=self.device)
        self._mask_R11L = torch.zeros(
            rows, 1, 1, prompt + max_tokens, dtype=torch.bool, device=self.device
        )
        self._mask_R11L[:, 0, 0, :prompt] = before.mask_RS
        self._cache = _FixedCache(before.cache, max_tokens, self._end_1)
        self._step = _captured(self._forward) if self.device.type == "cuda" else self._forward

    def advance(self, tokens_A: Tensor, goes_on_A: Tensor) -> None:
        """Feed one token a row that goes on; the others are alive no more."""
        self._alive_A = self._alive_A[goes_on_A]
        self._ids_R1[self._alive_A, 0] = tokens_A[goes_on_A]
        self.logits_RV = self._step()[self._alive_A]
        self._end_1 += 1
        self._places_R1 += 1

    def _forward(self) -> Tensor:
        self._mask_R11L.index_fill_(3, self._end_1, True)
        logits: Tensor = self._model(
            input_ids=self._ids_R1,
            position_ids=self._places_R1,
            attention_mask=self._mask_R11L,
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        return logits


def replayed(before: Prefilled, *, max_tokens: int) -> Any:  # Any: one of two decoders
    """The decoder with a graph for a step; the one before where the model's step cannot be captured."""
    try:
        return ReplayedDecoder(before, max_tokens=max_tokens)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        logger.warning("sampler.not_captured", extra={"reason": str(error).splitlines()[0]})
        return before


class _Step:
    """A captured forward pass: each call replays it over what its buffers hold by then."""

    def __init__(self, graph: torch.cuda.CUDAGraph, made: Tensor) -> None:
        self._graph, self._made = graph, made

    def __call__(self) -> Tensor:
        self._graph.replay()
        return self._made


def _captured(forward: Any) -> _Step:  # Any: a bound method without arguments
    """Captured after a pass that lets libraries set themselves up; both write what the first replay writes."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch leaves it untyped
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        forward()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = forward()
    return _Step(graph, made)


class _FixedCache:
    """Keys and values [R, heads, L, size] a layer, written at one place for all rows."""

    def __init__(self, before: Any, max_tokens: int, end_1: Tensor) -> None:  # Any: as above
        self._end_1 = end_1
        self._layers = [
            tuple(_longer(one, max_tokens) for one in (layer.keys, layer.values))
            for layer in before.layers
        ]

    def update(
        self, key: Tensor, value: Tensor, layer: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """What transformers calls in each layer."""
        keys, values = self._layers[layer]
        keys.index_copy_(2, self._end_1, key)
        values.index_copy_(2, self._end_1, value)
        return keys, values

    def get_seq_length(self, *_: object) -> int:
        """Unused where places and mask are given; transformers may ask."""
        return int(self._layers[0][0].shape[2])


def _longer(states: Tensor, more: int) -> Tensor:
    room = states.new_zeros(*states.shape[:2], states.shape[2] + more, states.shape[3])
    room[:, :, : states.shape[2]] = states
    return room
