"""The first rows of a file as an import would read them; nothing is stored."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from annotation.core.errors import InvalidInput
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import ReadPrompt, RowForm, Turn, read_prompt
from annotation.prompts.readers.files import file_format, read_rows
from annotation.prompts.readers.forms import read_judged
from annotation.prompts.readers.judged import ReadComparison, ReadResponse, ReadVerdict
from annotation.prompts.readers.rows import Row, RowRefused
from annotation.prompts.readers.unjudged import (
    ReadDemonstration,
    ReadSignal,
    read_demonstration,
    read_signal,
    read_unjudged,
)
from annotation.prompts.services.requesting import clean_filename

Contents = PromptImport.Contents
ROWS_SHOWN = 5
STRENGTHS = {1: "slightly", 2: "better", 3: "much better"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One thing that a row holds, or the reason why the row is not taken."""

    line: int
    reason: str = ""
    turns: tuple[Turn, ...] = ()
    responses: tuple[ReadResponse, ...] = ()
    verdicts: tuple[str, ...] = ()  # in words


def preview_file(
    *, chunks: Iterable[bytes], filename: str, contents: Contents, row_form: RowForm
) -> list[Preview]:
    """The first rows. Raises UnreadableFile for a file that is none."""
    with tempfile.NamedTemporaryFile() as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        rows = read_rows(Path(file.name), file_format(clean_filename(filename)))
        shown = list(islice(rows, ROWS_SHOWN))
    if not shown:
        raise InvalidInput.at("file", "The file holds no rows.")
    return [one for row in shown for one in _previews(row, contents, row_form)]


def _previews(row: Row, contents: Contents, form: RowForm) -> Iterator[Preview]:
    if row.reason:
        yield Preview(line=row.line, reason=row.reason)
        return
    try:
        for one in _read(row.fields, contents, form):
            yield _preview(row.line, one)
    except RowRefused as refusal:
        yield Preview(line=row.line, reason=str(refusal))


ReadRow = ReadPrompt | ReadComparison | ReadSignal | ReadDemonstration


def _read(fields: dict[str, Any], contents: Contents, form: RowForm) -> tuple[ReadRow, ...]:
    if contents == Contents.PROMPTS:
        return (read_prompt(fields, form),)
    if contents == Contents.COMPARISONS:
        return (read_unjudged(fields),)
    if contents == Contents.SIGNALS:
        return (read_signal(fields),)
    if contents == Contents.DEMONSTRATIONS:
        return (read_demonstration(fields),)
    otherwise = RowForm.TRL if contents == Contents.PREFERENCES else RowForm.LABELS
    return read_judged(fields, form, otherwise=otherwise)


def _preview(line: int, one: ReadRow) -> Preview:
    if isinstance(one, ReadPrompt):
        return Preview(line=line, turns=tuple(one.turns))
    said: tuple[str, ...] = ()
    if isinstance(one, ReadSignal):
        said = (f"{one.labeler}: {'accepted' if one.is_accepted else 'rejected'}",)
    elif isinstance(one, ReadComparison):
        said = tuple(map(verdict_words, one.verdicts))
    turns, responses = tuple(one.prompt.turns), tuple(one.responses)
    return Preview(line=line, turns=turns, responses=responses, verdicts=said)


def verdict_words(verdict: ReadVerdict) -> str:
    """A verdict with a letter for each response: "ann: B over A = C (much better)"."""
    if verdict.is_all_bad:
        return f"{verdict.labeler}: all bad"
    tiers = [" = ".join(ascii_uppercase[place] for place in tier) for tier in verdict.tiers]
    if len(tiers) == 1:
        return f"{verdict.labeler}: {tiers[0]} (tie)"
    steps = ", ".join(STRENGTHS[step] for step in verdict.strengths)
    return f"{verdict.labeler}: {' over '.join(tiers)} ({steps})"
