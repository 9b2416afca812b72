"""Sampling responses: the protocol every sampler keeps, and the local one on a transformers model.

What a sampler does to be fast and repeatable:

1. Prompts are sorted by length, and a prompt is prefilled once for its n samples, beside prompts about
   as long: little of it is padding.
2. A row that ends leaves the batch, its cache with it, and further prompts take the room (continuous
   batching, Yu et al. 2022, "Orca"); nobody waits for the longest. Keys and values are written in place
   (``kv_cache``).
3. Every row draws from its own stream, named by seed, prompt, occurrence and sample number: a
   response does not depend on which rows happen to share its batch.
4. The log-prob is gathered as the token is drawn: of the tempered distribution, before top-p cuts
   it (that is the policy which PPO improves). Temperature 0 is greedy, its log-probs untempered.

Shapes: B prompts that come in together, R rows (prompt times sample) that are alive, N all rows, S tokens
of prompt and response so far, T response tokens, V vocabulary.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from training.data.chat import Limits
from training.data.tokens import pad_rows
from training.functional.picking import Picked, pick_tokens
from training.rollout.kv_cache import can_join, closing_ranks, join_rows, roomy_cache
from training.runtime.sharding import whole_layers
from training.spec.errors import Diverged

SHORTEST = 0.75  # of the longest prompt beside which one is prefilled
REFILL = 0.25  # of the rows are free before further prompts come in: each time, all that is held is copied

Progress = Callable[[int, int], None]  # responses done, responses wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One response. ``token_ids`` holds the end token if there was one: then it is ``finished``.

    ``logprobs`` is () where the sampler tells none.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool


class Knobs(NamedTuple):
    """How to draw: samples a prompt, temperature, nucleus, most tokens, seed."""

    n: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int


class TokenSampler(Protocol):
    """What learning from rollouts needs: responses of the policy as it is, to prompts of token ids."""

    tokenizer: Any  # Any: transformers' tokenizers share no typed call

    def following(self, update: int) -> AbstractContextManager[None]:
        """Inside, responses are those of the policy at this update."""
        ...

    def sample_tokens(
        self,
        prompts: Sequence[Sequence[int]],
        knobs: Knobs,
        *,
        on_progress: Progress | None = None,
    ) -> list[list[Sample]]: ...


class Drawn(NamedTuple):
    """The tokens of one row, with their log-probs, and whether an end token closed it."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool


class LocalSampler:
    """A transformers causal language model as a sampler.

    ``model`` and ``tokenizer`` are transformers' (Any: their classes have no common typed call).
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, rows: int = 96, max_prompt_tokens: int = 1024
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.rows = rows
        self.max_prompt_tokens = max_prompt_tokens
        self.end_ids = end_token_ids(model, tokenizer)

    def following(self, update: int) -> AbstractContextManager[None]:  # noqa: ARG002 - TokenSampler
        """The model is the policy itself; where its layers are sharded, they are whole inside."""
        return whole_layers(self.model)

    def sample_tokens(
        self,
        prompts: Sequence[Sequence[int]],
        knobs: Knobs,
        *,
        on_progress: Progress | None = None,
    ) -> list[list[Sample]]:
        """``n`` samples of each prompt, in the order of the prompts."""
        answered = dict(self.sampled(prompts, knobs, on_progress=on_progress))
        return [answered[place] for place in range(len(prompts))]

    @torch.inference_mode()
    def sampled(
        self,
        prompts: Sequence[Sequence[int]],
        knobs: Knobs,
        *,
        on_progress: Progress | None = None,
    ) -> Iterator[tuple[int, list[Sample]]]:
        """The place of each prompt with its ``n`` samples, as soon as the last of them ends."""
        if not prompts:  # of several processes one may have none
            return
        drawing = _Drawing(self.model, prompts, knobs, self.end_ids, most=self.rows)
        was_training = self.model.training
        self.model.eval()
        try:
            for places in drawing.steps():
                if on_progress:
                    on_progress(drawing.done, len(prompts) * knobs.n)
                for place in places:
                    rows = range(place * knobs.n, (place + 1) * knobs.n)
                    yield place, [self._sample_of(drawing.rows.drawn(row)) for row in rows]
        finally:
            self.model.train(was_training)

    def _sample_of(self, drawn: Drawn) -> Sample:
        ids = drawn.token_ids[:-1] if drawn.finished else drawn.token_ids
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return Sample(text=text, **drawn._asdict())

    def limits(self, max_tokens: int) -> Limits:
        """Of a model with few positions a prompt keeps a quarter, and the response is that much shorter."""
        room: int | None = getattr(self.model.config, "max_position_embeddings", None)
        if room is None:
            return Limits(self.max_prompt_tokens, max_tokens)
        prompt = min(self.max_prompt_tokens, max(room - max_tokens, room // 4))
        return Limits(prompt, min(max_tokens, room - prompt))


def end_token_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:  # Any: as in LocalSampler
    """Every id that ends a response: the model's (often several) and the tokenizer's."""
    told = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = told if isinstance(told, (list, tuple)) else [told]
    ids = {*several, tokenizer.eos_token_id} - {None}
    return tuple(sorted(int(one) for one in ids))


def numbered(prompts: Sequence[Sequence[int]]) -> Iterator[tuple[bytes, int]]:
    """A digest of every prompt, and how often it came before (equal prompts draw apart)."""
    seen: Counter[bytes] = Counter()
    for prompt in prompts:
        digest = hashlib.blake2b(
            np.asarray(prompt, dtype=np.int64).tobytes(), digest_size=8
        ).digest()
        yield digest, seen[digest]
        seen[digest] += 1


def random_streams(knobs: Knobs, prompt: tuple[bytes, int]) -> Tensor:
    """Uniform numbers [n, T] in [0, 1) for the samples of one prompt."""
    digest, occurrence = prompt
    name = int.from_bytes(digest, "big")
    rows = [
        np.random.default_rng([knobs.seed, name, occurrence, number]).random(
            knobs.max_tokens, dtype=np.float32
        )
        for number in range(knobs.n)
    ]
    return torch.from_numpy(np.stack(rows))


def longest_first(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Places of prompts: too little memory shows at once, and who comes in later fits beside who is there."""
    return sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), place))


