"""Rows become judged responses: chosen/rejected, ranked groups, and (item, labeler, label) tables."""

import math
from dataclasses import dataclass
from typing import Any

from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt, RowForm, Turn
from annotation.prompts.readers.rows import RowRefused, check_text, text_of

BETTER = 2  # strength of "is better", where a file says no more
DEFAULT_LABELER = "dataset"
MAX_LABELER_NAME = 80
Tiers = tuple[tuple[int, ...], ...]

PAIR_COLUMNS = (
    ("response_a", "response_b"),
    ("response1", "response2"),
    ("response_1", "response_2"),
    ("answer_a", "answer_b"),
    ("output_1", "output_2"),
    ("text_a", "text_b"),
)
FIRST_WINS = frozenset({"a", "1", "1.0", "model_a", "response_a", "first", "left"})
SECOND_WINS = frozenset({"b", "2", "2.0", "model_b", "response_b", "second", "right"})
TIES = frozenset({"tie", "0", "0.0", "c", "same", "equal", "draw"})
ALL_BAD = frozenset({"all_bad", "both_bad", "bothbad", "tie (bothbad)", "neither"})
LABELER_COLUMNS = ("labeler", "annotator", "worker", "rater", "judge")
LABEL_COLUMNS = ("label", "winner", "preference", "verdict")
JUDGED_COLUMNS = chats.KNOWN_COLUMNS | {
    *(column for pair in PAIR_COLUMNS for column in pair),
    *LABELER_COLUMNS,
    *LABEL_COLUMNS,
    *(
        "responses",
        "ranks",
        "labels",
        "model_a",
        "model_b",
        "chosen_model",
        "rejected_model",
        "strength",
        "rationale",
    ),
}


@dataclass(frozen=True, slots=True)
class ReadResponse:
    """One response, and where the file says that it comes from."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadVerdict:
    """One labeler's verdict: tiers of places in ``ReadComparison.responses``, best first; none if all are bad."""

    labeler: str
    tiers: Tiers
    strengths: tuple[int, ...] = ()
    is_all_bad: bool = False
    rationale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadComparison:
    """A prompt, its responses, and what labelers said of them."""

    prompt: ReadPrompt
    responses: tuple[ReadResponse, ...]
    verdicts: tuple[ReadVerdict, ...]


def read_preference(fields: dict[str, Any]) -> ReadComparison:
    """A chosen/rejected row, or a group of ranked responses."""
    fields = chats.with_parsed_chats(fields)
    if "responses" in fields:
        return _ranked_group(fields)
    if "chosen" not in fields or "rejected" not in fields:
        raise RowRefused(
            f"The row has no chosen and rejected, and no responses; seen: {_seen(fields)}."
        )
    chosen_turns, chosen = _answered(fields, "chosen")
    rejected_turns, rejected = _answered(fields, "rejected")
    if chosen_turns != rejected_turns:
        raise RowRefused("chosen and rejected answer different prompts.")
    for name, text in (("chosen", chosen), ("rejected", rejected)):
        if not text.strip():
            raise RowRefused(f"{name} is empty.")
    return ReadComparison(
        prompt=_prompt(fields, chosen_turns),
        responses=(
            ReadResponse(chosen, text_of(fields, "chosen_model", limit=200)),
            ReadResponse(rejected, text_of(fields, "rejected_model", limit=200)),
        ),
        verdicts=(_verdict(fields, ((0,), (1,))),),
    )


def _answered(fields: dict[str, Any], name: str) -> tuple[list[Turn], str]:
    """The turns before a response, and the response: standard, conversational or HH form."""
    value = fields[name]
    if isinstance(value, list):
        turns = chats.turns_of(value)
    elif isinstance(value, str) and "prompt" not in fields and chats.is_transcript(value):
        turns = chats.transcript_turns(value)
    else:
        return _prompt_turns(fields), text_of(fields, name)
    if turns[-1]["role"] != "assistant":
        raise RowRefused(f"{name} does not end with an assistant turn.")
    before = _prompt_turns(fields) if fields.get("prompt") else []
    return [*before, *_without(before, turns[:-1])], turns[-1]["content"]


def _without(before: list[Turn], turns: list[Turn]) -> list[Turn]:
    return turns[len(before) :] if turns[: len(before)] == before else turns


def _prompt_turns(fields: dict[str, Any]) -> list[Turn]:
    """The turns of the row's own prompt column."""
    mine = {name: value for name, value in fields.items() if name not in {"chosen", "rejected"}}
    form = chats.detect(mine)
    turns = chats.READERS[form](mine)
    if form == RowForm.HH and turns and not turns[-1]["content"].strip():
        turns = turns[:-1]  # "... \n\nAssistant:" invites the response
    return turns


def _prompt(fields: dict[str, Any], turns: list[Turn]) -> ReadPrompt:
    if not turns or turns[-1]["role"] != "user":
        raise RowRefused("The prompt does not end with a user turn.")
    facts = {name: fields[name] for name in fields.keys() - set(chats.CHAT_COLUMNS)}
    return chats.read_prompt({**facts, "messages": turns}, RowForm.CHAT)


