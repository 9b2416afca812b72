"""What people and a reward model said of two policies, as numbers with intervals."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from django.db.models import Count, Q

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import PairRow, pair_rows
from annotation.evaluations.models import Evaluation, ModelCard
from annotation.evaluations.selectors import Pairs, PromptsCut, equal_in, pairs_of, prompts_cut_of
from annotation.measures.bias import LengthControl, length_control
from annotation.measures.evaluation import (
    OveroptimizationFit,
    distinct,
    overoptimization_fit,
    self_bleu,
)
from annotation.measures.sequential import win_rate
from annotation.measures.statistic import Statistic, missing, proportion
from annotation.runs.models import RunEvent
from training.spec.events import EventKind

PATH_POINTS = 60
SELF_BLEU_OF = 100  # answers; its work grows with the square


class Step(NamedTuple):
    """The win rate after so many decided votes, with its always-valid interval."""

    votes: int
    statistic: Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What people said: wins of the policy over decided votes; ties and all-bad are no half wins."""

    win_rate: Statistic
    controlled: LengthControl | None
    ties: int
    all_bad: int
    simulated: int  # of all these votes: by labelers that follow a rule and are no people
    open: int  # comparisons that wait for a vote
    path: tuple[Step, ...]

    @property
    def is_decided(self) -> bool:
        """The interval excludes one half, however often it was looked at."""
        ends = self.win_rate.interval
        return ends is not None and not ends.low <= 0.5 <= ends.high


def evidence_of(row: Evaluation) -> Evidence:
    """From the judgments of people (simulated ones too, never machine judges) on its batch."""
    return _read([row]).evidence_of(row)


class Findings(NamedTuple):
    """What is told of an evaluation in a list."""

    people: Evidence
    reward: "Scored | None"
    cut: PromptsCut
    equal: int  # prompts to which both gave the same answer


def findings_of(rows: Sequence[Evaluation]) -> dict[int, Findings]:
    """Of several evaluations of one project by key: the same statements, however many they are."""
    read, cut = _read(rows), prompts_cut_of(rows)
    return {
        row.pk: Findings(
            people=read.evidence_of(row),
            reward=_scored(row, read.pairs[row.pk]),
            cut=cut[row.pk],
            equal=equal_in(read.pairs[row.pk].values()),
        )
        for row in rows
    }


def evidence_by_key(rows: Sequence[Evaluation]) -> dict[int, Evidence]:
    """What people said of several evaluations of one project, read at once."""
    read = _read(rows)
    return {row.pk: read.evidence_of(row) for row in rows}


class _Read(NamedTuple):
    """What the database has of some evaluations, by key: the answers, the votes, how many wait for one."""

    pairs: Mapping[int, Pairs]
    votes: Mapping[int, list[PairRow]]
    waiting: Mapping[int, int]
    simulated: Collection[int]  # labelers

    def evidence_of(self, row: Evaluation) -> Evidence:
        """Of one of them."""
        votes = self.votes.get(row.pk, [])
        simulated = sum(one.labeler_id in self.simulated for one in votes)
        return _evidence(self.pairs[row.pk], votes, simulated, self.waiting.get(row.pk, 0))


def _read(rows: Sequence[Evaluation]) -> _Read:
    votes = _votes(rows)
    labelers = {one.labeler_id for some in votes.values() for one in some}
    kind = User.objects.filter(pk__in=labelers, kind=User.Kind.SIMULATED)
    return _Read(pairs_of(rows), votes, _waiting(rows), set(kind.values_list("pk", flat=True)))


