"""Untrusted text as safe HTML. Everything a model wrote is hostile.

1. pulldown-cmark parses, in a time that grows with the text and no faster. Tags in the text stay text, images are
   dropped, links lose their address.
2. Pygments colors code by class, latex2mathml turns $...$ into MathML; what they do not understand stays text.
3. nh3 keeps an allow-list of tags and attributes. Nothing is ever fetched, nothing can be clicked.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape
from typing import Any

import nh3
from django.utils.safestring import SafeString, mark_safe
from latex2mathml import exceptions
from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from pyromark import Options, events
from pyromark.event import Event

LONGEST_RENDERED = 100_000  # characters; longer text is shown raw
LONGEST_COLORED = 20_000
LONGEST_FORMULA = 2_000
KEPT_IN_CACHE = 1_000
DEEPEST = 30  # tags in each other

# latex2mathml's own errors share no base, and broken input reaches its innards.
NOT_LATEX: tuple[type[Exception], ...] = (
    *(one for one in vars(exceptions).values() if isinstance(one, type)),
    *(IndexError, KeyError, ValueError, TypeError, AttributeError, RecursionError),
)

_MATHML = [
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "ms",
    "mtext",
    "mspace",
    "mfrac",
    "msqrt",
    "mroot",
    "msub",
    "msup",
    "msubsup",
    "munder",
    "mover",
    "munderover",
    "mtable",
    "mtr",
    "mtd",
    "mstyle",
    "mpadded",
    "mphantom",
    "menclose",
    "mmultiscripts",
    "mprescripts",
]
_TAGS = {
    *[
        "p",
        "br",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "blockquote",
        "pre",
        "code",
        "em",
        "strong",
        "s",
    ],
    *["table", "thead", "tbody", "tr", "th", "td", "span", "div"],
    *_MATHML,
}
_ATTRIBUTES = {
    "span": {"class", "title"},
    "div": {"class"},
    "ol": {"start"},
    "math": {"display"},
    "mo": {"stretchy", "fence", "form", "separator"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "mtd": {"columnalign"},
    "mstyle": {"displaystyle", "scriptlevel"},
}
_BLOCKS = ["p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "td", "th"]
_CLASS = re.compile(r"hl-[a-z0-9]{1,3}|inert-link|formula|not-shown")
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="hl-")


def render(text: str) -> SafeString:
    """The text as HTML that is safe to put on a page."""
    if len(text) > LONGEST_RENDERED:
        return raw(text)
    return _rendered(text)


def raw(text: str) -> SafeString:
    """The text as it is; what the browser holds is the same to the character, so that marks can count on it.

    A parser drops the first line break in a <pre>, so one stands before; carriage returns are named by number.
    """
    kept = escape(text).replace("\r", "&#13;")
    return mark_safe(f'<pre class="raw" dir="auto">\n{kept}</pre>')  # noqa: S308 - escaped


@lru_cache(maxsize=KEPT_IN_CACHE)
def _rendered(text: str) -> SafeString:
    return mark_safe(_CLEANER.clean(_parsed(text)))  # noqa: S308 - the allow-list above is the point


def _keep_attribute(_tag: str, name: str, value: str) -> str | None:
    if name != "class":
        return value
    return " ".join(one for one in value.split() if _CLASS.fullmatch(one)) or None


_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    attribute_filter=_keep_attribute,
    set_tag_attribute_values={tag: {"dir": "auto"} for tag in _BLOCKS},
    url_schemes=set(),
    link_rel=None,
)
_EXTENSIONS = Options.ENABLE_TABLES | Options.ENABLE_STRIKETHROUGH | Options.ENABLE_MATH
# The parser knows HTML; a tag must stay text. So it sees another punctuation mark, of a script that nobody writes.
_LESS_THAN = "\N{OLD SOUTH ARABIAN NUMERIC INDICATOR}"


def _parsed(text: str) -> str:
    """The Markdown as HTML, which is not clean yet."""
    held = text.replace(_LESS_THAN, "\N{REPLACEMENT CHARACTER}").replace("<", _LESS_THAN)
    return _html(_shallow(events(held, options=_EXTENSIONS))).replace(_LESS_THAN, "&lt;")


def _shallow(parsed: Iterator[Event]) -> Iterator[Event]:
    """Without the tags that lie too deep, which cost a browser much; what they hold stays."""
    depth = 0
    for event in parsed:
        depth += "Start" in event
        if depth <= DEEPEST or not ("Start" in event or "End" in event):
            yield event
        depth -= "End" in event


def _html(parsed: Iterator[Event], *, until: str = "") -> str:
    pieces = []
    for event in parsed:
        name, what = _named(event)
        if name == until:
            break
        drawn = _DRAWN[name]
        pieces.append(drawn if isinstance(drawn, str) else drawn(what, parsed))
    return "".join(pieces)


def _named(event: Event) -> tuple[str, Any]:  # Any: a text, or what a tag has
    """The name of an event, as `Text` or `Start Paragraph`, and what it carries."""
    if isinstance(event, str):
        return event, None
    [(name, what)] = event.items()
    if name not in {"Start", "End"}:
        return name, what
    if isinstance(what, str):
        return f"{name} {what}", None
    [(tag, carried)] = what.items()  # type: ignore[attr-defined] # a dict of one
    return f"{name} {tag}", carried


def _text(text: str, _parsed: Iterator[Event]) -> str:
    return escape(text)


def _code(code: str, _parsed: Iterator[Event]) -> str:
    return f"<code>{escape(code)}</code>"


def _code_block(kind: Any, parsed: Iterator[Event]) -> str:  # Any: "Indented" or {"Fenced": words}
    words = "" if kind == "Indented" else str(kind["Fenced"])
    code = _text_until("End CodeBlock", parsed)
    return f"<pre><code>{_colored(code, words.partition(' ')[0])}</code></pre>\n"


def _text_until(name: str, parsed: Iterator[Event]) -> str:
    """The text of what follows; a code block holds nothing else."""
    texts = iter(lambda: _named(next(parsed)), (name, None))
    return "".join(text for _name, text in texts)


def _colored(code: str, language: str) -> str:
    if not language or len(code) > LONGEST_COLORED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return escape(code)
    return str(highlight(code.replace(_LESS_THAN, "<"), lexer, _FORMATTER))


def _link(what: dict[str, str], _parsed: Iterator[Event]) -> str:
    return f'<span class="inert-link" title="{escape(what["dest_url"])}">'


def _head(_what: None, parsed: Iterator[Event]) -> str:
    cells = _html(parsed, until="End TableHead").replace("<td>", "<th>").replace("</td>", "</th>")
    return f"<thead><tr>{cells}</tr></thead><tbody>"


def _formula(display: str) -> Callable[[str, Iterator[Event]], str]:
    def drawn(content: str, _parsed: Iterator[Event]) -> str:
        """MathML, or the source where it is not LaTeX."""
        source = f'<span class="formula">{escape(content)}</span>'
        if len(content) > LONGEST_FORMULA:
            return source
        try:
            # With the stand-in: it writes the words of \text{} as they are, and a tag among them.
            math = convert(content, display=display)
        except NOT_LATEX:
            return source
        return math.replace(f"<mi>{_LESS_THAN}</mi>", "<mo>&lt;</mo>")

    return drawn


_DRAWN: dict[str, str | Callable[[Any, Iterator[Event]], str]] = {
    "Text": _text,
    "SoftBreak": "<br>\n",
    "HardBreak": "<br>\n",
    "Rule": "<hr>\n",
    "Code": _code,
    "InlineMath": _formula("inline"),
    "DisplayMath": _formula("block"),
    "Start CodeBlock": _code_block,
    "Start Image": '<span class="not-shown">[image: ',
    "End Image": "]</span>",
    "Start Link": _link,
    "End Link": "</span>",
    "Start Heading": lambda what, _: f"<{what['level'].lower()}>",
    "End Heading": lambda level, _: f"</{level.lower()}>\n",
    "Start List": lambda first, _: "<ul>\n" if first is None else f'<ol start="{first}">\n',
    "End List": lambda is_numbered, _: "</ol>\n" if is_numbered else "</ul>\n",
    "Start Table": "<table>",
    "Start TableHead": _head,
    "End Table": "</tbody></table>\n",
}
for _name, _tag in {"Emphasis": "em", "Strong": "strong", "Strikethrough": "s"}.items():
    _DRAWN |= {f"Start {_name}": f"<{_tag}>", f"End {_name}": f"</{_tag}>"}
for _name, _tag in {
    "Paragraph": "p",
    "BlockQuote": "blockquote",
    "Item": "li",
    "TableRow": "tr",
    "TableCell": "td",
}.items():
    _DRAWN |= {f"Start {_name}": f"<{_tag}>", f"End {_name}": f"</{_tag}>\n"}
