"""Where a command writes an export: to standard output, or to a file that has its name only once it is whole."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from annotation.core.errors import DomainError
from annotation.datasets.services.exporting import Export, FileFormat, Row


def add_file_arguments(parser: ArgumentParser) -> None:
    """``--format`` and ``--output``."""
    parser.add_argument(
        "--format", choices=[one.value for one in FileFormat], default=FileFormat.JSONL.value
    )
    parser.add_argument("--output", type=Path, help="A file; standard output when left out.")


def write_export(make: Callable[[], Export], options: dict[str, Any]) -> None:
    """Write what ``make`` gives; failures end the command with their sentence."""
    output: Path | None = options["output"]
    try:
        export, rows = make(), Counted()
        pieces = replace(export, rows=rows.of(export.rows)).pieces(FileFormat(options["format"]))
        if output is None:
            sys.stdout.buffer.writelines(pieces)
            sys.stdout.flush()
            sys.stderr.write(f"Wrote {rows.count:,} rows ({export.form}) to standard output.\n")
        else:
            _write_file(pieces, output)
            size = f"{output.stat().st_size:,} bytes"
            sys.stderr.write(f"Wrote {rows.count:,} rows ({export.form}, {size}) to {output}.\n")
    except DomainError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"The rows cannot be written: {error}.") from error


class Counted:
    """Counts rows on their way."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.count += 1
            yield row


def _write_file(pieces: Iterator[bytes], output: Path) -> None:
    """Write beside the file and move it in place: a half-written export never has its name."""
    partial = output.with_name(f".{output.name}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines(pieces)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
