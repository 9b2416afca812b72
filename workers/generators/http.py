"""Any server that speaks the OpenAI chat API: vLLM, `transformers serve`, a provider.

What a server does wrong is expected: 429 and 5xx are asked again (as late as Retry-After says), answers are read up to
a size and checked field by field, and a prompt that keeps failing is given back with the reason; the others go on.

A server that is sent more than its model reads refuses it as a rule. One that cuts it (Ollama) says so by the tokens
that it read alone: fewer than the prompt has words are not all of them.
"""

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from annotation.registry.locations import check_key_variable
from workers.generators.base import Ask, GeneratorFailed, Outcome, Sampled, SamplingSettings

LARGEST_ANSWER = 16 * 1024 * 1024  # bytes
LONGEST_REASON = 300
SEEDS_A_PROMPT = 64  # so that the requests of one seed never meet those of the next
LOOK_EVERY = 0.5  # seconds between two calls of `check`
TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
REFUSED = {
    401: "The server refused the key. Mend the worker's variable {key}, then resume.",
    403: "The server forbids this key or model. Mend the worker's variable {key}, then resume.",
    404: "The server knows no such model or address ({url}). Register it under its right name.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How hard to press a server. ``per_second`` 0 means without limit."""

    concurrency: int = 8
    per_second: float = 0.0
    timeout_seconds: float = 120.0
    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    failures_in_a_row: int = 20  # then the server is taken as down


class Unsuitable(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """This answer is of no use, and asking again would bring no other."""


class Passing(Exception):  # noqa: N818
    """This answer is of no use, but a later one may be."""

    retry_after = 0.0


class HttpGenerator:
    """Asks ``model`` at the base address ``url`` (with /v1 at its end)."""

    def __init__(
        self, url: str, *, model: str, key_variable: str = "", manners: Manners | None = None
    ) -> None:
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model = model
        self._key_variable = key_variable
        self._manners = manners or Manners()
        self._turnstile = Turnstile(self._manners.per_second)
        self._has_stopped = threading.Event()
        self._one_by_one = False  # the server refuses n above 1

    def generate(
        self,
        asks: Sequence[Ask],
        settings: SamplingSettings,
        *,
        take: Callable[[Outcome], None],
        check: Callable[[], None],
    ) -> None:
        check_key_variable(self._key_variable)
        key = self._key()
        limits = httpx.Limits(max_connections=self._manners.concurrency)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with (
            httpx.Client(
                headers=headers, timeout=self._manners.timeout_seconds, limits=limits
            ) as client,
            ThreadPoolExecutor(self._manners.concurrency, thread_name_prefix="ask") as threads,
        ):
            try:
                self._ask_all(client, threads, asks, settings, take=take, check=check)
            finally:
                self._has_stopped.set()

    def _ask_all(
        self,
        client: httpx.Client,
        threads: ThreadPoolExecutor,
        asks: Sequence[Ask],
        settings: SamplingSettings,
        *,
        take: Callable[[Outcome], None],
        check: Callable[[], None],
    ) -> None:
        """Keep a few prompts under way; take each as it comes, in the caller's thread."""
        waiting, failed_in_a_row = deque(asks), 0
        under_way: set[Future[Outcome]] = set()
        while waiting or under_way:
            check()
            while waiting and len(under_way) < self._manners.concurrency:
                under_way.add(threads.submit(self._answer, client, waiting.popleft(), settings))
            done, under_way = wait(under_way, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                take(outcome)
                failed_in_a_row = 0 if outcome.samples else failed_in_a_row + 1
                self._refuse_a_dead_server(failed_in_a_row, outcome.reason)

    def _refuse_a_dead_server(self, failed_in_a_row: int, reason: str) -> None:
        if failed_in_a_row >= self._manners.failures_in_a_row:
            raise GeneratorFailed(
                f"{failed_in_a_row} prompts in a row failed, the last because: {reason} "
                "The rest was not asked. Resume the run once the server answers."
            )

    def _answer(self, client: httpx.Client, ask: Ask, settings: SamplingSettings) -> Outcome:
        """All responses to one prompt, in as many requests as the server needs."""
        samples: list[Sampled] = []
        reason, cut = "", 0
        while len(samples) < settings.n and not reason:
            missing = settings.n - len(samples)
            wanted = 1 if self._one_by_one else missing
            seed = (settings.seed * SEEDS_A_PROMPT + len(samples)) % 2**31
            step = replace(settings, n=wanted, seed=seed)
            try:
                answer = self._with_patience(client, ask, step)
                cut = max(cut, unread_of(ask, answer.prompt_tokens))
                if cut and settings.whole_prompts:
                    return Outcome(
                        prompt_id=ask.prompt_id, reason=reason_of_cut(answer), prompt_tokens_cut=cut
                    )
                samples += answer.samples[:missing]
            except Passing as error:
                reason = str(error)
            except Unsuitable as error:
                if wanted == 1:
                    reason = str(error)
                self._one_by_one = True
        return Outcome(
            prompt_id=ask.prompt_id,
            samples=tuple(samples),
            reason=reason,
            prompt_tokens_cut=cut,
        )

    def _with_patience(
        self, client: httpx.Client, ask: Ask, settings: SamplingSettings
    ) -> "Answer":
        retrying = Retrying(
            retry=retry_if_exception_type(Passing),
            stop=stop_any(
                stop_after_attempt(self._manners.attempts), stop_when_event_set(self._has_stopped)
            ),
            wait=self._wait,
            sleep=sleep_using_event(self._has_stopped),
            reraise=True,
        )
        return retrying(self._request, client, ask, settings)

    def _wait(self, state: RetryCallState) -> float:
        """As long as the server asked for, else longer each time; never beyond the longest."""
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after if isinstance(error, Passing) else 0.0
        growing = wait_random_exponential(
            multiplier=self._manners.first_wait, max=self._manners.longest_wait
        )
        return min(asked_for or growing(state), self._manners.longest_wait)

    def _request(self, client: httpx.Client, ask: Ask, settings: SamplingSettings) -> "Answer":
        self._turnstile.pass_through(self._has_stopped)
        body = request_body(self._model, ask, settings)
        try:
            with client.stream("POST", self._url, json=body) as response:
                content = read_limited(response, self._manners.timeout_seconds)
        except httpx.TimeoutException as error:
            seconds = f"{self._manners.timeout_seconds:g}"
            raise Passing(f"The server did not answer within {seconds} seconds.") from error
        except httpx.HTTPError as error:
            raise Passing(f"The connection failed ({type(error).__name__}).") from error
        if response.status_code != httpx.codes.OK:
            raise self._failure(response, content)
        return answer_of(content)

    def _failure(self, response: httpx.Response, content: bytes) -> Exception:
        """What an error answer means: stop, ask later, or give the prompt up."""
        status = response.status_code
        if status in REFUSED:
            name = self._key_variable or "with the key (none is named)"
            return GeneratorFailed(REFUSED[status].format(key=name, url=self._url))
        said = self._without_key(content.decode("utf-8", "replace"))[:LONGEST_REASON]
        sentence = f"The server answered {status}: {said or 'nothing'}"
        if status not in TRY_AGAIN:
            return Unsuitable(sentence)
        failure = Passing(sentence)
        failure.retry_after = seconds_until(response.headers.get("Retry-After", ""))
        return failure

    def _without_key(self, text: str) -> str:
        key = self._key() if self._key_variable else ""
        return text.replace(key, "***") if key else text

    def _key(self) -> str:
        """The key, from the worker's environment; it is never stored, shown or logged."""
        if not self._key_variable:
            return ""
        key = os.environ.get(self._key_variable, "").strip()
        if not key:
            raise GeneratorFailed(
                f"The worker has no variable {self._key_variable}, which should hold the server's "
                "key. Set it where the gpu worker is started, then resume the run."
            )
        return key


class Turnstile:
    """Lets requests through at most so often, whichever thread asks."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second if per_second > 0 else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def pass_through(self, has_stopped: threading.Event) -> None:
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        if mine > now:
            has_stopped.wait(mine - now)


def request_body(model: str, ask: Ask, settings: SamplingSettings) -> dict[str, Any]:  # Any: JSON
    """What is sent. ``n`` is left out where it is 1: some servers refuse the field."""
    several = {"n": settings.n} if settings.n > 1 else {}
    return {
        "model": model,
        "messages": list(ask.turns),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "seed": settings.seed,
        "stream": False,
        **several,
    }


def read_limited(response: httpx.Response, seconds: float) -> bytes:
    """The body, up to the largest that is believed, and no longer than a server may take."""
    content, deadline = bytearray(), time.monotonic() + seconds
    for chunk in response.iter_bytes():
        content += chunk
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("The answer dripped.", request=response.request)
        if len(content) > LARGEST_ANSWER:
            raise Unsuitable(f"The server sent more than {LARGEST_ANSWER} bytes for one prompt.")
    return bytes(content)


class Answer(NamedTuple):
    """The responses to a prompt, and how many tokens of it the server read; 0 where it does not tell."""

    samples: list[Sampled]
    prompt_tokens: int


def answer_of(content: bytes) -> Answer:
    """What an answer says. Raises Passing where it is not what the API promises."""
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Passing("The server's answer is not JSON.") from error
    choices = row.get("choices") if isinstance(row, dict) else None
    if not isinstance(choices, list) or not choices:
        raise Passing("The server's answer has no choices.")
    return Answer([_sampled(one) for one in choices], _prompt_tokens(row.get("usage")))


def _sampled(choice: Any) -> Sampled:  # Any: whatever the server sent
    message = choice.get("message") if isinstance(choice, dict) else None
    text = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise Passing("A choice in the server's answer has no text.")
    return Sampled(text=text, is_finished=choice.get("finish_reason") == "stop", token_count=0)


def _prompt_tokens(usage: Any) -> int:  # Any: whatever the server sent
    told = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) else 0


def unread_of(ask: Ask, prompt_tokens: int) -> int:
    """How many tokens at least were not read of a prompt of which so many were: no token reaches over two words."""
    words = sum(len(turn["content"].split()) for turn in ask.turns)
    return max(0, words - prompt_tokens) if prompt_tokens > 0 else 0


def reason_of_cut(answer: Answer) -> str:
    return (
        f"The prompt is longer than the server reads: it read {answer.prompt_tokens} tokens, fewer than there are "
        "words. Give its model a longer context (Ollama: OLLAMA_CONTEXT_LENGTH), shorten the principles, or "
        "appoint a model that reads more."
    )


def seconds_until(header: str) -> float:
    """Retry-After as seconds from now; 0 where it says nothing that can be read."""
    try:
        return max(0.0, float(int(header)))
    except (ValueError, OverflowError):
        pass
    try:
        at = parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, at - time.time())
