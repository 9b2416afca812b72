"""What the figures at the top of the page follow from: whole numbers that add up over comparisons, and two histograms.

A batch counts them from judged pairs; the live tally moves them with each judgment. Both give equal
figures, because nothing else goes in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Self

import numpy as np

from annotation.measures.agreement import Agreement, Coefficients, TalliedAgreement
from annotation.measures.bias import RatioSums, ratio_sums
from annotation.measures.live import Tally
from annotation.quality.columns import STRENGTHS, VERDICTS
from annotation.quality.judged import STRENGTH_CODES, VERDICT_CODES, JudgedPairs, VoteCounts
from annotation.quality.stored import ALL_BAD_CODE, TIE_CODE, Mask

FORMULAS = (
    6  # raised by each change that gives stored figures or tables other values, or other keys
)
NO_VOTES = VoteCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Whole numbers over judged pairs; they add up over comparisons."""

    rows: int = 0
    judgments: int = 0
    comparisons: int = 0
    asked_again: int = 0  # judgments on selected comparisons, which may be beside the rows
    drawn: int = 0
    given_here: int = 0  # votes but imported ones, on selected comparisons too
    pairs: int = 0
    ties: int = 0
    all_bad: int = 0
    left: int = 0  # decided for the response on the left
    placed: int = 0  # decided, with the order known
    longer: int = 0  # decided for the longer response
    unequal: int = 0  # decided between unequal lengths
    by_machines: int = 0  # judged pairs of machine judges, which are beside the rows
    both_kinds: int = 0  # pairs decided by a person and by a machine judge
    same: int = 0  # person and machine who chose the same, over all such pairs
    together: int = 0
    same_squared: int = 0
    same_together: int = 0
    together_squared: int = 0

    def plus(self, other: "Counts", *, times: int = 1) -> Self:
        summed = {
            one.name: getattr(self, one.name) + times * getattr(other, one.name)
            for one in fields(self)
        }
        return type(self)(**summed)

    @property
    def people_and_machines(self) -> RatioSums:
        return RatioSums(
            n=self.both_kinds,
            top=self.same,
            bottom=self.together,
            top_top=self.same_squared,
            top_bottom=self.same_together,
            bottom_bottom=self.together_squared,
        )


def counts_of(
    judged: JudgedPairs, *, beside: JudgedPairs, machines: Iterable[int], votes: VoteCounts
) -> Counts:
    """Counted from judged pairs; ``beside`` are they with those of machine judges, whose ids are ``machines``."""
    told = judged.told
    is_machine = np.isin(beside.labeler_ids, np.fromiter(machines, dtype=np.int64))
    by_machine = is_machine[beside.labelers]
    both = _people_and_machines(beside, by_machine)
    return Counts(
        rows=len(judged),
        judgments=int(judged.opens_judgment.sum()),
        comparisons=judged.comparison_count,
        asked_again=votes.asked_again,
        drawn=votes.drawn,
        given_here=votes.given_here,
        pairs=judged.item_count,
        ties=int(told.said(TIE_CODE).sum()),
        all_bad=int(told.said(ALL_BAD_CODE).sum()),
        left=int(told.left.sum()),
        placed=int(told.placed.sum()),
        longer=int(told.longer.sum()),
        unequal=int(told.unequal.sum()),
        by_machines=int(by_machine.sum()),
        both_kinds=int(both.n),
        same=int(both.top),
        together=int(both.bottom),
        same_squared=int(both.top_top),
        same_together=int(both.top_bottom),
        together_squared=int(both.bottom_bottom),
    )


def _people_and_machines(judged: JudgedPairs, by_machine: Mask) -> RatioSums:
    """How often a person and a machine judge who both decided a pair chose the same response."""
    if not by_machine.any():
        return RatioSums(0, 0, 0, 0, 0, 0)

    def votes(mask: Mask) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.bincount(judged.items[mask], minlength=judged.item_count).astype(np.float64)

    first, second = judged.strengths > 0, judged.strengths < 0
    machine_first, machine_second = votes(by_machine & first), votes(by_machine & second)
    people_first, people_second = votes(~by_machine & first), votes(~by_machine & second)
    same = machine_first * people_first + machine_second * people_second
    together = (machine_first + machine_second) * (people_first + people_second)
    return ratio_sums(same, together)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything that the figures at the top of the page are computed from."""

    counts: Counts
    verdicts: Coefficients
    strengths: Coefficients
    labelers_count: int
    kinds: tuple[str, ...]

    @property
    def items_shared(self) -> int:
        """Pairs with two verdicts or more."""
        return self.verdicts.items_shared


def tallied_figures(counts: Counts, tally: Tally, *, kinds: Iterable[str]) -> Figures:
    """From a histogram over the eight codes of what may be said of a pair."""
    present = np.zeros(int(tally.labelers.max(initial=-1)) + 1, dtype=bool)
    present[tally.labelers[tally.counts > 0]] = True
    return Figures(
        counts=counts,
        verdicts=TalliedAgreement(tally.grouped(VERDICT_CODES), scale=VERDICTS),
        strengths=TalliedAgreement(tally.grouped(STRENGTH_CODES), scale=STRENGTHS),
        labelers_count=int(present.sum()),
        kinds=tuple(sorted(kinds)),
    )


class Measured:
    """Judged pairs with the agreement of their verdicts and of their strengths, each computed once.

    ``beside`` are they with those of machine judges, where these are apart.
    """

    def __init__(
        self,
        judged: JudgedPairs,
        *,
        beside: JudgedPairs | None = None,
        votes: VoteCounts = NO_VOTES,
    ) -> None:
        self.judged = judged
        self.votes = votes
        self.beside = judged if beside is None else beside

    @cached_property
    def verdicts(self) -> Agreement:
        return Agreement(self.judged.verdict_table())

    @cached_property
    def strengths(self) -> Agreement:
        return Agreement(self.judged.strength_table())

    @property
    def items_shared(self) -> int:
        """Pairs with two verdicts or more."""
        return self.verdicts.items_shared

    def figures(self, kinds: dict[int, str]) -> Figures:
        """``kinds`` names what each labeler is, by id."""
        met = {kinds[pk] for pk in self.judged.labeler_ids.tolist() if pk in kinds}
        machines = [pk for pk, kind in kinds.items() if kind == "machine"]
        return Figures(
            counts=counts_of(self.judged, beside=self.beside, machines=machines, votes=self.votes),
            verdicts=self.verdicts,
            strengths=self.strengths,
            labelers_count=len(self.judged.labeler_ids),
            kinds=tuple(sorted(met)),
        )
