"""Rows become chats: plain, chat-message, ShareGPT and HH forms, detected by their columns or named."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypedDict

from annotation.core.text import kind_of
from annotation.prompts.readers.rows import (
    JSON,
    MAX_TEXT,
    RowRefused,
    check_text,
    json_fault,
    seen,
    text_of,
)


class RowForm(StrEnum):
    """How the rows of a file hold their prompts."""

    AUTO = "auto"
    PLAIN = "plain"
    CHAT = "chat"
    SHAREGPT = "sharegpt"
    HH = "hh"
    TRL = "trl"
    RANKED = "ranked"
    LABELS = "labels"
    VOTES = "votes"
    LABEL_STUDIO = "label_studio"
    ARGILLA = "argilla"
    OASST = "oasst"
    TULU = "tulu"
    WMT = "wmt"
    GROUPS = "groups"


class Turn(TypedDict):
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPrompt:
    """A prompt as a file tells it."""

    turns: list[Turn]
    external_id: str = ""
    category: str = ""
    tags: list[str] = field(default_factory=list)
    language: str = ""
    source: str = ""
    license: str = ""


ROLES = {"system": "system", "developer": "system", "user": "user", "human": "user"}
ROLES |= {"prompter": "user", "assistant": "assistant", "gpt": "assistant", "bot": "assistant"}
ROLES |= {"chatgpt": "assistant", "model": "assistant", "ai": "assistant"}
PLAIN_COLUMNS = ("prompt", "text", "instruction", "question", "query")
CHAT_COLUMNS = ("messages", "prompt", "chosen")
TURN_COLUMNS = ("messages", "conversations")  # and nothing else
HH_COLUMNS = ("chosen", "prompt", "text")
FACTS = {"external_id": ("id", "external_id", "prompt_id"), "category": ("category",)}
FACTS |= {"language": ("language", "lang"), "source": ("source",), "license": ("license",)}
FACT_LIMITS = {"external_id": 200, "category": 100, "language": 12, "source": 200, "license": 60}
NESTED_COLUMNS = frozenset({"messages", "conversations", "responses", "labels", "ranks"})
NESTED_COLUMNS |= {"ranking", "strengths", "criteria", "marks", "shown_order"}
NESTED_COLUMNS |= {"candidates", "pairs", "unacceptable", "demonstrations", "signals"}
CHATS_AS_TEXT = frozenset({*CHAT_COLUMNS, "rejected", "completion"})
PARSED_COLUMNS = NESTED_COLUMNS | CHATS_AS_TEXT | {"tags"}
FACT_COLUMNS = frozenset({"tags", *(name for names in FACTS.values() for name in names)})
CHAT_TEXT = re.compile(r'\s*\[\s*\{\s*"(role|content)"')
KNOWN_COLUMNS = frozenset(
    {*PLAIN_COLUMNS, *CHAT_COLUMNS, "conversations", "input", "system", "tags", "rejected"}
    | {name for names in FACTS.values() for name in names}
)
SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")
SYSTEM = re.compile(r"\n\nSystem: ?(.*?)(?=\n\n(?:Human|Assistant):)", re.DOTALL)
MAX_TAGS = 50


def read_prompt(fields: dict[str, Any], form: RowForm = RowForm.AUTO) -> ReadPrompt:
    """The prompt in a row; RowRefused says why there is none."""
    fields = with_parsed_chats(fields)
    chosen = detect(fields) if form == RowForm.AUTO else form
    return with_facts(up_to_last_user_turn(READERS[chosen](fields)), fields)


def with_facts(turns: list[Turn], fields: dict[str, Any]) -> ReadPrompt:
    """The prompt of these turns, with what the row says of it."""
    if not FACT_COLUMNS.isdisjoint(fields):
        return ReadPrompt(turns=turns, tags=_tags(fields), **_facts(fields))
    return ReadPrompt(turns=turns)


def with_parsed_chats(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with lists that CSV or Parquet can only hold as JSON text read as lists."""
    parsed = {}
    for name in PARSED_COLUMNS.intersection(fields):
        value = fields[name]
        if isinstance(value, str) and _is_nested(name, value):
            try:
                parsed[name] = JSON.decode(value)
            except (ValueError, RecursionError) as error:
                if name not in NESTED_COLUMNS:
                    continue  # a text that only begins like a chat
                raise RowRefused(f"{name} cannot be read as JSON: {json_fault(error)}.") from error
    return {**fields, **parsed} if parsed else fields


