"""Rows into files: JSON Lines, a JSON array, CSV, Parquet. Each streams: memory does not grow with the rows.

``Columns`` names the columns of a form with a word for what each holds; only CSV and Parquet need them.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from annotation.core.text import FORMULA_STARTS, inert

Row = dict[str, Any]  # Any: JSON values
Columns = tuple[tuple[str, str], ...]
ROWS_A_GROUP = 2_000
ROWS_A_TABLE = 50
PIECE_BYTES = 64 * 1024
SPOOL_BYTES = 8 * 1024 * 1024
encode = json.JSONEncoder(ensure_ascii=False).encode
_TO_QUOTE = re.compile('[",\r\n]')

_PAIR: Columns = tuple(
    (name, "number")
    for name in (
        "margin",
        "soft_label",
        "votes_chosen",
        "votes_rejected",
        "votes_tied",
        "votes_machine",
    )
)
_ENDED = ("completion_is_finished", "flag")
_PLACE: Columns = (("source", "text"), ("split", "text"), ("prompt_id", "text"))
_FACTS: Columns = (("id", "text"), ("category", "text"), ("tags", "texts"))
_FACTS += (("language", "text"), ("source", "text"), ("license", "text"))
_ORIGIN: Columns = (("labeler", "text"), ("labeler_kind", "text"), ("judged_at", "text"))
_ORIGIN += (("active_ms", "whole"), ("guideline_version", "whole"))
_SAID: Columns = (("strengths", "wholes"), ("is_all_bad", "flag"))
_DETAILS: Columns = (("criteria", "json"), ("marks", "json"))
_DETAILS += (("rationale", "text"), ("shown_order", "wholes"))
_COLUMNS: dict[str, Columns] = {
    "preference": (
        *(("prompt", "said"), ("chosen", "said"), ("rejected", "said"), *_PAIR),
        *(("chosen_is_finished", "flag"), ("rejected_is_finished", "flag"), *_PLACE),
    ),
    "kto": (("prompt", "said"), ("completion", "said"), ("label", "flag"), _ENDED, *_PLACE),
    "sft": (("prompt", "text"), ("completion", "text"), _ENDED, *_PLACE),
    "sft_chat": (("messages", "messages"), _ENDED, *_PLACE),
    "groups": (
        *(("prompt_id", "text"), ("prompt", "messages"), ("split", "text")),
        *(("candidates", "candidates"), ("pairs", "pairs")),
        *(("unacceptable", "texts"), ("demonstrations", "demonstrations"), ("signals", "signals")),
        ("criterion_pairs", "pairs"),
    ),
    "votes": (
        *(*_FACTS, ("prompt", "messages"), ("responses", "responses"), ("ranking", "tiers")),
        *(*_SAID, *_DETAILS, *_ORIGIN, ("is_repeat", "flag"), ("propensity", "number")),
    ),
    "ranking": (
        *(*_FACTS, ("prompt", "messages"), ("responses", "ranked"), *_SAID, *_DETAILS, *_ORIGIN),
        ("propensity", "number"),
    ),
    "signals": (
        *(*_FACTS, ("prompt", "messages"), ("completion", "text"), _ENDED, ("label", "flag")),
        *(("model", "text"), ("labeler", "text"), ("created_at", "text")),
    ),
    "labels": (),  # as wide as its largest comparison
    "label_studio": (),
}


def columns_of(form: str) -> Columns:
    """The columns of a form; forms named chat hold messages where the others hold text."""
    said = "messages" if form.endswith("_chat") else "text"
    columns = _COLUMNS.get(form) or _COLUMNS[form.removesuffix("_chat")]
    return tuple((name, said if kind == "said" else kind) for name, kind in columns)


def text_columns(names: Sequence[str]) -> Columns:
    """Columns of text, but for those that hold numbers."""
    numbers = {"active_ms": "whole", "guideline_version": "whole", "propensity": "number"}
    return tuple((name, numbers.get(name, "text")) for name in names)


def jsonl(rows: Iterator[Row]) -> Iterator[bytes]:
    """One line a row, in pieces worth sending."""
    return _pieces(f"{encode(row)}\n" for row in rows)


def json_array(rows: Iterator[Row]) -> Iterator[bytes]:
    """One JSON array, an object a line."""
    return _pieces(_array(rows))


def _array(rows: Iterator[Row]) -> Iterator[str]:
    start = "[\n"
    for row in rows:
        yield start + encode(row)
        start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


def csv_lines(rows: Iterator[Row], columns: Columns, *, is_inert: bool) -> Iterator[bytes]:
    """A header and one line a row; what is nested is JSON in its cell. ``is_inert``: no cell acts as a formula."""
    return _pieces(_csv(rows, [name for name, _ in columns], is_inert=is_inert))


def _csv(rows: Iterator[Row], names: list[str], *, is_inert: bool) -> Iterator[str]:
    """A column at a time: most of them hold nothing that is written otherwise."""
    yield _lines([_quoted([name]) for name in names])
    while batch := list(islice(rows, ROWS_A_TABLE)):
        columns = zip(*(map(row.get, names) for row in batch), strict=True)
        yield _lines([_quoted(_cells(one, is_inert=is_inert)) for one in columns])


def _lines(columns: Sequence[Sequence[str]]) -> str:
    return "".join([f"{','.join(cells)}\r\n" for cells in zip(*columns, strict=True)])


def _quoted(cells: Sequence[str]) -> Sequence[str]:
    """The cells as they stand between commas. `csv.writer` looks at every character on its own: thrice the time."""
    if not _TO_QUOTE.search("".join(cells)):
        return cells
    return ['"' + one.replace('"', '""') + '"' if _TO_QUOTE.search(one) else one for one in cells]


def _cells(values: Sequence[Any], *, is_inert: bool) -> Sequence[str]:  # Any: JSON
    """The values of a column as texts. ``is_inert``: no text of them acts as a formula; gone through where one may."""
    kinds = set(map(type, values))
    if kinds == {type(None)}:
        return [""] * len(values)
    starts = {one[:1] for one in values if isinstance(one, str)} if is_inert else set()
    if not FORMULA_STARTS.isdisjoint(starts):
        values = [inert(one) if isinstance(one, str) else one for one in values]
    return values if kinds == {str} else [_text(one) for one in values]


def _text(value: object) -> str:
    """A value in its cell: what is nested as JSON, nothing as an empty one."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return encode(value) if isinstance(value, list | dict | bool) else str(value)


