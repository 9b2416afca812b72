"""What a round will take before it starts: people's hours and the machine's, each with what it is measured on."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, QuerySet

from annotation.comparisons import pace
from annotation.comparisons.services.batches import free_comparisons
from annotation.comparisons.services.pairing import new_sets
from annotation.generation.models import Candidate, GenerationRun
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion
from annotation.rounds.plans import Plan
from annotation.runs.models import TrainingRun

SECONDS_ASSUMED = 45  # of a label, where too few were timed
NEWEST = 5  # runs that a duration is taken from


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
    generation_seconds: float | None
    reward_seconds: float | None
    policy_seconds: float | None

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
    prompts = min(there, plan.max_prompts) if plan.max_prompts else there
    comparisons = _comparisons(project, plan, project.prompts.order_by("pk")[:prompts])
    shared = comparisons * project.overlap_share * (project.overlap - 1)
    timed = pace.seconds_of_a_judgment(project)
    responses = prompts * plan.per_prompt
    return Estimate(
        prompts=prompts,
        responses=responses,
        comparisons=comparisons,
        labels=round((comparisons + shared) * plan.label_share),
        blind_votes=min(there, plan.blind_prompts),
        label_seconds=timed.mean or SECONDS_ASSUMED,
        labels_timed=timed.n if timed.mean else 0,
        generation_seconds=_generation_seconds(policy, responses),
        reward_seconds=_run_seconds(project, "reward_model") if plan.has_reward_model else 0.0,
        policy_seconds=_run_seconds(project, plan.algorithm),
    )


def _comparisons(project: Project, plan: Plan, prompts: QuerySet[Prompt]) -> int:
    """At most: new responses are compared with those that are there, and what waits in no batch joins the round's."""
    there = Counter(prompts.annotate(there=Count("candidates")).values_list("there", flat=True))
    brought = sum(
        number * new_sets(candidates, plan.per_prompt, project.pairing)
        for candidates, number in there.items()
    )
    return brought + free_comparisons(project, prompts).count()


def _generation_seconds(policy: ModelVersion | None, responses: int) -> float | None:
    """At the pace of this policy's newest finished run."""
    runs = GenerationRun.objects.filter(policy=policy, status=GenerationRun.Status.DONE)
    last = runs.exclude(started_at=None).order_by("-pk").first() if policy else None
    if last is None or last.started_at is None or last.finished_at is None:
        return None
    made = Candidate.objects.filter(run=last).count()
    took = (last.finished_at - last.started_at).total_seconds()
    return responses * took / made if made else None


def _run_seconds(project: Project, kind: str) -> float | None:
    """The mean of the newest finished runs of this kind; settings and records differ between them."""
    done = TrainingRun.objects.filter(project=project, kind=kind, status=TrainingRun.Status.DONE)
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    newest = done.exclude(started_at=None).order_by("-pk")[:NEWEST]
    rows = TrainingRun.objects.filter(pk__in=newest.values("pk"))
    mean: timedelta | None = rows.aggregate(mean=Avg(took))["mean"]
    return mean.total_seconds() if mean else None