def _is_nested(name: str, value: str) -> bool:
    if name in CHATS_AS_TEXT:
        return CHAT_TEXT.match(value) is not None
    if name == "tags":
        return value.startswith('["')
    return name in NESTED_COLUMNS and value.lstrip().startswith(("[", "{"))


def is_chat_text(text: str) -> bool:
    """Whether a text in a column that may hold messages is read as messages."""
    return with_parsed_chats({"prompt": text})["prompt"] is not text


def detect(fields: dict[str, Any]) -> RowForm:
    """The form of a row, by its columns and what is in them."""
    if isinstance(fields.get("conversations"), list):
        return RowForm.SHAREGPT
    if _first(fields, CHAT_COLUMNS, list) is not None:
        return RowForm.CHAT
    if (text := _first(fields, HH_COLUMNS, str)) and is_transcript(text):
        return RowForm.HH
    if any(name in fields for name in PLAIN_COLUMNS):
        return RowForm.PLAIN
    _refuse_other_than_lists(fields)
    raise RowRefused(
        f"No column holds a prompt; seen: {seen(fields)}. Use prompt, text, instruction, messages or conversations."
    )


def _refuse_other_than_lists(fields: dict[str, Any]) -> None:
    """Raise RowRefused for a column of turns that holds something else."""
    for name in TURN_COLUMNS:
        if (value := fields.get(name)) and not isinstance(value, list):
            raise RowRefused(f"{name} is {kind_of(value)}, not a list of turns.")


def _first(fields: dict[str, Any], names: tuple[str, ...], kind: type) -> Any:  # Any: JSON
    for name in names:
        if isinstance(value := fields.get(name), kind):
            return value
    return None


def is_transcript(text: str) -> bool:
    """Whether a text is a dialogue of HH: it begins with a speaker, or with a system turn before one."""
    return (SPEAKER.match(text.lstrip(" ")) or SYSTEM.match(text)) is not None


def _plain(fields: dict[str, Any]) -> list[Turn]:
    column = next((name for name in PLAIN_COLUMNS if name in fields), "prompt")
    content, added = text_of(fields, column), text_of(fields, "input")
    content = "\n\n".join(part for part in (content, added) if part.strip())
    if not content.strip():
        raise RowRefused(f"{column} is empty.")
    system = text_of(fields, "system")
    start = [Turn(role="system", content=system)] if system.strip() else []
    return [*start, Turn(role="user", content=content)]


def _chat(fields: dict[str, Any]) -> list[Turn]:
    return _turns_in(fields, CHAT_COLUMNS, role="role", content="content")


def _sharegpt(fields: dict[str, Any]) -> list[Turn]:
    turns = _turns_in(fields, ("conversations",), role="from", content="value")
    system = text_of(fields, "system")
    return [Turn(role="system", content=system), *turns] if system.strip() else turns


def _turns_in(
    fields: dict[str, Any], names: tuple[str, ...], *, role: str, content: str
) -> list[Turn]:
    chat = _first(fields, names, list)
    if chat is None:
        _refuse_other_than_lists(fields)
    return turns_of(chat, role=role, content=content)


def _hh(fields: dict[str, Any]) -> list[Turn]:
    return transcript_turns(_first(fields, HH_COLUMNS, str) or "")


READERS: dict[RowForm, Callable[[dict[str, Any]], list[Turn]]] = {
    RowForm.PLAIN: _plain,
    RowForm.CHAT: _chat,
    RowForm.SHAREGPT: _sharegpt,
    RowForm.HH: _hh,
}