def _pieces(texts: Iterator[str]) -> Iterator[bytes]:
    held, size = list[str](), 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= PIECE_BYTES:
            yield "".join(held).encode()
            held, size = [], 0
    if held:
        yield "".join(held).encode()


def parquet_pieces(rows: Iterator[Row], columns: Columns) -> Iterator[bytes]:
    """A Parquet file in row groups; it lies in memory while small, else on disk, and leaves once it is whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(pa, columns)
    nested = [name for name, kind in columns if kind == "json"]
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            while batch := list(islice(rows, ROWS_A_GROUP)):
                flat = [row | {name: encode(row[name]) for name in nested} for row in batch]
                writer.write_table(pa.Table.from_pylist(flat, schema=schema))
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece


def _schema(pa: Any, columns: Columns) -> Any:  # Any: pyarrow has no types
    text, whole, number = pa.string(), pa.int64(), pa.float64()

    def objects(*fields: tuple[str, Any]) -> Any:  # Any: as above
        return pa.list_(pa.struct(fields))

    ended = ("is_finished", pa.bool_())
    response = (("text", text), ("model", text), ended)
    pair = [("chosen", text), ("rejected", text), ("is_tie", pa.bool_()), ("criterion", text)]
    kinds = {
        "text": text,
        "json": text,
        "whole": whole,
        "number": number,
        "flag": pa.bool_(),
        "texts": pa.list_(text),
        "wholes": pa.list_(whole),
        "tiers": pa.list_(pa.list_(whole)),
        "messages": objects(("role", text), ("content", text)),
        "candidates": objects(("id", text), ("text", text), ended),
        "responses": objects(*response),
        "ranked": objects(*response, ("rank", whole)),
        "pairs": objects(
            *pair, *((name, number) for name, _ in _PAIR), ("weight", number), ("source", text)
        ),
        "signals": objects(("candidate", text), ("accepted", whole), ("rejected", whole)),
        "demonstrations": objects(("text", text), ("source", text), ended),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in columns])
