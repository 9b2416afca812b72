r"""Untrusted text as safe HTML. Everything a model wrote is hostile.

1. pulldown-cmark parses, in a time that grows with the text and no faster. Tags in the text stay text, images are
   dropped, links lose their address.
2. Pygments colors code by class, latex2mathml turns $...$, \(...\) and \[...\] into MathML; what they do not
   understand stays text.
3. nh3 keeps an allow-list of tags and attributes. Nothing is ever fetched, nothing can be clicked.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape
from itertools import cycle
from typing import Any

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from pyromark import Options, events, events_with_range
from pyromark.event import Event

from annotation.ui import latex

LONGEST_RENDERED = 100_000  # characters; longer text is shown raw
LONGEST_COLORED = 20_000
KEPT_IN_CACHE = 1_000
DEEPEST = 30  # tags in each other

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
    "td": {"class"},
    "th": {"class"},
    "ol": {"start"},
    "math": {"display"},
    "mo": {"stretchy", "fence", "form", "separator"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "mtable": {"displaystyle"},
    "mtd": {"columnalign"},
    "menclose": {"notation"},
    "mstyle": {"displaystyle", "scriptlevel"},
}
_CELL = re.compile(r"<(t[dh])>")
_SIDES = {
    "None": "",
    "Left": ' class="to-left"',
    "Center": ' class="to-center"',
    "Right": ' class="to-right"',
}
_BLOCKS = ["p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "td", "th"]
_CLASS = re.compile(r"hl-[a-z0-9]{1,3}|inert-link|formula|not-shown|to-left|to-center|to-right")
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="hl-")


def render(text: str) -> SafeString:
    """The text as HTML that is safe to put on a page."""
    if len(text) > LONGEST_RENDERED:
        return raw(text)
    return _rendered(text)


def response(text: str) -> SafeString:
    """A response as HTML; an empty one says that it is, so that nobody takes it for a fault of the page."""
    if text.strip():
        return render(text)
    return format_html('<p class="not-shown">{}</p>', _("This response is empty."))


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
_STAND_IN = re.compile(f"[{latex.STAND_INS}]")
_APART = {"Code", "Start CodeBlock", "InlineMath", "DisplayMath"}


def _parsed(text: str) -> str:
    """The Markdown as HTML, which is not clean yet."""
    own = _STAND_IN.sub("\N{REPLACEMENT CHARACTER}", text).replace("<", latex.LESS_THAN)
    drawn = _html(_shallow(events(_with_formulas_held(own), options=_EXTENSIONS)))
    return drawn.replace(latex.LESS_THAN, "&lt;")


def _with_formulas_held(text: str) -> str:
    """The text as the parser may see it, without the formulas whose delimiters it does not know."""
    if "\\(" not in text and "\\[" not in text:
        return text
    apart = [
        (place["start"], place["end"])
        for event, place in events_with_range(text, options=_EXTENSIONS)
        if _named(event)[0] in _APART
    ]
    return latex.held(text, apart)


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
    return latex.released(escape(text))


def _code(code: str, _parsed: Iterator[Event]) -> str:
    return f"<code>{escape(latex.as_written(code))}</code>"


def _code_block(kind: Any, parsed: Iterator[Event]) -> str:  # Any: "Indented" or {"Fenced": words}
    words = "" if kind == "Indented" else str(kind["Fenced"])
    code = latex.as_written(_text_until("End CodeBlock", parsed))
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
    return str(highlight(code.replace(latex.LESS_THAN, "<"), lexer, _FORMATTER))


def _link(what: dict[str, str], _parsed: Iterator[Event]) -> str:
    return f'<span class="inert-link" title="{escape(latex.as_written(what["dest_url"]))}">'


def _head(_what: None, parsed: Iterator[Event]) -> str:
    cells = _html(parsed, until="End TableHead").replace("<td>", "<th>").replace("</td>", "</th>")
    return f"<thead><tr>{cells}</tr></thead><tbody>"


def _table(sides: tuple[str, ...], parsed: Iterator[Event]) -> str:
    """Every row of a table has a cell for each of its columns."""
    side = cycle(sides)
    inside = _CELL.sub(
        lambda cell: f"<{cell[1]}{_SIDES[next(side)]}>", _html(parsed, until="End Table")
    )
    return f"<table>{inside}</tbody></table>\n"


_DRAWN: dict[str, str | Callable[[Any, Iterator[Event]], str]] = {
    "Text": _text,
    "SoftBreak": "<br>\n",
    "HardBreak": "<br>\n",
    "Rule": "<hr>\n",
    "Code": _code,
    "InlineMath": lambda content, _: latex.formula(latex.as_written(content), display="inline"),
    "DisplayMath": lambda content, _: latex.formula(latex.as_written(content), display="block"),
    "Start CodeBlock": _code_block,
    "Start Image": '<span class="not-shown">[image: ',
    "End Image": "]</span>",
    "Start Link": _link,
    "End Link": "</span>",
    "Start Heading": lambda what, _: f"<{what['level'].lower()}>",
    "End Heading": lambda level, _: f"</{level.lower()}>\n",
    "Start List": lambda first, _: "<ul>\n" if first is None else f'<ol start="{first}">\n',
    "End List": lambda is_numbered, _: "</ol>\n" if is_numbered else "</ul>\n",
    "Start Table": _table,
    "Start TableHead": _head,
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
