"""`manage.py import_prompts PROJECT FILE`: take the rows of a file here and now, without a worker."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotation.comparisons.services.importing import import_here
from annotation.core.errors import DomainError
from annotation.projects.models import Project
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.files import FORMATS
from annotation.prompts.selectors import rejected_of
from annotation.prompts.services.previewing import FilePreview, preview_file
from annotation.prompts.services.requesting import request_import

SHOWN_REJECTED = 20


class Command(BaseCommand):
    help = "Import prompts, preferences or judgments from a JSON Lines, CSV or Parquet file (also .gz)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", type=int)
        parser.add_argument("file", type=Path)
        parser.add_argument("--contents", choices=PromptImport.Contents.values, default="prompts")
        parser.add_argument(
            "--format", choices=FORMATS, default="", help="by its ending if left out"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="read the whole file, tell, and store nothing"
        )
        parser.add_argument("--rows", choices=[form.value for form in RowForm], default="auto")

    def handle(self, *_args: Any, **options: Any) -> None:  # Any: Django's own options
        project = Project.objects.filter(pk=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        if not options["file"].is_file():
            raise CommandError(f"There is no file {options['file']}.")
        try:
            if options["dry_run"]:
                self._tell_preview(self._preview(options))
            else:
                self._tell(self._import(project, options))
        except (DomainError, OSError) as error:
            raise CommandError(str(error)) from error

    def _preview(self, options: dict[str, Any]) -> FilePreview:
        return preview_file(
            chunks=_chunks(options["file"]),
            filename=options["file"].name,
            contents=PromptImport.Contents(options["contents"]),
            row_form=RowForm(options["rows"]),
            named_format=options["format"],
            most_rows=None,
        )

    def _tell_preview(self, found: FilePreview) -> None:
        forms = ", ".join(f"{rows:,} as {form}" for form, rows in found.forms())
        self.stdout.write(
            f"{found.rows_checked:,} rows of {found.file_format}: {found.rows_taken:,} would be taken"
            f"{f' ({forms})' if forms else ''}, {found.rows_refused:,} rejected. Nothing was stored. {found.unseen}"
        )
        for one in found.shown:
            said = "; ".join(one.verdicts) or " ".join(turn["content"] for turn in one.turns)
            self.stdout.write(f"  line {one.line}: {one.reason or said[:200]}")
        for one in found.refused:
            self.stdout.write(f"  rejected, line {one.line}: {one.reason}")

    def _import(self, project: Project, options: dict[str, Any]) -> PromptImport:
        row = request_import(
            project=project,
            chunks=_chunks(options["file"]),
            filename=options["file"].name,
            actor=None,
            contents=PromptImport.Contents(options["contents"]),
            row_form=RowForm(options["rows"]),
            named_format=options["format"],
            by_worker=False,
        )
        with tqdm(unit=" rows", desc=row.filename, file=self.stderr) as bar:

            def show(done: int, total: int, unit: str) -> None:  # noqa: ARG001 - always rows
                bar.total = total
                bar.update(done - bar.n)

            return import_here(prompt_import=row, owner=f"command:{os.getpid()}", progress=show)

    def _tell(self, row: PromptImport) -> None:
        self.stdout.write(
            f"{row.rows_read} rows: {row.rows_created} new, {row.rows_duplicate} already there, "
            f"{row.rows_rejected} rejected."
        )
        for one in rejected_of(row)[:SHOWN_REJECTED]:
            part = ", taken in part" if one.is_taken else ""
            self.stdout.write(f"  line {one.line}{part}: {one.reason}")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            yield chunk
