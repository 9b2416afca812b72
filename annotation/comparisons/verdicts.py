"""What a verdict must be: it names every candidate of its comparison once, in tiers, with a strength for each step."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from annotation.core.errors import InvalidInput
from annotation.projects.models import Project

STRENGTHS = (1, 2, 3)  # slightly, better, much better
LONGEST_RATIONALE = 10_000


class CriterionVerdict(TypedDict):
    """The ranking under one criterion, as in the verdict itself."""

    ranking: Sequence[Sequence[int]]
    strengths: Sequence[int]


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
    candidate_ids: Sequence[int], criteria: Mapping[str, CriterionVerdict], known: Sequence[str]
) -> None:
    """Raise InvalidInput for a criterion that the rubric does not have, or a wrong ranking under one."""
    for name, verdict in criteria.items():
        if name not in known:
            raise InvalidInput(
                f"The rubric has no criterion {name!r}; it has {', '.join(known) or 'none'}."
            )
        check_ranking(candidate_ids, verdict["ranking"], verdict["strengths"])


def cleaned_rationale(rationale: str, *, rule: str, strengths: Sequence[int]) -> str:
    """The rationale as it is stored; raises InvalidInput where the project's rule asks for one."""
    text = rationale.strip()
    if rule == Project.RationaleRule.NEVER:
        return ""
    is_asked = rule == Project.RationaleRule.ALWAYS or (
        rule == Project.RationaleRule.STRONG and max(STRENGTHS) in strengths
    )
    if is_asked and not text:
        raise InvalidInput("Say in one sentence why: this project asks for a rationale here.")
    if len(text) > LONGEST_RATIONALE or "\x00" in text:
        raise InvalidInput(
            f"The rationale has {len(text)} characters; it may have {LONGEST_RATIONALE}, and no NUL."
        )
    return text
