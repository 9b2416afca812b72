"""What readers hand on: a row with its line, or the reason why there is none; and the limits they keep."""

import json
import math
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.errors import InvalidInput
from annotation.core.text import kind_of

MAX_ROW_BYTES = 4 * 1024 * 1024
MAX_TEXT = 100_000  # characters of one prompt with all its turns, and of one response
EXCERPT = 200
EMPTY_FILE = gettext_noop("The file is empty. Choose a file with at least one row.")


class UnreadableFile(InvalidInput):
    """The file as a whole cannot be read; no row of it was taken."""

    field = "file"


class RowRefused(ValueError):  # noqa: N818 - reads as a sentence where it is raised
    """Why one row cannot be taken: a sentence for the person who will mend the file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stood in the file: its fields, or the reason why it cannot be read."""

    line: int
    fields: dict[str, Any]  # Any: JSON values
    reason: str = ""
    seen: str | bytes = ""  # how it begins in the file
    size: int = 0  # about how many bytes it takes

    @property
    def excerpt(self) -> str:
        """How the row begins, as it can be stored; made for the rows that are refused."""
        seen = self.seen or str(self.fields or "")
        if isinstance(seen, bytes):
            seen = seen[: EXCERPT * 4].decode("utf-8", errors="replace")
        return storable(seen[:EXCERPT]).rstrip()


def storable(text: str) -> str:
    """The text as the database can hold it: no half characters, no NUL."""
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\0", "�")


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


JSON = json.JSONDecoder(parse_constant=_constant)  # NaN is nothing, as tables write it


def json_fault(error: ValueError | RecursionError) -> str:
    """What stands in the way of reading JSON, without the words of Python's own limits."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        place = min(error.pos, len(error.doc.rstrip())) + 1  # not behind the end of the line
        return f"{error.msg} at character {place}"
    return "a number has too many digits"


def without_nan(value: Any) -> Any:  # Any: a cell, with what is nested in it
    """A cell of a table, with None for each NaN."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {name: without_nan(one) for name, one in value.items()}
    return [without_nan(one) for one in value] if isinstance(value, list) else value


def refused(line: int, reason: str, seen: str | bytes = "") -> Row:
    """A row that cannot be read."""
    return Row(line, {}, reason, seen[: EXCERPT * 4])


def check_text(value: str, name: str, *, limit: int = MAX_TEXT) -> str:
    """``value``, if it can be stored and is within the limit."""
    if len(value) > limit:
        raise RowRefused(
            f"{name} has {len(value):,} characters; the limit is {limit:,}. Shorten or split it."
        )
    if (place := value.find("\0")) >= 0:
        raise RowRefused(f"{name} holds a NUL character at position {place + 1}; remove it.")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RowRefused(_not_text(value, name, error.start)) from error
    return value


def _not_text(value: str, name: str, place: int) -> str:
    code = ord(value[place])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that the CSV reader could not decode
        byte = f"byte 0x{code - 0xDC00:02X} at position {place + 1}"
        return f"{name} is not UTF-8: {byte}. Save the file as UTF-8."
    return f"{name} holds half a character (U+{code:04X}) at position {place + 1}; remove it."


def text_of(fields: dict[str, Any], name: str, *, limit: int = MAX_TEXT) -> str:
    """The text in a column; numbers and truth values count as their text, nothing as empty."""
    value = fields.get(name)
    if isinstance(value, str):
        return check_text(value, name, limit=limit)
    if value is None:
        return ""
    if value in (math.inf, -math.inf):
        raise RowRefused(f"{name} is an infinite number, not text.")
    if isinstance(value, bool | int | float):
        return check_text(str(value), name, limit=limit)
    raise RowRefused(f"{name} is {kind_of(value)}, not text.")


def seen(fields: dict[str, Any]) -> str:
    """The columns of a row, for the sentence that says what is missing."""
    return ", ".join(map(repr, sorted(map(str, fields))[:10])) or "no columns"
