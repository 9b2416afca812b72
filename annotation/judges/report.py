"""May this judge label? What its answers show: unread, leaning to a side, turning with the order, agreeing with people.

Answers of one comparison depend on each other, so every interval draws comparisons, not answers.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from django.db.models import Q

from annotation.accounts.models import User
from annotation.comparisons.selectors import PairRow, pair_rows
from annotation.judges.models import Hearing, Judge
from annotation.judges.selectors import HearingFacts, facts_of
from annotation.judges.verdicts import FIRST, TIE, Answer, by_order_of, majority
from annotation.measures.alt_test import ITEMS_MIN, AltTest, alt_test
from annotation.measures.bias import ratio, ratio_sums
from annotation.measures.statistic import Statistic
from annotation.measures.table import RatingTable
from annotation.ui.templatetags.measured import percent

COMPARISONS_MIN = 30  # heard; with fewer the report says nothing of fitness
UNPARSED_MOST = 0.05  # share of answers
# What GPT-4 reached on pairs of MT-bench answers (Zheng et al. 2023, table 2); coin flips reach 0.5.
CONSISTENCY_NEEDED = 0.65
CHANCE = 0.5
LEAN_MOST = 0.15  # of decisive answers, away from a half
DECISIONS = ("first", "tie", "second")

Pair = tuple[int, int, int]  # comparison, lower candidate id, higher


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """Whether the judge may label: fit, unfit, or not known; with a sentence for each reason."""

    state: str  # "fit" | "unfit" | "unknown"
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return {
            "fit": "Fit as a labeler: it agrees with people as well as people agree with each other.",
            "unfit": "Unfit as a labeler.",
            "unknown": "Not known yet whether it is fit as a labeler.",
        }[self.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class AltTestFacts:
    """The alternative annotator test: the share of people that the judge may replace, or why it was not done."""

    winning_rate: float | None
    passes: bool
    people: int  # tested
    reason: str
    pairs: int  # that at least two people judged and the judge heard
    undecided: (
        int  # of these: the judge kept no verdict in both orders, so that the test leaves them out
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """All that is measured of a judge."""

    hearings: HearingFacts
    answers: int
    unparsed: Statistic  # share of answers that could not be read
    chose_first: Statistic  # share of decisive answers for the response that stood first
    chose_tie: Statistic  # share of read answers
    same_in_both_orders: Statistic  # share of pairs
    same_in_repeats: Statistic  # share of pairs of repeats in one order
    one_order_agreement: Statistic  # single answers with people
    agreement: Statistic  # final verdicts with people
    people_agreement: Statistic  # of people with each other, on all pairs that were heard
    alt_test: AltTestFacts
    fitness: Fitness

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        own = {
            name: value.as_json() if isinstance(value, Statistic) else value
            for name, value in ((key, getattr(self, key)) for key in self.__slots__)
        }
        return {
            **own,
            "hearings": asdict(self.hearings),
            "alt_test": asdict(self.alt_test),
            "fitness": {
                "state": self.fitness.state,
                "sentence": self.fitness.sentence,
                "reasons": list(self.fitness.reasons),
            },
        }


def report_of(judge: Judge) -> JudgeReport:
    """Measure a judge from its hearings and from what people said of the same pairs."""
    heard = [
        Heard(comparison_id=pk, answers=[_answer(one) for one in answers], outcome=outcome)
        for pk, answers, outcome in Hearing.objects.filter(judge=judge)
        .exclude(outcome=Hearing.Outcome.FAILED)
        .order_by("comparison_id")
        .values_list("comparison_id", "answers", "outcome")
    ]
    people = _people(judge, {one.comparison_id for one in heard})
    figures: dict[str, Any] = {  # Any: statistics by name
        "unparsed": _share(heard, _unparsed, "Nothing was asked yet."),
        "chose_first": _share(heard, _firsts, "No answer was decisive."),
        "chose_tie": _share(heard, _ties, "No answer could be read."),
        "same_in_both_orders": _share(heard, _same_orders, "No pair was answered in both orders."),
        "same_in_repeats": _share(heard, _same_repeats, "Each order was asked once."),
        "one_order_agreement": _one_order_agreement(heard, people),
        "agreement": _agreement(heard, people),
        "people_agreement": _people_agreement(people),
        "alt_test": _alt_test(heard, people),
    }
    return JudgeReport(
        hearings=facts_of(Hearing.objects.filter(judge=judge)),
        answers=sum(len(one.answers) for one in heard),
        fitness=_fitness(len(heard), **figures),
        **figures,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One hearing, for counting."""

    comparison_id: int
    answers: list[Answer]
    outcome: str

    def verdicts(self) -> Iterator[tuple[Pair, int]]:
        """The pairs with a verdict that stands in both orders: the better candidate, 0 for a tie."""
        by_order = by_order_of(self.answers)
        for first, second in by_order:
            if first > second or (second, first) not in by_order:
                continue
            there, back = majority(by_order[first, second]), majority(by_order[second, first])
            if there is not None and there == back:
                yield (self.comparison_id, first, second), there


