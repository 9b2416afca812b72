"""What docs/training.md explains of each kind of run: names in backticks of its own section and of the shared ones."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
SHARED = ("## Settings of every run", "## The numbers of a step")
BORROWED = {"grpo": "ppo"}  # whose section says that its metrics are those of the other


PARTS = re.split(r"^(?=## )", TEXT, flags=re.MULTILINE)


def departures(kind: str) -> list[list[str]]:
    """The rows of the table of departures in the section of a kind: number, in the paper, here, why."""
    (own,) = [part for part in PARTS if f"(`{kind}`)" in part.splitlines()[0]]
    _, _, table = own.partition("### Departures of ")
    return [line.strip("|").split("|") for line in re.findall(r"^\| \d.*", table, re.MULTILINE)]


def explained(kind: str) -> set[str]:
    """Fields and metrics of a kind that somebody who reads its part of the text finds."""
    own = [f"(`{one}`)" for one in (kind, BORROWED.get(kind)) if one]
    read = [
        part
        for part in PARTS
        if part.startswith(SHARED) or any(mark in part.splitlines()[0] for mark in own)
    ]
    return set(re.findall(r"`(\w+)`", "".join(read)))