def _evidence(pairs: Pairs, rows: Sequence[PairRow], simulated: int, waiting: int) -> Evidence:
    ours = {policy.candidate_id: policy.characters for policy, _ in pairs.values()}
    theirs = {baseline.candidate_id: baseline.characters for _, baseline in pairs.values()}
    decided = [one for one in rows if one.strength]
    won = [(one.strength > 0) == (one.first_id in ours) for one in decided]
    longer = [_lengths(one, ours, theirs) for one in decided]
    return Evidence(
        win_rate=win_rate(sum(won), len(won)),
        controlled=length_control(longer, won) if won else None,
        ties=sum(one.strength == 0 and not one.is_all_bad for one in rows),
        all_bad=sum(one.is_all_bad for one in rows),
        simulated=simulated,
        open=waiting,
        path=_path(won),
    )


def _votes(rows: Sequence[Evaluation]) -> dict[int, list[PairRow]]:
    """By the key of the evaluation, in the order in which they were given."""
    by_batch = {row.batch_id: row.pk for row in rows if row.batch_id is not None}
    if not by_batch:
        return {}
    of_before = {pk for row in rows for pk in row.compared_ids}
    asked = Q(comparison__batch__in=by_batch)
    asked = asked | Q(comparison__in=of_before) if of_before else asked
    people = asked & ~Q(labeler__kind=User.Kind.MACHINE)
    given = list(pair_rows(rows[0].project, where=people))
    batch_of = dict(Judgment.objects.filter(people).values_list("pk", "comparison__batch_id"))
    votes: defaultdict[int, list[PairRow]] = defaultdict(list)
    for one in given:
        if (batch := batch_of.get(one.judgment_id)) in by_batch:
            votes[by_batch[batch]].append(one)
    first: dict[int, PairRow] = {}
    for one in given:
        first.setdefault(one.comparison_id, one)
    return {row.pk: _with_votes_of_before(row, votes[row.pk], first) for row in rows}


def _with_votes_of_before(
    row: Evaluation, votes: list[PairRow], first: Mapping[int, PairRow]
) -> list[PairRow]:
    """The votes on its batch, and the first on each comparison that was there before: more are not independent."""
    before = [first[pk] for pk in row.compared_ids if pk in first]
    own = [one for one in votes if one.comparison_id not in row.compared_ids]
    return sorted([*own, *before], key=lambda one: one.judgment_id)


def _waiting(rows: Sequence[Evaluation]) -> dict[int, int]:
    """How many comparisons of each have no vote yet."""
    by_batch = {row.batch_id: row.pk for row in rows if row.batch_id is not None}
    open_ones = Comparison.objects.filter(
        batch__in=by_batch, state__in=(Comparison.State.OPEN, Comparison.State.HELD)
    ).exclude(kind=Comparison.Kind.GOLD)
    counts = open_ones.values_list("batch_id").annotate(Count("pk"))
    waiting = Counter({by_batch[batch]: count for batch, count in counts})
    of_before = {pk for row in rows for pk in row.compared_ids}
    unvoted = Comparison.objects.filter(
        pk__in=of_before, state=Comparison.State.OPEN, judgments_counted=0
    ).exclude(kind=Comparison.Kind.GOLD)
    elsewhere = set(unvoted.values_list("pk", flat=True))
    for row in rows:
        waiting[row.pk] += len(elsewhere.intersection(row.compared_ids))
    return waiting


def _lengths(one: PairRow, ours: Mapping[int, int], theirs: Mapping[int, int]) -> int:
    """The policy's answer less the baseline's, in characters."""
    mine, other = (one.first_id, one.second_id)
    if mine not in ours:
        mine, other = other, mine
    return ours[mine] - theirs[other]


