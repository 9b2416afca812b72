"""Where two near-duplicates differ, word by word. Shown on request, and only where it helps."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from rapidfuzz.distance import Indel

LEAST_SIMILARITY = 0.5
LONGEST = 20_000  # words of each text
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def word_diff(first: str, second: str) -> tuple[SafeString, SafeString] | None:
    """Both texts with what only one has marked; None where they are too different or too long for that."""
    words, others = _WORDS.findall(first), _WORDS.findall(second)
    if max(len(words), len(others)) > LONGEST:
        return None
    if Indel.normalized_similarity(words, others) < LEAST_SIMILARITY:
        return None
    left, right = [], []
    for opcode in Indel.opcodes(words, others):
        gone = "".join(words[opcode.src_start : opcode.src_end])
        come = "".join(others[opcode.dest_start : opcode.dest_end])
        left.append(escape(gone) if opcode.tag == "equal" else _marked(gone))
        right.append(escape(come) if opcode.tag == "equal" else _marked(come))
    return _block(left), _block(right)


def _marked(text: str) -> str:
    return f"<mark>{escape(text)}</mark>" if text else ""


def _block(parts: list[str]) -> SafeString:
    return mark_safe(f'<pre class="raw" dir="auto">{"".join(parts)}</pre>')  # noqa: S308 - escaped
