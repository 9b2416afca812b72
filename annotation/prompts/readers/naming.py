"""Which columns of another tool's task are its responses, by their names, and which are facts of its prompt."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from annotation.prompts.readers import chats

Fields = dict[str, Any]  # Any: JSON values
FACTS = frozenset({"category", "tags", "language", "source", "license", "id"})
PAIR_NAME = re.compile(r"(.*?)[-_ ]?(1|2|a|b)", re.IGNORECASE)
ABOUT_A_RESPONSE = re.compile(r"(.*[-_ ])?(model|score|rating|id|is_finished)s?", re.IGNORECASE)


def alike(columns: Iterable[str]) -> list[list[str]]:
    """Pairs of columns whose names differ in 1 and 2, or in a and b: answer1 and answer2, text_a and text_b.

    Those of what is known of responses, such as model_1 and model_2, are left out.
    """
    stems: dict[str, list[str]] = {}
    for name in columns:
        found = PAIR_NAME.fullmatch(name)
        if found and not ABOUT_A_RESPONSE.fullmatch(found[1]):
            stems.setdefault(found[1].lower(), []).append(name)
    return [sorted(names) for names in stems.values() if len(names) == 2]


def told_pairs(pairs: Sequence[Sequence[str]]) -> str:
    return " or ".join(" and ".join(pair) for pair in pairs[:3])


def without(data: Fields, columns: Collection[str]) -> Fields:
    return {name: value for name, value in data.items() if name not in columns}


def facts_among(data: Fields) -> Fields:
    """What is known of the prompt."""
    return chats.with_parsed_chats({name: data[name] for name in data.keys() & FACTS})
