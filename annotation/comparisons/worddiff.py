"""Where two near-duplicates differ, word by word. Shown on request, and only where it helps."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from rapidfuzz.distance import Indel

LEAST_SIMILARITY = 0.5
LONGEST = 20_000  # words of each text
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def word_diff(first: str, second: str) -> tuple[SafeString, SafeString] | None:
    """Two responses with what only one has marked; None where they are too different or too long for that."""
    return _differing(first, second, "mark", "mark")


def word_changes(before: str, after: str) -> tuple[SafeString, SafeString] | None:
    """A text before and after it was edited, with what was removed and what was added; None as above."""
    return _differing(before, after, "del", "ins")


def _differing(
    first: str, second: str, first_tag: str, second_tag: str
) -> tuple[SafeString, SafeString] | None:
    words, others = _WORDS.findall(first), _WORDS.findall(second)
    if max(len(words), len(others)) > LONGEST:
        return None
    if Indel.normalized_similarity(words, others) < LEAST_SIMILARITY:
        return None
    left, right = [], []
    for opcode in Indel.opcodes(words, others):
        gone = escape("".join(words[opcode.src_start : opcode.src_end]))
        come = escape("".join(others[opcode.dest_start : opcode.dest_end]))
        left.append(gone if opcode.tag == "equal" else _tagged(gone, first_tag))
        right.append(come if opcode.tag == "equal" else _tagged(come, second_tag))
    return _block(left), _block(right)


def _tagged(words: str, tag: str) -> str:
    return f"<{tag}>{words}</{tag}>" if words else ""


def _block(parts: list[str]) -> SafeString:
    return mark_safe(f'<pre class="raw" dir="auto">{"".join(parts)}</pre>')  # noqa: S308 - escaped
