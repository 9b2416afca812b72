"""Giving a snapshot away in the shapes that trainers read; rows stream, memory stays flat.

The plain forms hold text; the "chat" forms hold messages. A plain prompt of one user turn is its text; a longer chat
is written as Anthropic's HH transcript, because that is what readers of plain prompts know.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.utils.text import slugify

from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.models import DatasetSnapshot
from training.spec.errors import DataError
from training.spec.records import GROUPS_FILE, SPLITS, Group, Turn, group_to_json, read_groups

Row = dict[str, Any]  # Any: JSON
Said = str | list[dict[str, str]]  # a text, or messages
ROWS_A_GROUP = 2_000
PIECE_BYTES = 64 * 1024
SPOOL_BYTES = 8 * 1024 * 1024
SPEAKERS = {"system": "System", "user": "Human", "assistant": "Assistant"}


class Form(StrEnum):
    """What a row is."""

    PREFERENCE = "preference"
    PREFERENCE_CHAT = "preference_chat"
    KTO = "kto"
    KTO_CHAT = "kto_chat"
    SFT = "sft"
    SFT_CHAT = "sft_chat"
    GROUPS = "groups"


class FileFormat(StrEnum):
    JSONL = "jsonl"
    PARQUET = "parquet"


def rows_of(snapshot: DatasetSnapshot, *, form: Form, split: str = "") -> Iterator[Row]:
    """The rows of one form, of one split or of all; one group in memory at a time."""
    if split and split not in SPLITS:
        raise InvalidInput(f"split={split!r} is not one of {', '.join(SPLITS)}.")
    if snapshot.status != snapshot.Status.DONE:
        raise Conflict(f"{snapshot.name} is {snapshot.status}; only a finished snapshot has rows.")
    folder = Path(snapshot.folder)
    if not (folder / GROUPS_FILE).is_file():
        raise Conflict(f"The records of {snapshot.name} are gone from {folder}; request it again.")
    return _rows(folder, FORMS[form], split)


def _rows(folder: Path, shape: Callable[[Group], Iterator[Row]], split: str) -> Iterator[Row]:
    try:
        for group in read_groups(folder):
            if not split or group.split == split:
                yield from shape(group)
    except DataError as error:
        raise Conflict(f"The files of this snapshot cannot be read: {error}") from error


def filename(snapshot: DatasetSnapshot, *, form: Form, split: str, file_format: FileFormat) -> str:
    """A name that says what is inside."""
    stem = slugify(snapshot.name) or f"snapshot-{snapshot.pk}"
    words = [stem, snapshot.sha256[:8], form.value, split]
    return "-".join(word for word in words if word) + f".{file_format}"


def jsonl(rows: Iterator[Row]) -> Iterator[bytes]:
    """One line a row, in pieces worth sending."""
    piece = bytearray()
    for row in rows:
        piece += json.dumps(row, ensure_ascii=False).encode() + b"\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def parquet(rows: Iterator[Row], *, form: Form) -> IO[bytes]:
    """A Parquet file in row groups; it lies in memory while small, else on disk until closed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(form)
    file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(rows, ROWS_A_GROUP)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    file.seek(0)
    return file


