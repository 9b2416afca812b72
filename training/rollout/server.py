"""Responses from an inference server: vLLM, or another with OpenAI's completions API and vLLM's adapters.

1. Prompts go as token ids (`POST {url}/completions`), so that no second chat template is in play.
2. Before each update the policy's LoRA adapter is written into the run's folder and loaded
   (`POST {url}/load_lora_adapter`), then the one before is unloaded: the server follows the policy.
3. Responses come back as token ids where the server tells them (vLLM: `return_token_ids`), else
   their text is encoded anew. Log-probs are asked for at temperature 1 alone, to be compared: a server tells
   those before the temperature. What is learned from are those of the training forward.
4. Every request has a seed of its own, named by the run's seed, the prompt and its occurrence.
5. Before a process first samples, a probe finds a server of another model, or one that heeds no adapter (`probing`).
"""

import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from training.data.chat import encode_response
from training.models.load import LoadedModel
from training.models.lora import ADAPTER_FILE, Adapter
from training.rollout.probing import Probe, gap, refuse_another, upset
from training.rollout.sampler import (
    Knobs,
    LocalSampler,
    Progress,
    Sample,
    TokenSampler,
    end_token_ids,
    numbered,
)
from training.runtime.distributed import rank, wait_for_all
from training.runtime.run import Run
from training.spec.errors import SamplerFailed
from training.spec.layout import ADAPTERS_DIR
from training.spec.rollouts import SAMPLER_KEY, RolloutSpec

TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LONGEST_REASON = 300


