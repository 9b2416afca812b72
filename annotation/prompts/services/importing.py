"""Taking the rows of a stored file, in batches: each batch with its rejected rows and its counts is one transaction.

A worker that dies in mid-file loses at most the batch in hand: the next one goes on behind the last row counted.
One that only stood still and wakes beside its successor stores nothing more: a batch counts from the row it began at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import F

from annotation.audit import services as audit
from annotation.core.ahead import OneAhead
from annotation.core.bulk import copy_rows
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.statements import commit_soon, take_turns
from annotation.core.storage import artifact_path
from annotation.prompts.columns import named, unused_of
from annotation.prompts.models import PromptImport, RejectedRow
from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt, RowForm
from annotation.prompts.readers.files import read_rows, row_numbers
from annotation.prompts.readers.rows import Row, RowRefused, storable
from annotation.prompts.services.storing import add_prompts

Contents = PromptImport.Contents
# What a row of judgments is read as where its columns do not tell.
OTHERWISE = {Contents.PREFERENCES: RowForm.TRL, Contents.JUDGMENTS: RowForm.LABELS}
ATTEMPTS = 3
BATCH_ROWS = 2_000
FIRST_ROWS = 500  # of the first batch, which is read while the database has nothing to do
BATCH_BYTES = 4 * 1024 * 1024
TELL_EVERY = 2_000  # rows between two words about the first reading
TOO_DEEP = "The row is nested too deeply."
TURNS = "import"  # batches of one project are stored one after the other
Item = TypeVar("Item")


class Progress(Protocol):
    """Told how far the import is; may raise to stop it."""

    def __call__(self, done: int, total: int, unit: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Taken(Generic[Item]):
    """A row that could be read."""

    row: Row
    item: Item


@dataclass(frozen=True, slots=True)
class Batch(Generic[Item]):
    """So many rows as they were read, those that cannot be taken, and the columns that they have."""

    rows: int
    taken: Sequence[Taken[Item]]
    rejected: Sequence[tuple[Row, str]]
    columns: set[str]
    left_out: Sequence[tuple[Row, str]]  # of rows that are taken


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the rows of a batch that could be read."""

    created: int
    rejected: Sequence[tuple[Row, str]] = ()
    left_out: Sequence[tuple[Row, str]] = ()  # of rows that are taken


@dataclass(frozen=True, slots=True)
class Importer(Generic[Item]):
    """How to read a row, and how to store a batch of what was read."""

    read: Callable[[dict[str, Any]], Item]  # Any: JSON values
    store: Callable[[PromptImport, Sequence[Taken[Item]]], Stored]
    left_out: Callable[[Item], str] = lambda _item: ""  # of a row that is taken, in words


def prompt_importer(form: RowForm) -> Importer[ReadPrompt]:
    """How rows of prompts are read and stored."""
    return Importer(read=lambda fields: chats.read_prompt(fields, form), store=_store_prompts)


def run_import(
    *, prompt_import: PromptImport, importer: Importer[Item], progress: Progress
) -> None:
    """Go through the stored file twice.

    1. To its end, taking nothing: a file that breaks off is refused whole, and the rows are counted.
    2. Batch by batch, from behind the last row that was counted before; the next is read while one is checked.
    """
    path, file_format = artifact_path(prompt_import.artifact), prompt_import.file_format
    total = _count_rows(path, file_format, progress)
    done = prompt_import.rows_read
    rows = islice(read_rows(path, file_format), done, None)
    with OneAhead(_read(batch, importer) for batch in _batches(rows)) as batches:
        for batch in batches:
            _take_batch(prompt_import, importer, batch, done=done, begin_next=batches.begin)
            done += batch.rows
            progress(done, total, "rows")
    _finish(prompt_import)


def _count_rows(path: Path, file_format: str, progress: Progress) -> int:
    total = 0
    for total in row_numbers(path, file_format):
        if total % TELL_EVERY == 0:
            progress(0, total, "rows")
    if not total:
        raise InvalidInput("The file holds no rows.")
    return total


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size, most = 0, min(FIRST_ROWS, BATCH_ROWS)
    for row in rows:
        batch.append(row)
        size += row.size
        if len(batch) >= most or size >= BATCH_BYTES:
            yield batch
            batch, size, most = [], 0, BATCH_ROWS
    if batch:
        yield batch


