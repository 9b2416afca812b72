"""JSON Lines, a JSON array, CSV and Parquet, plain or gzip, read as a stream: memory does not grow with the file."""

import codecs
import csv
import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from annotation.core.text import from_inert, kind_of
from annotation.prompts.readers.headers import column_names
from annotation.prompts.readers.rows import (
    EMPTY_FILE,
    EXCERPT,
    JSON,
    MAX_ROW_BYTES,
    Row,
    UnreadableFile,
    json_fault,
    refused,
    storable,
    without_nan,
)

CHUNK = 64 * 1024
PARQUET_ROWS = 256
SEEN = 4 * EXCERPT  # kept of each row, for the list of those that are refused
OURS = (  # columns of a table exported from here, of judgments and of signals
    frozenset({"labeler", "labeler_kind", "judged_at", "active_ms"}),
    frozenset({"completion_is_finished", "label", "model", "labeler", "created_at"}),
)
LARGEST_PACKING = 250  # times, of a gzip file of more than FREELY_UNPACKED bytes
FREELY_UNPACKED = 1024**3
LARGEST_ROW_GROUP = 1024**3  # bytes of a Parquet file, unpacked
Item = TypeVar("Item")
FORMATS = ("jsonl", "json", "csv", "parquet")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
BOM = b"\xef\xbb\xbf"
WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
CONTINUATION = range(0x80, 0xC0)  # bytes that begin no character
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
SPREAD_OBJECT = re.compile(rb"\{\s*\n")  # no line of JSON Lines begins so


def file_format(filename: str) -> str:
    """The format that a file's name promises."""
    name = filename.lower().removesuffix(".gz")
    endings = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
    endings |= {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
    for ending, found in endings.items():
        if name.endswith(ending):
            return found
    if name.endswith(SPREADSHEETS):
        raise UnreadableFile(f"{filename!r} is a spreadsheet; save the table in it as CSV (UTF-8).")
    raise UnreadableFile(
        f"{filename!r} ends in none of .jsonl, .json, .csv, .tsv, .parquet (each also .gz); "
        "rename the file by what it holds."
    )


def read_rows(path: Path, file_format: str) -> Iterator[Row]:
    """The rows of a file, one by one."""
    _refuse_empty(path)
    if file_format == "parquet":
        return _parquet_rows(path)
    return _guarded(path, _csv_rows if file_format == "csv" else _json_rows)


def row_numbers(path: Path, file_format: str) -> Iterator[int]:
    """1, 2, 3 ... to the last row: the whole file is gone through, and what is in its rows looked at no more than
    it must be to find their ends.
    """
    _refuse_empty(path)
    if file_format == "parquet":
        ends: Iterator[object] = (one for count in _parquet(path, len) for one in range(count))
    else:
        ends = _guarded(path, _csv_rows if file_format == "csv" else _json_ends)
    return (number for number, _ in enumerate(ends, start=1))


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise UnreadableFile(EMPTY_FILE)


def _guarded(path: Path, reader: Callable[[IO[bytes]], Iterator[Item]]) -> Iterator[Item]:
    with path.open("rb") as plain:
        is_gzip = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        stream: IO[bytes] = _Unpacked(path, plain) if is_gzip else plain  # type: ignore[assignment] # GzipFile is one in all but name
        try:
            _refuse_other_kinds(peeked(stream))
            yield from reader(stream)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableFile(
                f"The gzip file breaks off or is damaged ({error}); pack or send it again."
            ) from error


def _refuse_neither_text_nor_gzip(start: bytes) -> None:
    """Refuse what is binary and does not begin as gzip does, whatever its name promises."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        if start[0] in CONTINUATION or CONTROL.search(start):
            raise UnreadableFile(
                f"The file is no gzip file (those begin with 1F 8B) and no text: it begins with "
                f"{start[:2].hex(' ').upper()}. Pack or send it again, or save it as UTF-8."
            ) from None


def _refuse_other_kinds(start: bytes) -> None:
    """Refuse by its first bytes a file that is no text in UTF-8, or is JSON that is neither lines nor an array."""
    if start.startswith(WIDE_BOMS) or b"\0" in start[:2]:
        raise UnreadableFile("The file is UTF-16; save it as UTF-8.")
    if start.startswith(b"PK\x03\x04"):
        raise UnreadableFile("This is a ZIP archive; unpack it, or pack the file as .gz.")
    if start.startswith(b"PAR1"):
        raise UnreadableFile("This is a Parquet file; give it the ending .parquet.")
    if start.startswith(b"\x1f\x8b"):
        raise UnreadableFile("The file is packed twice; unpack it once.")
    _refuse_neither_text_nor_gzip(start)
    if SPREAD_OBJECT.match(start.removeprefix(BOM).lstrip()):
        raise UnreadableFile(
            "The file begins with an object over several lines; write each row in one line, or all in one array."
        )


class _Unpacked(gzip.GzipFile):
    """A gzip file that refuses to be a bomb: more than text can be packed."""

    def __init__(self, path: Path, packed: IO[bytes]) -> None:
        super().__init__(fileobj=packed)
        self._most = max(FREELY_UNPACKED, LARGEST_PACKING * path.stat().st_size)

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self._check()
        return piece

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        self._check()
        return line

    def _check(self) -> None:
        if self.tell() > self._most:
            raise UnreadableFile(
                f"The gzip file unpacks to more than {self._most:,} bytes, {LARGEST_PACKING} times its size; "
                "if it holds rows, send it unpacked or in parts."
            )


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None stands for one that is longer than a row may be."""
    number = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(BOM)
        if len(line) <= MAX_ROW_BYTES:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_ROW_BYTES)
        yield number, None


