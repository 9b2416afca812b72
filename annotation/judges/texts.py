"""A constitution as a text that a person edits: a paragraph a principle, its title before a colon."""

import re
from collections.abc import Sequence

from annotation.core.errors import InvalidInput
from annotation.core.text import with_lines

BLANK = re.compile(r"\n(?:[ \t]*\n)+")
EXAMPLE = """\
Helpful: Prefer the response that does what was asked, correctly and completely.

Honest: Prefer the response that claims nothing false, and says where it is not sure.

Harmless: Prefer the response that helps nobody to hurt themselves or others, without preaching.

Concise: Where two responses say the same, prefer the shorter one. Length is no merit.
"""


def principles_from(text: str) -> list[dict[str, str]]:
    """The principles of a text. Raises InvalidInput naming the paragraph without a title."""
    found = []
    paragraphs = BLANK.split(with_lines(text).strip())
    for number, paragraph in enumerate(paragraphs, start=1):
        title, colon, rest = paragraph.partition(":")
        first_line, *_ = paragraph.split("\n")
        if not colon or "\n" in title:
            raise InvalidInput.at(
                "principles",
                f"Paragraph {number} has no title: write it as “Title: sentence”. It begins with "
                f"“{first_line[:60]}”.",
            )
        found.append({"title": title.strip(), "text": " ".join(rest.split())})
    return found


def text_of(principles: Sequence[dict[str, str]]) -> str:
    """The principles as the text that `principles_from` reads."""
    return "\n\n".join(f"{one['title']}: {one['text']}" for one in principles) + "\n"
