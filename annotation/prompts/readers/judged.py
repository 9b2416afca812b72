"""What a row of judged responses is read as, and the parts that every reader of such rows shares."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import ReadPrompt, RowForm, Turn
from annotation.prompts.readers.rows import RowRefused, check_text, text_of

BETTER = 2  # strength of "is better", where a file says no more
DEFAULT_LABELER = "dataset"
MAX_LABELER_NAME = 80
MAX_RATIONALE = 10_000
MOST_RESPONSES = 9
LARGEST_INTEGER = 2**31 - 1
YEARS = range(1970, 3000)  # of a judgment
LABELER_COLUMNS = ("labeler", "annotator", "worker", "rater", "judge", "evaluator")
LABELER_KINDS = ("person", "machine", "simulated")
ANSWER_COLUMNS = frozenset({"chosen", "rejected"})
RATIONALE_COLUMNS = ("rationale", "comment", "comments")
TIME_COLUMNS = ("judged_at", "created_at", "timestamp")
SAME_RESPONSES = "Two of the responses are the same; there is nothing to compare."
Tiers = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ReadResponse:
    """One response, where the file says that it comes from, and False where it says that a limit cut it."""

    text: str
    source: str = ""
    is_finished: bool = True


class ReadMark(TypedDict):
    """A marked span of a response, which is named by its place; offsets into the raw text."""

    response: int
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadVerdict:
    """One labeler's verdict: tiers of places in ``ReadComparison.responses``, best first; none if all are bad.

    ``judged_at`` and ``guideline_version`` are None where the file does not tell.
    """

    labeler: str
    tiers: Tiers
    strengths: tuple[int, ...] = ()
    is_all_bad: bool = False
    rationale: str = ""
    labeler_kind: str = "person"
    criteria: Mapping[str, tuple[Tiers, tuple[int, ...]]] = field(default_factory=dict)
    marks: Sequence[ReadMark] = ()
    shown: tuple[int, ...] = ()  # places, in the order shown
    active_ms: int = 0
    judged_at: datetime | None = None
    guideline_version: int | None = None
    is_repeat: bool = False  # the same labeler judged it before: it measures the labeler


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadComparison:
    """A prompt, its responses, and what labelers said of them; ``left_out`` says what of the row is not in it.

    ``propensity`` is the chance of the comparison in the draw that made it; None where it was not drawn.
    """

    prompt: ReadPrompt
    responses: tuple[ReadResponse, ...]
    verdicts: tuple[ReadVerdict, ...]
    left_out: str = ""
    propensity: float | None = None


def response_of(entry: object) -> ReadResponse:
    """A response that stands as a text, or as an object with text, model and is_finished."""
    given: dict[str, Any] = entry if isinstance(entry, dict) else {"text": entry}
    return ReadResponse(
        text_of(given, "text"), text_of(given, "model", limit=200), is_finished(given)
    )


def is_finished(fields: Mapping[str, Any], name: str = "is_finished") -> bool:
    """False where the row says that a token limit cut the response: what it says nothing of has ended."""
    said = fields.get(name)
    if said in (None, ""):
        return True
    if str(said).lower() not in {"true", "false"}:
        raise RowRefused(f"{name} is {str(said)[:40]!r}; it is true, or false for a cut response.")
    return str(said).lower() == "true"


def comparison_of(
    prompt: ReadPrompt, responses: Sequence[ReadResponse], verdicts: Sequence[ReadVerdict]
) -> ReadComparison:
    """The comparison of two to nine responses; an empty one is an answer too, where labelers judged it."""
    if not 2 <= len(responses) <= MOST_RESPONSES:
        raise RowRefused(f"A row compares 2 to 9 responses; this one has {len(responses)}.")
    return ReadComparison(prompt=prompt, responses=tuple(responses), verdicts=tuple(verdicts))


def prompt_turns(fields: dict[str, Any]) -> list[Turn]:
    """The turns of the row's own prompt column."""
    mine = {name: value for name, value in fields.items() if name not in ANSWER_COLUMNS}
    form = chats.detect(mine)
    turns = chats.READERS[form](mine)
    if form == RowForm.HH and turns and not turns[-1]["content"].strip():
        turns = turns[:-1]  # "... \n\nAssistant:" invites the response
    return turns


def prompt_of(fields: dict[str, Any], turns: list[Turn]) -> ReadPrompt:
    """The prompt of these turns, with the facts of the row."""
    if not turns or turns[-1]["role"] != "user":
        raise RowRefused("The prompt does not end with a user turn.")
    return chats.with_facts(chats.up_to_last_user_turn(turns), fields)


def verdict_of(
    fields: dict[str, Any],
    tiers: Tiers,
    *,
    labeler: str = "",
    strengths: tuple[int, ...] | None = None,
) -> ReadVerdict:
    """One verdict, with what the row says beside it; no tiers means that all are bad."""
    gaps = max(0, len(tiers) - 1)
    steps = (strength_of(fields),) * gaps if strengths is None else strengths
    return ReadVerdict(
        labeler=labeler or labeler_of(fields),
        labeler_kind=_labeler_kind(fields),
        tiers=tiers,
        strengths=steps,
        is_all_bad=not tiers,
        rationale=_first_text(fields, RATIONALE_COLUMNS, MAX_RATIONALE),
        judged_at=time_of(fields),
        guideline_version=whole_of(fields, "guideline_version", low=1),
        active_ms=whole_of(fields, "active_ms") or 0,
        is_repeat=is_true(fields.get("is_repeat")),
    )


