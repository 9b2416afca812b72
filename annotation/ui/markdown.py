"""Untrusted text as safe HTML. Everything a model wrote is hostile.

1. markdown-it parses with `html=False`: tags in the text stay text. Images are dropped, links lose their address.
2. Pygments colors code by class, latex2mathml turns $...$ into MathML; what they do not understand stays text.
3. nh3 keeps an allow-list of tags and attributes. Nothing is ever fetched, nothing can be clicked.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from latex2mathml import exceptions
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

LONGEST_RENDERED = 100_000  # characters; longer text is shown raw
LONGEST_COLORED = 20_000
LONGEST_FORMULA = 2_000
KEPT_IN_CACHE = 1_000

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
    html = _PARSER.render(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_keep_attribute,
        set_tag_attribute_values={tag: {"dir": "auto"} for tag in _BLOCKS},
        url_schemes=set(),
        link_rel=None,
    )
    return mark_safe(clean)  # noqa: S308 - the allow-list above is the point


def _keep_attribute(_tag: str, name: str, value: str) -> str | None:
    if name != "class":
        return value
    return " ".join(one for one in value.split() if _CLASS.fullmatch(one)) or None


def _color(code: str, language: str, _attributes: str) -> str:
    if not language or len(code) > LONGEST_COLORED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return escape(code)
    return str(highlight(code, lexer, _FORMATTER))


def _formula(content: str, options: dict[str, bool]) -> str:
    """MathML, or the source where it is not LaTeX."""
    source = f'<span class="formula">{escape(content)}</span>'
    if len(content) > LONGEST_FORMULA:
        return source
    try:
        return convert(content, display="block" if options["display_mode"] else "inline")
    except NOT_LATEX:
        return source


def _link_open(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    return f'<span class="inert-link" title="{escape(str(tokens[index].attrGet("href") or ""))}">'


def _link_close(
    _renderer: RendererHTML,
    _tokens: Sequence[Token],
    _index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    return "</span>"


def _image(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    return f'<span class="not-shown">[image: {escape(tokens[index].content)}]</span>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "highlight": _color, "breaks": True})
    parser.enable(["table", "strikethrough"]).use(
        dollarmath_plugin, renderer=_formula, double_inline=True, allow_space=False
    )
    parser.add_render_rule("link_open", _link_open)
    parser.add_render_rule("link_close", _link_close)
    parser.add_render_rule("image", _image)
    return parser


_PARSER = _parser()
