"""What a model wrote is hostile: whatever it says, the page shows text and fetches nothing."""

import re

import pytest

from annotation.ui.markdown import raw, render

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![tracker](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt&colon;alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    '[click](https://ok.example "onmouseover=alert(1) x")',
    '[click](https://ok.example/"><script>alert(1)</script>)',
    "<https://evil.example/?q=secret>",
    "[ref]: javascript:alert(1)\n\n[ref]",
    '```"><script>alert(1)</script>\ncode\n```',
    "```html\n<iframe src=https://evil.example></iframe>\n```",
    "`<svg onload=alert(1)>`",
    "$\\href{javascript:alert(1)}{x}$",
    "$$\\style{background:url(https://evil.example)}{x}$$",
    '$\\text{<img src=x onerror="alert(1)">}$',
    '\\(\\text{<img src=x onerror="alert(1)">}\\) \\[\\href{javascript:alert(1)}{x}\\]',
    '[click](\\(" onmouseover=alert(1) x\\))',
    '| a |\n|:-|\n| <td class="x" onclick=alert(1)> |',
    '<math><mtext></p><img src=x onerror="alert(1)"></mtext></math>',
    "<style>@import 'https://evil.example/x.css';</style>",
    '<form action="https://evil.example"><input name=q></form>',
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    '| a |\n|---|\n| <a href="javascript:alert(1)">x</a> |',
    "<div class='bar' id='main' style='position:fixed'>covering</div>",
    "<!--><script>alert(1)</script>-->",
    "\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
]
TAG = re.compile(r"<[^>]*>")
FORBIDDEN_TAG = re.compile(
    r"<\s*/?(script|img|svg|iframe|object|embed|style|form|input|base|meta|link|a|video)\b",
    re.IGNORECASE,
)
FORBIDDEN_ATTRIBUTE = re.compile(r"\s(on\w+|style|href|src|srcset|id|action)\s*=", re.IGNORECASE)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_becomes_harmless_text(attack):
    """Only real tags are looked at, with quoted values taken out: an escaped `onerror=` is text."""
    html = render(attack)
    tags = [re.sub(r'"[^"]*"', '""', tag) for tag in TAG.findall(html)]
    assert not [tag for tag in tags if FORBIDDEN_TAG.match(tag) or FORBIDDEN_ATTRIBUTE.search(tag)]
    assert not FORBIDDEN_TAG.search(html)


def test_an_image_is_named_but_not_fetched():
    html = render("![a cat](https://evil.example/cat.png)")
    assert "a cat" in html
    assert "evil.example" not in html


def test_an_image_in_an_image_is_named_too():
    html = render("![a ![b](x) *c*](y) d")
    assert html == (
        '<p dir="auto"><span class="not-shown">[image: a <span class="not-shown">[image: b]</span> '
        "<em>c</em>]</span> d</p>\n"
    )


def test_a_link_shows_where_it_would_lead_but_leads_nowhere():
    html = render("[docs](https://docs.example)")
    assert html == (
        '<p dir="auto"><span class="inert-link" title="https://docs.example">docs</span></p>\n'
    )


def test_tables_code_and_formulas_are_shown():
    html = render("| a |\n|---|\n| 1 |\n\n```python\nx = 1\n```\n\n$\\frac{a}{b}$")
    assert "<td" in html
    assert 'class="hl-n"' in html
    assert "<mfrac>" in html


def test_what_is_no_markdown_is_shown_as_it_is_written():
    html = render("<think>\n**So** a < b, `x<y` and &lt;i&gt;.\n</think>\n\n```\nif a<b:\n```")
    assert html == (
        '<p dir="auto">&lt;think&gt;<br>\n<strong>So</strong> a &lt; b, <code>x&lt;y</code> and '
        "&lt;i&gt;.<br>\n&lt;/think&gt;</p>\n<pre><code>if a&lt;b:\n</code></pre>\n"
    )


def test_colored_code_and_formulas_may_compare():
    html = render("```python\nx < 1\n```\n\n$a < b$")
    assert 'class="hl-o">&lt;</span>' in html
    assert "<mo>&lt;</mo>" in html


def test_the_words_of_a_formula_stay_words():
    html = render(r"$\text{if a<b:<h1>x</h1>} \left< y \right>$")
    assert "a&lt;b:&lt;h1&gt;x&lt;/h1&gt;</mtext>" in html
    assert '<mo stretchy="true" fence="true" form="prefix">&lt;</mo>' in html


def test_lists_and_quotes_nest_and_lines_break():
    html = render("- a\n  - b\n\n> c\n> d\n\n3. e\n4. f")
    assert html == (
        '<ul>\n<li dir="auto">a<ul>\n<li dir="auto">b</li>\n</ul>\n</li>\n</ul>\n'
        '<blockquote dir="auto"><p dir="auto">c<br>\nd</p>\n</blockquote>\n'
        '<ol start="3">\n<li dir="auto">e</li>\n<li dir="auto">f</li>\n</ol>\n'
    )


def test_the_head_of_a_table_is_one():
    html = render("| a |\n|---|\n| <td> |")
    assert html == (
        '<table><thead><tr><th dir="auto">a</th>\n</tr></thead><tbody>'
        '<tr><td dir="auto">&lt;td&gt;</td>\n</tr>\n</tbody></table>\n'
    )


