"""What an import would make of a file: how rows are read, what would be refused and why. Nothing is stored."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import Any, ClassVar

from annotation.core.errors import InvalidInput
from annotation.core.text import canonical
from annotation.prompts.models import PromptImport
from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt, RowForm, Turn, read_prompt
from annotation.prompts.readers.files import file_format, read_rows
from annotation.prompts.readers.forms import form_of, read_judged
from annotation.prompts.readers.groups import read_demonstrations, read_signals
from annotation.prompts.readers.judged import (
    SAME_RESPONSES,
    ReadComparison,
    ReadResponse,
    ReadVerdict,
)
from annotation.prompts.readers.rows import Row, RowRefused, storable
from annotation.prompts.readers.unjudged import ReadDemonstration, ReadSignal, read_unjudged
from annotation.prompts.services.importing import OTHERWISE, TOO_DEEP
from annotation.prompts.services.requesting import clean_filename

Contents = PromptImport.Contents
ROWS_SHOWN = 5
ROWS_CHECKED = 1_000
REFUSED_SHOWN = 20
LINES_NAMED = 5  # of each reason
REASONS_COUNTED = 1_000  # some name what the row holds, so that each has one of its own
ONE_BY_ONE = (
    "Rows are looked at one by one: what the project holds already, an id that names two prompts, and a second verdict "
    "of a labeler on the same responses are found by the import."
)
STRENGTHS = {1: "slightly", 2: "better", 3: "much better"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One thing that a row holds, or the reason why the row is not taken."""

    line: int
    reason: str = ""
    excerpt: str = ""
    read_as: str = ""  # the form that its columns were taken for
    turns: tuple[Turn, ...] = ()
    responses: tuple[ReadResponse, ...] = ()
    verdicts: tuple[str, ...] = ()  # in words


@dataclass(slots=True)
class Refusal:
    """The rows that would be refused for one reason: how many, the first lines, how the first begins."""

    reason: str
    excerpt: str
    read_as: str = ""  # the form that the first was taken for
    rows: int = 0
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class FilePreview:
    """What the checked rows hold: ``read_as`` counts by form the rows that would be taken; ``shown`` has the first."""

    unseen: ClassVar[str] = ONE_BY_ONE
    file_format: str
    rows_checked: int = 0
    rows_refused: int = 0
    is_whole: bool = True  # False: the file goes on behind the rows checked
    read_as: Counter[str] = field(default_factory=Counter)
    shown: list[Preview] = field(default_factory=list)
    refused: list[Preview] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)  # by reason
    columns: set[str] = field(default_factory=set)

    @property
    def rows_taken(self) -> int:
        return self.rows_checked - self.rows_refused

    def forms(self) -> list[tuple[str, int]]:
        """The forms, the most frequent first."""
        return self.read_as.most_common()

    def reasons(self) -> list[Refusal]:
        """Why rows would be refused, what refuses most of them first."""
        return sorted(self.refusals.values(), key=lambda one: -one.rows)[:REFUSED_SHOWN]


def preview_file(
    *,
    chunks: Iterable[bytes],
    filename: str,
    contents: Contents,
    row_form: RowForm,
    named_format: str = "",
    most_rows: int | None = ROWS_CHECKED,
) -> FilePreview:
    """Read rows, up to ``most_rows`` of them. Raises UnreadableFile for a file that is none."""
    found = FilePreview(file_format=named_format or file_format(clean_filename(filename)))
    with tempfile.NamedTemporaryFile() as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        rows = read_rows(Path(file.name), found.file_format)
        for row in islice(rows, most_rows):
            found.columns.update(row.fields)
            _add(found, list(_previews(row, contents, row_form)))
        found.is_whole = next(rows, None) is None
    if not found.rows_checked:
        raise InvalidInput.at("file", "The file holds no rows.")
    return found


