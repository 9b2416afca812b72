"""What people and a reward model said of two policies, as numbers with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from django.db.models import Q

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import PairRow, pair_rows
from annotation.evaluations.models import Evaluation, ModelCard
from annotation.evaluations.selectors import answers_of
from annotation.generation.models import Candidate
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
Answers = Mapping[int, tuple[Candidate, Candidate]]


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
    answers = answers_of(row)
    ours = {policy.pk: len(policy.text) for policy, _ in answers.values()}
    theirs = {baseline.pk: len(baseline.text) for _, baseline in answers.values()}
    rows = list(_votes(row))
    decided = [one for one in rows if one.strength]
    won = [(one.strength > 0) == (one.first_id in ours) for one in decided]
    longer = [_lengths(one, ours, theirs) for one in decided]
    waiting = Comparison.objects.filter(
        batch=row.batch, state__in=(Comparison.State.OPEN, Comparison.State.HELD)
    ).exclude(kind=Comparison.Kind.GOLD)
    return Evidence(
        win_rate=win_rate(sum(won), len(won)),
        controlled=length_control(longer, won) if won else None,
        ties=sum(one.strength == 0 and not one.is_all_bad for one in rows),
        all_bad=sum(one.is_all_bad for one in rows),
        simulated=_simulated(rows),
        open=waiting.count() if row.batch_id else 0,
        path=_path(won),
    )


def _simulated(rows: Sequence[PairRow]) -> int:
    keys = {one.labeler_id for one in rows}
    kind = User.objects.filter(pk__in=keys, kind=User.Kind.SIMULATED)
    simulated = set(kind.values_list("pk", flat=True)) if keys else set()
    return sum(one.labeler_id in simulated for one in rows)


def _votes(row: Evaluation) -> list[PairRow]:
    if row.batch_id is None:
        return []
    people = Q(comparison__batch=row.batch_id) & ~Q(labeler__kind=User.Kind.MACHINE)
    return sorted(pair_rows(row.project, where=people), key=lambda one: one.judgment_id)


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
    """None where no reward model was asked; equal scores are half a win."""
    comparison = getattr(row, "reward_comparison", None)
    if comparison is None:
        return None
    scores = comparison.scores
    gains, lengths = [], []
    for ours, theirs in answers_of(row).values():
        mine, other = scores.get(str(ours.pk)), scores.get(str(theirs.pk))
        if mine is not None and other is not None:
            gains.append(mine - other)
            lengths.append(len(ours.text) - len(theirs.text))
    if not gains:
        nothing = missing(comparison.error or "The reward model has not scored the answers yet.")
        return Scored(win_rate=nothing, controlled=None, gain=None)
    wins = [0.5 if gain == 0 else float(gain > 0) for gain in gains]
    return Scored(
        win_rate=proportion(sum(wins), n=len(wins), nothing=""),
        controlled=length_control(lengths, [gain > 0 for gain in gains]),
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
    found = []
    for one in rows.select_related("policy", "project", "batch").order_by("pk"):
        card = ModelCard.objects.filter(version=one.policy_id).first()
        kl = (card.facts.get("metrics", {}) if card else {}).get("kl")
        if not isinstance(kl, (int, float)) or kl <= 0:
            continue
        rate = evidence_of(one).win_rate
        if rate.value is not None:
            found.append(Judged(sqrt(kl), str(one.policy), rate))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
