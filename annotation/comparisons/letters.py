"""Letters for the candidates of a comparison.

On the pages of admins they are fixed: A is the first of `candidate_ids`. A labeler's own letters name places on their
screen, by the order that was drawn for them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from django.utils.translation import gettext as _

from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import OVERALL, Tiers
from annotation.comparisons.steps import step_of

LETTERS = "ABCDEFGHI"
Letters = Mapping[int, str]


class Verdict(Protocol):
    """What a judgment and an adjudication have in common."""

    ranking: Tiers
    strengths: list[int]
    is_all_bad: bool


@dataclass(slots=True, kw_only=True)
class Answer:
    """A verdict under one criterion; it is never all bad."""

    ranking: Tiers
    strengths: list[int]
    is_all_bad: bool = False


class Said(NamedTuple):
    """A judgment as admins read it."""

    judgment: Judgment
    verdict: str
    own_letters: str  # how the labeler's letters map to those of the page
    others: list[tuple[str, str]]  # criterion, verdict: what else it answers


def letters_of(candidate_ids: Sequence[int]) -> dict[int, str]:
    """By candidate, its letter in this order."""
    return dict(zip(candidate_ids, LETTERS, strict=False))


def ranking_text(tiers: Iterable[Iterable[int]], letters: Letters) -> str:
    """``[[3], [1, 2]]`` as "C > A = B"; an empty ranking as "all bad"."""
    return " > ".join(_tier(tier, letters) for tier in tiers) or "all bad"


def _tier(tier: Iterable[int], letters: Letters) -> str:
    return " = ".join(sorted(letters.get(pk, "?") for pk in tier))


def verdict_text(said: Verdict, comparison: Comparison) -> str:
    """In the fixed letters: A much better than B; A and B about the same; tiers with signs for more than two."""
    letters = letters_of(comparison.candidate_ids)
    if said.is_all_bad:
        return "all bad"
    if len(said.ranking) == 1:
        *others, last = sorted(letters.values())
        return f"{', '.join(others)} and {last} about the same"
    scale = comparison.project.answer_scale
    if len(letters) > 2:
        return verdict_in_signs(said, letters, scale=scale)
    words = step_of(said.strengths[0], scale).words
    first, second = (_tier(tier, letters) for tier in said.ranking)
    return f"{first} {words} than {second}"


def verdict_in_signs(said: Verdict, letters: Letters, *, scale: str) -> str:
    """Such as "A ››› B = C", in any language, with the signs that the scale has on the screen."""
    if said.is_all_bad:
        return _("All bad")
    tiers = [_tier(tier, letters) for tier in said.ranking]
    steps = [f" {step_of(strength, scale).sign} " for strength in said.strengths]
    return "".join(part for pair in zip(tiers, [*steps, ""], strict=True) for part in pair)


def own_letters(shown: Sequence[int], candidate_ids: Sequence[int]) -> str:
    """How the letters of who saw this order map to the fixed ones: "Their A is B here."; empty where they are the same.

    Empty as well where no order is known, as of what was imported.
    """
    fixed = letters_of(candidate_ids)
    moved = [(own, fixed[pk]) for pk, own in letters_of(shown).items() if fixed.get(pk, own) != own]
    if not moved:
        return ""
    named = moved[:1] if len(candidate_ids) == 2 else moved
    theirs, here = (", ".join(one) for one in zip(*named, strict=True))
    return f"Their {theirs} {'is' if len(named) == 1 else 'are'} {here} here."


def said_on(
    comparison: Comparison,
    judgments: Iterable[Judgment],
    *,
    titles: Mapping[str, str],
    criterion: str = OVERALL,
) -> list[Said]:
    """Judgments of one comparison in its letters, their verdict under this criterion first; ``titles`` name others."""
    return [_said(comparison, one, criterion, titles) for one in judgments]


def _said(
    comparison: Comparison, judgment: Judgment, criterion: str, titles: Mapping[str, str]
) -> Said:
    told = {name: verdict_text(one, comparison) for name, one in _answers(judgment)}
    verdict = told.pop(criterion, "no answer")
    letters = own_letters(judgment.shown_order, comparison.candidate_ids)
    others = [(titles.get(name, name), text) for name, text in told.items()]
    return Said(judgment, verdict, letters, others)


def _answers(judgment: Judgment) -> Iterator[tuple[str, Verdict]]:
    yield OVERALL, judgment
    for name, one in judgment.criteria.items():
        yield name, Answer(ranking=one["ranking"], strengths=one["strengths"])
