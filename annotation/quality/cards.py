"""The figures of the agreement page in words: title, value, interval, what it means, what is missing."""

from dataclasses import dataclass
from typing import Any

Statistic = dict[str, Any]  # Any: a measure's JSON
MINUS = "−"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure for a person."""

    title: str
    meaning: str
    value: str
    detail: str
    flag: str = ""  # a sentence where the figure needs attention


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f} %"


def points(value: float | None) -> str:
    """How far a share lies from one half."""
    if value is None:
        return "–"
    return f"{(value - 0.5) * 100:+.1f} pts".replace("-", MINUS)


def cards_of(data: dict[str, Any], *, target: float) -> list[Card]:  # Any: the report
    found = data["statistics"]
    over_items = found["alpha_over_items"]
    items = "" if over_items is None else f"{_span(over_items, number)} over comparisons"
    return [
        _card("Krippendorff’s alpha, ordinal", ALPHA, found["alpha_ordinal"], number, also=items),
        _card("Krippendorff’s alpha, nominal", NOMINAL, found["alpha_nominal"], number),
        _card("Gwet’s AC1", AC1, found["gwet_ac1"], number),
        _card(
            "Agreement without ties",
            WITHOUT_TIES,
            found["percent_without_ties"],
            percent,
            also=f"target {percent(target)}",
        ),
        _card("Agreement with ties", WITH_TIES, found["percent"], percent),
        _ceiling(data["ceiling"]),
        _leaning("Position effect", POSITION, found["position_effect"], "left", "right"),
        _leaning("Length effect", LENGTH, found["length_effect"], "the longer", "the shorter"),
        _card("Ties", TIES, found["tie_rate"], percent),
        _card("All bad", ALL_BAD, found["all_bad_rate"], percent),
    ]


def _card(title: str, meaning: str, statistic: Statistic, form: Any, *, also: str = "") -> Card:
    # Any: one of the three formatters
    if statistic["value"] is None:
        return Card(title=title, meaning=meaning, value="–", detail=statistic["reason"])
    interval = statistic["interval"]
    span = f"95 %: {_span(interval, form)}" if interval else "no interval"
    parts = [span, also, f"n = {statistic['n']:,}"]
    return Card(
        title=title,
        meaning=meaning,
        value=form(statistic["value"]),
        detail=" · ".join(part for part in parts if part),
    )


def _leaning(title: str, meaning: str, statistic: Statistic, more: str, less: str) -> Card:
    card = _card(title, meaning, statistic, points)
    interval = statistic["interval"]
    if not interval or interval[0] <= 0.5 <= interval[1]:
        return card
    side = more if interval[0] > 0.5 else less
    flag = f"{side} is chosen more often".capitalize()
    return Card(title=title, meaning=meaning, value=card.value, detail=card.detail, flag=flag)


def _ceiling(band: list[float] | None) -> Card:
    title = "Best a reward model can do"
    if band is None:
        reason = "This needs agreement without ties of at least 50 %."
        return Card(title=title, meaning=CEILING, value="–", detail=reason)
    value = f"{band[0] * 100:.0f}–{band[1] * 100:.0f} %"
    return Card(
        title=title, meaning=CEILING, value=value, detail="accuracy against one person’s verdict"
    )


def _span(interval: list[float], form: Any) -> str:  # Any: one of the three formatters
    return f"{form(interval[0])} to {form(interval[1])}"


ALPHA = (
    "1 is full agreement, 0 what chance gives; a near miss on the seven steps counts less than a "
    "reversal. The interval is over labelers: what other people would give. 72 % agreement is about .45."
)
NOMINAL = "The same for first, tie, second and all bad taken as names: any difference counts alike."
AC1 = "Agreement beyond chance that stays steady where one verdict is much more common than the others."
WITHOUT_TIES = "How often two labelers who both decided chose the same response."
WITH_TIES = "How often two labelers gave the same verdict, ties and all bad included."
CEILING = "The band in which the accuracy of a perfect reward model lies, given how labelers agree."
POSITION = "How much more than half of the decisive verdicts went to the response shown left."
LENGTH = "How much more than half of the decisive verdicts went to the longer response."
TIES = "The share of verdicts that say “about the same”."
ALL_BAD = "The share of verdicts that accept neither response."
