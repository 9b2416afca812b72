"""Sampling responses: the protocol every sampler keeps, and the local one on a transformers model.

What a sampler does to be fast and repeatable:

1. Prompts are sorted by length, and a prompt is prefilled once for its n samples, beside prompts about
   as long: little of it is padding.
2. A row that ends leaves the batch, its cache with it; nobody waits for the longest. Keys and values
   are written in place (``kv_cache``).
3. Every row draws from its own stream, named by seed, prompt, occurrence and sample number: a
   response does not depend on which rows happen to share its batch.
4. The log-prob is gathered as the token is drawn: of the tempered distribution, before top-p cuts
   it (that is the policy which PPO improves). Temperature 0 is greedy, its log-probs untempered.

Shapes: B prompts of a batch, R rows (prompt times sample), S prompt tokens, T response tokens,
V vocabulary, K kept candidates of the nucleus.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from training.data.chat import Limits, encode_prompt
from training.data.tokens import pad_rows
from training.rollout.kv_cache import closing_ranks, join_rows, roomy_cache, roomy_layers
from training.runtime.sharding import whole_layers
from training.spec.errors import Diverged
from training.spec.records import Turn

SHORTEST = 0.75  # of the longest prompt beside which one is prefilled
NUCLEUS = 256  # candidates looked at first for top-p; more only where their mass falls short

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

    def sample(
        self,
        prompts: Sequence[Sequence[Turn]],
        *,
        n: int,
        temperature: float,
        top_p: float,
        max_tokens: int,
        seed: int,
        on_progress: Progress | None = None,
    ) -> list[list[Sample]]:
        limits = self.limits(max_tokens)
        encoded = [
            encode_prompt(self.tokenizer, one, max_tokens=limits.prompt).ids for one in prompts
        ]
        knobs = Knobs(n, temperature, top_p, limits.response, seed)
        return self.sample_tokens(encoded, knobs, on_progress=on_progress)

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
        """As ``sample``, for prompts that are token ids already."""
        streams = [random_streams(knobs, one) for one in numbered(prompts)]
        samples: list[list[Sample]] = [[] for _ in prompts]
        done = 0
        for places in batches_by_length(prompts, max(1, self.rows // knobs.n)):
            uniforms = torch.cat([streams[place] for place in places])
            drawn = self._draw([prompts[place] for place in places], uniforms, knobs)
            for row, one in enumerate(drawn):
                samples[places[row // knobs.n]].append(self._sample_of(one))
            done += len(drawn)
            if on_progress:
                on_progress(done, len(prompts) * knobs.n)
        return samples

    def _draw(
        self, prompts: Sequence[Sequence[int]], uniforms_RT: Tensor, knobs: Knobs
    ) -> list[Drawn]:
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                return draw_batch(self.model, prompts, uniforms_RT, knobs, self.end_ids)
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


def batches_by_length(prompts: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Places of prompts, ``size`` a batch; the longest first: too little memory shows at once."""
    places = sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), place))
    for start in range(0, len(places), size):
        yield places[start : start + size]


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


def draw_batch(
    model: Any,  # Any: as in LocalSampler
    prompts: Sequence[Sequence[int]],
    uniforms_RT: Tensor,
    knobs: Knobs,
    end_ids: Sequence[int],
) -> list[Drawn]:
    """The responses of one batch: prefill, then token by token while a row is alive."""
    rows = _Rows(len(prompts) * knobs.n)
    decoder = _Decoder(model, prompts, n=knobs.n)
    ends = torch.tensor(end_ids, device=decoder.device)
    uniforms_RT = uniforms_RT.to(decoder.device)
    alive_R = torch.arange(rows.count, device=decoder.device)
    for step in range(knobs.max_tokens):
        picked = pick_tokens(
            decoder.logits_RV,
            uniforms_RT[alive_R, step],
            temperature=knobs.temperature,
            top_p=knobs.top_p,
        )
        goes_on_R = ~torch.isin(picked.tokens_R, ends)
        rows.write(alive_R, picked, ended_R=~goes_on_R)
        if step + 1 == knobs.max_tokens or not bool(goes_on_R.any()):
            break
        stays_R = closing_ranks(
            goes_on_R.cpu()
        )  # once for all layers, which would wait for it each
        alive_R = alive_R[stays_R]
        decoder.advance(picked.tokens_R[stays_R], stays_R)
    return rows.drawn()


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


class _Decoder:
    """A model in mid-response: its cache, its mask, and the logits of the next token."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], *, n: int) -> None:
        self.model = model  # Any: as in LocalSampler
        self.device: torch.device = next(model.parameters()).device
        self.cache = roomy_cache(model.config)
        if len(roomy_layers(self.cache)) == len(self.cache.layers):
            logits_BV = self._prefilled_in_parts(prompts)
        else:
            logits_BV = self._prefilled(prompts)
        mask_BS = pad_rows(prompts, pad_id=0, left=True).mask_BS.to(self.device)
        self.cache.batch_repeat_interleave(n)
        self.mask_RS = mask_BS.repeat_interleave(n, dim=0)
        self.next_place_R = mask_BS.sum(-1).repeat_interleave(n)
        self.logits_RV = logits_BV.repeat_interleave(n, dim=0)

    def _prefilled_in_parts(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """As `_prefilled`, each part in a cache of its own, whose rows then join."""
        whole, logits = self.cache, []
        for part in alike_in_length(prompts):
            self.cache = roomy_cache(self.model.config)
            logits.append(self._prefilled(part))
            join_rows(whole, self.cache)
        self.cache = whole
        return torch.cat(logits)

    def _prefilled(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """The logits [B, V] behind these prompts, which the cache then holds."""
        padded = pad_rows(prompts, pad_id=0, left=True)
        mask_BS = padded.mask_BS.to(self.device)
        places_BS = (mask_BS.cumsum(-1) - 1).clamp(min=0)
        return self._forward(padded.ids_BS.to(self.device), places_BS, mask_BS)

    def advance(self, tokens_R: Tensor, stays_R: Tensor) -> None:
        """Feed one token to each row that stays (its place in the batch); the others leave first."""
        if len(stays_R) < len(self.mask_RS):
            self.cache.batch_select_indices(stays_R)
            self.mask_RS, self.next_place_R = self.mask_RS[stays_R], self.next_place_R[stays_R]
        ones_R1 = self.mask_RS.new_ones(len(tokens_R), 1)
        self.mask_RS = torch.cat([self.mask_RS, ones_R1], dim=1)
        self.logits_RV = self._forward(tokens_R[:, None], self.next_place_R[:, None], self.mask_RS)
        self.next_place_R = self.next_place_R + 1

    def _forward(self, ids: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        outputs = self.model(
            input_ids=ids,
            position_ids=places,
            attention_mask=mask.long(),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = outputs.logits[:, -1]
        return logits


class _Rows:
    """What was drawn so far, written by row number however many rows are still alive."""

    def __init__(self, count: int) -> None:
        self.count = count
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

    def drawn(self) -> list[Drawn]:
        columns = zip(self.tokens, self.logprobs, self.finished, strict=True)
        return [Drawn(tuple(ids), tuple(logprobs), done) for ids, logprobs, done in columns]
