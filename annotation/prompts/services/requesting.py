"""Asking for an import: the file is stored, the job row written, a worker rung."""

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import Job, ring
from annotation.core.storage import write_artifact
from annotation.projects.models import Project
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import READERS, RowForm
from annotation.prompts.readers.files import FORMATS, file_format
from annotation.prompts.readers.forms import BY_NAME
from annotation.prompts.readers.rows import EMPTY_FILE

Contents = PromptImport.Contents
JUDGED_ROW_FORMS = frozenset(BY_NAME)
PROMPT_ROW_FORMS = frozenset(READERS)
ROW_FORMS = {
    Contents.PROMPTS: PROMPT_ROW_FORMS,
    Contents.PREFERENCES: JUDGED_ROW_FORMS,
    Contents.JUDGMENTS: JUDGED_ROW_FORMS,
}


def request_import(  # noqa: PLR0913 - a file is told by these
    *,
    project: Project,
    chunks: Iterable[bytes],
    filename: str,
    actor: User | None,
    contents: Contents = Contents.PROMPTS,
    row_form: RowForm = RowForm.AUTO,
    named_format: str = "",
    by_worker: bool = True,
) -> PromptImport:
    """Store a file and ask a worker to take its rows (or leave that to the caller).

    1. The file goes to the artifacts, outside of any transaction. 2. The job row, audit and ring are one.
    """
    name = clean_filename(filename)
    if named_format and named_format not in FORMATS:
        raise InvalidInput.at(
            "file_format", f"The format {named_format!r} is none of {', '.join(FORMATS)}."
        )
    _refuse_other_form(contents, row_form)
    found = named_format or file_format(name)
    sha256, size = write_artifact(_within_limit(chunks))
    with transaction.atomic():
        row = PromptImport.objects.create(
            project=project,
            contents=contents,
            filename=name,
            file_format=found,
            row_form=row_form,
            artifact=sha256,
            size_bytes=size,
            created_by=actor,
        )
        audit.record("import.requested", row, actor=actor, filename=name, sha256=sha256)
        if by_worker:
            ring(Job.IMPORT_PROMPTS, row.pk)
    return row


def _refuse_other_form(contents: Contents, form: RowForm) -> None:
    if form == RowForm.AUTO or form in ROW_FORMS.get(contents, ()):
        return
    meant = "prompts" if form in PROMPT_ROW_FORMS else "judgments"
    raise InvalidInput.at("row_form", f"The form {form.value!r} is for {meant}; choose another.")


def request_rows(
    *,
    project: Project,
    rows: Iterable[Mapping[str, Any]],  # Any: JSON
    actor: User | None,
    contents: Contents = Contents.PROMPTS,
    filename: str = "rows.jsonl",
    by_worker: bool = True,
) -> PromptImport:
    """The same for rows that are in memory already: they become a file of JSON Lines."""
    return request_import(
        project=project,
        chunks=lines_of(rows),
        filename=filename,
        actor=actor,
        contents=contents,
        by_worker=by_worker,
    )


def lines_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:  # Any: JSON
    """Rows as the lines of a file. Raises InvalidInput for one that is nested too deeply."""
    return map(_line, rows)


def _line(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row).encode() + b"\n"
    except RecursionError as error:
        raise InvalidInput.at("rows", "A row is nested too deeply.") from error


def clean_filename(filename: str) -> str:
    """The last part of a name, without what does not print."""
    name = PurePath(unicodedata.normalize("NFC", filename).replace("\\", "/")).name
    name = "".join(letter for letter in name if letter.isprintable())[-255:]
    if not name:
        raise InvalidInput.at(
            "file", "The file has no name; give it one that ends in .jsonl, .csv or .parquet."
        )
    return name


def _within_limit(chunks: Iterable[bytes]) -> Iterator[bytes]:
    total, limit = 0, settings.CONCORD_MAX_UPLOAD_BYTES
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise InvalidInput.at(
                "file",
                f"The file is larger than {limit:,} bytes, the limit of this server; split it.",
            )
        yield chunk
    if not total:
        raise InvalidInput.at("file", EMPTY_FILE)


@transaction.atomic
def cancel_import(*, prompt_import: PromptImport, actor: User) -> PromptImport:
    """Stop an import that waits or runs; rows taken so far stay."""
    if prompt_import.is_over:
        raise Conflict(f"This import is {prompt_import.status} already; there is nothing to stop.")
    row = prompt_import.request_cancel()
    audit.record("import.cancelled", row, actor=actor, filename=row.filename)
    return row
