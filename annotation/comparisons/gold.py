"""Gold: comparisons with a known verdict, which test and train labelers and never count for agreement or datasets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import Tiers, tier_levels
from annotation.projects.models import Project

CLOSE = 1  # steps that two responses which are the same may lie apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a labeler in training is told after an answer; tiers name candidates, best first."""

    is_right: bool
    ranking: Tiers
    is_all_bad: bool
    note: str = ""  # why, in the words of the admin; and how the exam stands

    @property
    def message(self) -> str:
        told = (
            _("Right: this is the known verdict.")
            if self.is_right
            else _("The known verdict is another; compare it with yours.")
        )
        return f"{told} {self.note}".strip()


def is_right(
    known: Tiers,
    *,
    ranking: Sequence[Sequence[int]],
    strengths: Sequence[int],
    is_all_bad: bool,
) -> bool:
    """Whether an answer says what is known: every pair that is known to differ is put in that order, and two that are
    known to be the same lie at most "slightly" apart. ``known`` is empty where all are known to be bad.
    """
    if is_all_bad or not known:
        return is_all_bad and not known
    level = tier_levels(known, [1] * (len(known) - 1))
    given = tier_levels([list(tier) for tier in ranking], list(strengths))
    if level.keys() != given.keys():
        return False
    return all(_fits(level[a] - level[b], given[a] - given[b]) for a, b in combinations(level, 2))


def _fits(known: int, given: int) -> bool:
    return abs(given) <= CLOSE if known == 0 else known * given > 0


def known_tiers(comparison: Comparison) -> Tiers:
    """The known ranking of a gold comparison, stored as ``{"ranking": [[7], [5]], "is_all_bad": false}``; empty where
    all are known to be bad.
    """
    known = comparison.known_ranking or {}
    return [] if known.get("is_all_bad") else known.get("ranking", [])


def is_right_answer(judgment: Judgment) -> bool:
    """`is_right` for a stored judgment; its comparison must be loaded."""
    return is_right(
        known_tiers(judgment.comparison),
        ranking=judgment.ranking,
        strengths=judgment.strengths,
        is_all_bad=judgment.is_all_bad,
    )


def stood(as_of: datetime | None) -> Q:
    """What is not undone; with a moment, what was given before it and was not undone then."""
    if as_of is None:
        return Q(withdrawn_at=None)
    return Q(created_at__lt=as_of) & (Q(withdrawn_at=None) | Q(withdrawn_at__gte=as_of))


def gold_answers(project: Project, *, as_of: datetime | None = None) -> QuerySet[Judgment]:
    """Answers to gold that is in use, oldest first: given after it became gold, not undone (`stood`), no repeats."""
    rows = Judgment.objects.filter(
        stood(as_of),
        project=project,
        comparison__kind=Comparison.Kind.GOLD,
        comparison__gold__retired_at=None,
        is_repeat=False,
        is_imported=False,
    )
    rows = rows.filter(created_at__gte=F("comparison__gold__created_at"))
    return rows.select_related("comparison").order_by("pk")