def _answer(row: Mapping[str, Any]) -> Answer:  # Any: JSON
    return Answer(**{key: row[key] for key in ("first", "second", "repeat", "verdict")})


Votes = Mapping[Pair, Sequence[tuple[int, int]]]  # labeler and the better candidate, 0 for a tie


def _people(judge: Judge, comparisons: Iterable[int]) -> Votes:
    """What people said of the pairs that the judge heard; what all found bad says nothing of which is better."""
    where = Q(comparison_id__in=list(comparisons), labeler__kind=User.Kind.PERSON)
    votes: dict[Pair, list[tuple[int, int]]] = defaultdict(list)
    for row in pair_rows(judge.project, where=where):
        if not row.is_all_bad:
            key = (row.comparison_id, row.first_id, row.second_id)
            votes[key].append((row.labeler_id, _better(row)))
    return votes


def _better(row: PairRow) -> int:
    if row.strength == 0:
        return 0
    return row.first_id if row.strength > 0 else row.second_id


Count = tuple[float, float]  # of how many


def _share(heard: Sequence[Heard], count: Callable[[Heard], Count], nothing: str) -> Statistic:
    """A share over all hearings, with the interval of drawn comparisons."""
    return _ratio([count(one) for one in heard], nothing)


def _ratio(counts: Sequence[Count], nothing: str) -> Statistic:
    table = np.array(counts, dtype=np.float64).reshape(-1, 2)
    return ratio(ratio_sums(table[:, 0], table[:, 1]), nothing=nothing)


def _unparsed(one: Heard) -> Count:
    return sum(answer.verdict is None for answer in one.answers), len(one.answers)


def _firsts(one: Heard) -> Count:
    decisive = [each.verdict for each in one.answers if each.verdict not in {None, TIE}]
    return decisive.count(FIRST), len(decisive)


def _ties(one: Heard) -> Count:
    read = [each.verdict for each in one.answers if each.verdict is not None]
    return read.count(TIE), len(read)


def _same_orders(one: Heard) -> Count:
    """Pairs whose two orders both have a verdict, and those where it is the same."""
    by_order = by_order_of(one.answers)
    said = {order: majority(answers) for order, answers in by_order.items()}
    pairs = [
        (better, said[second, first])
        for (first, second), better in said.items()
        if first < second and (second, first) in said
    ]
    both = [(there, back) for there, back in pairs if there is not None and back is not None]
    return sum(there == back for there, back in both), len(both)


def _same_repeats(one: Heard) -> Count:
    same = pairs = 0
    for answers in by_order_of(one.answers).values():
        said = [each.better for each in answers if each.better is not None]
        pairs += len(said) * (len(said) - 1) // 2
        same += sum(here == there for here, there in combinations(said, 2))
    return same, pairs


NOBODY = "People and the judge have decided no pair together yet."


def _one_order_agreement(heard: Sequence[Heard], people: Votes) -> Statistic:
    """How often a single answer, whatever its order, chose as a person who decided did."""
    counts: list[Count] = []
    for one in heard:
        same = met = 0
        for answer in one.answers:
            low, high = sorted((answer.first, answer.second))
            theirs = [said for _, said in people.get((one.comparison_id, low, high), ()) if said]
            if answer.better:
                same += theirs.count(answer.better)
                met += len(theirs)
        counts.append((same, met))
    return _ratio(counts, NOBODY)


def _agreement(heard: Sequence[Heard], people: Votes) -> Statistic:
    """How often the judge's final verdict was a person's, where both decided."""
    counts: list[Count] = []
    for one in heard:
        same = met = 0
        for pair, better in one.verdicts():
            theirs = [said for _, said in people.get(pair, ()) if said]
            if better:
                same += theirs.count(better)
                met += len(theirs)
        counts.append((same, met))
    return _ratio(counts, NOBODY)


def _people_agreement(people: Votes) -> Statistic:
    """How often two people who both decided chose the same."""
    counts: list[Count] = []
    for votes in people.values():
        decided = [said for _, said in votes if said]
        pairs = list(combinations(decided, 2))
        counts.append((sum(here == there for here, there in pairs), len(pairs)))
    return _ratio(counts, "No two people have decided the same pair.")


