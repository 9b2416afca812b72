"""What a judge's answers about one comparison come to: pure, and without a benefit of the doubt.

A pair has a verdict where each order has one (more than half of its answers say the same) and both are the same in
candidate space. A comparison has one where all its pairs do, and they form a ranking.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from annotation.judges.models import Hearing

FIRST, SECOND, TIE = "first", "second", "tie"
Order = tuple[int, int]  # candidate ids as they stood: first, second
Outcome = Hearing.Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: which two candidates it was about, in the order they stood; None where it could not be read."""

    first: int
    second: int
    repeat: int = 0
    verdict: str | None
    said: str = ""

    @property
    def better(self) -> int | None:
        """The candidate that is better, 0 for a tie; None where the answer could not be read."""
        if self.verdict is None:
            return None
        return {FIRST: self.first, SECOND: self.second, TIE: 0}[self.verdict]


def orders_of(candidate_ids: Sequence[int]) -> list[Order]:
    """Every pair of candidates in both orders."""
    pairs = combinations(sorted(candidate_ids), 2)
    return [order for one, other in pairs for order in ((one, other), (other, one))]


def conclude(
    candidate_ids: Sequence[int], answers: Sequence[Answer], *, is_failed: bool = False
) -> tuple[Outcome, list[list[int]]]:
    """How the hearing ends, and the ranking where it ends in a verdict."""
    by_order = by_order_of(answers)
    if is_failed or any(order not in by_order for order in orders_of(candidate_ids)):
        return Outcome.FAILED, []
    verdicts: dict[Order, int] = {}
    for one, other in combinations(sorted(candidate_ids), 2):
        there = majority(by_order[one, other])
        back = majority(by_order[other, one])
        if there is None or back is None:
            return _undecided(by_order), []
        if there != back:
            return Outcome.SWAYED, []
        verdicts[one, other] = there
    ranking = ranked(candidate_ids, verdicts)
    return (Outcome.JUDGED, ranking) if ranking else (Outcome.CYCLIC, [])


def by_order_of(answers: Sequence[Answer]) -> dict[Order, list[Answer]]:
    """The answers by the order in which the candidates stood."""
    found: dict[Order, list[Answer]] = {}
    for one in answers:
        found.setdefault((one.first, one.second), []).append(one)
    return found


def majority(answers: Sequence[Answer]) -> int | None:
    """What more than half of the answers say: a candidate, 0 for a tie; None where there is no such thing."""
    said = Counter(one.better for one in answers if one.better is not None)
    if not said:
        return None
    better, votes = said.most_common(1)[0]
    return better if 2 * votes > len(answers) else None


def ranked(candidate_ids: Sequence[int], verdicts: Mapping[Order, int]) -> list[list[int]]:
    """Tiers, best first, that agree with the verdict on every pair; empty where they go round in a circle."""
    wins = dict.fromkeys(candidate_ids, 0.0)
    for (one, other), better in verdicts.items():
        for candidate in (one, other):
            wins[candidate] += 0.5 if better == 0 else float(better == candidate)
    levels = sorted(set(wins.values()), reverse=True)
    for (one, other), better in verdicts.items():
        ahead = 0 if wins[one] == wins[other] else max(one, other, key=wins.__getitem__)
        if ahead != better:
            return []
    return [sorted(pk for pk in candidate_ids if wins[pk] == level) for level in levels]


def _undecided(by_order: Mapping[Order, Sequence[Answer]]) -> Outcome:
    """No order has a verdict of its own: for want of readable answers, or because repeats differ."""
    answers = [one for group in by_order.values() for one in group]
    has_unread = any(one.verdict is None for one in answers)
    return Outcome.UNPARSED if has_unread else Outcome.SWAYED