def turns_of(value: object, *, role: str = "role", content: str = "content") -> list[Turn]:
    """The turns of a list of messages; ``role`` and ``content`` name their keys."""
    if not isinstance(value, list) or not value:
        raise RowRefused("The chat is empty: it has no turns.")
    return [_turn(one, number, role, content) for number, one in enumerate(value, start=1)]


def _turn(value: object, number: int, role: str, content: str) -> Turn:
    if not isinstance(value, dict) or role not in value or content not in value:
        raise RowRefused(f"Turn {number} is not an object with {role} and {content}.")
    speaker = ROLES.get(str(value[role]).lower())
    if speaker is None:
        allowed = "system, user or assistant"
        raise RowRefused(f"Turn {number} is of {str(value[role])[:40]!r}; a turn is of {allowed}.")
    text = _content(value[content], number)
    if not text.strip():
        raise RowRefused(f"Turn {number} ({speaker}) is empty.")
    if speaker == "system" and number > 1:
        raise RowRefused(f"Turn {number} is a system turn; only the first may be one.")
    return Turn(role=speaker, content=text)


def _content(value: object, number: int) -> str:
    """Text, or a list of parts that are all text."""
    if isinstance(value, list):
        parts = [one.get("text") if isinstance(one, dict) else None for one in value]
        if not all(isinstance(part, str) for part in parts):
            raise RowRefused(f"Turn {number} holds a part that is not text.")
        value = "\n".join(map(str, parts))
    if not isinstance(value, str):
        raise RowRefused(f"Turn {number} is {kind_of(value)}, not text.")
    return check_text(value, f"Turn {number}")


def transcript_turns(text: str) -> list[Turn]:
    """The turns of an HH dialogue, "Human: ..." and "Assistant: ..." after empty lines; the last may be empty.

    "System: ..." may stand before them, as exports write it.
    """
    check_text(text, "The dialogue")
    if not is_transcript(text):
        raise RowRefused('The dialogue does not begin with "Human:" or "Assistant:".')
    system = SYSTEM.match(text)
    pieces = SPEAKER.split(text[system.end() :] if system else text.lstrip(" "))[1:]
    speakers = {"Human": "user", "Assistant": "assistant"}
    turns = [Turn(role="system", content=system[1].strip())] if system else []
    turns += [
        Turn(role=speakers[who], content=said.strip())
        for who, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    if any(not turn["content"] for turn in turns[:-1]):
        raise RowRefused("A turn of the dialogue is empty.")
    return turns


def up_to_last_user_turn(turns: list[Turn]) -> list[Turn]:
    """A prompt ends with a user turn: what follows it in a file is a response, and left away here."""
    last = max((place for place, turn in enumerate(turns) if turn["role"] == "user"), default=None)
    if last is None:
        raise RowRefused("The chat has no user turn.")
    kept = turns[: last + 1]
    if any(not turn["content"].strip() for turn in kept):
        raise RowRefused("A turn of the chat is empty.")
    total = sum(len(turn["content"]) for turn in kept)
    if total > MAX_TEXT:
        raise RowRefused(
            f"The prompt has {total:,} characters; the limit is {MAX_TEXT:,}. Shorten or split it."
        )
    return kept


def _facts(fields: dict[str, Any]) -> dict[str, str]:
    found = {}
    for fact, names in FACTS.items():
        for name in names:
            if name in fields and (text := text_of(fields, name, limit=FACT_LIMITS[fact]).strip()):
                found[fact] = text
                break
    return found


def _tags(fields: dict[str, Any]) -> list[str]:
    value = fields.get("tags") or []
    if isinstance(value, str):
        value = [tag.strip() for tag in value.split(",") if tag.strip()]
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise RowRefused(f"tags is not a list of at most {MAX_TAGS} words.")
    return [check_text(str(tag), "A tag", limit=60) for tag in value]
