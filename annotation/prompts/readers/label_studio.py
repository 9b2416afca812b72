"""Tasks that Label Studio exports: pairwise and ranker answers.

A task does not name which part of it is the prompt and which are the responses, so both are found: by what the answer
points at, then by the usual names.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from annotation.prompts.readers import chats
from annotation.prompts.readers.details import with_details
from annotation.prompts.readers.judged import (
    LARGEST_INTEGER,
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
from annotation.prompts.readers.naming import alike, facts_among, told_pairs, without
from annotation.prompts.readers.rows import RowRefused, seen, text_of

Fields = dict[str, Any]  # Any: JSON values
CONTROLS = frozenset({"strength", "strengths", "rationale", "criteria", "marks", "shown_order"})
CONTROLS |= {"guideline_version", "active_ms", "labeler_kind"}


def read_label_studio(fields: Fields) -> ReadComparison:
    """One exported task: its data, and a verdict for each annotation that was not cancelled."""
    data, annotations = fields.get("data"), fields.get("annotations")
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise RowRefused(f"The task has no data and annotations; seen: {seen(fields)}.")
    items = _items(data)
    given = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    columns = [] if items else _compared_columns(data, given)
    responses = (
        [_item_response(one) for one in items] if items else _column_responses(data, columns)
    )
    names = columns or [str(one.get("id")) for one in items]
    places = {name: place for place, name in enumerate(names)}
    verdicts = [_annotation(one, places, responses) for one in given]
    if not verdicts:
        raise RowRefused("No annotation of this task was submitted.")
    turns = prompt_turns(chats.with_parsed_chats(without(data, columns)))
    found = comparison_of(prompt_of(facts_among(data), turns), responses, verdicts)
    return replace(found, propensity=propensity_of(data))


def _items(data: Fields) -> list[Fields]:
    """The list that a Ranker orders: objects with an id."""
    for value in data.values():
        is_list = isinstance(value, list) and len(value) > 1
        if is_list and all(isinstance(one, dict) and "id" in one for one in value):
            return list(value)
    return []


def _item_response(item: Fields) -> ReadResponse:
    said = next((text for name in ("body", "text", "html") if (text := text_of(item, name))), "")
    return ReadResponse(said, text_of(item, "model", limit=200), is_finished(item))


def _compared_columns(data: Fields, annotations: list[Fields]) -> list[str]:
    """The columns that the Pairwise answers point at, left before right, or the two that are named alike."""
    answers = [one for annotation in annotations for one in annotation.get("result") or []]
    pointed = [_sides(one, data) for one in answers if one.get("type") == "pairwise"]
    pointed = [sides for sides in pointed if sides]
    if len({frozenset(sides) for sides in pointed}) > 1:
        told = " and ".join(",".join(sides) for sides in pointed[:2])
        raise RowRefused(f"The annotations of this task compare different columns: {told}.")
    return pointed[0] if pointed else _pair_columns(data)


def _sides(result: Fields, columns: Collection[str]) -> list[str]:
    """The left and the right column of a Pairwise, where its toName, as ``answer1,answer2``, names columns."""
    names = [name.strip() for name in str(result.get("to_name")).split(",")]
    return names if len(set(names)) == 2 and all(name in columns for name in names) else []


def _pair_columns(data: Fields) -> list[str]:
    pairs = alike(data)
    if not pairs:
        raise RowRefused(
            f"The task's data names no two responses, such as answer1 and answer2; seen: {seen(data)}."
        )
    if len(pairs) > 1:
        raise RowRefused(
            f"The task's data has several pairs that may be the responses: {told_pairs(pairs)}. "
            "Name two columns in to_name, as the Pairwise's toName, or rename the others."
        )
    return pairs[0]


def _column_responses(data: Fields, columns: list[str]) -> list[ReadResponse]:
    """The responses, with what stands beside them where both are named alike: answer1 and model_1."""
    if len({column[:-1] for column in columns}) > 1:
        return [ReadResponse(text_of(data, column)) for column in columns]
    return [
        ReadResponse(
            text_of(data, column),
            text_of(data, f"model_{column[-1]}", limit=200),
            is_finished(data, f"is_finished_{column[-1]}"),
        )
        for column in columns
    ]


def _annotation(
    annotation: Fields, places: Mapping[str, int], responses: list[ReadResponse]
) -> ReadVerdict:
    count = len(responses)
    tiers: Tiers | None = None
    told: Fields = {}
    for result in annotation.get("result") or []:
        kind, value = result.get("type"), result.get("value") or {}
        if kind == "pairwise":
            tiers = _picked(result, value.get("selected"), places)
        elif kind == "ranker":
            tiers = _order(value.get("ranker"), places, count)
        elif kind == "choices" and tiers is None:
            tiers = _choice(value.get("choices"), count)
        _tell(told, result.get("from_name"), value)
    if tiers is None:
        raise RowRefused(
            f"Annotation {annotation.get('id', '')} holds no pairwise, ranker or tie answer."
        )
    facts = chats.with_parsed_chats(
        {
            "active_ms": _lead_ms(annotation.get("lead_time")),
            **told,
            "judged_at": annotation.get("created_at"),
        }
    )
    verdict = verdict_of(
        facts,
        tiers,
        labeler=_completed_by(annotation.get("completed_by")),
        strengths=steps_of(facts.get("strengths"), tiers),
    )
    return with_details(verdict, facts, responses)


def _lead_ms(seconds: object) -> int:
    """The milliseconds of an annotation's lead_time, which Label Studio measures in seconds; 0 where it tells none."""
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise RowRefused(f"lead_time is {str(seconds)[:40]!r}; it is a number of seconds, from 0.")
    return round(min(seconds * 1000, LARGEST_INTEGER))