def _alt_test(heard: Sequence[Heard], people: Votes) -> AltTestFacts:
    """The test over the pairs with a final verdict and at least two people."""
    verdicts = {pair: better for one in heard for pair, better in one.verdicts()}
    pairs = [pair for pair, votes in sorted(people.items()) if len(votes) > 1]
    counts = {"pairs": len(pairs), "undecided": sum(pair not in verdicts for pair in pairs)}
    if counts["undecided"] == counts["pairs"]:
        nothing = "It needs pairs that the judge decided and at least two people judged."
        return _untested(nothing, **counts)
    labelers = sorted({labeler for pair in pairs for labeler, _ in people[pair]})
    codes = {labeler: code for code, labeler in enumerate(labelers)}
    rows = [
        (item, codes[labeler], _decision(pair, said))
        for item, pair in enumerate(pairs)
        for labeler, said in people[pair]
    ]
    items, by, labels = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    table = RatingTable.from_columns(items, by, labels, DECISIONS)
    judged = [_decision(pair, verdicts[pair]) if pair in verdicts else -1 for pair in pairs]
    return _tested(alt_test(table, judged), **counts)


def _decision(pair: Pair, better: int) -> int:
    """Codes into DECISIONS."""
    return 1 if better == 0 else 0 if better == pair[1] else 2


def _tested(test: AltTest, **counts: int) -> AltTestFacts:
    if test.winning_rate is None:
        return _untested(
            f"It needs somebody with at least {ITEMS_MIN} pairs that the judge and another person decided too.",
            **counts,
        )
    return AltTestFacts(
        winning_rate=test.winning_rate,
        passes=test.passes,
        people=len(test.labelers),
        reason="",
        **counts,
    )


def _untested(reason: str, **counts: int) -> AltTestFacts:
    return AltTestFacts(winning_rate=None, passes=False, people=0, reason=reason, **counts)


def _fitness(
    comparisons: int,
    *,
    unparsed: Statistic,
    chose_first: Statistic,
    same_in_both_orders: Statistic,
    agreement: Statistic,
    alt_test: AltTestFacts,
    **_others: object,
) -> Fitness:
    """Unfit for any one fault; fit only once the alt-test is passed; not known before."""
    if comparisons < COMPARISONS_MIN:
        few = f"It has heard {comparisons} comparisons; {COMPARISONS_MIN} tell something."
        return Fitness(state="unknown", reasons=(few,))
    faults = [
        sentence
        for sentence in (
            _unread(unparsed),
            _turning(same_in_both_orders, chose_first),
            _leaning(chose_first),
            _as_a_coin(agreement),
            _failed(alt_test),
        )
        if sentence
    ]
    if faults:
        return Fitness(state="unfit", reasons=tuple(faults))
    if alt_test.winning_rate is None:
        return Fitness(state="unknown", reasons=(f"The alt-test is not done: {alt_test.reason}",))
    return Fitness(state="fit", reasons=())


def _unread(unparsed: Statistic) -> str:
    if unparsed.value is None or unparsed.value <= UNPARSED_MOST:
        return ""
    return (
        f"{percent(unparsed.value)} of its answers could not be read as a verdict; "
        f"at most {percent(UNPARSED_MOST)} may be."
    )


def _turning(same: Statistic, chose_first: Statistic) -> str:
    if same.value is None or same.value >= CONSISTENCY_NEEDED:
        return ""
    side = ""
    if chose_first.value is not None and abs(chose_first.value - CHANCE) > LEAN_MOST:
        side = " It mostly chooses what stands " + (
            "first." if chose_first.value > CHANCE else "second."
        )
    return (
        f"It says the same in both orders for {percent(same.value)} of the pairs; {percent(CONSISTENCY_NEEDED)} "
        f"are needed, and coin flips reach 50%.{side}"
    )


def _leaning(chose_first: Statistic) -> str:
    if chose_first.value is None or abs(chose_first.value - CHANCE) <= LEAN_MOST:
        return ""
    return (
        f"It chose the response that stood first in {percent(chose_first.value)} of its decisions; "
        f"{percent(CHANCE - LEAN_MOST)} to {percent(CHANCE + LEAN_MOST)} would be even-handed."
    )


def _as_a_coin(agreement: Statistic) -> str:
    if agreement.interval is None or agreement.value is None:
        return ""
    if agreement.interval.low > CHANCE:
        return ""
    return (
        f"It agrees with people in {percent(agreement.value)} of what both decided, and the interval from "
        f"{percent(agreement.interval.low)} to {percent(agreement.interval.high)} does not exclude the 50 % of a coin."
    )


def _failed(test: AltTestFacts) -> str:
    if test.winning_rate is None or test.passes:
        return ""
    return (
        f"The alt-test: it may replace {percent(test.winning_rate)} of the {test.people} people tested; "
        "half are needed."
    )
