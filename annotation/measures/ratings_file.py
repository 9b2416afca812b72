"""Reading a table of ratings from a CSV file: good rows kept, every other row listed."""

import codecs
import csv
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from annotation.measures.table import RatingTable, Scale

COLUMNS = ("item", "labeler", "label")
SAMPLE_CHARACTERS = 8192
CHUNK_BYTES = 1 << 20
SHOWN_CHARACTERS = 60
LONGEST_FIELD = 1 << 17  # characters; the limit is the process's, so it is set before each reading


class UnreadableRatingsError(ValueError):
    """The file as a whole cannot be read; the message says why and what to do."""


class ScaleOrigin(StrEnum):
    """Where the order of the labels comes from."""

    DECLARED = "declared"
    NUMERIC = "numeric"
    ALPHABETICAL = "alphabetical"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A row left out: the line it starts on, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatingsFile:
    """The good rows as codes, with the names behind the codes."""

    table: RatingTable
    items: tuple[str, ...]
    labelers: tuple[str, ...]
    scale_origin: ScaleOrigin
    rejected: tuple[RejectedRow, ...]


def read_ratings(path: Path, *, scale: Sequence[str] | None = None) -> RatingsFile:
    """Read columns item, labeler, label; other columns are ignored.

    1. UTF-8, UTF-16 with a mark, or else Windows-1252; comma, semicolon, tab or bar.
    2. A row with a missing value, a label off the declared scale or a repeated (item, labeler) is
       rejected; the first label of a labeler on an item stands.
    3. A quotation mark left open costs the line it stands on, not those behind it.
    4. Without a declared scale the labels that occur are it, in numeric order if all are numbers.
    """
    declared = None if scale is None else _declared(scale)
    csv.field_size_limit(LONGEST_FIELD)
    if _is_binary(path):
        raise UnreadableRatingsError(
            "This is no text: its first line holds control characters. Save the table as CSV."
        )
    with path.open(encoding=_encoding(path), newline="") as text:
        source = _Source(text)
        rows = _Rows(declared, source.header())
        for row in source:
            rows.add(row, source.lines)
    return rows.finish()


def _declared(scale: Sequence[str]) -> Scale:
    try:
        return Scale(tuple(name.strip() for name in scale))
    except ValueError as problem:
        raise UnreadableRatingsError(str(problem)) from problem


def _is_binary(path: Path) -> bool:
    """Whether the first line holds bytes that no text has; UTF-16 with its mark is text."""
    with path.open("rb") as file:
        line = file.readline(LONGEST_FIELD)
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    return any(byte < ord(" ") and byte not in b"\t\r\n\f\v" for byte in line)


def _encoding(path: Path) -> str:
    """A byte order mark decides; else UTF-8 if every byte of the file is, else Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        chunk = file.read(CHUNK_BYTES)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(CHUNK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1" if _has_undefined_bytes(path) else "cp1252"
    return "utf-8-sig"


def _has_undefined_bytes(path: Path) -> bool:
    undefined = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if len(chunk.translate(None, undefined)) < len(chunk):
                return True
    return False


class _Row(NamedTuple):
    """One row of the file; ``problem`` is what csv says of a row that it cannot read."""

    line: int
    cells: list[str]
    problem: str | None = None


class _Lines:
    """The lines of a file; those taken for the last row can be handed back, even at its end."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0  # of the last line taken

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._text)
        self.number += 1
        self._taken.append(line)
        return line

    def begin_row(self) -> int:
        """The number of the line that a new row starts on."""
        self._taken.clear()
        return self.number + 1

    def hand_back(self) -> bool:
        """Take the lines behind the first of the last row again; False if there are none."""
        behind = self._taken[1:]
        self._again.extendleft(reversed(behind))
        self.number -= len(behind)
        return bool(behind)


class _Source:
    """The rows of a file."""

    def __init__(self, text: TextIO) -> None:
        delimiter = _delimiter(text)
        self.lines = _Lines(text)
        self._reader = csv.reader(self.lines, delimiter=delimiter)

    def __iter__(self) -> Iterator[_Row]:
        """Every row that is not blank; the file ends where it stops being text."""
        while True:
            start = self.lines.begin_row()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as problem:
                yield _Row(start, [], f"The row cannot be read: {problem}.")
                continue
            except UnicodeError as problem:
                yield _Row(start, [], f"The rest of the file is not text: {problem}.")
                return
            if cells:
                yield _Row(start, cells)

    def header(self) -> tuple[int, ...]:
        """Places of the three columns, and the number of all columns."""
        row = next(iter(self), _Row(1, []))
        names = [cell.strip().lower() for cell in row.cells]
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            seen = _short(", ".join(names) or "nothing")
            raise UnreadableRatingsError(
                f"The file has no column {' and no column '.join(missing)}; its header names"
                f" {seen}. The first line must name item, labeler and label."
            )
        return (*(names.index(name) for name in COLUMNS), len(names))