def tiers_by_rank(ranks: Sequence[float]) -> Tiers:
    """Places of equal rank share a tier; the smallest rank is best."""
    return tuple(
        tuple(place for place, rank in enumerate(ranks) if rank == level)
        for level in sorted(set(ranks))
    )


def rank_of(rank: object, place: int) -> float:
    """The rank of the response at ``place``, if it is a number."""
    is_odd = isinstance(rank, float) and not math.isfinite(rank)
    if is_odd or isinstance(rank, bool) or not isinstance(rank, int | float):
        raise RowRefused(f"Response {place + 1} has the rank {rank!r}, which is not a number.")
    return rank


def strength_of(fields: dict[str, Any]) -> int:
    """The row's `strength`, or the whole part of its `margin`: 1 slightly, 2 better, 3 much better."""
    said = text_of(fields, "strength").strip().removesuffix(".0")
    if said:
        return step_of(said)
    said = text_of(fields, "margin").strip()
    return max(1, round(margin_of(said))) if said else BETTER


def step_of(said: object) -> int:
    """One strength; RowRefused for anything but 1, 2 and 3."""
    if str(said) not in {"1", "2", "3"}:
        raise RowRefused(
            f"strength is {str(said)[:20]!r}; it is 1 slightly, 2 better or 3 much better."
        )
    return int(str(said))


def steps_of(value: object, tiers: Tiers) -> tuple[int, ...] | None:
    """The strengths of a ranking, one a step; None where the row tells none."""
    if value is None or value == "":
        return None
    steps = len(tiers) - 1 if tiers else 0
    if not isinstance(value, list) or len(value) != steps:
        raise RowRefused(f"strengths is {str(value)[:40]}, not a list of {steps} numbers.")
    return tuple(step_of(one) for one in value)


def margin_of(said: str) -> float:
    """A margin on the scale of strengths, 0 to 3."""
    try:
        margin = float(said)
    except ValueError:
        margin = math.nan
    if not 0 <= margin <= 3:
        raise RowRefused(
            f"margin is {said[:20]}; here it is a strength from 0 to 3. "
            "Scale it, or rename the column if it is a score."
        )
    return margin


def propensity_of(fields: Mapping[str, Any]) -> float | None:
    """The chance of the comparison in the draw that made it; None where the row tells none."""
    said = fields.get("propensity")
    if said in (None, ""):
        return None
    try:
        chance = float(str(said))
    except ValueError:
        chance = math.nan
    if not 0 < chance <= 1:
        raise RowRefused(f"propensity is {str(said)[:40]!r}; it is a chance above 0, 1 at most.")
    return chance


def time_of(fields: Mapping[str, Any]) -> datetime | None:
    """When it was judged, if the row says so; a time without a zone is UTC."""
    for name in TIME_COLUMNS:
        value = fields.get(name)
        if value in (None, ""):
            continue
        try:
            moment = value if isinstance(value, datetime) else parse_datetime(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.year not in YEARS:
            raise RowRefused(
                f"{name} is {str(value)[:40]!r}, not a time like 2026-03-01T09:30:00Z."
            )
        return timezone.make_aware(moment, UTC) if timezone.is_naive(moment) else moment
    return None


def whole_of(fields: Mapping[str, Any], name: str, *, low: int = 0) -> int | None:
    """A whole number of the row; None where there is none."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    said = str(value).removesuffix(".0")
    if not (said.isascii() and said.isdecimal()) or not low <= int(said[:12]) <= LARGEST_INTEGER:
        raise RowRefused(f"{name} is {str(value)[:40]!r}, not a whole number from {low} on.")
    return int(said)


def labeler_of(fields: dict[str, Any]) -> str:
    """Who judged, by the row's column; without one it is the data set itself."""
    column = next((name for name in LABELER_COLUMNS if name in fields), None)
    return named(text_of(fields, column)) if column else DEFAULT_LABELER


def is_true(value: object) -> bool:
    """Whether a cell says yes, as JSON or as CSV has it."""
    return str(value).lower() in {"true", "1"}


def named(labeler: object) -> str:
    """A labeler's name that can be stored."""
    name = check_text(str(labeler).strip(), "The labeler's name", limit=MAX_LABELER_NAME)
    if not name or not name.isprintable():
        raise RowRefused(f"The labeler's name is {name!r}; give each labeler a name.")
    return name


def _labeler_kind(fields: dict[str, Any]) -> str:
    kind = text_of(fields, "labeler_kind") or LABELER_KINDS[0]
    if kind not in LABELER_KINDS:
        raise RowRefused(f"labeler_kind is {kind[:40]!r}; it is {', '.join(LABELER_KINDS)}.")
    return kind


def _first_text(fields: dict[str, Any], names: tuple[str, ...], limit: int) -> str:
    for name in names:
        if name in fields and (text := text_of(fields, name, limit=limit)):
            return text
    return ""
