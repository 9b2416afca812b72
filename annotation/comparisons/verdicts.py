"""What a verdict must be: it names every candidate of its comparison once, in tiers, with a strength for each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict
from uuid import UUID

from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.projects.models import Project

STRENGTHS = (1, 2, 3)  # slightly, better, much better
LONGEST_RATIONALE = 10_000
MOST_MARKS = 200
MARK_KINDS = ("good", "wrong")
_LARGEST = {
    Project.AnswerScale.SEVEN: 3,
    Project.AnswerScale.FIVE: 2,
    Project.AnswerScale.THREE: 1,
    Project.AnswerScale.TWO: 1,
}


class CriterionVerdict(TypedDict):
    """The ranking under one criterion, as in the verdict itself."""

    ranking: Sequence[Sequence[int]]
    strengths: Sequence[int]


class Mark(TypedDict):
    """A phrase marked as good or wrong: offsets in code points into the raw text of a candidate."""

    candidate: int
    start: int
    end: int
    kind: str


class AnswerFields(TypedDict):
    """What a labeler sends; the rest is as if they had said nothing of it."""

    client_uuid: UUID
    ranking: NotRequired[Sequence[Sequence[int]]]
    strengths: NotRequired[Sequence[int]]
    is_all_bad: NotRequired[bool]
    criteria: NotRequired[Mapping[str, CriterionVerdict]]
    rationale: NotRequired[str]
    marks: NotRequired[Sequence[Mark]]
    active_ms: NotRequired[int]
    age_ms: NotRequired[int]
    guideline_version: NotRequired[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: a ranking with its strengths, or all bad."""

    client_uuid: UUID
    ranking: Sequence[Sequence[int]] = ()
    strengths: Sequence[int] = ()
    is_all_bad: bool = False
    criteria: Mapping[str, CriterionVerdict] = field(default_factory=dict)
    rationale: str = ""
    marks: Sequence[Mark] = ()
    active_ms: int = 0
    age_ms: int = 0  # how long ago it was given, by the client's clock
    guideline_version: int | None = None  # that was shown, 0 for none; None: not said


def largest_strength(scale: str) -> int:
    """The largest strength that an answer scale has."""
    return _LARGEST[Project.AnswerScale(scale)]


def has_tie(scale: str) -> bool:
    """Whether an answer scale lets responses be about the same."""
    return scale != Project.AnswerScale.TWO


def check_scale(scale: str, ranking: Sequence[Sequence[int]], strengths: Sequence[int]) -> None:
    """Raise InvalidInput for a strength or a tie that the project's answer scale does not have."""
    largest = largest_strength(scale)
    if any(step > largest for step in strengths):
        raise InvalidInput(
            f"This project's scale goes up to strength {largest}; the strengths sent are {list(strengths)}."
        )
    if not has_tie(scale) and any(len(tier) > 1 for tier in ranking):
        raise InvalidInput(_("This project asks for a choice: no two responses may be the same."))


def check_marks(marks: Sequence[Mark], lengths: Mapping[int, int]) -> None:
    """Raise InvalidInput for a mark beyond the texts of the comparison, whose lengths are given by candidate."""
    if len(marks) > MOST_MARKS:
        raise InvalidInput.at("marks", f"There are {len(marks)} marks; keep the {MOST_MARKS} best.")
    for mark in marks:
        length = lengths.get(mark["candidate"])
        if length is None:
            raise InvalidInput.at(
                "marks", f"A mark names candidate {mark['candidate']}, which is not compared here."
            )
        if not 0 <= mark["start"] < mark["end"] <= length:
            raise InvalidInput.at(
                "marks",
                f"A mark goes from {mark['start']} to {mark['end']}; the response has {length} characters.",
            )
        if mark["kind"] not in MARK_KINDS:
            raise InvalidInput.at("marks", f"A mark is good or wrong, not {mark['kind']!r}.")


def check_ranking(
    candidate_ids: Sequence[int], ranking: Sequence[Sequence[int]], strengths: Sequence[int]
) -> None:
    """Raise InvalidInput unless the tiers name exactly these candidates and each step has a strength."""
    named = [candidate for tier in ranking for candidate in tier]
    if sorted(named) != sorted(candidate_ids):
        raise InvalidInput(
            f"The ranking must name each of the candidates {list(candidate_ids)} exactly once; it names {named}."
        )
    if any(not tier for tier in ranking):
        raise InvalidInput("The ranking has an empty tier; leave it out.")
    if len(strengths) != len(ranking) - 1:
        raise InvalidInput(
            f"A ranking of {len(ranking)} tiers needs {len(ranking) - 1} strengths, one for each step; "
            f"there are {len(strengths)}."
        )
    if any(step not in STRENGTHS for step in strengths):
        raise InvalidInput(f"Each strength is 1, 2 or 3; the strengths sent are {list(strengths)}.")


def check_all_bad(ranking: Sequence[Sequence[int]], strengths: Sequence[int]) -> None:
    """Raise InvalidInput if a verdict says both "all bad" and a ranking."""
    if ranking or strengths:
        raise InvalidInput(
            "A judgment is either a ranking or all bad, not both; clear one of them."
        )


def check_criteria(
    candidate_ids: Sequence[int],
    criteria: Mapping[str, CriterionVerdict],
    known: Sequence[str],
    scale: str,
) -> None:
    """Raise InvalidInput for a criterion that the rubric does not have, or a wrong ranking under one."""
    for name, verdict in criteria.items():
        if name not in known:
            raise InvalidInput(
                f"The rubric has no criterion {name!r}; it has {', '.join(known) or 'none'}."
            )
        check_ranking(candidate_ids, verdict["ranking"], verdict["strengths"])
        check_scale(scale, verdict["ranking"], verdict["strengths"])


def cleaned_rationale(rationale: str, *, rule: str, scale: str, strengths: Sequence[int]) -> str:
    """The rationale as it is stored; raises InvalidInput where the project's rule asks for one."""
    text = rationale.strip()
    if rule == Project.RationaleRule.NEVER:
        return ""
    is_asked = rule == Project.RationaleRule.ALWAYS or (
        rule == Project.RationaleRule.STRONG and largest_strength(scale) in strengths
    )
    if is_asked and not text:
        raise InvalidInput(_("Say in one sentence why: this project asks for a rationale here."))
    if len(text) > LONGEST_RATIONALE or "\x00" in text:
        raise InvalidInput(
            f"The rationale has {len(text)} characters; it may have {LONGEST_RATIONALE}, and no NUL."
        )
    return text
