"""Taking the rows of a stored file, in batches: each batch with its rejected rows and its counts is one transaction.

A worker that dies in mid-file loses at most the batch in hand: the next one goes on behind the last row counted.
One that only stood still and wakes beside its successor stores nothing more: a batch counts from the row it began at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from django.db import transaction
from django.db.models import F

from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.storage import artifact_path
from annotation.prompts.models import PromptImport, RejectedRow
from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt, RowForm
from annotation.prompts.readers.files import read_rows
from annotation.prompts.readers.rows import Row, RowRefused, storable
from annotation.prompts.services.storing import add_prompts

BATCH_ROWS = 2_000
BATCH_BYTES = 4 * 1024 * 1024
TELL_EVERY = 2_000  # rows between two words about the first reading
MOST_UNUSED_COLUMNS = 30
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
class Stored:
    """What became of the rows of a batch that could be read."""

    created: int
    rejected: Sequence[tuple[Row, str]] = ()


@dataclass(frozen=True, slots=True)
class Importer(Generic[Item]):
    """How to read a row, and how to store a batch of what was read."""

    read: Callable[[dict[str, Any]], Item]  # Any: JSON values
    store: Callable[[PromptImport, Sequence[Taken[Item]]], Stored]
    known_columns: frozenset[str]


def prompt_importer(form: RowForm) -> Importer[ReadPrompt]:
    """How rows of prompts are read and stored."""
    return Importer(
        read=lambda fields: chats.read_prompt(fields, form),
        store=_store_prompts,
        known_columns=chats.KNOWN_COLUMNS,
    )


def run_import(
    *, prompt_import: PromptImport, importer: Importer[Item], progress: Progress
) -> None:
    """Read the stored file twice.

    1. To its end, writing nothing: a file that breaks off is refused whole, and the rows are counted.
    2. Batch by batch, from behind the last row that was counted before.
    """
    total = _count_rows(prompt_import, importer, progress)
    done = prompt_import.rows_read
    for batch in _batches(islice(_rows(prompt_import), done, None)):
        _take_batch(prompt_import, importer, batch, done=done)
        done += len(batch)
        progress(done, total, "rows")
    _finish(prompt_import)


def _rows(prompt_import: PromptImport) -> Iterator[Row]:
    return read_rows(artifact_path(prompt_import.artifact), prompt_import.file_format)


def _count_rows(prompt_import: PromptImport, importer: Importer[Item], progress: Progress) -> int:
    total, unused = 0, set[str]()
    for total, row in enumerate(_rows(prompt_import), start=1):
        if len(unused) < MOST_UNUSED_COLUMNS:
            unused |= {str(name)[:60] for name in row.fields.keys() - importer.known_columns}
        if total % TELL_EVERY == 0:
            progress(0, total, "rows")
    if not total:
        raise InvalidInput("The file holds no rows.")
    columns = sorted(name for name in unused if _can_be_stored(name))
    PromptImport.objects.filter(pk=prompt_import.pk).update(unused_columns=columns)
    return total


def _can_be_stored(name: str) -> bool:
    return name.isprintable()


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += row.size
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _take_batch(
    prompt_import: PromptImport, importer: Importer[Item], batch: list[Row], *, done: int
) -> None:
    taken, rejected = [], []
    for row in batch:
        try:
            taken.append(Taken(row, importer.read(_read_fields(row))))
        except RowRefused as refusal:
            rejected.append((row, str(refusal)))
    with transaction.atomic():
        stored = importer.store(prompt_import, taken)
        rejected += stored.rejected
        RejectedRow.objects.bulk_create(
            RejectedRow(
                prompt_import=prompt_import,
                line=row.line,
                reason=storable(reason)[:500],
                excerpt=row.excerpt,
            )
            for row, reason in rejected
        )
        duplicate = len(batch) - len(rejected) - stored.created
        counted = PromptImport.objects.filter(pk=prompt_import.pk, rows_read=done).update(
            rows_read=F("rows_read") + len(batch),
            rows_created=F("rows_created") + stored.created,
            rows_duplicate=F("rows_duplicate") + duplicate,
            rows_rejected=F("rows_rejected") + len(rejected),
        )
        if not counted:
            raise Conflict("Another worker goes on with this import; follow it on its page.")


def _read_fields(row: Row) -> dict[str, Any]:  # Any: JSON values
    if row.reason:
        raise RowRefused(row.reason)
    return row.fields


def _store_prompts(prompt_import: PromptImport, taken: Sequence[Taken[ReadPrompt]]) -> Stored:
    added = add_prompts(
        project=prompt_import.project,
        prompts=[one.item for one in taken],
        prompt_import=prompt_import,
    )
    rejected = [(taken[place].row, reason) for place, reason in added.refused.items()]
    return Stored(created=added.created, rejected=rejected)


def _finish(prompt_import: PromptImport) -> None:
    prompt_import.refresh_from_db()
    counts: Mapping[str, int] = {
        name: getattr(prompt_import, name)
        for name in ("rows_read", "rows_created", "rows_duplicate", "rows_rejected")
    }
    audit.record("import.finished", prompt_import, actor=prompt_import.created_by, **counts)
    if prompt_import.rows_rejected == prompt_import.rows_read:
        first = prompt_import.rejected_rows.order_by("line").first()
        reason = f"Line {first.line}: {first.reason}" if first else ""
        raise InvalidInput(f"No row of the file could be taken. {reason}")