def _delimiter(text: TextIO) -> str:
    """The one that the first line holds most of."""
    try:
        sample = text.read(SAMPLE_CHARACTERS)
    except UnicodeError as problem:
        message = f"The file is not text that can be read: {problem}. Save it as UTF-8."
        raise UnreadableRatingsError(message) from problem
    text.seek(0)
    first = sample.lstrip("\r\n").partition("\n")[0]
    return max(",;\t|", key=first.count)


@dataclass(slots=True)
class _Rows:
    """Codes of the rows kept so far."""

    declared: Scale | None
    places: tuple[int, ...]
    items: dict[str, int] = field(default_factory=dict)
    labelers: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    numbers: dict[float, int] = field(default_factory=dict)
    columns: tuple["array[int]", "array[int]", "array[int]"] = field(
        default_factory=lambda: (array("q"), array("q"), array("q"))
    )
    lines: dict[tuple[int, int], int] = field(default_factory=dict)
    rejected: list[RejectedRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.declared.names if self.declared else ():
            code = self.labels.setdefault(name, len(self.labels))
            number = _number(name)
            if number is not None:
                self.numbers.setdefault(number, code)

    def add(self, row: _Row, lines: _Lines) -> None:
        reason = row.problem or self._broken(row.cells)
        if reason and lines.hand_back():
            reason = f"A quotation mark is left open on this line. {reason}"
        reason = reason or self._empty(row.cells) or self._keep(row.line, row.cells)
        if reason:
            self.rejected.append(RejectedRow(line=row.line, reason=reason))

    def _broken(self, cells: list[str]) -> str | None:
        """Why the row as such is wrong, perhaps by a quotation mark that swallowed others."""
        width = self.places[-1]
        if len(cells) != width:
            return f"The row has {len(cells)} fields where the header has {width}."
        for name, place in zip(COLUMNS, self.places, strict=False):
            if "\n" in cells[place]:
                return f"The {name} spans several lines."
        return None

    def _empty(self, cells: list[str]) -> str | None:
        for name, place in zip(COLUMNS, self.places, strict=False):
            if not cells[place].strip():
                return f"The {name} is empty."
            if "\0" in cells[place]:
                return f"The {name} holds a NUL character."
        return None

    def _keep(self, line: int, cells: list[str]) -> str | None:
        item, labeler, label = (cells[place].strip() for place in self.places[:-1])
        code = self._label_code(label)
        if code is None:
            names = ", ".join(self.declared.names) if self.declared else ""
            return f"The label {_short(label)!r} is not on the scale {_short(names)}."
        key = (
            self.items.setdefault(item, len(self.items)),
            self.labelers.setdefault(labeler, len(self.labelers)),
        )
        earlier = self.lines.setdefault(key, line)
        if earlier != line:
            return (
                f"Labeler {_short(labeler)!r} labeled item {_short(item)!r} on line {earlier}"
                " already; that label stands."
            )
        for column, value in zip(self.columns, (*key, code), strict=True):
            column.append(value)
        return None

    def _label_code(self, label: str) -> int | None:
        """The label's code: by its text, or as the same number written otherwise (2.0 for 2)."""
        known = self.labels.get(label)
        if known is not None:
            return known
        number = _number(label)
        if number is not None and number in self.numbers:
            return self.numbers[number]
        if self.declared:
            return None
        code = self.labels.setdefault(label, len(self.labels))
        if number is not None:
            self.numbers[number] = code
        return code

    def finish(self) -> RatingsFile:
        if not self.items:
            first = f" The first: {self.rejected[0].reason}" if self.rejected else ""
            count = len(self.rejected)
            raise UnreadableRatingsError(
                f"The file holds no row that can be used; {count} were rejected.{first}"
            )
        origin, scale, place_of = self._scale()
        items, labelers, labels = (np.array(column, dtype=np.int64) for column in self.columns)
        return RatingsFile(
            table=RatingTable.from_columns(items, labelers, place_of[labels], scale),
            items=tuple(self.items),
            labelers=tuple(self.labelers),
            scale_origin=origin,
            rejected=tuple(self.rejected),
        )

    def _scale(self) -> tuple[ScaleOrigin, Scale, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
        if self.declared:
            return ScaleOrigin.DECLARED, self.declared, np.arange(len(self.labels))
        numeric = len(self.numbers) == len(self.labels)
        ordered = sorted(self.labels, key=float) if numeric else sorted(self.labels)
        place_of = np.empty(len(ordered), dtype=np.int64)
        place_of[[self.labels[name] for name in ordered]] = np.arange(len(ordered))
        origin = ScaleOrigin.NUMERIC if numeric else ScaleOrigin.ALPHABETICAL
        return origin, _declared(ordered), place_of


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
