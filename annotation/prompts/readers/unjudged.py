"""Rows without a comparison of two: responses to be compared here, single responses that were accepted or rejected,
and responses that people wrote.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt
from annotation.prompts.readers.judged import (
    SAME_RESPONSES,
    ReadComparison,
    ReadResponse,
    comparison_of,
    is_finished,
    labeler_of,
    prompt_of,
    prompt_turns,
    response_of,
    time_of,
)
from annotation.prompts.readers.labels import LETTERS, response_columns
from annotation.prompts.readers.rows import RowRefused, seen, text_of

Fields = dict[str, Any]  # Any: JSON values
RESPONSE_COLUMNS = ("response", "completion", "output", "answer")
COMPLETION_ENDED = "completion_is_finished"
SIGNAL_COLUMNS = ("accepted", "is_accepted", "label", "feedback", "thumbs", "signal")
ACCEPTED = frozenset({"true", "1", "1.0", "yes", "accept", "accepted", "up", "thumbs_up", "good"})
REJECTED = frozenset({"false", "0", "0.0", "-1", "no", "reject", "rejected", "down"})
REJECTED |= {"thumbs_down", "bad"}
UNJUDGED_COLUMNS = frozenset({*RESPONSE_COLUMNS, *SIGNAL_COLUMNS, "model", "models", "split"})
UNJUDGED_COLUMNS |= {COMPLETION_ENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSignal:
    """One response that somebody accepted or rejected; ``told_at`` is None where the file does not say when."""

    prompt: ReadPrompt
    response: ReadResponse
    labeler: str
    is_accepted: bool
    told_at: datetime | None

    @property
    def responses(self) -> tuple[ReadResponse, ...]:
        return (self.response,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDemonstration:
    """One response that a person wrote."""

    prompt: ReadPrompt
    response: ReadResponse

    @property
    def responses(self) -> tuple[ReadResponse, ...]:
        return (self.response,)


def read_unjudged(fields: Fields) -> ReadComparison:
    """A prompt and the responses to compare: ``responses``, or columns as response_a and response_b."""
    fields = chats.with_parsed_chats(fields)
    entries = fields.get("responses")
    if isinstance(entries, list):
        responses = [response_of(one) for one in entries]
    else:
        responses = [
            ReadResponse(text_of(fields, column), text_of(fields, f"model_{letter}", limit=200))
            for column, letter in zip(response_columns(fields), LETTERS, strict=False)
        ]
    if not responses:
        raise RowRefused(
            f"The row has no responses, and no response_a and response_b; seen: {seen(fields)}."
        )
    if any(not one.text.strip() for one in responses):
        raise RowRefused("A response is empty; there is nothing to judge.")
    if len({one.text.strip() for one in responses}) < len(responses):
        raise RowRefused(SAME_RESPONSES)  # whoever gave them
    return comparison_of(prompt_of(fields, prompt_turns(fields)), responses, [])


def read_signal(fields: Fields) -> ReadSignal:
    """A prompt, one response, and whether it was accepted: KTO's prompt, completion and label are such a row."""
    fields = chats.with_parsed_chats(fields)
    column = next((name for name in SIGNAL_COLUMNS if fields.get(name) not in (None, "")), None)
    if column is None:
        raise RowRefused(f"The row does not say whether it was accepted; seen: {seen(fields)}.")
    said = str(fields[column]).strip().lower()
    if said not in ACCEPTED | REJECTED:
        raise RowRefused(f"{column} is {said[:40]!r}; say true or false, up or down, 1 or 0.")
    labeler = labeler_of(fields) if _names_labeler(fields) else "product"
    return ReadSignal(
        prompt=prompt_of(fields, prompt_turns(fields)),
        response=_response(fields),
        labeler=labeler,
        is_accepted=said in ACCEPTED,
        told_at=time_of(fields),
    )


def _names_labeler(fields: Fields) -> bool:
    return any(fields.get(name) for name in ("labeler", "annotator", "worker", "rater"))


def read_demonstration(fields: Fields) -> ReadDemonstration:
    """A prompt and the response that a person wrote: prompt and completion, or messages that end with it."""
    fields = chats.with_parsed_chats(fields)
    messages = fields.get("messages")
    if isinstance(messages, list):
        turns = chats.turns_of(messages)
        if turns[-1]["role"] != "assistant":
            raise RowRefused("messages do not end with an assistant turn.")
        prompt = prompt_of(fields, turns[:-1])
        answer = ReadResponse(
            turns[-1]["content"], is_finished=is_finished(fields, COMPLETION_ENDED)
        )
        return ReadDemonstration(prompt=prompt, response=answer)
    prompt = prompt_of(fields, prompt_turns(fields))
    return ReadDemonstration(prompt=prompt, response=_response(fields))


def _response(fields: Fields) -> ReadResponse:
    column = next((name for name in RESPONSE_COLUMNS if name in fields), None)
    if column is None:
        raise RowRefused(f"The row has no response or completion; seen: {seen(fields)}.")
    value = fields[column]
    if isinstance(value, list):
        turns = chats.turns_of(value)
        if [turn["role"] for turn in turns] != ["assistant"]:
            raise RowRefused(f"{column} is not one assistant turn.")
        text = turns[0]["content"]
    else:
        text = text_of(fields, column)
    if not text.strip():
        raise RowRefused(f"{column} is empty.")
    model = text_of(fields, "model", limit=200)
    return ReadResponse(text, model, is_finished(fields, COMPLETION_ENDED))