def _too_long(number: int) -> Row:
    return refused(number, f"The row is longer than {MAX_ROW_BYTES:,} bytes, the limit of a row.")


def _json_rows(stream: IO[bytes]) -> Iterator[Row]:
    if peeked(stream).removeprefix(BOM).lstrip().startswith(b"["):
        yield from _array_rows(_chunks(stream))
        return
    for number, line in _lines(stream):
        if line is None:
            yield _too_long(number)
        elif line.strip():
            yield _json_row(number, line)


def _json_ends(stream: IO[bytes]) -> Iterator[object]:
    """Something for each row: an array is parsed for it, lines are not."""
    if peeked(stream).removeprefix(BOM).lstrip().startswith(b"["):
        return _array_rows(_chunks(stream))
    return (number for number, line in _lines(stream) if line is None or line.strip())


def peeked(stream: Any) -> bytes:  # Any: IO[bytes] does not tell of peek()
    """The first bytes of a stream, which stays where it is."""
    return bytes(stream.peek(64)[:64])


def _json_row(number: int, line: bytes) -> Row:
    try:
        value = JSON.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"byte 0x{line[error.start]:02X} at position {error.start + 1} is not UTF-8"
        return refused(number, f"{reason}; save the file as UTF-8.", line)
    except (ValueError, RecursionError) as error:
        return refused(number, f"The row cannot be read as JSON: {json_fault(error)}.", line)
    return _object_row(number, value, line[:SEEN], len(line))


def _object_row(number: int, value: object, seen: str | bytes, size: int) -> Row:
    if not isinstance(value, dict):
        reason = f"The row is {kind_of(value)}, not an object with named fields."
        return refused(number, reason, seen)
    return Row(number, value, seen=seen, size=size)


def _chunks(stream: IO[bytes]) -> Iterator[str]:
    decoder, offset = codecs.getincrementaldecoder("utf-8-sig")(), 0
    while chunk := stream.read(CHUNK):
        try:
            yield decoder.decode(chunk)
        except UnicodeDecodeError as error:
            byte = (
                f"byte 0x{error.object[error.start]:02X} near position {offset + error.start + 1}"
            )
            raise UnreadableFile(f"{byte} is not UTF-8; save the file as UTF-8.") from error
        offset += len(chunk)


def _array_rows(chunks: Iterator[str]) -> Iterator[Row]:
    """The objects of one JSON array; ``line`` is the object's number there."""
    number = 0
    buffer = next(chunks).lstrip()[1:]
    while True:
        buffer = buffer.lstrip().removeprefix(",").lstrip()
        if buffer.startswith("]"):
            return _refuse_more(buffer[1:], chunks, number)
        try:
            value, end = JSON.raw_decode(buffer)
        except json.JSONDecodeError as error:
            buffer = _longer(buffer, chunks, number, error)
            continue
        except (ValueError, RecursionError) as error:
            raise UnreadableFile(
                f"Object {number + 1} of the array cannot be read: {json_fault(error)}; "
                "write one object a line, then it alone is rejected."
            ) from error
        number += 1
        yield _object_row(number, value, buffer[: min(end, SEEN)], end)
        buffer = buffer[end:]


def _refuse_more(buffer: str, chunks: Iterator[str], number: int) -> None:
    if more := (buffer.strip() or next(filter(None, map(str.strip, chunks)), "")):
        raise UnreadableFile(
            f"After the end of the JSON array, object {number}, stands more: {storable(more[:20])!r}. "
            "Make it one array, or write one object a line."
        )


