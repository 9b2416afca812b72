"""`manage.py export_snapshot ID`: the records of a snapshot, to a file or to standard output."""

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError

from annotation.core.errors import DomainError
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import exporting
from annotation.datasets.services.exporting import FileFormat, Form
from training.spec.records import SPLITS


class Command(BaseCommand):
    help = "Export a finished snapshot in a shape that trainers read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", type=int, help="The number of the snapshot.")
        parser.add_argument("--form", choices=list(Form), default=Form.PREFERENCE_CHAT.value)
        parser.add_argument("--format", choices=list(FileFormat), default=FileFormat.JSONL.value)
        parser.add_argument("--split", choices=SPLITS, default="", help="All when left out.")
        parser.add_argument("--output", type=Path, help="A file; standard output when left out.")

    def handle(self, *_args: Any, **options: Any) -> None:  # Any: Django's own
        snapshot = DatasetSnapshot.objects.filter(pk=options["snapshot"]).first()
        if snapshot is None:
            raise CommandError(f"There is no snapshot {options['snapshot']}.")
        output: Path | None = options["output"]
        try:
            if output is None:
                _write(snapshot, sys.stdout.buffer, options)
            else:
                _write_file(snapshot, output, options)
        except DomainError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The rows cannot be written: {error}.") from error


def _write_file(snapshot: DatasetSnapshot, output: Path, options: dict[str, Any]) -> None:
    """Write beside the file and move it in place: a half-written export never has its name."""
    partial = output.with_name(f".{output.name}.partial")
    try:
        with partial.open("wb") as file:
            _write(snapshot, file, options)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _write(snapshot: DatasetSnapshot, file: IO[bytes], options: dict[str, Any]) -> None:
    form = Form(options["form"])
    rows = exporting.rows_of(snapshot, form=form, split=options["split"])
    if options["format"] == FileFormat.JSONL:
        file.writelines(exporting.jsonl(rows))
        return
    with exporting.parquet(rows, form=form) as whole:
        shutil.copyfileobj(whole, file)
