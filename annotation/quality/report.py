"""The agreement report: from judged pairs to plain data. No database here, so that a filtered view costs no write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.measures import bias
from annotation.measures.agreement import Coefficients
from annotation.measures.calibration import accuracy_ceiling
from annotation.measures.coefficients import Level
from annotation.measures.statistic import Statistic, missing, proportion
from annotation.quality.columns import TIE
from annotation.quality.figures import Figures, Measured

Data = dict[str, Any]  # Any: JSON
ENOUGH_ITEMS, ENOUGH_LABELERS = 30, 3
NO_PLACE = "No decided verdict has its shown order: imported ones have none."
NO_JUDGMENT = "There is no judgment yet."
SHOWN_TARGET = "This needs 30 pairs that two labelers judged, and 3 labelers; there are {} and {}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Who a labeler is."""

    name: str
    kind: str
    rule: str


def headline(figures: Figures, *, is_filtered: bool = False) -> Data:
    """Everything at the top of the page; ``is_filtered``: not by all judgments."""
    counts = figures.counts
    return {
        "judgments": counts.judgments,
        "labelers_count": figures.labelers_count,
        "pairs_by_machines": counts.by_machines,
        "comparisons": counts.comparisons,
        "judgments_asked_again": counts.asked_again,
        "judgments_drawn": counts.drawn,
        "judgments_given_here": counts.given_here,
        "pairs": counts.pairs,
        "pairs_shared": figures.items_shared,
        "is_rough": is_rough(figures),
        "statistics": _statistics(figures, _lone(figures, is_filtered=is_filtered)),
        "ceiling": _ceiling(figures.verdicts),
        "machine": _people_and_machines(figures).as_json(),
        "kinds": list(figures.kinds),
    }


def is_rough(figures: Figures) -> bool:
    """Too little for alpha to say anything."""
    return is_little(items=figures.items_shared, labelers=figures.labelers_count)


def _statistics(figures: Figures, lone: str) -> Data:
    counts, verdicts, strengths = figures.counts, figures.verdicts, figures.strengths
    found = {
        "alpha_ordinal": _enough(figures, strengths.alpha(Level.ORDINAL)),
        "alpha_nominal": _enough(figures, verdicts.alpha(Level.NOMINAL)),
        "percent_without_ties": verdicts.percent_without(TIE),
        "percent": verdicts.percent(),
        "gwet_ac1": _enough(figures, verdicts.gwet()),
        "tie_rate": proportion(counts.ties, n=counts.rows, nothing=NO_JUDGMENT),
        "all_bad_rate": proportion(counts.all_bad, n=counts.rows, nothing=NO_JUDGMENT),
        "position_effect": proportion(counts.left, n=counts.placed, nothing=NO_PLACE),
        "length_effect": proportion(
            counts.longer, n=counts.unequal, nothing="No verdict is between unequal lengths."
        ),
    }
    over_items = strengths.alpha_over_items(Level.ORDINAL) if figures.items_shared else None
    return {
        **{name: explained(one, lone).as_json() for name, one in found.items()},
        "alpha_over_items": None if over_items is None else [over_items.low, over_items.high],
    }


def _enough(figures: Figures, statistic: Statistic) -> Statistic:
    return shown_from(statistic, items=figures.items_shared, labelers=figures.labelers_count)


def shown_from(statistic: Statistic, *, items: int, labelers: int) -> Statistic:
    """Alpha and what is like it are hidden where too little stands behind them."""
    if is_little(items=items, labelers=labelers) and statistic.value is not None:
        return missing(SHOWN_TARGET.format(items, labelers), n=statistic.n)
    return statistic


def is_little(*, items: int, labelers: int) -> bool:
    """Too little for alpha to say anything: ``items`` that two labelers judged."""
    return items < ENOUGH_ITEMS or labelers < ENOUGH_LABELERS


def _lone(figures: Figures, *, is_filtered: bool) -> str:
    """Why nothing can be compared, and what to do about it."""
    if figures.labelers_count == 1 and is_filtered:
        return "These filters leave one labeler, who cannot be compared with anyone. Widen them."
    if figures.labelers_count == 1:
        return "One labeler alone has judged so far. Invite others under Settings, Members."
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


def _ceiling(verdicts: Coefficients) -> list[float] | None:
    """The band of the best accuracy a reward model can have, from agreement without ties."""
    agreement = verdicts.percent_without(TIE).value
    band = None if agreement is None else accuracy_ceiling(agreement)
    return None if band is None else [band.low, band.high]


def ceiling_ends(agreement: Data) -> tuple[Data, Data]:
    """Both ends of the band as statistics, each with what becomes of it within the interval of the agreement.

    ``agreement`` is that without ties. Half is the least that the band can be made of.
    """
    band = None if agreement["value"] is None else accuracy_ceiling(agreement["value"])
    if band is None:
        reason = "This needs agreement without ties of at least 50 %."
        nothing = missing(reason, n=agreement["n"]).as_json()
        return nothing, nothing
    least, most = (
        accuracy_ceiling(max(one, 0.5)) or band for one in agreement["interval"] or (0.5, 0.5)
    )
    found = ((band.low, least.low, most.low), (band.high, least.high, most.high))
    low, high = (
        {**agreement, "value": value, "interval": agreement["interval"] and [start, end]}
        for value, start, end in found
    )
    return low, high


def _people_and_machines(figures: Figures) -> Statistic:
    if not figures.counts.by_machines:
        return missing("No machine judge has judged here.")
    nothing = "No pair was decided by people and a machine judge."
    return bias.ratio(figures.counts.people_and_machines, nothing=nothing)


def report_of(
    measured: Measured, *, labelers: Mapping[int, Labeler], parts: Data, is_filtered: bool = False
) -> Data:
    """The figures at the top of the page, and the parts of them that were asked for."""
    figures = measured.figures({pk: one.kind for pk, one in labelers.items()})
    return {**headline(figures, is_filtered=is_filtered), **parts}


def labeler_json(labelers: Mapping[int, Labeler], pk: int) -> Data:
    one = labelers.get(pk) or Labeler(name=f"labeler {pk}", kind="person", rule="")
    return {"name": one.name, "kind": one.kind, "rule": one.rule}
