"""Records that Argilla exports: questions that rank the responses, or whose label names the better of two."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from annotation.prompts.readers.chats import KNOWN_COLUMNS
from annotation.prompts.readers.judged import (
    ANSWER_COLUMNS,
    ReadComparison,
    ReadResponse,
    Tiers,
    comparison_of,
    named,
    prompt_of,
    prompt_turns,
    rank_of,
    tiers_by_rank,
    time_of,
    verdict_of,
)
from annotation.prompts.readers.labels import tiers_of_label
from annotation.prompts.readers.naming import alike, facts_among, told_pairs, without
from annotation.prompts.readers.rows import RowRefused, seen, text_of

Fields = dict[str, Any]  # Any: JSON values
RESPONSE_NAME = re.compile(r"(response|reply|answer|completion|output|generation)s?[-_ ]?\w*")
ANSWERS = re.compile(r".+\.responses(\.users|\.status)?")
PROMPT_COLUMNS = KNOWN_COLUMNS - ANSWER_COLUMNS
PREFERENCE_QUESTION = re.compile(r"prefer|better|best|winner|label|verdict|choice", re.IGNORECASE)


class Answer(NamedTuple):
    """What somebody submitted to one question of a record."""

    user: object
    question: str
    value: object


Ranks = Mapping[str, object]


def read_argilla(fields: Fields) -> ReadComparison:
    """A record whose question ranks the responses or names the better of two, in any shape of an export."""
    texts = _texts(fields)
    answers = _answers(fields)
    ranked = [
        (one.user, _by_field(ranks, texts)) for one in answers if (ranks := _ranks(one.value))
    ]
    touching = [one for one in ranked if not texts.keys().isdisjoint(one[1])]
    labels = _labels(texts, answers)
    if touching or (ranked and not labels):
        names = _ranked_names(texts, touching or ranked)
        said = [(user, _tiers(ranks, names)) for user, ranks in touching or ranked]
    else:
        names, said = _labeled(texts, labels)
    verdicts = [
        verdict_of({"judged_at": time_of(fields)}, tiers, labeler=named(user))
        for user, tiers in said
    ]
    turns = prompt_turns(without(texts, names))
    responses = [ReadResponse(text_of(texts, name)) for name in names]
    return comparison_of(prompt_of(_facts(fields), turns), responses, verdicts)


def is_answer(name: str) -> bool:
    """Whether a column of a flat record holds answers of a question, or who gave them."""
    return ANSWERS.fullmatch(name) is not None


def _texts(fields: Fields) -> Fields:
    texts = fields.get("fields")
    return texts if isinstance(texts, dict) else fields


def _facts(fields: Fields) -> Fields:
    metadata = fields if _flat_questions(fields) else fields.get("metadata")
    facts = facts_among(metadata) if isinstance(metadata, dict) else {}
    name = "external_id" if "external_id" in fields else "id"  # a server's own id is not the file's
    return facts | {"id": fields.get(name) or ""}


def _by_field(ranks: Ranks, texts: Fields) -> Ranks:
    """The ranks by the names of the fields, where the two differ in marks alone."""
    if ranks.keys() <= texts.keys():
        return ranks
    named_by = _by_bare_name(list(texts))
    return {
        name if name in texts else named_by.get(_bare(name), name): rank
        for name, rank in ranks.items()
    }


def _ranked_names(texts: Fields, ranked: Sequence[tuple[object, Ranks]]) -> list[str]:
    names = sorted({name for _, ranks in ranked for name in ranks if name in texts})
    if len(names) < 2:
        names = sorted(name for name in texts if RESPONSE_NAME.fullmatch(name))
    if len(names) < 2:
        raise RowRefused(f"The fields name no two responses that were ranked; seen: {seen(texts)}.")
    return names


def _tiers(ranks: Ranks, names: list[str]) -> Tiers:
    if sorted(ranks) != names:
        raise RowRefused(f"The ranking does not name each of {', '.join(names)} once.")
    return tiers_by_rank([rank_of(ranks[name], place) for place, name in enumerate(names)])


def _labels(texts: Fields, answers: Sequence[Answer]) -> list[Answer]:
    """Answers of the questions whose label names a response; without one, of those that ask for a preference."""
    given = [one for one in answers if isinstance(one.value, str) and one.value]
    named_by = _by_bare_name(_likely_responses(texts))
    asked = {one.question for one in given if _bare(str(one.value)) in named_by}
    return [
        one
        for one in given
        if (one.question in asked if asked else PREFERENCE_QUESTION.search(one.question))
    ]


def _labeled(
    texts: Fields, labels: Sequence[Answer]
) -> tuple[list[str], list[tuple[object, Tiers]]]:
    """The two responses, and who preferred which by a label that names one of them, or a tie."""
    if not labels:
        raise RowRefused(
            "No response of this record was submitted with a ranking, or with a label that names a response."
        )
    named_by = _by_bare_name(_likely_responses(texts))
    said = {_bare(str(one.value)) for one in labels}
    names = sorted(named_by[name] for name in said & named_by.keys())
    if len(names) != 2:
        names = _pair(texts)
    told = [(one.user, tiers) for one in labels if (tiers := _label_tiers(one, names)) is not None]
    if not told:
        [unknown, *_] = labels
        raise RowRefused(
            f"The label {str(unknown.value)[:40]!r} of {unknown.question} names no response; known are "
            f"{', '.join(names)}, a, b, 1, 2, tie and all_bad."
        )
    return names, told


def _likely_responses(texts: Fields) -> list[str]:
    """The fields that are called responses or differ in 1 and 2; without two of them, all but the prompt's."""
    held = [name for name, text in texts.items() if isinstance(text, str)]
    paired = {name for pair in alike(held) for name in pair}
    likely = [name for name in held if name in paired or RESPONSE_NAME.fullmatch(name)]
    return likely if len(likely) > 1 else [name for name in held if name not in PROMPT_COLUMNS]


