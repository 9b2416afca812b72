"""From the votes of one prompt to its pairs: pure arithmetic, no database.

Ties are counted beside the votes for either side, never as half a vote; "all bad" is no vote for anyone.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from annotation.comparisons.selectors import PairRow
from annotation.datasets.query import Aggregation, SnapshotQuery, Ties
from annotation.quality.adjudication import PairVerdict
from training.spec.records import JUDGED, MACHINE, Pair

Posterior = tuple[float, float]  # probability that the first is better, that it is a tie
PairKey = tuple[int, int]


@dataclass(slots=True)
class Tally:
    """What labelers said of two candidates."""

    first: int = 0
    tied: int = 0
    second: int = 0
    all_bad: int = 0
    strength: int = 0  # summed, positive in the first one's favor
    by_machine: int = 0  # of the votes

    @property
    def votes(self) -> int:
        return self.first + self.tied + self.second

    def add(self, row: PairRow, *, by_machine: bool = False) -> None:
        if row.is_all_bad:
            self.all_bad += 1
            return
        self.by_machine += by_machine
        self.strength += row.strength
        self.first += row.strength > 0
        self.tied += row.strength == 0
        self.second += row.strength < 0


@dataclass(slots=True)
class PromptVotes:
    """All that was said of the candidates of one prompt."""

    tallies: dict[PairKey, Tally] = field(default_factory=lambda: defaultdict(Tally))
    seen: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    bad: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, row: PairRow, *, by_machine: bool = False) -> None:
        self.tallies[row.first_id, row.second_id].add(row, by_machine=by_machine)
        for candidate in (row.first_id, row.second_id):
            self.seen[candidate].add(row.judgment_id)
            if row.is_all_bad:
                self.bad[candidate].add(row.judgment_id)

    def unacceptable(
        self, *, min_judgments: int, adjudicated: Mapping[PairKey, PairVerdict]
    ) -> set[int]:
        """Candidates that most of those who saw them found bad; an admin's verdict leads."""
        found = {
            candidate
            for candidate, judgments in self.seen.items()
            if len(judgments) >= min_judgments and 2 * len(self.bad[candidate]) > len(judgments)
        }
        decided = {key: adjudicated[key] for key in self.tallies.keys() & adjudicated.keys()}
        found -= {pk for key, one in decided.items() if not one.is_all_bad for pk in key}
        return found | {pk for key, one in decided.items() if one.is_all_bad for pk in key}


def votes_of(rows: Iterable[PairRow], machines: Container[int] = ()) -> PromptVotes:
    """The votes of all rows; ``machines`` are the keys of labelers that are machines."""
    votes = PromptVotes()
    for row in rows:
        votes.add(row, by_machine=row.labeler_id in machines)
    return votes


def pairs_of(
    votes: PromptVotes,
    query: SnapshotQuery,
    names: Mapping[int, str],
    posteriors: Mapping[PairKey, Posterior],
    adjudicated: Mapping[PairKey, PairVerdict],
) -> tuple[Pair, ...]:
    """The pairs that the query lets in, sorted by the names of their candidates.

    Where an admin decided, that verdict leads, whatever the votes say; the votes stay in the record.
    """
    pairs = []
    for key, tally in votes.tallies.items():
        decided = adjudicated.get(key)
        if not (_is_enough(tally, query) if decided is None else not decided.is_all_bad):
            continue
        pair = _pair(key, tally, query, names, posteriors, decided)
        if not (pair.is_tie and query.ties == Ties.DROP):
            pairs.append(pair)
    return tuple(sorted(pairs, key=lambda pair: sorted((pair.chosen, pair.rejected))))


def _is_enough(tally: Tally, query: SnapshotQuery) -> bool:
    is_enough = tally.votes + tally.all_bad >= query.min_judgments
    return is_enough and tally.votes > 0 and tally.all_bad <= tally.votes


def _pair(
    key: PairKey,
    tally: Tally,
    query: SnapshotQuery,
    names: Mapping[int, str],
    posteriors: Mapping[PairKey, Posterior],
    decided: PairVerdict | None,
) -> Pair:
    if decided is None:
        lead, soft = _verdict(key, tally, query, posteriors)
        strength = tally.strength / tally.votes
    else:
        lead, strength = _sign(decided.strength), float(decided.strength)
        soft = (1 + lead) / 2
    first, second = names[key[0]], names[key[1]]
    is_first_chosen = lead > 0 or (lead == 0 and first < second)
    wins, losses = (tally.first, tally.second) if is_first_chosen else (tally.second, tally.first)
    favor = strength if is_first_chosen else -strength
    return Pair(
        chosen=first if is_first_chosen else second,
        rejected=second if is_first_chosen else first,
        is_tie=lead == 0,
        votes_chosen=float(wins),
        votes_rejected=float(losses),
        votes_tied=float(tally.tied),
        votes_machine=float(tally.by_machine),
        source=MACHINE if tally.by_machine == tally.votes and decided is None else JUDGED,
        soft_label=round(soft if is_first_chosen else 1 - soft, 6),
        margin=0.0 if lead == 0 else round(max(favor, 0.0), 6),
        criterion=query.criterion,
    )


def _verdict(
    key: PairKey, tally: Tally, query: SnapshotQuery, posteriors: Mapping[PairKey, Posterior]
) -> tuple[int, float]:
    """Who leads (1 the first, -1 the second, 0 a tie), and the probability that the first is better."""
    if query.aggregation == Aggregation.DAWID_SKENE and key in posteriors:
        first, tied = posteriors[key]
        second = max(1 - first - tied, 0.0)
        decided = first + second
        return _lead(first, tied, second), first / decided if decided else 0.5
    decided = tally.first + tally.second
    if query.aggregation == Aggregation.MAJORITY or decided == 0:
        lead = _lead(tally.first, tally.tied, tally.second)
        return lead, (1 + lead) / 2
    lead = _sign(tally.first - tally.second)
    is_about_the_same = tally.tied > max(tally.first, tally.second)
    return 0 if is_about_the_same else lead, tally.first / decided


def _sign(strength: int) -> int:
    return (strength > 0) - (strength < 0)


def _lead(first: float, tied: float, second: float) -> int:
    """The side with the most votes; a tie where "about the same" has as many, or both sides have."""
    if first == second or tied >= max(first, second):
        return 0
    return 1 if first > second else -1
