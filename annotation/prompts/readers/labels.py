"""Tables of labels: one labeler a row (long: item, labeler, label) or several (wide: PandaLM's annotator1 ...)."""

import re
from dataclasses import replace
from string import ascii_lowercase
from typing import Any

from annotation.prompts.readers.details import with_told_details
from annotation.prompts.readers.judged import (
    LABELER_COLUMNS,
    MOST_RESPONSES,
    ReadComparison,
    ReadResponse,
    ReadVerdict,
    Tiers,
    comparison_of,
    is_finished,
    named,
    prompt_of,
    prompt_turns,
    propensity_of,
    steps_of,
    verdict_of,
)
from annotation.prompts.readers.rows import RowRefused, seen, text_of

LETTERS = ascii_lowercase[:MOST_RESPONSES]
# Stems of the columns of responses, each with the names of the first, the second ...
NAMINGS = (
    *((stem, LETTERS) for stem in ("response_", "answer_", "completion_", "text_", "output_")),
    *((stem, "123456789") for stem in ("response", "response_", "answer", "output_", "completion")),
)
FIRST_WINS = frozenset({"a", "1", "1.0", "model_a", "response_a", "first", "left"})
SECOND_WINS = frozenset({"b", "2", "2.0", "model_b", "response_b", "second", "right"})
RESPONSE_COLUMNS = tuple(tuple(f"{stem}{name}" for name in names) for stem, names in NAMINGS)
TIES = frozenset({"tie", "0", "0.0", "same", "equal", "draw"})
ALL_BAD = frozenset({"all_bad", "both_bad", "bothbad", "tie (bothbad)", "neither"})
LABEL_COLUMNS = ("label", "winner", "preference", "verdict")
RANKED_LABEL = re.compile(r"[a-i](\s*[>=]\s*[a-i])+")
LABELS_COLUMNS = frozenset(
    {f"{stem}{name}" for stem, names in NAMINGS for name in names}
    | {f"{about}_{letter}" for about in ("model", "is_finished") for letter in LETTERS}
    | {*LABEL_COLUMNS, "labels", "item", "strength", "strengths"}
)


def response_columns(fields: dict[str, Any]) -> list[str]:
    """The columns that hold responses, in order; empty unless there are two."""
    for first, second, *more in RESPONSE_COLUMNS:
        if first in fields and second in fields:
            there = [name for name in more if name in fields]
            return [first, second, *(name for name in there if text_of(fields, name).strip())]
    return []


def read_labels(fields: dict[str, Any]) -> ReadComparison:
    """A row of a label table: its responses, and one labeler's label (long) or several labelers' (wide)."""
    columns = response_columns(fields)
    if not columns:
        raise RowRefused(f"The row has no response_a and response_b; seen: {seen(fields)}.")
    responses = [
        ReadResponse(
            text_of(fields, column),
            text_of(fields, f"model_{letter}", limit=200),
            is_finished(fields, f"is_finished_{letter}"),
        )
        for column, letter in zip(columns, LETTERS, strict=False)
    ]
    verdicts = [
        _labeled(fields, name, label, responses)
        for name, label in _labels(fields).items()
        if str(label if label is not None else "").strip()
    ]
    if not verdicts:
        raise RowRefused("No labeler gave a label in this row.")
    found = comparison_of(prompt_of(fields, prompt_turns(fields)), responses, verdicts)
    return replace(found, propensity=propensity_of(fields))


def _labels(fields: dict[str, Any]) -> dict[str, Any]:
    """Labels by labeler: an object `labels`, columns annotator1.., or the columns labeler and label."""
    labels = fields.get("labels")
    if isinstance(labels, dict):
        return labels
    label = next((name for name in LABEL_COLUMNS if name in fields), None)
    if label is not None:
        return {"": fields[label]}
    wide = {name: value for name, value in fields.items() if is_wide(name)}
    if not wide:
        raise RowRefused(
            f"The row has no label: no labels, label or annotator1 column; seen: {seen(fields)}."
        )
    return wide


def is_wide(name: str) -> bool:
    """Whether a column is one labeler's, as annotator1 is."""
    stem = name.rstrip("0123456789").rstrip("_")
    return name[-1:].isdigit() and stem in LABELER_COLUMNS


def _labeled(
    fields: dict[str, Any], labeler: str, label: object, responses: list[ReadResponse]
) -> ReadVerdict:
    name = named(labeler) if labeler else ""
    tiers = tiers_of_label(str(label), len(responses))
    if tiers is None:
        raise RowRefused(
            f"{name or 'The labeler'} gave the label {str(label)[:40]!r}; known are a, b, tie, 1, 2, 0 "
            "and all_bad, and for several responses an order as b>a=c."
        )
    steps = steps_of(fields.get("strengths"), tiers)
    verdict = verdict_of(fields, tiers, labeler=name, strengths=steps)
    return verdict if labeler else with_told_details(verdict, fields, responses)


def tiers_of_label(label: str, count: int) -> Tiers | None:
    """The tiers of a label of so many responses, none if all are bad; None for a label that is not known."""
    said = label.strip().lower()
    if said in ALL_BAD:
        return ()
    if RANKED_LABEL.fullmatch(said):
        return _ordered(said, count)
    if count != 2:
        return (tuple(range(count)),) if said == "tie" else None
    if said in FIRST_WINS:
        return ((0,), (1,))
    if said in SECOND_WINS:
        return ((1,), (0,))
    return ((0, 1),) if said in TIES else None


def _ordered(said: str, count: int) -> Tiers | None:
    tiers = tuple(
        tuple(sorted(LETTERS.index(letter.strip()) for letter in tier.split("=")))
        for tier in said.split(">")
    )
    named_once = sorted(place for tier in tiers for place in tier)
    return tiers if named_once == list(range(count)) else None
