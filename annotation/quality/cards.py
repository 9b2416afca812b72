"""The figures of the agreement page in words: title, value, interval, what it means, what is missing."""

from dataclasses import dataclass, replace
from typing import Any

from annotation.quality.report import ceiling_ends
from annotation.quality.scope import LabelerKind
from annotation.ui.minus import with_minus

Statistic = dict[str, Any]  # Any: a measure's JSON
UNITS = (" %", " pts")
MAIN = ("percent_without_ties", "alpha_ordinal", "position_effect", "length_effect")  # in one line
WHOSE = {  # verdicts a reward model was measured on
    LabelerKind.PEOPLE: "people",
    LabelerKind.MACHINE: "machine judges",
    LabelerKind.SIMULATED: "simulated labelers",
    LabelerKind.IMPORTED: "imported verdicts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure for a person."""

    key: str
    title: str
    meaning: str
    value: str
    detail: str  # lines
    flag: str = ""  # a sentence where the figure needs attention


def number(value: float | None) -> str:
    return "–" if value is None else with_minus(f"{value:.2f}")


def percent(value: float | None) -> str:
    """Whole, but for a share that is small and not nothing."""
    if value is None:
        return "–"
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return f"{value * 100:.1f} %" if 0 < value < 0.01 else f"{value * 100:.0f} %"


def points(value: float | None) -> str:
    """How far a share lies from one half."""
    if value is None:
        return "–"
    return with_minus(f"{(value - 0.5) * 100:+.1f} pts")


def cards_of(
    data: dict[str, Any],  # Any: the report
    *,
    target: float,
    is_filtered: bool,
) -> list[Card]:
    """The figures at the top of the page, in the order in which they are read."""
    found = data["statistics"]
    over_items = found["alpha_over_items"]
    items = "" if over_items is None else f"{_span(over_items, number)} over comparisons"
    aim = f"target {percent(target)}"
    return [
        _card("percent_without_ties", found["percent_without_ties"], percent, also=aim),
        _card("alpha_ordinal", found["alpha_ordinal"], number, also=items),
        _card("alpha_nominal", found["alpha_nominal"], number),
        _card("gwet_ac1", found["gwet_ac1"], number),
        _leaning("position_effect", found["position_effect"], "left", "right"),
        _leaning("length_effect", found["length_effect"], "the longer", "the shorter"),
        _card("percent", found["percent"], percent),
        _card("tie_rate", found["tie_rate"], percent),
        _card("all_bad_rate", found["all_bad_rate"], percent),
        _card("skip_rate", found["skip_rate"], percent),
        _card("machine", data["machine"], percent),
        _reward_model(data["reward_model"], is_filtered=is_filtered),
        _ceiling(found["percent_without_ties"]),
    ]


def signal_cards_of(data: dict[str, Any]) -> list[Card]:  # Any: the report of signals
    """The figures of accept and reject signals."""
    found = data["statistics"]
    forms = {"alpha_signals": number}
    return [_card(key, one, forms.get(key, percent)) for key, one in found.items()]


def _card(key: str, statistic: Statistic, form: Any, *, also: str = "") -> Card:
    # Any: one of the three formatters
    title, meaning = NAMES[key]
    if statistic["value"] is None:
        return Card(key=key, title=title, meaning=meaning, value="–", detail=statistic["reason"])
    interval = statistic["interval"]
    span = f"95 %: {_span(interval, form)}" if interval else "no interval"
    parts = [span, also, f"n\u00a0=\u00a0{statistic['n']:,}"]
    detail = "\n".join(part for part in parts if part)
    return Card(
        key=key, title=title, meaning=meaning, value=form(statistic["value"]), detail=detail
    )


def _leaning(key: str, statistic: Statistic, more: str, less: str) -> Card:
    card = _card(key, statistic, points)
    interval = statistic["interval"]
    if not interval or interval[0] <= 0.5 <= interval[1]:
        return card
    side = more if interval[0] > 0.5 else less
    return replace(card, flag=f"{side} is chosen more often".capitalize())


def _reward_model(statistic: Statistic, *, is_filtered: bool) -> Card:
    """Whose verdicts it was measured on stands in the title; these are no part of what filters let in."""
    all_of_it = (
        "\nwhatever the filters say" if is_filtered and statistic["value"] is not None else ""
    )
    card = _card("reward_model", statistic, percent)
    whose = " and ".join(WHOSE[LabelerKind(kind)] for kind in statistic.get("of", ())) or "labelers"
    return replace(card, title=f"Reward model against {whose}", detail=card.detail + all_of_it)


def _ceiling(agreement: Statistic) -> Card:
    """The band, and how far it may lie otherwise within the interval of the agreement that it follows from."""
    title, meaning = NAMES["ceiling"]
    low, high = ceiling_ends(agreement)
    if low["value"] is None:
        return Card(key="ceiling", title=title, meaning=meaning, value="–", detail=low["reason"])
    value = f"{low['value'] * 100:.0f}–{high['value'] * 100:.0f} %"
    spans = (low["interval"], high["interval"])
    span = f"95 %: {_span([spans[0][0], spans[1][1]], percent)}" if all(spans) else "no interval"
    n = f"n\u00a0=\u00a0{low['n']:,}"
    detail = f"{span}\naccuracy against one person’s verdict\n{n}"
    return Card(key="ceiling", title=title, meaning=meaning, value=value, detail=detail)


def _span(interval: list[float], form: Any) -> str:  # Any: one of the three formatters
    low, high = (form(end) for end in interval)
    unit = next((one for one in UNITS if low.endswith(one) and high.endswith(one)), "")
    return f"{low.removesuffix(unit)} to {high}"


NAMES: dict[str, tuple[str, str]] = {
    "percent_without_ties": (
        "Agreement without ties",
        (
            "How often two labelers who both decided gave the same verdict. 73 % is usual for "
            "preferences between good responses."
        ),
    ),
    "alpha_ordinal": (
        "Krippendorff’s alpha, ordinal",
        (
            "1 is full agreement, 0 what chance gives; a near miss on the seven steps counts less than "
            "a reversal. The interval is over labelers: what other people would give. 73 % agreement "
            "is about .45, so no fixed threshold can judge it: watch its change and your target."
        ),
    ),
    "alpha_nominal": (
        "Krippendorff’s alpha, nominal",
        "The same for first, tie, second and all bad taken as names: any difference counts alike.",
    ),
    "gwet_ac1": (
        "Gwet’s AC1",
        "Agreement beyond chance that stays steady where one verdict is much more common.",
    ),
    "position_effect": (
        "Position effect",
        (
            "How far from half the response on the left was chosen among decided verdicts. Red where "
            "the interval leaves out zero."
        ),
    ),
    "length_effect": (
        "Length effect",
        (
            "How far from half the longer response was chosen among decided verdicts. Red where the "
            "interval leaves out zero."
        ),
    ),
    "percent": (
        "Agreement with ties",
        "How often two labelers gave the same verdict, ties and all bad included.",
    ),
    "tie_rate": ("Ties", "The share of verdicts that say about the same."),
    "all_bad_rate": ("All bad", "The share of verdicts that accept neither response."),
    "skip_rate": (
        "Skips",
        (
            "The share of what labelers were asked here that they gave back unjudged; n is skips and "
            "judgments. A skip that was undone does not count. The reasons stand under Labelers."
        ),
    ),
    "machine": (
        "People and machine judge",
        (
            "How often a person and a machine judge who both decided chose the same response. Compare "
            "it with agreement without ties, which is how often two people do."
        ),
    ),
    "reward_model": (
        "Reward model against labelers",
        (
            "How often the reward model in service, or the newest one, scores the response higher that "
            "labelers chose, on the held-out pairs of the snapshot it was trained on. No filter narrows it."
        ),
    ),
    "accepted": ("Accepted", "The share of signals that accept a response."),
    "accepted_long": (
        "Accepted, longer half",
        "The same for responses longer than the median of those that have signals.",
    ),
    "accepted_short": (
        "Accepted, shorter half",
        (
            "The same for the others. Where the two differ, length may be what people react to: look "
            "at it before a model learns it."
        ),
    ),
    "same_signal": (
        "Same signal",
        "How often two people who met the same response said the same of it.",
    ),
    "alpha_signals": (
        "Krippendorff’s alpha of signals",
        "Agreement beyond chance on accepted and rejected; 1 is full agreement, 0 what chance gives.",
    ),
    "with_verdicts": (
        "Signals and verdicts",
        (
            "How often people who compare two responses prefer the one that was accepted more often. "
            "n is the pairs with a difference; half is chance."
        ),
    ),
    "ceiling": (
        "Best possible reward model",
        (
            "The band in which the accuracy of a perfect reward model lies, given how the labelers of "
            "this view agree. Its interval follows from that of agreement without ties, as does n."
        ),
    ),
}