def _path(won: Sequence[bool]) -> tuple[Step, ...]:
    """The rate after some of the votes, in the order in which they came, at most 60 of them."""
    stride = max(1, -(-len(won) // PATH_POINTS))
    places = sorted({*range(stride, len(won) + 1, stride), len(won)} - {0})
    return tuple(Step(votes, win_rate(sum(won[:votes]), votes)) for votes in places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What the reward model says of the same answers."""

    win_rate: Statistic
    controlled: LengthControl | None
    gain: float | None


def scored(row: Evaluation) -> Scored | None:
    """None where no reward model was asked; equal scores, and equal answers, are half a win."""
    return _scored(row, pairs_of([row])[row.pk])


def _scored(row: Evaluation, pairs: Pairs) -> Scored | None:
    comparison = getattr(row, "reward_comparison", None)
    if comparison is None:
        return None
    scores = comparison.scores
    gains, lengths = [], []
    for ours, theirs in pairs.values():
        mine, other = scores.get(str(ours.candidate_id)), scores.get(str(theirs.candidate_id))
        if mine is not None and other is not None:
            gains.append(mine - other)
            lengths.append(ours.characters - theirs.characters)
    if not gains:
        nothing = missing(comparison.error or "The reward model has not scored the answers yet.")
        return Scored(win_rate=nothing, controlled=None, gain=None)
    wins = [0.5 if gain == 0 else float(gain > 0) for gain in gains]
    return Scored(
        win_rate=proportion(sum(wins), n=len(wins), nothing=""),
        controlled=length_control(lengths, wins),
        gain=float(np.mean(gains)),
    )


class Diversity(NamedTuple):
    """How varied the answers of one policy are; None where there are too few words."""

    distinct_1: float | None
    distinct_2: float | None
    self_bleu: float | None
    characters: float | None


def diversity(texts: Sequence[str]) -> Diversity:
    return Diversity(
        distinct(texts, size=1),
        distinct(texts, size=2),
        self_bleu(texts[:SELF_BLEU_OF]),
        float(np.mean([len(text) for text in texts])) if texts else None,
    )


class Reached(NamedTuple):
    """A point of the Goodhart plot: d = sqrt(KL) from the policy that the run began with, and the reward there."""

    distance: float
    reward: float


class Judged(NamedTuple):
    """What people said of a policy at its distance from the one it began with, which it was compared with."""

    distance: float
    name: str
    win_rate: Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodhart:
    """The reward of a run against its distance, the curve of Gao et al. (2022), and people's word."""

    reached: tuple[Reached, ...]
    fit: OveroptimizationFit | None
    judged: tuple[Judged, ...]


def goodhart(row: Evaluation) -> Goodhart | None:
    """From the curves of the run that made the policy; None where it has no KL and reward."""
    said = RunEvent.objects.filter(run__model_version=row.policy_id, kind=EventKind.METRICS)
    told = [
        Reached(sqrt(max(data["kl"], 0.0)), data["reward"])
        for data in said.order_by("step").values_list("data", flat=True)
        if _is_number(data.get("kl")) and _is_number(data.get("reward"))
    ]
    # the first update samples from the starting policy itself
    reached = tuple(one for at, one in enumerate(told) if at == 0 or one.distance)
    if not any(one.distance for one in reached):
        return None
    start = reached[0].reward
    fit = overoptimization_fit(
        [one.distance for one in reached],
        [one.reward - start for one in reached],
        is_policy_gradient=True,
    )
    return Goodhart(reached=reached, fit=fit, judged=tuple(_judged(row)))


def _judged(row: Evaluation) -> list[Judged]:
    """Every evaluation by people against the start of this policy's run, of a policy that began there too.

    A policy knows its KL to its own start alone: one that began elsewhere has no place on this axis.
    """
    start = row.policy.parent_id
    if start is None:
        return []
    rows = Evaluation.objects.filter(project=row.project_id, baseline=start, policy__parent=start)
    there = list(rows.select_related("policy", "project", "batch").order_by("pk"))
    said, found = evidence_by_key(there), []
    for one in there:
        card = ModelCard.objects.filter(version=one.policy_id).first()
        kl = (card.facts.get("metrics", {}) if card else {}).get("kl")
        if not isinstance(kl, (int, float)) or kl <= 0:
            continue
        rate = said[one.pk].win_rate
        if rate.value is not None:
            found.append(Judged(sqrt(kl), str(one.policy), rate))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
