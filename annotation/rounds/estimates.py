"""What a round will take before it starts: people's hours and the machine's, each with what it is measured on."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, QuerySet

from annotation.comparisons import pace
from annotation.comparisons.services.batches import free_comparisons
from annotation.comparisons.services.pairing import new_sets
from annotation.datasets.query import SnapshotQuery
from annotation.datasets.selectors import splits_of_newest
from annotation.generation.models import Candidate, GenerationRun
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion
from annotation.rounds.plans import Plan
from annotation.runs.estimates import time_of
from annotation.runs.looking import HeldOut
from annotation.runs.pacing import Basis
from annotation.runs.selectors import built_snapshots
from annotation.runs.specs import settings_with

SECONDS_ASSUMED = 45  # of a label, where too few were timed
LOOKED_AT = 30  # newest generation runs


class Sampled(NamedTuple):
    """How long the responses take by an earlier run, and whether that asked this policy for as many tokens."""

    seconds: float
    run: int
    policy: str
    max_tokens: int
    is_same_policy: bool
    is_same_length: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Counts, and durations in seconds; None where nothing like it has run here yet."""

    prompts: int
    responses: int
    comparisons: int
    labels: int
    blind_votes: int  # at most: they end once they decide
    label_seconds: float
    labels_timed: int  # judgments that its pace is measured on; 0: assumed
    training_prompts: int  # about
    generation: Sampled | None
    reward: Basis | None
    policy: Basis | None
    has_reward_model: bool

    @property
    def generation_seconds(self) -> float | None:
        return self.generation and self.generation.seconds

    @property
    def reward_seconds(self) -> float | None:
        """0 where no reward model is trained."""
        return (self.reward and self.reward.seconds) if self.has_reward_model else 0.0

    @property
    def policy_seconds(self) -> float | None:
        return self.policy and self.policy.seconds

    @property
    def machine_seconds(self) -> float | None:
        """Of all parts that a machine does; None where one of them is not known."""
        parts = (self.generation_seconds, self.reward_seconds, self.policy_seconds)
        known = [one for one in parts if one is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def label_hours(self) -> float:
        """People's hours, those of the blind votes among them."""
        return (self.labels + self.blind_votes) * self.label_seconds / 3600


def estimate(project: Project, plan: Plan, policy: ModelVersion | None) -> Estimate:
    """From the project's prompts and settings, the pace of its labelers, and its newest runs of each kind."""
    there = project.prompts.count()
    prompts = asked_prompts(project, plan)
    comparisons = _comparisons(project, plan, project.prompts.order_by("pk")[:prompts])
    shared = comparisons * project.overlap_share * (project.overlap - 1)
    timed = pace.seconds_of_a_judgment(project)
    responses = prompts * plan.per_prompt
    learned_from, held_out = split_prompts(project, prompts)

    def trained(kind: str) -> Basis | None:
        spec = settings_with(plan.preset, kind)
        return (
            time_of(kind, spec, rows=learned_from, held_out=held_out, base_model=policy)
            if policy
            else None
        )

    return Estimate(
        prompts=prompts,
        responses=responses,
        comparisons=comparisons,
        labels=round((comparisons + shared) * plan.label_share),
        blind_votes=min(there, plan.blind_prompts),
        label_seconds=timed.mean or SECONDS_ASSUMED,
        labels_timed=timed.n if timed.mean else 0,
        training_prompts=learned_from,
        generation=_sampled(policy, plan, responses) if policy else None,
        reward=trained("reward_model") if plan.has_reward_model else None,
        policy=trained(plan.algorithm),
        has_reward_model=plan.has_reward_model,
    )


def asked_prompts(project: Project, plan: Plan) -> int:
    """How many prompts the round asks its policy."""
    there = project.prompts.count()
    return min(there, plan.max_prompts) if plan.max_prompts else there


def _comparisons(project: Project, plan: Plan, prompts: QuerySet[Prompt]) -> int:
    """At most: new responses are compared with those that are there, and what waits in no batch joins the round's."""
    there = Counter(prompts.annotate(there=Count("candidates")).values_list("there", flat=True))
    brought = sum(
        number * new_sets(candidates, plan.per_prompt, project.pairing)
        for candidates, number in there.items()
    )
    return brought + free_comparisons(project, prompts).count()


def split_prompts(project: Project, prompts: int) -> tuple[int, HeldOut]:
    """About: what the newest snapshot holds or the round asks for, whichever is more; to train on, and held out."""
    newest = built_snapshots(project).first()
    there = max(prompts, newest.rows if newest else 0)
    shares, usual = splits_of_newest(project), SnapshotQuery()
    train, *held_out = (
        round(there * float(shares.get(name, getattr(usual, name))))
        for name in ("train", *HeldOut._fields)
    )
    return train, HeldOut(*held_out)


def _sampled(policy: ModelVersion, plan: Plan, responses: int) -> Sampled | None:
    """At the pace of the nearest finished run: of this policy, of as many tokens, the newest."""
    done = GenerationRun.objects.filter(
        project=policy.project_id,
        policy__backend=policy.backend,
        status=GenerationRun.Status.DONE,
        started_at__isnull=False,
        finished_at__isnull=False,
    )
    newest = done.select_related("policy").order_by("-pk")[:LOOKED_AT]
    near = sorted(
        newest, key=lambda run: (run.policy_id != policy.pk, run.max_tokens != plan.max_tokens)
    )
    for run in near:
        if made := Candidate.objects.filter(run=run).count():
            return Sampled(
                seconds=responses * (run.finished_at - run.started_at).total_seconds() / made,
                run=run.pk,
                policy=str(run.policy),
                max_tokens=run.max_tokens,
                is_same_policy=run.policy_id == policy.pk,
                is_same_length=run.max_tokens == plan.max_tokens,
            )
    return None