def _longer(buffer: str, chunks: Iterator[str], number: int, error: Exception) -> str:
    """At least twice as much, so that a long object is not parsed again for every chunk."""
    parts, added = [buffer], 0
    while added <= len(buffer) <= MAX_ROW_BYTES and (more := next(chunks, "")):
        parts.append(more)
        added += len(more)
    if not added and len(buffer) > MAX_ROW_BYTES:
        raise UnreadableFile(
            f"Object {number + 1} of the array is longer than {MAX_ROW_BYTES:,} bytes, the limit of a row; "
            "shorten it, or write one object a line, then it alone is rejected."
        ) from error
    if not added:
        raise UnreadableFile(
            f"The JSON array breaks after object {number}: {error}. "
            "Repair it, or write one object a line."
        ) from error
    return "".join(parts)


def _csv_rows(stream: IO[bytes]) -> Iterator[Row]:
    csv.field_size_limit(MAX_ROW_BYTES)
    lines = _csv_lines(stream)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    if "\r" in first.rstrip("\r\n"):
        raise UnreadableFile("Its line ends are those of old Macs (CR alone); save it with LF.")
    header = next(csv.reader([first], delimiter=delimiter), [])
    names = [storable(name).strip() for name in header]
    _check_header(names)
    names = column_names(names)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    is_ours = any(columns.issubset(names) for columns in OURS)
    while True:
        begins = reader.line_num + 2
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _refuse_open_quote(begins, str(error))
            yield refused(begins, f"This is not CSV: {error}.")
            continue
        if is_ours:
            values = list(map(from_inert, values))
        if values:
            yield _csv_row(begins, names, values)


def _refuse_open_quote(line: int, fault: str) -> None:
    """A quote that is not closed makes one field of the lines that follow: what comes after it is no row."""
    if "end of data" in fault:
        raise UnreadableFile(
            f"A quote that opens in line {line} is not closed to the end of the file; "
            "close it, or write it twice where it belongs to the text."
        )
    if "field limit" in fault:
        raise UnreadableFile(
            f"A field that begins in line {line} is longer than {MAX_ROW_BYTES:,} bytes, the limit of a row; "
            "shorten it, or close the quote that opens there."
        )


def _csv_lines(stream: IO[bytes]) -> Iterator[str]:
    for number, line in _lines(stream):
        if line is None:
            raise UnreadableFile(
                f"Line {number} is longer than {MAX_ROW_BYTES:,} bytes, the limit of a row; "
                "is this CSV?"
            )
        yield line.decode("utf-8", errors="surrogateescape")


def _check_header(names: list[str]) -> None:
    if not any(names):
        raise UnreadableFile("The first line names no columns.")
    doubled = sorted(name for name, times in Counter(names).items() if times > 1)
    if doubled:
        named = ", ".join(name or "an empty name" for name in doubled[:10])
        raise UnreadableFile(
            f"The header names {named} more than once; give each column its own name."
        )


def _csv_row(line: int, names: list[str], values: list[str]) -> Row:
    seen = ",".join(values)
    if len(values) != len(names):
        reason = f"The row has {len(values)} fields where the header names {len(names)} columns."
        return refused(line, reason, seen)
    fields = dict(zip(names, values, strict=True))
    return Row(line, fields, seen=seen[:SEEN], size=len(seen))


def _parquet_rows(path: Path) -> Iterator[Row]:
    line = 0
    for some in _parquet(path, lambda batch: (_named(batch).to_pylist(), batch.nbytes)):
        rows, size = some
        for fields in rows:
            line += 1
            yield Row(line, without_nan(fields), size=size // len(rows))


def _named(batch: Any) -> Any:  # Any: pyarrow has no types
    return batch.rename_columns(column_names(batch.schema.names))


def _parquet(
    path: Path, take: Callable[[Any], Item]
) -> Iterator[Item]:  # Any: pyarrow has no types
    """What ``take`` makes of each batch of rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = 0
    try:
        file = pq.ParquetFile(path)
        _refuse_large_groups(file.metadata)
        for some in file.iter_batches(batch_size=PARQUET_ROWS):
            yield take(some)
            line += len(some)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(
            f"The Parquet file cannot be read after row {line}: {str(error).rstrip('.')}. Write or send it again."
        ) from error


def _refuse_large_groups(metadata: Any) -> None:  # Any: pyarrow has no types
    sizes = (metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    if (largest := max(sizes, default=0)) > LARGEST_ROW_GROUP:
        raise UnreadableFile(
            f"A row group of the Parquet file unpacks to {largest:,} bytes; write it in row groups of at most "
            f"{LARGEST_ROW_GROUP:,}."
        )
