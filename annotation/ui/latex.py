r"""LaTeX in what a model wrote, as MathML; with it the delimiters \(...\) and \[...\], which Markdown does not know.

Markdown reads their backslashes as escapes and the lines of a formula as its own. So `held` takes such formulas out of
the text before it is parsed, each as a word of letters and digits, and `released` draws them in the HTML of a text.
"""

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise

from latex2mathml import commands, exceptions
from latex2mathml.converter import convert

LONGEST_FORMULA = 2_000

# latex2mathml's own errors share no base, and broken input reaches its innards.
NOT_LATEX: tuple[type[Exception], ...] = (
    *(one for one in vars(exceptions).values() if isinstance(one, type)),
    *(IndexError, KeyError, ValueError, TypeError, AttributeError, RecursionError),
)
# The parsers know HTML; a tag must stay text. So they see a punctuation mark of a script that nobody writes.
LESS_THAN = "\N{OLD SOUTH ARABIAN NUMERIC INDICATOR}"
_INLINE, _DISPLAY = "\N{KHAROSHTHI PUNCTUATION DOT}", "\N{KHAROSHTHI PUNCTUATION CIRCLE}"
STAND_INS = LESS_THAN + _INLINE + _DISPLAY

_DELIMITER = re.compile(rb"\\[\\()\[\]]")
_CLOSING = {rb"\(": rb"\)", rb"\[": rb"\]"}
_MARK = {rb"\(": _INLINE, rb"\[": _DISPLAY}
_HELD = re.compile(f"([{_INLINE}{_DISPLAY}])([0-9a-f]+)\\1")
_BLANK_LINE = re.compile(rb"\n[ \t>]*\n")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{(\w+\*?)\}(\[[tcb]\])?")
_LINE_SPACE = re.compile(r"(\\\\)\s*\[-?[\d.]+\s*[a-z]{2}\]")
_DRAWN_AS = {name.removeprefix("\\"): name.removeprefix("\\") for name in commands.MATRICES} | {
    "aligned": "align*",
    "gathered": "matrix",
    "gather": "matrix",
    "gather*": "matrix",
    "dcases": "cases",
    "equation": "equation",
    "equation*": "equation*",
}


def formula(content: str, *, display: str) -> str:
    r"""MathML, or the source where it is not LaTeX. A tag in \text{} still has the stand-in."""
    source = f'<span class="formula">{escape(content)}</span>'
    if len(content) > LONGEST_FORMULA:
        return source
    try:
        lines = _LINE_SPACE.sub(r"\1", content)
        math = convert(_ENVIRONMENT.sub(_known_environment, lines), display=display)
    except NOT_LATEX:
        return source
    return math.replace(f"<mi>{LESS_THAN}</mi>", "<mo>&lt;</mo>")


def _known_environment(written: re.Match[str]) -> str:
    """The environment as latex2mathml knows it; a KeyError for one whose columns and lines it would lose."""
    part, name, place = written.groups(default="")
    drawn_as = _DRAWN_AS[name]
    return f"\\{part}{{{drawn_as}}}{place if drawn_as == name else ''}"


def held(text: str, apart: Iterable[tuple[int, int]]) -> str:
    """The text with its delimited formulas as words. `apart`: the bytes, from and to, of code, which stays as it is."""
    written = text.encode()
    pieces, end = [], 0
    for start, stop in _delimited(written, apart):
        pieces += [written[end:start], _word(written, start, stop)]
        end = stop
    return b"".join([*pieces, written[end:]]).decode()


def released(html: str) -> str:
    """The HTML of a text with the formulas that it holds."""
    return _HELD.sub(_drawn, html)


def as_written(text: str) -> str:
    """The text with the sources of the formulas that it holds, for where none is drawn."""
    return _HELD.sub(_source, text)


def _source(word: re.Match[str]) -> str:
    opening, closing = (r"\(", r"\)") if word[1] == _INLINE else (r"\[", r"\]")
    return f"{opening}{bytes.fromhex(word[2]).decode()}{closing}"


def _drawn(word: re.Match[str]) -> str:
    display = "inline" if word[1] == _INLINE else "block"
    return formula(bytes.fromhex(word[2]).decode(), display=display)


def _delimited(written: bytes, apart: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Where formulas begin and end, their delimiters with them."""
    opened: re.Match[bytes] | None = None
    for sign in _signs(written, apart):
        if sign[0] in _CLOSING:
            opened = sign
        elif opened and sign[0] == _CLOSING[opened[0]]:
            if _is_formula(written[opened.end() : sign.start()]):
                yield opened.start(), sign.end()
            opened = None


def _signs(written: bytes, apart: Iterable[tuple[int, int]]) -> Iterator[re.Match[bytes]]:
    edges = [0, *(edge for one in apart for edge in one), len(written)]
    for start, stop in list(pairwise(edges))[::2]:
        yield from _DELIMITER.finditer(written, start, stop)


def _is_formula(content: bytes) -> bool:
    """Not where it is empty, too long to be drawn, or would go over the end of a paragraph."""
    return (
        bool(content.strip())
        and len(content) <= LONGEST_FORMULA
        and not _BLANK_LINE.search(content)
    )


def _word(written: bytes, start: int, stop: int) -> bytes:
    before = written[written.rfind(b"\n", 0, start) + 1 : start]
    margin = rb"\n[ \t>]*" if before.lstrip().startswith(b">") else rb"\n[ \t]*"
    content = re.sub(margin, b" ", written[start + 2 : stop - 2]).strip()
    mark = _MARK[written[start : start + 2]]
    return f"{mark}{content.hex()}{mark}".encode()