def _read(rows: Sequence[Row], importer: Importer[Item]) -> Batch[Item]:
    """Read the rows of a batch; knows no database, so that a thread may do it."""
    taken, rejected = list[Taken[Item]](), list[tuple[Row, str]]()
    columns = set[str]()
    for row in rows:
        columns.update(row.fields)
        if row.reason:
            rejected.append((row, row.reason))
            continue
        try:
            taken.append(Taken(row, importer.read(row.fields)))
        except RowRefused as refusal:
            rejected.append((row, str(refusal)))
        except RecursionError:
            rejected.append((row, TOO_DEEP))
    told = [(one.row, importer.left_out(one.item)) for one in taken]
    return Batch(len(rows), taken, rejected, columns, [one for one in told if one[1]])


def _take_batch(
    prompt_import: PromptImport,
    importer: Importer[Item],
    batch: Batch[Item],
    *,
    done: int,
    begin_next: Callable[[], None],
) -> None:
    """Store a batch; begin again where another process stored one of its rows at the same time.

    The next may be read from when all of this one is sent: the database checks its foreign keys at the end of the
    transaction, which takes half of the database's time.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                _store_batch(prompt_import, importer, batch, done=done)
                begin_next()
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _store_batch(
    prompt_import: PromptImport, importer: Importer[Item], batch: Batch[Item], *, done: int
) -> None:
    take_turns(TURNS, prompt_import.project_id)
    commit_soon()
    stored = importer.store(prompt_import, batch.taken)
    rejected = [*batch.rejected, *stored.rejected]
    _report(prompt_import, rejected, is_taken=False)
    lines = {row.line for row, _ in rejected}
    in_part = [one for one in (*batch.left_out, *stored.left_out) if one[0].line not in lines]
    _report(prompt_import, in_part, is_taken=True)
    duplicate = batch.rows - len(rejected) - stored.created
    unused = unused_of(PromptImport.Contents(prompt_import.contents), batch.columns)
    prompt_import.unused_columns = named({*prompt_import.unused_columns, *unused})
    counted = PromptImport.objects.filter(pk=prompt_import.pk, rows_read=done).update(
        rows_read=F("rows_read") + batch.rows,
        rows_created=F("rows_created") + stored.created,
        rows_duplicate=F("rows_duplicate") + duplicate,
        rows_rejected=F("rows_rejected") + len(rejected),
        unused_columns=prompt_import.unused_columns,
    )
    if not counted:
        raise Conflict("Another worker goes on with this import; follow it on its page.")


def _report(
    prompt_import: PromptImport, told: Sequence[tuple[Row, str]], *, is_taken: bool
) -> None:
    if not told:
        return
    rows = ((row.line, storable(reason)[:500], row.excerpt) for row, reason in told)
    facts = {"prompt_import_id": prompt_import.pk, "is_taken": is_taken}
    copy_rows(RejectedRow, ("line", "reason", "excerpt"), rows, **facts)


def _store_prompts(prompt_import: PromptImport, taken: Sequence[Taken[ReadPrompt]]) -> Stored:
    added = add_prompts(
        project=prompt_import.project,
        prompts=[one.item for one in taken],
        prompt_import=prompt_import,
    )
    rejected = [(taken[place].row, reason) for place, reason in added.clashing.items()]
    return Stored(created=len(added.new), rejected=rejected)


def _finish(prompt_import: PromptImport) -> None:
    prompt_import.refresh_from_db()
    counts: Mapping[str, int] = {
        name: getattr(prompt_import, name)
        for name in ("rows_read", "rows_created", "rows_duplicate", "rows_rejected")
    }
    audit.record("import.finished", prompt_import, actor=prompt_import.created_by, **counts)
    if prompt_import.rows_rejected == prompt_import.rows_read:
        first = prompt_import.rejected_rows.filter(is_taken=False).order_by("line").first()
        reason = f"Line {first.line}: {first.reason}" if first else ""
        raise InvalidInput(f"No row of the file could be taken. {reason}")