@pytest.mark.parametrize("nesting", [">", "> ", "- ", "*a ", "[", "![a", "**", "|a"])
def test_nothing_nests_too_deep(nesting):
    html = render(nesting * (90_000 // len(nesting)) + "x")
    assert html.count("<blockquote") + html.count("<li") <= 30


def test_the_delimiters_of_latex_hold_formulas():
    html = render(r"The root \(x_1*y_2*\) of **\(|a|\)**\(b\)")
    assert html.count('<math display="inline">') == 3
    assert "<em>" not in html
    assert "<strong><math" in html


def test_a_displayed_formula_may_have_lines_that_markdown_reads_as_its_own():
    html = render("> \\[\n> a\n> + b\n> =\n> \\]\n\n- \\[\n  - c < d\n  \\]")
    assert html == (
        '<blockquote dir="auto"><p dir="auto"><math display="block"><mrow><mi>a</mi><mo>+</mo><mi>b</mi><mo>=</mo>'
        '</mrow></math></p>\n</blockquote>\n<ul>\n<li dir="auto"><math display="block"><mrow><mo>\N{MINUS SIGN}</mo>'
        "<mi>c</mi><mo>&lt;</mo><mi>d</mi></mrow></math></li>\n</ul>\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "`\\(x\\)`",
        "```\n\\[x\\]\n```",
        "é\n\n    \\(x\\)",
        "\\(x",
        "\\\\(x\\)",
        "\\(x\n\ny\\)",
        "\\[ \\]",
        "\\(x\\]",
    ],
)
def test_what_is_code_or_never_closed_is_no_formula(text):
    html = render(text)
    assert "<math" not in html
    assert "x" in html or "[ ]" in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`\\(\n- \\)\\)`", "<code>\\(-\\)\\)</code>"),
        ("- a \\(\n  1. \\)\n\n       \\[<\\]", "<code> \\[&lt;\\]</code>"),
        ("x$$\\( \n$\\)> - $$", "<mi>$</mi>"),
        (">  $\\[`` \n1. \\]$`", "<mo>.</mo><mi>\\]</mi>"),
        ('[a](\\("\\))', 'title="\\(&quot;\\)"'),
    ],
)
def test_a_formula_that_cannot_be_drawn_where_it_stands_is_shown_as_its_source(text, shown):
    """Its lines are one for Markdown, which may then see code or another formula around it."""
    assert shown in render(text)


@pytest.mark.parametrize("environment", ["aligned", "align*", "split"])
def test_aligned_equations_have_a_line_each(environment):
    html = render(f"\\[\\begin{{{environment}}} a&=b\\\\[2pt] c&<d \\end{{{environment}}}\\]")
    assert html.count("<mtr>") == 2
    assert html.count('<mtd columnalign="right">') == 2
    assert "&amp;" not in html
    assert "2pt" not in html


@pytest.mark.parametrize("name", ["gathered", "gather*", "dcases", "equation*"])
def test_other_environments_are_drawn(name):
    assert "<math" in render(f"$$\\begin{{{name}}} a \\end{{{name}}}$$")


def test_an_environment_that_cannot_be_drawn_is_shown_as_its_source():
    html = render(r"$$\begin{tikzcd} a & b \\ c \end{tikzcd}$$")
    assert html == (
        '<p dir="auto"><span class="formula">\\begin{tikzcd} a &amp; b \\\\ c \\end{tikzcd}</span></p>\n'
    )


def test_the_place_of_an_environment_is_not_drawn():
    assert "<mi>t</mi>" not in render(r"\(\begin{aligned}[t] a \end{aligned}\)")


def test_a_boxed_answer_has_its_box():
    assert '<menclose notation="box">' in render(r"\(\boxed{42}\)")


def test_the_columns_of_a_table_are_aligned():
    html = render("| a | b | c | d |\n|---|:--|:-:|--:|\n| 1 | 2 | 3 | <td> |\n| 5 |")
    cells = ['<{} dir="auto">'] + [
        f'<{{}} class="to-{side}" dir="auto">' for side in ("left", "center", "right")
    ]
    assert re.findall("<t[hd](?: [^>]*)?>", html) == [
        cell.format(tag) for tag in ("th", "td", "td") for cell in cells
    ]


def test_prices_are_not_formulas():
    assert "<math" not in render("It costs $5 today and $6 tomorrow.")


@pytest.mark.parametrize("source", ["\\frac{", "^", "\\begin{matrix} a", "\\left(", "{" * 500])
def test_broken_latex_stays_text(source):
    assert "Error" not in render(f"${source}$")


def test_each_block_finds_its_own_direction():
    assert '<li dir="auto">' in render("- שלום")


def test_a_class_that_is_not_ours_is_dropped():
    assert "resp" not in render('```resp"class="resp\ncode\n```').replace("&quot;", "")


def test_a_very_long_text_is_shown_raw():
    assert render("a" * 100_001).startswith('<pre class="raw"')


def test_raw_text_is_escaped():
    assert "<b>" not in raw("<b>")


def test_raw_text_is_what_the_browser_holds_to_the_character():
    """The parser drops the first line break in a <pre> and reads CR LF as LF: both must survive, marks count on it."""
    assert raw("\n\r\nx") == '<pre class="raw" dir="auto">\n\n&#13;\nx</pre>'
