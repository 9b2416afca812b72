"""Two versions of a guideline, line by line."""

from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT = 2  # unchanged lines shown around a change


class Line(NamedTuple):
    """A line of a difference: ``same``, ``gone``, ``new``, or a ``gap`` of lines that are the same."""

    kind: str
    text: str


def difference(before: str, after: str) -> list[Line]:
    """What an editor would mark; unchanged stretches are cut to a few lines."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    groups = SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)
    for number, group in enumerate(groups):
        if number:
            lines.append(Line("gap", "…"))
        for tag, i, j, k, m in group:
            if tag == "equal":
                lines += [Line("same", one) for one in old[i:j]]
                continue
            lines += [Line("gone", one) for one in old[i:j]]
            lines += [Line("new", one) for one in new[k:m]]
    return lines
