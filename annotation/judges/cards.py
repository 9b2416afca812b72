"""The figures of a judge in words: title, value, interval, what it means."""

from dataclasses import dataclass

from annotation.judges.report import (
    CONSISTENCY_NEEDED,
    UNPARSED_MOST,
    AltTestFacts,
    JudgeReport,
)
from annotation.measures.statistic import Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure for a person; ``is_bad`` where it speaks against the judge."""

    title: str
    value: str
    detail: str
    meaning: str
    is_bad: bool = False


def cards_of(report: JudgeReport) -> list[Card]:
    """The figures of a report in the order in which they are read."""
    same, unread = report.same_in_both_orders, report.unparsed
    return [
        _card(
            "Same verdict in both orders",
            same,
            f"Each pair is asked twice, swapped. Coin flips reach 50 %; {_percent(CONSISTENCY_NEEDED)} are needed.",
            is_bad=same.value is not None and same.value < CONSISTENCY_NEEDED,
        ),
        _card(
            "Chose what stood first",
            report.chose_first,
            "Of its decisive answers. 50 % is even-handed.",
            is_bad=_leans(report.chose_first),
        ),
        _card(
            "Could not be read",
            unread,
            f"Answers that were no verdict: counted, never taken as ties. At most {_percent(UNPARSED_MOST)}.",
            is_bad=unread.value is not None and unread.value > UNPARSED_MOST,
        ),
        _card(
            "Agrees with people",
            report.agreement,
            "Its verdicts that stand in both orders, where a person decided too.",
            is_bad=_is_a_coin(report.agreement),
        ),
        _card(
            "People agree with each other",
            report.people_agreement,
            "On all pairs that it heard, those it kept no verdict on too: what a judge can be measured by.",
        ),
        _card(
            "A single answer agrees with people",
            report.one_order_agreement,
            "Whatever the order: what one would get without asking twice.",
        ),
        _card("Said tie", report.chose_tie, "Of the answers that could be read."),
        _card(
            "Repeats itself",
            report.same_in_repeats,
            "Two answers to the same question in the same order.",
        ),
        _alt_test(report.alt_test),
    ]


def _card(title: str, one: Statistic, meaning: str, *, is_bad: bool = False) -> Card:
    if one.value is None:
        return Card(title=title, value="–", detail=one.reason or "", meaning=meaning)
    span = ""
    if one.interval is not None:
        span = f"{_percent(one.interval.low)} to {_percent(one.interval.high)}, "
    detail = f"{span}{one.n:,} comparison{'s'[: one.n != 1]}"
    return Card(
        title=title, value=_percent(one.value), detail=detail, meaning=meaning, is_bad=is_bad
    )


def _alt_test(test: AltTestFacts) -> Card:
    meaning = "The alt-test: the share of people it may replace, since it agrees with the others as well as they do."
    title = "May replace people"
    if test.winning_rate is None:
        return Card(title=title, value="–", detail=test.reason, meaning=meaning)
    return Card(
        title=title,
        value=_percent(test.winning_rate),
        detail=f"{test.people} tested, half are needed{_left_out(test)}",
        meaning=meaning,
        is_bad=not test.passes,
    )


def _left_out(test: AltTestFacts) -> str:
    if not test.undecided:
        return ""
    return f"; {test.undecided:,} of {test.pairs:,} pairs left out, on which it kept no verdict in both orders"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _leans(one: Statistic) -> bool:
    return one.interval is not None and not one.interval.low <= 0.5 <= one.interval.high


def _is_a_coin(one: Statistic) -> bool:
    return one.interval is not None and one.interval.low <= 0.5