def plain_prompt(turns: tuple[Turn, ...]) -> str:
    if len(turns) == 1:
        return turns[0].content
    told = [f"\n\n{SPEAKERS[turn.role]}: {turn.content}" for turn in turns]
    return "".join([*told, "\n\nAssistant:"])


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _reply(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _preferences(group: Group) -> Iterator[Row]:
    yield from _pair_rows(group, plain_prompt(group.prompt), _same)


def _chat_preferences(group: Group) -> Iterator[Row]:
    yield from _pair_rows(group, _messages(group.prompt), _reply)


def _same(text: str) -> str:
    return text


def _pair_rows(group: Group, prompt: Said, reply: Callable[[str], Said]) -> Iterator[Row]:
    for pair in group.pairs:
        if pair.is_tie:
            continue
        yield {
            "prompt": prompt,
            "chosen": reply(group.text_of(pair.chosen)),
            "rejected": reply(group.text_of(pair.rejected)),
            "margin": pair.margin,
            "soft_label": pair.soft_label,
            "votes_chosen": pair.votes_chosen,
            "votes_rejected": pair.votes_rejected,
            "votes_tied": pair.votes_tied,
            "split": group.split,
            "prompt_id": group.prompt_id,
        }


def standing(group: Group) -> Counter[str]:
    """How often each candidate was chosen, less how often it was rejected."""
    wins: Counter[str] = Counter()
    for pair in group.pairs:
        if not pair.is_tie:
            wins[pair.chosen] += 1
            wins[pair.rejected] -= 1
    return wins


def _kto(group: Group) -> Iterator[Row]:
    yield from _kto_rows(group, plain_prompt(group.prompt), _same)


def _chat_kto(group: Group) -> Iterator[Row]:
    yield from _kto_rows(group, _messages(group.prompt), _reply)


def _kto_rows(group: Group, prompt: Said, reply: Callable[[str], Said]) -> Iterator[Row]:
    """A candidate as often chosen as rejected says nothing, so it gives no row."""
    wins = standing(group)
    for candidate in group.candidates:
        is_bad = candidate.id in group.unacceptable
        if wins[candidate.id] or is_bad:
            yield {
                "prompt": prompt,
                "completion": reply(candidate.text),
                "label": wins[candidate.id] > 0 and not is_bad,
                "split": group.split,
                "prompt_id": group.prompt_id,
            }


def responses_to_imitate(group: Group) -> tuple[str, ...]:
    """What people wrote; without that the best of what they chose, if any is acceptable."""
    if group.demonstrations:
        return group.demonstrations
    wins = standing(group)
    liked = [
        one for one in group.candidates if wins[one.id] > 0 and one.id not in group.unacceptable
    ]
    return (max(liked, key=lambda one: wins[one.id]).text,) if liked else ()


def _sft(group: Group) -> Iterator[Row]:
    for text in responses_to_imitate(group):
        prompt = plain_prompt(group.prompt)
        yield {
            "prompt": prompt,
            "completion": text,
            "split": group.split,
            "prompt_id": group.prompt_id,
        }


def _chat_sft(group: Group) -> Iterator[Row]:
    for text in responses_to_imitate(group):
        messages = [*_messages(group.prompt), *_reply(text)]
        yield {"messages": messages, "split": group.split, "prompt_id": group.prompt_id}


def _whole(group: Group) -> Iterator[Row]:
    yield json.loads(group_to_json(group))


FORMS: dict[Form, Callable[[Group], Iterator[Row]]] = {
    Form.PREFERENCE: _preferences,
    Form.PREFERENCE_CHAT: _chat_preferences,
    Form.KTO: _kto,
    Form.KTO_CHAT: _chat_kto,
    Form.SFT: _sft,
    Form.SFT_CHAT: _chat_sft,
    Form.GROUPS: _whole,
}


def _schema(form: Form) -> Any:  # Any: pyarrow has no types
    import pyarrow as pa

    text, number, flag = pa.string(), pa.float64(), pa.bool_()
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    said = messages if form.endswith("chat") else text
    pair = [(name, number) for name in VOTES]
    origin = [("split", text), ("prompt_id", text)]
    if form == Form.GROUPS:
        return pa.schema(_group_fields(pa, messages))
    return pa.schema(
        {
            Form.PREFERENCE: [("prompt", said), ("chosen", said), ("rejected", said), *pair],
            Form.KTO: [("prompt", said), ("completion", said), ("label", flag)],
            Form.SFT: [("messages", messages)]
            if form == Form.SFT_CHAT
            else [("prompt", text), ("completion", text)],
        }[Form(form.removesuffix("_chat"))]
        + origin
    )


VOTES = ("margin", "soft_label", "votes_chosen", "votes_rejected", "votes_tied")


def _group_fields(pa: Any, messages: Any) -> list[tuple[str, Any]]:  # Any: as above
    text, texts = pa.string(), pa.list_(pa.string())
    pair = [("chosen", text), ("rejected", text), ("is_tie", pa.bool_()), ("criterion", text)]
    pair += [(name, pa.float64()) for name in (*VOTES, "weight")]
    return [
        ("prompt_id", text),
        ("prompt", messages),
        ("split", text),
        ("candidates", pa.list_(pa.struct([("id", text), ("text", text)]))),
        ("pairs", pa.list_(pa.struct(pair))),
        ("unacceptable", texts),
        ("demonstrations", texts),
    ]
