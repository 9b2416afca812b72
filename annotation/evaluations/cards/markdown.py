"""A card as a Markdown file. Whatever people or models wrote is fenced, so that it stays text."""

from collections.abc import Iterator, Sequence

from annotation.evaluations.cards.sections import Quote, Section, Table

LONGEST_FENCE = 200


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """The whole file."""
    return "\n".join([f"# {plain(title)}", "", *_lines(sections)]).rstrip() + "\n"


def _lines(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        yield from (f"## {section.title}", "")
        for sentence in section.sentences:
            yield from (plain(sentence), "")
        for quote in section.quotes:
            yield from _quoted(quote)
        if section.bullets:
            yield from (f"- {plain(one)}" for one in section.bullets)
            yield ""
        for table in section.tables:
            yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield from (plain(table.caption), "")
    yield row_of(table.head)
    yield row_of(["---"] * len(table.head))
    yield from (row_of(row) for row in table.rows)
    yield ""


def row_of(cells: Sequence[str]) -> str:
    return "| " + " | ".join(plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _quoted(quote: Quote) -> Iterator[str]:
    """The fence is longer than any run of backticks inside."""
    fence = "`" * 3
    while fence in quote.text and len(fence) < LONGEST_FENCE:
        fence += "`"
    yield from (f"{plain(quote.label)}:", "", f"{fence}text", quote.text, fence, "")


def plain(text: str) -> str:
    """One line, with the letters that Markdown and HTML would read as marks set apart."""
    one_line = " ".join(text.split())
    for letter in ("\\", "`", "*", "_", "<", "[", "]", "#"):
        one_line = one_line.replace(letter, f"\\{letter}")
    return one_line