def _ranked_group(fields: dict[str, Any]) -> ReadComparison:
    """``responses``: texts with ``ranks`` beside them, or objects with text and rank; rank 0 or 1 is best."""
    entries = fields["responses"]
    if not isinstance(entries, list) or not 2 <= len(entries) <= 9:
        raise RowRefused("responses is not a list of 2 to 9 responses.")
    beside = fields.get("ranks") or [None] * len(entries)
    if not isinstance(beside, list) or len(beside) != len(entries):
        raise RowRefused(f"ranks is not a list of {len(entries)} numbers, one for each response.")
    read = [
        _ranked(one, rank, n) for n, (one, rank) in enumerate(zip(entries, beside, strict=True))
    ]
    order = sorted({rank for _, rank in read})
    tiers = tuple(
        tuple(place for place, (_, rank) in enumerate(read) if rank == level) for level in order
    )
    return ReadComparison(
        prompt=_prompt(fields, _prompt_turns(fields)),
        responses=tuple(response for response, _ in read),
        verdicts=(_verdict(fields, tiers),),
    )


def _ranked(entry: object, rank: object, place: int) -> tuple[ReadResponse, float]:
    given: dict[str, Any] = entry if isinstance(entry, dict) else {"text": entry}
    if isinstance(entry, dict):
        rank = given.get("rank", rank)
    is_odd = isinstance(rank, float) and not math.isfinite(rank)
    if is_odd or isinstance(rank, bool) or not isinstance(rank, int | float):
        raise RowRefused(f"Response {place + 1} has the rank {rank!r}, which is not a number.")
    text = text_of(given, "text")
    if not text.strip():
        raise RowRefused(f"Response {place + 1} is empty.")
    source = text_of(given, "model", limit=200) or text_of(given, "source", limit=200)
    return ReadResponse(text, source), rank


def read_labels(fields: dict[str, Any]) -> ReadComparison:
    """A row of a label table: two responses, and one labeler's label (long) or several labelers' (wide)."""
    fields = chats.with_parsed_chats(fields)
    pair = next((pair for pair in PAIR_COLUMNS if set(pair) <= fields.keys()), None)
    if pair is None:
        raise RowRefused(f"The row has no response_a and response_b; seen: {_seen(fields)}.")
    sources = (text_of(fields, "model_a", limit=200), text_of(fields, "model_b", limit=200))
    responses = tuple(
        ReadResponse(text_of(fields, column), source)
        for column, source in zip(pair, sources, strict=True)
    )
    verdicts = tuple(
        _labeled(fields, name, label)
        for name, label in _labels(fields).items()
        if str(label if label is not None else "").strip()
    )
    if not verdicts:
        raise RowRefused("No labeler gave a label in this row.")
    turns = _prompt_turns(fields)
    return ReadComparison(prompt=_prompt(fields, turns), responses=responses, verdicts=verdicts)


def _labels(fields: dict[str, Any]) -> dict[str, Any]:
    """Labels by labeler: an object `labels`, columns annotator1.., or the columns labeler and label."""
    labels = fields.get("labels")
    if isinstance(labels, dict):
        return labels
    label = next((name for name in LABEL_COLUMNS if name in fields), None)
    if label is not None:
        return {_labeler(fields): fields[label]}
    wide = {name: value for name, value in fields.items() if _is_wide(name)}
    if not wide:
        raise RowRefused(
            f"The row has no label: no labels, label or annotator1 column; seen: {_seen(fields)}."
        )
    return wide


def _is_wide(name: str) -> bool:
    stem = name.rstrip("0123456789").rstrip("_")
    return name[-1:].isdigit() and stem in LABELER_COLUMNS


def _labeled(fields: dict[str, Any], labeler: str, label: object) -> ReadVerdict:
    said = str(label).strip().lower()
    name = _named(labeler)
    if said in ALL_BAD:
        return ReadVerdict(labeler=name, tiers=(), is_all_bad=True, rationale=_rationale(fields))
    if said in FIRST_WINS:
        return _verdict(fields, ((0,), (1,)), name)
    if said in SECOND_WINS:
        return _verdict(fields, ((1,), (0,)), name)
    if said in TIES:
        return _verdict(fields, ((0, 1),), name)
    raise RowRefused(
        f"{name} gave the label {str(label)[:40]!r}; known are a, b, tie, 1, 2, 0 and all_bad."
    )


def _verdict(fields: dict[str, Any], tiers: Tiers, labeler: str = "") -> ReadVerdict:
    gaps = len(tiers) - 1
    return ReadVerdict(
        labeler=labeler or _labeler(fields),
        tiers=tiers,
        strengths=(_strength(fields),) * gaps,
        rationale=_rationale(fields),
    )


def _strength(fields: dict[str, Any]) -> int:
    said = text_of(fields, "strength").strip().removesuffix(".0")
    if not said:
        return BETTER
    if said not in {"1", "2", "3"}:
        raise RowRefused(f"strength is {said[:20]!r}; it is 1 slightly, 2 better or 3 much better.")
    return int(said)


def _rationale(fields: dict[str, Any]) -> str:
    return text_of(fields, "rationale", limit=10_000)


def _labeler(fields: dict[str, Any]) -> str:
    column = next((name for name in LABELER_COLUMNS if name in fields), None)
    return _named(text_of(fields, column)) if column else DEFAULT_LABELER


def _named(labeler: object) -> str:
    name = check_text(str(labeler).strip(), "The labeler's name", limit=MAX_LABELER_NAME)
    if not name or not name.isprintable():
        raise RowRefused(f"The labeler's name is {name!r}; give each labeler a name.")
    return name


def _seen(fields: dict[str, Any]) -> str:
    return ", ".join(sorted(map(str, fields))[:10]) or "none"
