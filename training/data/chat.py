"""Chats to token ids. Prompt and response are encoded apart, so that a prefix is always equal.

A prompt ends where the assistant's turn begins; a response is its text and the end token.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2.exceptions import TemplateError

from training.data.packing import TokenGroup
from training.data.tokens import Tally
from training.models.load import LoadedModel
from training.spec.base import RunSpec
from training.spec.errors import DataError
from training.spec.records import CandidateText, Group, Turn

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


class Encoded(NamedTuple):
    """Token ids and how many more there were before the cut."""

    ids: tuple[int, ...]
    cut: int


class Limits(NamedTuple):
    """The longest prompt and response, in tokens, and the most of both together; 0: any number."""

    prompt: int
    response: int
    together: int = 0


def reading_limits(model: LoadedModel, spec: RunSpec) -> Limits:
    """How much of a text a model reads in a run."""
    return Limits(spec.max_prompt_tokens, spec.max_response_tokens, model.positions)


def encode_prompt(tokenizer: Any, turns: Sequence[Turn], *, max_tokens: int) -> Encoded:
    """The prompt up to the assistant's turn; of a longer one the end is kept.

    ``tokenizer`` is a transformers tokenizer (Any: their stubs do not type templates).
    """
    messages = [{"role": one.role, "content": _as_text(tokenizer, one.content)} for one in turns]
    if not messages:
        raise DataError("A prompt has no turns; every prompt needs at least one user turn.")
    try:
        ids = tokenizer.apply_chat_template(
            messages,
            chat_template=None if tokenizer.chat_template else PLAIN_TEMPLATE,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
        )
    except TemplateError as error:
        roles = ", ".join(turn.role for turn in turns)
        raise DataError(
            f"The model's chat template refuses the turns ({roles}): {error}."
        ) from error
    return Encoded(tuple(ids[-max_tokens:]), max(0, len(ids) - max_tokens))


def _as_text(tokenizer: Any, content: str) -> str:  # Any: as above
    """The content with what could forge a turn broken by a space: special tokens, and others that the template writes.

    Further tokens that were added, as runs of spaces or HTML tags, are text like any other.
    """
    template = tokenizer.chat_template or PLAIN_TEMPLATE
    for token in tokenizer.added_tokens_decoder.values():
        name = token.content.strip()
        if len(name) > 1 and (token.special or name in template):
            content = content.replace(name, f"{name[0]} {name[1:]}")
    return content


def encode_response(
    tokenizer: Any,  # Any: as above
    text: str,
    *,
    max_tokens: int,
    is_finished: bool = True,
) -> Encoded:
    """The response and the end token; a longer one is cut and then has no end, as one that did not finish.

    Names of special tokens inside the text stay text: a response cannot end itself early. Nothing at all
    is told by the end token alone.
    """
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    if is_finished or not ids:
        ids = [*ids, tokenizer.eos_token_id]
    return Encoded(tuple(ids[:max_tokens]), max(0, len(ids) - max_tokens))


def fitted(
    prompt: Encoded, responses: Sequence[Encoded], together: int
) -> tuple[Encoded, list[Encoded]]:
    """The same where they have no more than ``together`` tokens, as a model has positions for; 0: any number.

    The beginning of a longer prompt goes first, down to a quarter of all tokens, then the ends of responses.
    """
    longest = max((len(one.ids) for one in responses), default=0)
    if not together or len(prompt.ids) + longest <= together:
        return prompt, list(responses)
    kept = min(len(prompt.ids), max(together - longest, together // 4))
    prompt = Encoded(prompt.ids[-kept:], prompt.cut + len(prompt.ids) - kept)
    return prompt, [_ended_at(one, together - kept) for one in responses]


def _ended_at(response: Encoded, longest: int) -> Encoded:
    return Encoded(response.ids[:longest], response.cut + max(0, len(response.ids) - longest))


def encode_texts(
    tokenizer: Any,  # Any: as above
    group: Group,
    texts: Sequence[CandidateText],
    *,
    limits: Limits,
    tally: Tally,
) -> TokenGroup:
    """A prompt with these responses; cuts, and responses that came without an end, are counted in ``tally``."""
    prompt = encode_prompt(tokenizer, group.prompt, max_tokens=limits.prompt)
    responses = [
        encode_response(
            tokenizer, one.text, max_tokens=limits.response, is_finished=one.is_finished
        )
        for one in texts
    ]
    prompt, responses = fitted(prompt, responses, limits.together)
    tally.add("prompts_cut", int(prompt.cut > 0))
    tally.add("responses_cut", sum(one.cut > 0 for one in responses))
    tally.add("responses_without_an_end", sum(not one.is_finished for one in texts))
    return TokenGroup(
        prompt_id=group.prompt_id,
        prompt=prompt.ids,
        responses=tuple(one.ids for one in responses),
        candidate_ids=tuple(one.id for one in texts),
    )
