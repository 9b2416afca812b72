"""What the columns of a file say: which an import does not use, and what the file holds beside prompts."""

from collections.abc import Collection, Iterable

from annotation.prompts.models import PromptImport
from annotation.prompts.readers import argilla
from annotation.prompts.readers.chats import KNOWN_COLUMNS, RowForm
from annotation.prompts.readers.forms import JUDGED_COLUMNS, JUDGED_FORMS
from annotation.prompts.readers.labels import is_wide, response_columns
from annotation.prompts.readers.unjudged import (
    RESPONSE_COLUMNS,
    SIGNAL_COLUMNS,
    UNJUDGED_COLUMNS,
)

Contents = PromptImport.Contents
MOST_NAMED = 30
UNJUDGED = frozenset({Contents.COMPARISONS, Contents.SIGNALS, Contents.DEMONSTRATIONS})
# Responses alone, without ranks, are as likely to be compared here.
TOLD_BY_COLUMNS = tuple(one for one in JUDGED_FORMS if one.form != RowForm.RANKED)


def unused_of(contents: Contents, columns: Collection[str]) -> list[str]:
    """The columns that an import of this kind does not read, by name."""
    if contents == Contents.PROMPTS:
        return sorted(set(columns) - KNOWN_COLUMNS)
    if contents in UNJUDGED:
        return sorted(set(columns) - JUDGED_COLUMNS - UNJUDGED_COLUMNS)
    unknown = set(columns) - JUDGED_COLUMNS
    return sorted(name for name in unknown if not (is_wide(name) or argilla.is_answer(name)))


def looks_like(columns: Collection[str]) -> Contents | None:
    """What a file with these columns holds beside prompts; None where they do not tell."""
    fields = dict.fromkeys(columns)
    if {"chosen", "rejected"} <= fields.keys() or {"responses", "ranks"} <= fields.keys():
        return Contents.PREFERENCES
    if any(one.fits(fields) for one in TOLD_BY_COLUMNS):
        return Contents.JUDGMENTS
    if "responses" in fields or response_columns(fields):
        return Contents.COMPARISONS
    if fields.keys().isdisjoint(RESPONSE_COLUMNS):
        return None
    is_signal = not fields.keys().isdisjoint(SIGNAL_COLUMNS)
    return Contents.SIGNALS if is_signal else Contents.DEMONSTRATIONS


def named(columns: Iterable[str]) -> list[str]:
    """As many names as a person reads, as they can be stored and shown."""
    cut = {str(name)[:60] for name in columns}
    return sorted(name for name in cut if name.isprintable())[:MOST_NAMED]
