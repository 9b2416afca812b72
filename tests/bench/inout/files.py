"""Files of any size for the bench of imports: written line by line, the same bytes at every call."""

import json
from collections.abc import Iterator
from pathlib import Path

PROMPT = "Explain to a new colleague, in a few sentences and with one example, why this matters. "
RESPONSE = (
    "It matters because **people rely on it** every day. For example:\n\n- first, it saves time;\n"
    "- second, it prevents mistakes that are costly later.\n\nIn short, do it early. "
)
Row = dict[str, str | int]


def pairs(count: int) -> Iterator[Row]:
    """Two responses to compare here."""
    for number in range(count):
        yield {
            "prompt": f"{PROMPT}{number}",
            "response_a": f"{RESPONSE * 2}{number}-a",
            "response_b": f"{RESPONSE * 3}{number}-b",
            "model_a": "model-1",
            "model_b": "model-2",
        }


def preferences(count: int) -> Iterator[Row]:
    """A chosen and a rejected response, as TRL writes them."""
    for row in pairs(count):
        yield {
            "prompt": row["prompt"],
            "chosen": row["response_a"],
            "rejected": row["response_b"],
            "margin": 2,
        }


def labels(count: int, *, labelers: int = 2) -> Iterator[Row]:
    """A wide table: ``labelers`` labels a pair."""
    for number, row in enumerate(pairs(count)):
        said = {f"annotator{one + 1}": "ab"[(number + one) % 2] for one in range(labelers)}
        yield {**row, **said}


def votes(count: int, *, a_pair: int = 4) -> Iterator[Row]:
    """A long table: one label a row, ``a_pair`` rows a pair, by a thousand labelers in turn."""
    for number, row in enumerate(pairs(count // a_pair)):
        for one in range(a_pair):
            labeler = f"labeler {(number * a_pair + one) % 1000}"
            yield {**row, "labeler": labeler, "label": "ab"[(number + one) % 2]}


def write(path: Path, rows: Iterator[Row]) -> Path:
    """The rows as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return path
