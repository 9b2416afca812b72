"""What the columns of a file say: which an import does not use, and what the file holds beside prompts."""

from collections.abc import Collection, Iterable

from annotation.prompts.models import PromptImport
from annotation.prompts.readers import argilla
from annotation.prompts.readers.chats import KNOWN_COLUMNS
from annotation.prompts.readers.forms import JUDGED_COLUMNS
from annotation.prompts.readers.labels import LABEL_COLUMNS, RESPONSE_COLUMNS, is_wide
from annotation.prompts.readers.unjudged import UNJUDGED_COLUMNS

Contents = PromptImport.Contents
MOST_NAMED = 30
UNJUDGED = frozenset({Contents.COMPARISONS, Contents.SIGNALS, Contents.DEMONSTRATIONS})
PAIRS = tuple(frozenset(names[:2]) for names in RESPONSE_COLUMNS)


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
    names = set(columns)
    if {"chosen", "rejected"} <= names or {"responses", "ranks"} <= names:
        return Contents.PREFERENCES
    is_pair = any(pair <= names for pair in PAIRS)
    if {"responses", "ranking"} <= names or (is_pair and not names.isdisjoint(LABEL_COLUMNS)):
        return Contents.JUDGMENTS
    return Contents.COMPARISONS if is_pair or "responses" in names else None


def named(columns: Iterable[str]) -> list[str]:
    """As many names as a person reads, as they can be stored and shown."""
    cut = {str(name)[:60] for name in columns}
    return sorted(name for name in cut if name.isprintable())[:MOST_NAMED]