def _pair(texts: Fields) -> list[str]:
    pairs = alike(name for name, text in texts.items() if isinstance(text, str))
    if len(pairs) != 1:
        told = told_pairs(pairs) or seen(texts)
        raise RowRefused(f"The fields name no two responses that a label is of; seen: {told}.")
    return pairs[0]


def _label_tiers(label: Answer, names: Sequence[str]) -> Tiers | None:
    said, bare = str(label.value), [_bare(name) for name in names]
    if _bare(said) in bare:
        place = bare.index(_bare(said))
        return ((place,), (1 - place,))
    return tiers_of_label(said, len(names))


def _by_bare_name(names: Sequence[str]) -> dict[str, str]:
    return {_bare(name): name for name in names}


def _bare(name: str) -> str:
    """A name without the marks in which labels and fields differ: response-1 as response_1."""
    return re.sub(r"[\W_]", "", name).casefold()


def _answers(fields: Fields) -> list[Answer]:
    """Who submitted what, whichever of the four shapes the record has."""
    responses = fields.get("responses")
    if questions := _flat_questions(
        fields
    ):  # 2.x, flat: question.responses and its .users, .status
        return [one for name in questions for one in _flat_answers(fields, name)]
    if isinstance(
        responses, list
    ):  # server: [{"user_id", "status", "values": {question: {"value"}}}]
        return [
            Answer(one.get("user_id"), name, value.get("value"))
            for one in responses
            if isinstance(one, dict) and one.get("status", "submitted") == "submitted"
            for name, value in (one.get("values") or {}).items()
            if isinstance(value, dict)
        ]
    # 2.x: {question: [{"user_id", "value"}]}; data set: a column a question, [{..., "status"}]
    asked = responses if isinstance(responses, dict) else fields
    return [
        Answer(one["user_id"], name, one["value"])
        for name, given in asked.items()
        if isinstance(given, list)
        for one in given
        if isinstance(one, dict) and "user_id" in one and "value" in one
        if (one.get("status") or "submitted") == "submitted"
    ]


def _flat_questions(fields: Fields) -> list[str]:
    """The columns of answers, ``ranking.responses``; that of who gave them stands beside each."""
    return [name for name in fields if name.endswith(".responses") and f"{name}.users" in fields]


def is_flat(fields: Fields) -> bool:
    """Whether a row is a flat record."""
    return bool(_flat_questions(fields))


def _flat_answers(fields: Fields, column: str) -> list[Answer]:
    values, users = fields[column] or [], fields[f"{column}.users"] or []
    states = fields.get(f"{column}.status") or ["submitted"] * len(values)
    if not len(values) == len(users) == len(states):
        raise RowRefused(f"{column} has {len(values)} answers of {len(users)} users.")
    question = column.removesuffix(".responses")
    return [
        Answer(user, question, value)
        for value, user, state in zip(values, users, states, strict=True)
        if (state or "submitted") == "submitted"
    ]


def _ranks(value: object) -> dict[str, object]:
    """Rank by name: a list of {"value", "rank"}, the lists value and rank, or names with the best first."""
    if isinstance(value, dict) and isinstance(value.get("value"), list):
        ranks = value.get("rank")
        names = value["value"]
        if isinstance(ranks, list) and len(ranks) == len(names):
            return dict(zip(map(str, names), ranks, strict=True))
    if not isinstance(value, list):
        return {}
    if all(isinstance(one, dict) and "value" in one and "rank" in one for one in value):
        return {str(one["value"]): one["rank"] for one in value}
    return {str(name): rank for rank, name in enumerate(value, start=1) if isinstance(name, str)}
