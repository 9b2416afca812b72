"""The agreement report: from judged pairs to plain data. No database here, so that a filtered view costs no write."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from annotation.measures import bias
from annotation.measures.agreement import Agreement
from annotation.measures.calibration import accuracy_ceiling
from annotation.measures.coefficients import Level
from annotation.measures.statistic import Statistic, missing, proportion
from annotation.quality.columns import ALL_BAD, TIE
from annotation.quality.judged import JudgedPairs
from annotation.quality.stored import Mask

Data = dict[str, Any]  # Any: JSON
ENOUGH_ITEMS, ENOUGH_LABELERS = 30, 3
SHOWN_TARGET = "This needs 30 pairs that two labelers judged, and 3 labelers; there are {} and {}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Who a labeler is."""

    name: str
    kind: str
    rule: str


class Measured:
    """Judged pairs with the agreement of their verdicts and of their strengths, each computed once."""

    def __init__(self, judged: JudgedPairs) -> None:
        self.judged = judged

    @cached_property
    def verdicts(self) -> Agreement:
        return Agreement(self.judged.verdict_table())

    @cached_property
    def strengths(self) -> Agreement:
        return Agreement(self.judged.strength_table())

    @cached_property
    def items_shared(self) -> int:
        """Pairs with two verdicts or more."""
        patterns = self.verdicts.patterns
        return int(patterns.items[patterns.sizes > 1].sum())

    @property
    def is_rough(self) -> bool:
        """Too little for alpha to say anything."""
        return self.items_shared < ENOUGH_ITEMS or len(self.judged.labeler_ids) < ENOUGH_LABELERS


def headline(measured: Measured, *, labelers: Mapping[int, Labeler], asked_one: bool) -> Data:
    """Everything above the tabs; ``asked_one`` where the filters ask for one kind of labelers."""
    judged = measured.judged
    kinds = {labelers[int(pk)].kind for pk in judged.labeler_ids if int(pk) in labelers}
    return {
        "judgments": int(judged.opens_judgment.sum()),
        "labelers_count": len(judged.labeler_ids),
        "comparisons": judged.comparison_count,
        "pairs": judged.item_count,
        "pairs_shared": measured.items_shared,
        "is_rough": measured.is_rough,
        "statistics": _statistics(measured, _lone(measured, asked_one=asked_one)),
        "ceiling": _ceiling(measured.verdicts),
        "machine": _people_and_machines(judged, labelers).as_json(),
        "kinds": sorted(kinds),
    }


def _statistics(measured: Measured, lone: str) -> Data:
    judged, verdicts, strengths = measured.judged, measured.verdicts, measured.strengths
    left, longer = judged.chose_left, judged.chose_longer
    found = {
        "alpha_ordinal": _enough(measured, strengths.alpha(Level.ORDINAL)),
        "alpha_nominal": _enough(measured, verdicts.alpha(Level.NOMINAL)),
        "percent_without_ties": verdicts.percent_without(TIE),
        "percent": verdicts.percent(),
        "gwet_ac1": _enough(measured, verdicts.gwet()),
        "tie_rate": _share(judged.verdicts == TIE),
        "all_bad_rate": _share(judged.verdicts == ALL_BAD),
        "position_effect": bias.position_effect(
            int((left == 1).sum()), decisive=int((left >= 0).sum())
        ),
        "length_effect": proportion(
            int((longer == 1).sum()),
            n=int((longer >= 0).sum()),
            nothing="No verdict is between unequal lengths.",
        ),
    }
    over_items = strengths.alpha_over_items(Level.ORDINAL) if measured.items_shared else None
    return {
        **{name: explained(one, lone).as_json() for name, one in found.items()},
        "alpha_over_items": None if over_items is None else [over_items.low, over_items.high],
    }


def _enough(measured: Measured, statistic: Statistic) -> Statistic:
    """Alpha and AC1 are hidden where too little stands behind them."""
    if measured.is_rough and statistic.value is not None:
        people = len(measured.judged.labeler_ids)
        return missing(SHOWN_TARGET.format(measured.items_shared, people), n=statistic.n)
    return statistic


def _lone(measured: Measured, *, asked_one: bool) -> str:
    """Why nothing can be compared, and what to do about it."""
    people = len(measured.judged.labeler_ids)
    if people == 1 and asked_one:
        return "These filters leave one labeler, who cannot be compared with anyone. Widen them."
    return (
        "This needs at least 2 labelers on the same comparison: 0 comparisons so far. "
        "Raise the overlap in the project's settings."
    )


def explained(statistic: Statistic, lone: str) -> Statistic:
    """The reason "no item has two ratings" in the words of this page."""
    reason = statistic.reason or ""
    if statistic.value is None and reason.startswith("There is nothing to compare"):
        return missing(lone)
    return statistic


def _share(flags: Mask) -> Statistic:
    return proportion(int(flags.sum()), n=len(flags), nothing="There is no judgment yet.")


def _ceiling(verdicts: Agreement) -> list[float] | None:
    """The band of the best accuracy a reward model can have, from agreement without ties."""
    agreement = verdicts.percent_without(TIE).value
    band = None if agreement is None else accuracy_ceiling(agreement)
    return None if band is None else [band.low, band.high]


def _people_and_machines(judged: JudgedPairs, labelers: Mapping[int, Labeler]) -> Statistic:
    """How often a person and a machine judge who both decided chose the same response."""
    machines = np.array(
        [
            labelers[int(pk)].kind == "machine" if int(pk) in labelers else False
            for pk in judged.labeler_ids
        ],
        dtype=bool,
    )
    if not machines.any():
        return missing("No machine judge has judged here.")
    by_machine = machines[judged.labelers]
    votes = [
        np.bincount(judged.items[mask], minlength=judged.item_count).astype(np.float64)
        for mask in (
            by_machine & (judged.strengths > 0),
            by_machine & (judged.strengths < 0),
            ~by_machine & (judged.strengths > 0),
            ~by_machine & (judged.strengths < 0),
        )
    ]
    same = votes[0] * votes[2] + votes[1] * votes[3]
    together = (votes[0] + votes[1]) * (votes[2] + votes[3])
    return bias.ratio(same, together, nothing="No pair was decided by people and a machine judge.")


def report_of(
    measured: Measured, *, labelers: Mapping[int, Labeler], parts: Data, asked_one: bool = False
) -> Data:
    """The figures above the tabs, and the parts of them that were asked for."""
    return {**headline(measured, labelers=labelers, asked_one=asked_one), **parts}


def labeler_json(labelers: Mapping[int, Labeler], pk: int) -> Data:
    return asdict(labelers.get(pk, Labeler(name=f"labeler {pk}", kind="person", rule="")))