def _picked(result: Fields, selected: object, places: Mapping[str, int]) -> Tiers:
    if selected not in ("left", "right") or len(places) != 2:
        raise RowRefused(
            f"The pairwise answer is {str(selected)[:40]!r} of {len(places)} responses; "
            "it is left or right of two."
        )
    left, right = (places[name] for name in _sides(result, places) or places)
    return ((left,), (right,)) if selected == "left" else ((right,), (left,))


def _order(ranker: object, places: Mapping[str, int], count: int) -> Tiers:
    """A list of ids, best first; or buckets of ids, the best bucket first: who shares a bucket is tied."""
    given = list(ranker.values()) if isinstance(ranker, dict) else [ranker]
    buckets = [bucket for bucket in given if isinstance(bucket, list)]
    if len(buckets) < len(given) or not buckets:
        raise RowRefused(f"The ranker's answer is {str(ranker)[:60]}, not lists of ids.")
    if len(buckets) == 1:
        buckets = [[one] for one in buckets[0]]
    ids = [[str(one) for one in bucket] for bucket in buckets if bucket]
    if sorted(one for bucket in ids for one in bucket) != sorted(places) or len(places) != count:
        raise RowRefused(f"The ranker's answer does not name each of {', '.join(places)} once.")
    return tuple(tuple(sorted(places[one] for one in bucket)) for bucket in ids)


def _choice(choices: object, count: int) -> Tiers | None:
    said = str(choices[0]).strip().lower() if isinstance(choices, list) and choices else ""
    if said in {"tie", "equal", "same", "about the same", "similar"}:
        return (tuple(range(count)),)
    return () if said in {"all bad", "both bad", "all_bad", "neither"} else None


def _tell(told: Fields, name: object, value: Fields) -> None:
    """What further controls said: a text area called rationale, a rating or a text called strength."""
    if name not in CONTROLS:
        return
    texts = value.get("text")
    told[str(name)] = (
        value.get("rating") or value.get("number")
        if texts is None
        else "\n".join(map(str, texts))
        if isinstance(texts, list)
        else texts
    )


def _completed_by(user: object) -> str:
    if isinstance(user, dict):
        user = user.get("email") or user.get("username") or user.get("id")
    return named("unknown" if user is None else user)
