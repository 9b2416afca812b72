"""What every generator takes and gives. No Django, no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from annotation.core.errors import DomainError


class GeneratorFailed(DomainError):  # noqa: N818 - reads as a sentence where it is raised
    """The policy cannot be asked at all; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One prompt to be answered: its key and its turns as ``{"role", "content"}``."""

    prompt_id: int
    turns: Sequence[dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How to sample: responses a prompt, temperature, nucleus, most tokens, seed.

    ``whole_prompts``: a prompt that is longer than the model reads is given back with a reason; else it is cut.
    """

    n: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    whole_prompts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One response. ``is_finished`` is False where the token limit cut it."""

    text: str
    is_finished: bool
    token_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one prompt: its responses, and why some are missing ('' if none is).

    ``prompt_tokens_cut`` are those that the model was not shown, of a server's at least so many.
    """

    prompt_id: int
    samples: tuple[Sampled, ...] = ()
    reason: str = ""
    prompt_tokens_cut: int = 0


class Generator(Protocol):
    """A policy that can be asked."""

    def generate(
        self,
        asks: Sequence[Ask],
        settings: SamplingSettings,
        *,
        take: Callable[[Outcome], None],
        check: Callable[[], None],
    ) -> None:
        """Answer all prompts, in any order, giving each to ``take`` as soon as it is there.

        ``check`` is called often, from the caller's thread; what it raises stops the work.
        """
        ...
