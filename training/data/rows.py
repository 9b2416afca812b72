"""Rows as TRL and most published data sets have them: what each says of a prompt.

Preference (`prompt`, `chosen`, `rejected`), unpaired (`prompt`, `completion`, `label`), to imitate (`prompt`,
`completion`, or `messages`) and prompts alone (`prompt`). Texts stand as such or as messages, which may be JSON in a
text; a prompt may also be what the two conversations of a preference have in common, as in HH-RLHF.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from training.spec.records import ROLES, SPLITS, Turn

Turns = tuple[Turn, ...]
Row = dict[str, Any]  # Any: JSON from outside
KNOWN = "prompt, chosen and rejected; prompt, completion and label; prompt and completion; messages; or prompt"
MOST_MARGIN = 1e6
_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant): ?")
_SYSTEM = re.compile(r"\n\nSystem: ?(.*?)(?=\n\n(?:Human|Assistant):)", re.DOTALL)
_MESSAGES = re.compile(r'\s*\[\s*\{\s*"(role|content)"')
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}


class RowRefused(ValueError):  # noqa: N818 - as the words people read
    """A row that cannot be taken; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one row says: of two responses, of one, or nothing but the prompt.

    ``favor`` is the probability that ``chosen`` is better than ``rejected``, ``margin`` by how many steps.
    ``cut`` are those of the responses that a token limit cut.
    """

    prompt: Turns
    split: str = ""  # where the row names one
    chosen: str = ""
    rejected: str = ""
    favor: float = 1.0
    margin: float = 0.0
    imitated: str = ""
    signaled: str = ""
    is_accepted: bool = False
    cut: tuple[str, ...] = ()


def read_row(row: object) -> Said:
    """What a row says. Raises RowRefused with a sentence."""
    said = _read(row)
    texts = [turn.content for turn in said.prompt]
    try:
        "".join([*texts, said.chosen, said.rejected, said.imitated, said.signaled]).encode()
    except UnicodeEncodeError as error:
        raise RowRefused(f"A text holds half a character ({error.reason}).") from error
    return said


def _read(row: object) -> Said:
    if not isinstance(row, dict):
        raise RowRefused(f"It is {_shown(row)}, not an object with {KNOWN}.")
    split = row.get("split") or ""
    if split and split not in SPLITS:
        raise RowRefused(f"split is {_shown(split)}, not one of {', '.join(SPLITS)}.")
    if "chosen" in row or "rejected" in row:
        return _preference(row, split)
    if "messages" in row:
        *before, last = _turns(row["messages"], "messages")
        answer = _answer((last,), "messages")
        cut = _cut(row, completion=answer)
        return Said(prompt=_asked(tuple(before)), split=split, imitated=answer, cut=cut)
    prompt = _asked(_turns(row.get("prompt"), "prompt"))
    if "completion" not in row:
        return Said(prompt=prompt, split=split)
    completion = _response(row["completion"], "completion")
    cut = _cut(row, completion=completion)
    if "label" not in row:
        return Said(prompt=prompt, split=split, imitated=completion, cut=cut)
    if not isinstance(row["label"], bool):
        raise RowRefused(f"label is {_shown(row['label'])}, not true or false.")
    is_accepted = row["label"]
    return Said(prompt=prompt, split=split, signaled=completion, is_accepted=is_accepted, cut=cut)


def _preference(row: Row, split: str) -> Said:
    if row.get("prompt") is None:
        prompt, chosen, rejected = _apart(row.get("chosen"), row.get("rejected"))
    else:
        prompt = _turns(row["prompt"], "prompt")
        chosen, rejected = (_response(row.get(name), name) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise RowRefused("chosen and rejected are the same text.")
    favor = _number(row, "soft_label", least=0.0, most=1.0, default=1.0)
    margin = _number(row, "margin", least=0.0, most=MOST_MARGIN, default=0.0)
    return Said(
        prompt=_asked(prompt),
        split=split,
        chosen=chosen,
        rejected=rejected,
        favor=favor,
        margin=margin,
        cut=_cut(row, chosen=chosen, rejected=rejected),
    )


def _cut(row: Row, **texts: str) -> tuple[str, ...]:
    """Those of the texts of which the row says, in `NAME_is_finished`, that a token limit cut them."""
    said = {name: row.get(f"{name}_is_finished") for name in texts}
    for name, is_finished in said.items():
        if not (is_finished is None or isinstance(is_finished, bool)):
            raise RowRefused(f"{name}_is_finished is {_shown(is_finished)}, not true or false.")
    return tuple(text for name, text in texts.items() if said[name] is False)


def _apart(chosen: object, rejected: object) -> tuple[Turns, str, str]:
    """The prompt that two whole conversations share, and the response that ends each."""
    told = [_turns(one, name) for name, one in (("chosen", chosen), ("rejected", rejected))]
    if isinstance(chosen, str) and len(told[0]) == 1:
        raise RowRefused("chosen and rejected are bare texts; name what they answer in prompt.")
    (*first, better), (*second, worse) = told
    if first != second:
        raise RowRefused("chosen and rejected do not begin with the same prompt.")
    return tuple(first), _answer((better,), "chosen"), _answer((worse,), "rejected")


def _turns(value: object, name: str) -> Turns:
    """A text, the transcript of a conversation, or messages."""
    value = _parsed(value)
    if isinstance(value, str) and value.strip():
        return _transcript(value)
    if not isinstance(value, list) or not value:
        seen = "missing" if value is None else _shown(value)
        raise RowRefused(f"{name} is {seen}, not a text or a list of messages.")
    return tuple(_turn(one, name) for one in value)


def _parsed(value: object) -> object:
    """Messages that stand as JSON in a text, as the site writes a chat that no transcript holds; else the value."""
    if not (isinstance(value, str) and _MESSAGES.match(value)):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _transcript(text: str) -> Turns:
    """The turns of a transcript by Human and Assistant, as of HH-RLHF, with what the system says before them.

    Any other text is one turn of a user.
    """
    system = _SYSTEM.match(text)
    start, *pieces = _TRANSCRIPT.split(text[system.end() :] if system else text)
    if start or not pieces:
        return (Turn(role="user", content=text),)
    said = [("system", system[1])] if system else []
    said += [(_SPEAKERS[who], told) for who, told in zip(pieces[::2], pieces[1::2], strict=True)]
    return tuple(Turn(role=role, content=content.strip()) for role, content in said)


def _turn(message: object, name: str) -> Turn:
    if not isinstance(message, dict):
        raise RowRefused(f"{name} holds {_shown(message)}, not a message with role and content.")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise RowRefused(f"{name} has the role {_shown(role)}, not one of {', '.join(ROLES)}.")
    if not isinstance(content, str):
        raise RowRefused(f"{name} has the content {_shown(content)}, not a text.")
    return Turn(role=role, content=content)


def _asked(prompt: Turns) -> Turns:
    """A prompt that a response can follow; the empty turn that a transcript ends with is left out."""
    if prompt and prompt[-1] == Turn(role="assistant", content=""):
        prompt = prompt[:-1]
    if not prompt or prompt[-1].role == "assistant":
        raise RowRefused("The prompt does not end with what a user says.")
    return prompt


def _response(value: object, name: str) -> str:
    """A response as text, or as the one message of an assistant."""
    value = _parsed(value)
    return value if isinstance(value, str) and value.strip() else _answer(_turns(value, name), name)


def _answer(turns: Turns, name: str) -> str:
    if len(turns) != 1 or turns[0].role != "assistant" or not turns[0].content.strip():
        raise RowRefused(f"{name} does not end with one answer of an assistant.")
    return turns[0].content


def _number(row: Row, name: str, *, least: float, most: float, default: float) -> float:
    value = row.get(name)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise RowRefused(f"{name} is {_shown(value)}, not a number from {least:g} to {most:g}.")
    return float(value)


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