def _add(found: FilePreview, previews: list[Preview]) -> None:
    found.rows_checked += 1
    refused = [one for one in previews if one.reason]
    if not refused and found.rows_taken <= ROWS_SHOWN:
        found.shown += previews
    if refused:
        found.rows_refused += 1
        found.refused += refused if len(found.refused) < REFUSED_SHOWN else []
        for one in refused:
            _count_reason(found.refusals, one)
    else:
        found.read_as.update({one.read_as for one in previews})


def _count_reason(refusals: dict[str, Refusal], one: Preview) -> None:
    if one.reason not in refusals and len(refusals) == REASONS_COUNTED:
        return
    same = refusals.setdefault(one.reason, Refusal(one.reason, one.excerpt, one.read_as))
    same.rows += 1
    if len(same.lines) < LINES_NAMED:
        same.lines.append(one.line)


def _previews(row: Row, contents: Contents, form: RowForm) -> Iterator[Preview]:
    reason, read_as = row.reason, ""
    read: tuple[ReadRow, ...] = ()
    try:
        read_as = "" if reason else _read_as(row.fields, contents, form)
        read = () if reason else _read(row.fields, contents, form)
    except RowRefused as refusal:
        reason = str(refusal)
    except RecursionError:
        reason = TOO_DEEP
    if reason:
        yield Preview(line=row.line, reason=storable(reason), excerpt=row.excerpt, read_as=read_as)
        return
    for one in read:
        yield _preview(row.line, one, read_as)


ReadRow = ReadPrompt | ReadComparison | ReadSignal | ReadDemonstration


def _read_as(fields: dict[str, Any], contents: Contents, form: RowForm) -> str:
    if contents in OTHERWISE:
        parsed = chats.with_parsed_chats(fields)
        return form_of(parsed, form, otherwise=OTHERWISE[contents]).value
    if contents != Contents.PROMPTS:
        return contents.value
    return (chats.detect(chats.with_parsed_chats(fields)) if form == RowForm.AUTO else form).value


def _read(fields: dict[str, Any], contents: Contents, form: RowForm) -> tuple[ReadRow, ...]:
    if contents == Contents.PROMPTS:
        return (read_prompt(fields, form),)
    if contents == Contents.COMPARISONS:
        return (_different(read_unjudged(fields)),)
    if contents == Contents.SIGNALS:
        return read_signals(fields)
    if contents == Contents.DEMONSTRATIONS:
        return read_demonstrations(fields)
    return tuple(map(_different, read_judged(fields, form, otherwise=OTHERWISE[contents])))


def _different(one: ReadComparison) -> ReadComparison:
    said = {(canonical(response.text), response.source) for response in one.responses}
    if len(said) < len(one.responses):
        raise RowRefused(SAME_RESPONSES)
    return one


def _preview(line: int, one: ReadRow, read_as: str) -> Preview:
    if isinstance(one, ReadPrompt):
        return Preview(line=line, read_as=read_as, turns=tuple(one.turns))
    said: tuple[str, ...] = ()
    if isinstance(one, ReadSignal):
        said = (f"{one.labeler}: {'accepted' if one.is_accepted else 'rejected'}",)
    elif isinstance(one, ReadComparison):
        said = tuple(map(verdict_words, one.verdicts))
    return Preview(
        line=line,
        read_as=read_as,
        turns=tuple(one.prompt.turns),
        responses=tuple(one.responses),
        verdicts=said,
    )


def verdict_words(verdict: ReadVerdict) -> str:
    """A verdict with a letter for each response: "ann: B over A = C (much better)"."""
    if verdict.is_all_bad:
        return f"{verdict.labeler}: all bad"
    tiers = [" = ".join(ascii_uppercase[place] for place in tier) for tier in verdict.tiers]
    if len(tiers) == 1:
        return f"{verdict.labeler}: {tiers[0]} (tie)"
    steps = ", ".join(STRENGTHS[step] for step in verdict.strengths)
    return f"{verdict.labeler}: {' over '.join(tiers)} ({steps})"
