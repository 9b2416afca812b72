"""What labelers marked in a response, drawn in its raw text for admins. Marks are offsets into it, in code points."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe

from annotation.comparisons.letters import letters_of
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import responses_of
from annotation.ui import markdown

LONGEST_PHRASE = 120  # characters of a phrase in the list
MOST_LISTED = 50


class Mark(NamedTuple):
    """A phrase of a text that a labeler marked, good or wrong."""

    start: int
    end: int
    kind: str
    labeler: str


class Phrase(NamedTuple):
    """A mark as the list below the text names it."""

    labeler: str
    kind: str
    words: str


class Marked(NamedTuple):
    """A text with its marks, and a list of the first of them."""

    html: SafeString
    phrases: list[Phrase]
    total: int


class Drawn(NamedTuple):
    """A response as the pages of admins show it: rendered, and raw with its marks where it has any."""

    letter: str
    pk: int
    html: SafeString
    is_cut: bool  # by the token limit, as labelers are told too
    marked: Marked | None


def drawn_responses(comparison: Comparison, judgments: Iterable[Judgment]) -> list[Drawn]:
    """The responses of a comparison in their letters, with what these judgments mark."""
    letters, given = letters_of(comparison.candidate_ids), list(judgments)
    return [
        Drawn(
            letters[pk],
            pk,
            markdown.response(one.text),
            is_cut=not one.is_finished,
            marked=marked_in(pk, one.text, given),
        )
        for pk, one in responses_of(comparison.candidate_ids).items()
    ]


def marked_in(candidate_id: int, text: str, judgments: Iterable[Judgment]) -> Marked | None:
    """The raw text of a candidate with what standing judgments mark in it; None without a mark."""
    marks = sorted(_marks(candidate_id, len(text), judgments))
    if not marks:
        return None
    phrases = [
        Phrase(one.labeler, one.kind, _short(text[one.start : one.end]))
        for one in marks[:MOST_LISTED]
    ]
    drawn = "".join(_drawn(text, marks)).replace("\r", "&#13;")
    html = mark_safe(f'<pre class="raw" dir="auto">\n{drawn}</pre>')  # noqa: S308 - escaped
    return Marked(html, phrases, len(marks))


def _marks(candidate_id: int, length: int, judgments: Iterable[Judgment]) -> Iterator[Mark]:
    for judgment in judgments:
        standing = judgment.marks if judgment.withdrawn_at is None else []
        for one in standing:
            start, end = one["start"], min(one["end"], length)
            if one["candidate"] == candidate_id and start < end:
                yield Mark(start, end, one["kind"], judgment.labeler.get_username())


def _drawn(text: str, marks: Sequence[Mark]) -> Iterator[str]:
    """The text piece by piece, cut where a mark begins or ends; each piece names who marked it how."""
    opening, closing = list(marks), sorted(marks, key=lambda one: one.end)
    open_marks: Counter[tuple[str, str]] = Counter()
    cuts = sorted({0, len(text), *(at for one in marks for at in one[:2])})
    begun = ended = 0
    for start, end in pairwise(cuts):
        while begun < len(opening) and opening[begun].start <= start:
            open_marks[opening[begun].kind, opening[begun].labeler] += 1
            begun += 1
        while ended < len(closing) and closing[ended].end <= start:
            open_marks[closing[ended].kind, closing[ended].labeler] -= 1
            ended += 1
        yield _piece(text[start:end], sorted(+open_marks))


def _piece(words: str, said: Sequence[tuple[str, str]]) -> str:
    if not said:
        return escape(words)
    kinds = " ".join(sorted({kind for kind, _ in said}))
    told = "; ".join(f"{kind}: {labeler}" for kind, labeler in said)
    return f'<mark class="{escape(kinds)}" title="{escape(told)}">{escape(words)}</mark>'


def _short(words: str) -> str:
    return words if len(words) <= LONGEST_PHRASE else f"{words[: LONGEST_PHRASE - 1]}…"