def sampler_of(
    run: Run, policy: LoadedModel, spec: RolloutSpec, prompts: Sequence[Sequence[int]]
) -> TokenSampler:
    """The server that the spec names, probed with some of these prompts, or the policy itself."""
    if not spec.sampler_url:
        return LocalSampler(policy.model, policy.tokenizer, rows=spec.rows_at_once)
    probe = Probe.of(prompts, spec, run.reporter.log)
    return ServerSampler(spec.sampler_url, policy, run.folder, heed=run.heed, probe=probe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How hard to press the server."""

    concurrency: int = 32
    attempts: int = 5
    first_wait: float = 1.0  # seconds, doubled each time
    timeout: float = 600.0  # seconds for one prompt's responses


class ServerSampler:
    """Asks the server at ``url`` (with /v1 at its end) for responses of the policy as it is now."""

    def __init__(
        self,
        url: str,
        policy: LoadedModel,
        folder: Path,
        *,
        heed: Callable[[], None],
        manners: Manners | None = None,
        probe: Probe | None = None,
    ) -> None:
        """``folder`` is the run's, which the server sees too; ``heed`` raises when the run shall stop.

        With a ``probe`` it is asked first whether it computes what the policy does.
        """
        self.tokenizer = policy.tokenizer
        self._policy, self._folder, self._heed = policy, folder.resolve(), heed
        self._manners = manners or Manners()
        key = os.environ.get(SAMPLER_KEY, "")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.Client  # while it follows
        self._ends = end_token_ids(policy.model, policy.tokenizer)
        self._serving = ""  # the adapter that the server answers with
        self._probe = probe  # None once it was answered

    @contextmanager
    def following(self, update: int) -> Iterator[None]:
        """Inside, the server answers with the policy as it is at this update.

        Raises SamplerFailed where it cannot, or (at first, with a probe) where it computes something else.
        """
        with httpx.Client(
            base_url=self._url, timeout=self._manners.timeout, headers=self._headers
        ) as self._client:
            if self._probe is None:
                self._follow(str(update))
            else:
                self._follow_probed(str(update), self._probe)
            yield

    def _follow_probed(self, update: str, probe: Probe) -> None:
        """As `_follow`, once `probing` finds that the server follows there and back."""
        policy, knobs = self._policy, probe.knobs
        with upset(policy):
            self._follow("probe")
            answers = self.sample_tokens(probe.prompts, knobs)
            with_it = gap(policy, probe, answers)
        without_it = gap(policy, probe, answers)
        self._follow(update)
        own_gap = gap(policy, probe, self.sample_tokens(probe.prompts, knobs))
        gaps = {"own_gap": own_gap, "with_it": with_it, "without_it": without_it}
        refuse_another(self._url, policy, probe, **gaps)
        self._probe = None

    def _follow(self, update: str) -> None:
        """Load the policy's adapter as it is now in place of the last one."""
        place = self._folder / ADAPTERS_DIR / update
        adapter = Adapter(self._policy.model)
        if rank() == 0:
            shutil.rmtree(place.parent, ignore_errors=True)
            adapter.save(place)
        wait_for_all()
        name = self._name_of(place)
        if rank() == 0:
            self._load(name, place)
        wait_for_all()
        self._serving = name

    def _name_of(self, place: Path) -> str:
        """The adapter's name on the server: no other folder and no other weights have it.

        vLLM keeps what it computed of a prompt by the adapter's name and place alone, also once it was unloaded: a
        run that was begun anew in its folder would sample from what the one before had learned.
        """
        digest = hashlib.blake2b(bytes(self._folder), digest_size=8)
        digest.update((place / ADAPTER_FILE).read_bytes())
        return f"{self._folder.name}-{digest.hexdigest()}-{place.name}"

    def _load(self, name: str, place: Path) -> None:
        body = {"lora_name": name, "lora_path": str(place)}
        response = self._post("load_lora_adapter", body)
        if response.status_code == httpx.codes.BAD_REQUEST:  # of that name already: a resumed run
            self._post("unload_lora_adapter", {"lora_name": name})
            response = self._post("load_lora_adapter", body)
        if response.status_code == httpx.codes.NOT_FOUND and name not in response.text:
            raise SamplerFailed(
                f"The server at {self._url} loads no adapters. Start vLLM with --enable-lora "
                "and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, then resume."
            )
        self._refuse(response, f"load the adapter in {place} (it must see that folder)")
        if self._serving:  # the server may have dropped it by itself: its answer does not matter
            with suppress(httpx.TransportError):
                self._client.post("unload_lora_adapter", json={"lora_name": self._serving})

    def sample_tokens(
        self,
        prompts: Sequence[Sequence[int]],
        knobs: Knobs,
        *,
        on_progress: Progress | None = None,
    ) -> list[list[Sample]]:
        """Every prompt's samples in the order of the prompts, some prompts at a time."""
        asks = list(zip(prompts, numbered(prompts), strict=True))
        samples = []
        with ThreadPoolExecutor(self._manners.concurrency, thread_name_prefix="sample") as threads:
            for made in threads.map(partial(self._answer, knobs), asks):
                samples.append(made)
                if on_progress:
                    on_progress(len(samples) * knobs.n, len(prompts) * knobs.n)
        return samples

    def _answer(self, knobs: Knobs, ask: tuple[Sequence[int], tuple[bytes, int]]) -> list[Sample]:
        prompt, name = ask
        body = {
            "model": self._serving,
            "prompt": list(prompt),
            "n": knobs.n,
            "temperature": knobs.temperature,
            "top_p": knobs.top_p,
            "top_k": -1,  # what the model's generation config asks for would be taken otherwise
            "repetition_penalty": 1.0,
            "max_tokens": knobs.max_tokens,
            "seed": _seed(knobs.seed, name),
            "stop_token_ids": list(self._ends),
            "return_token_ids": True,
        }
        if knobs.temperature == 1:
            body["logprobs"] = 0  # of the drawn token alone
        response = self._post("completions", body)
        self._refuse(response, "answer a prompt")
        try:
            choices = sorted(response.json()["choices"], key=lambda one: one.get("index", 0))
            samples = [self._sample_of(one, knobs) for one in choices]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SamplerFailed(
                f"The server's answer is not one of the completions API ({error!r})."
            ) from error
        if len(samples) != knobs.n:
            raise SamplerFailed(f"The server gave {len(samples)} responses instead of {knobs.n}.")
        return samples

    def _sample_of(self, choice: dict[str, Any], knobs: Knobs) -> Sample:  # Any: JSON
        """One response; its end token is put in where the server leaves it out."""
        finished, text = choice["finish_reason"] == "stop", str(choice["text"])
        told = choice.get("token_ids")
        if told is None:
            encoded = encode_response(self.tokenizer, text, max_tokens=10**9).ids[:-1]
            ids = encoded[: knobs.max_tokens - finished]
        else:
            ids = tuple(int(one) for one in told)
            ids = ids[:-1] if finished and ids and ids[-1] in self._ends else ids
        end = told[-1] if told and told[-1] in self._ends else self.tokenizer.eos_token_id
        ids = (*ids, end) if finished or not ids else ids
        logprobs = _logprobs(choice, len(ids), is_told=told is not None)
        return Sample(text=text, token_ids=ids, logprobs=logprobs, finished=finished)

    def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:  # Any: JSON
        """The answer; a server that is busy or away is asked again, later each time."""
        said = ""
        for attempt in range(self._manners.attempts):
            self._heed()
            if attempt:
                time.sleep(self._manners.first_wait * 2 ** (attempt - 1))
            try:
                response = self._client.post(path, json=body)
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
                continue
            if response.status_code not in TRY_AGAIN:
                return response
            said = f"{response.status_code} {response.text[:LONGEST_REASON]}"
        raise SamplerFailed(
            f"The server at {self._url} did not answer {path} in "
            f"{self._manners.attempts} tries ({said}). Look after it, then resume."
        )

    def _refuse(self, response: httpx.Response, what: str) -> None:
        if not response.is_success:  # a redirect is followed nowhere
            raise SamplerFailed(
                f"The server at {self._url} did not {what}: {response.status_code} "
                f"{response.text[:LONGEST_REASON]}"
            )


def _logprobs(
    choice: dict[str, Any], tokens: int, *, is_told: bool
) -> tuple[float, ...]:  # Any: JSON
    """What the server says of its own tokens, NaN of an end token that it left out; () where it says nothing."""
    found = ((choice.get("logprobs") or {}).get("token_logprobs") or []) if is_told else []
    numbers = [math.nan if one is None else float(one) for one in found]
    if not numbers or not 0 <= tokens - len(numbers) <= 1:
        return ()
    return (*numbers, *[math.nan] * (tokens - len(numbers)))


def _seed(seed: int, prompt: tuple[bytes, int]) -> int:
    """A number below 2^31 for every seed, prompt and occurrence."""
    digest, occurrence = prompt
    name = f"{seed}/{occurrence}/".encode() + digest
    return int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "big") >> 1