def alike_in_length(prompts: Sequence[Sequence[int]]) -> list[Sequence[Sequence[int]]]:
    """The prompts in parts, in their order: none much shorter than the first of its part.

    Of sorted ones a part is padded to no more than 4/3 of its tokens, and there are few parts.
    """
    parts: list[list[Sequence[int]]] = []
    for one in prompts:
        longest = len(parts[-1][0]) if parts else 0
        if SHORTEST * longest <= len(one) <= longest:
            parts[-1].append(one)
        else:
            parts.append([one])
    return list(parts)


class _Drawing:
    """Responses in the making: which rows are alive, how far each is, which prompts wait."""

    def __init__(
        self,
        model: Any,  # Any: as in LocalSampler
        prompts: Sequence[Sequence[int]],
        knobs: Knobs,
        end_ids: Sequence[int],
        *,
        most: int,
    ) -> None:
        """``most`` rows at a time, or those of one prompt where it has more."""
        self._model, self._prompts, self._knobs = model, prompts, knobs
        self._device: torch.device = next(model.parameters()).device
        self._joins = can_join(roomy_cache(model.config))
        self._most = max(1, most // knobs.n)  # prompts
        self._ends = torch.tensor(end_ids, device=self._device)
        streams = [random_streams(knobs, one) for one in numbered(prompts)]
        self._uniforms_NT = torch.cat(streams).to(self._device)
        self._waiting = deque(longest_first(prompts))
        self._alive_R = self._step_R = torch.empty(0, dtype=torch.long, device=self._device)
        self._held: _Held | None = None
        self._open = Counter(dict.fromkeys(range(len(prompts)), knobs.n))  # rows of each prompt
        self.rows = _Rows(len(prompts) * knobs.n)
        self.done = 0  # rows

    def steps(self) -> Iterator[list[int]]:
        """Token by token while a row is alive or a prompt waits; whenever rows end, whose last ones these were."""
        while held := self._joined(self._coming()):
            tokens_R, goes_on_R = self._draw(held.logits_RV)
            ended = self._alive_R[~goes_on_R].tolist()
            self._held = self._advanced(held, tokens_R, goes_on_R)
            self.done += len(ended)
            if ended:
                yield self._closed(ended)

    def _closed(self, ended: Sequence[int]) -> list[int]:
        """The prompts none of whose rows is open when these end."""
        places = [row // self._knobs.n for row in ended]
        self._open.subtract(places)
        return [place for place in dict.fromkeys(places) if not self._open[place]]

    def _coming(self) -> list[int]:
        """The prompts that there is room for now; none while few rows are free, or they cannot join those here."""
        room = self._most - -(-len(self._alive_R) // self._knobs.n)
        if self._held and not (self._joins and room >= REFILL * self._most):
            return []
        return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]

    def _joined(self, places: Sequence[int]) -> "_Held | None":
        """The rows that are there, and those of the prompts at these places behind them; None where there are none."""
        if not places:
            return self._held
        prompts = [self._prompts[place] for place in places]
        parts = alike_in_length(prompts) if self._joins else [prompts]
        held = [self._held] if self._held else []
        held += [_prefilled(self._model, one, n=self._knobs.n) for one in parts]
        firsts = torch.tensor(places, device=self._device) * self._knobs.n
        new_R = (firsts[:, None] + torch.arange(self._knobs.n, device=self._device)).flatten()
        self._alive_R = torch.cat([self._alive_R, new_R])
        self._step_R = torch.cat([self._step_R, torch.zeros_like(new_R)])
        return held[0].joined_by(held[1:]) if held[1:] else held[0]

    def _draw(self, logits_RV: Tensor) -> tuple[Tensor, Tensor]:
        """The next token of each row, written down, and which rows go on."""
        picked = pick_tokens(
            logits_RV,
            self._uniforms_NT[self._alive_R, self._step_R],
            temperature=self._knobs.temperature,
            top_p=self._knobs.top_p,
        )
        ended_R = torch.isin(picked.tokens_R, self._ends)
        self.rows.write(self._alive_R, picked, ended_R=ended_R)
        return picked.tokens_R, ~ended_R & (self._step_R + 1 < self._knobs.max_tokens)

    def _advanced(self, held: "_Held", tokens_R: Tensor, goes_on_R: Tensor) -> "_Held | None":
        """The rows that go on, their token read; None where none does."""
        stays_R = closing_ranks(goes_on_R.cpu())  # once: each layer would wait for it
        self._alive_R, self._step_R = self._alive_R[stays_R], self._step_R[stays_R] + 1
        if not len(stays_R):
            return None
        return held.advanced(self._model, tokens_R[stays_R], stays_R)


class _Held(NamedTuple):
    """Rows in mid-response: their cache, which tokens of it are theirs, where the next goes, and its logits."""

    cache: DynamicCache
    mask_RS: Tensor
    next_place_R: Tensor
    logits_RV: Tensor

    def joined_by(self, others: Sequence["_Held"]) -> "_Held":
        """With their rows behind; what only rows that have left read is let go."""
        unread = int((~self.mask_RS.any(0)).long().cumprod(0).sum())
        join_rows(self.cache, [one.cache for one in others], unread=unread)
        masks = [self.mask_RS[:, unread:], *(one.mask_RS for one in others)]
        longest = max(one.shape[1] for one in masks)
        mask_RS = torch.cat([pad(one, (longest - one.shape[1], 0)) for one in masks])
        places, logits = zip(
            *((one.next_place_R, one.logits_RV) for one in (self, *others)), strict=True
        )
        return _Held(self.cache, mask_RS, torch.cat(places), torch.cat(logits))

    def advanced(
        self, model: Any, tokens_R: Tensor, stays_R: Tensor
    ) -> "_Held":  # Any: as in LocalSampler
        """One token fed to each row that stays (its place in the batch); the others leave first."""
        mask_RS, places_R = self.mask_RS, self.next_place_R
        if len(stays_R) < len(mask_RS):
            self.cache.batch_select_indices(stays_R)
            mask_RS, places_R = mask_RS[stays_R], places_R[stays_R]
        mask_RS = pad(mask_RS, (0, 1), value=True)
        logits_RV = _forward(model, tokens_R[:, None], places_R[:, None], mask_RS, self.cache)
        return _Held(self.cache, mask_RS, places_R + 1, logits_RV)


def _prefilled(
    model: Any, prompts: Sequence[Sequence[int]], *, n: int
) -> _Held:  # Any: as in LocalSampler
    """Each prompt read once, then n rows of it."""
    padded = pad_rows(prompts, pad_id=0, left=True)
    device = next(model.parameters()).device
    mask_BS = padded.mask_BS.to(device)
    places_BS = (mask_BS.cumsum(-1) - 1).clamp(min=0)
    cache = roomy_cache(model.config)
    logits_BV = _forward(model, padded.ids_BS.to(device), places_BS, mask_BS, cache)
    cache.batch_repeat_interleave(n)
    each = (mask_BS, mask_BS.sum(-1), logits_BV)
    return _Held(cache, *(one.repeat_interleave(n, dim=0) for one in each))


def _forward(
    model: Any,  # Any: as in LocalSampler
    ids: Tensor,
    places: Tensor,
    mask: Tensor,
    cache: DynamicCache,
) -> Tensor:
    """The logits behind these tokens, which the cache then holds."""
    outputs = model(
        input_ids=ids,
        position_ids=places,
        attention_mask=mask.long(),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: Tensor = outputs.logits[:, -1]
    return logits


class _Rows:
    """What was drawn so far, written by row number however many rows are still alive."""

    def __init__(self, count: int) -> None:
        self.tokens: list[list[int]] = [[] for _ in range(count)]
        self.logprobs: list[list[float]] = [[] for _ in range(count)]
        self.finished = [False] * count

    def write(self, alive_R: Tensor, picked: Picked, *, ended_R: Tensor) -> None:
        if not bool(picked.logprobs_R.isfinite().all()):
            raise Diverged(
                "The model gave a log-probability that is not finite; its weights may be damaged."
            )
        columns = (alive_R, picked.tokens_R, picked.logprobs_R, ended_R)
        for row, token, logprob, ended in zip(*(one.tolist() for one in columns), strict=True):
            self.tokens[row].append(token)
            self.logprobs[row].append(logprob)
            self.finished[row] = ended

    def drawn(self, row: int) -> Drawn:
        return Drawn(tuple(self.tokens[row]), tuple(self.logprobs[row]), self.finished[row])
