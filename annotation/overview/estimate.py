"""What a project's settings will cost and buy: labels, hours, the widths of two intervals, the day it ends.

Nothing is stored. What is known of the project counts; for what is not, the assumption is stated beside the number.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from django.db.models import Count, F, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from annotation.comparisons import pace
from annotation.comparisons.batches import labels_of
from annotation.comparisons.models import Comparison
from annotation.comparisons.services.pairing import candidate_sets
from annotation.core.errors import InvalidInput
from annotation.generation.models import SamplingPlan
from annotation.measures import budget
from annotation.measures.statistic import Statistic
from annotation.projects.models import Project
from annotation.projects.services.projects import LARGEST_TEST_SHARE
from annotation.prompts.models import PromptImport
from annotation.registry.models import ModelVersion

PROMPTS_ASSUMED = 1_000
SECONDS_ASSUMED = 45  # for two responses
SECONDS_MORE = 20  # for each further one
# What `annotation.measures.budget` says, for the catalogs of languages: the ground floor knows no framework.
REASONS = (
    gettext_noop("Nobody has labeled here yet, so there is no pace to go by."),
    gettext_noop("Nobody has labeled in the last days, so there is no pace to go by."),
    gettext_noop("The days differ too much for an interval."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices that an estimate rests on; shares lie from 0 to 1."""

    prompts: int
    per_prompt: int = 2
    pairing: str = Project.Pairing.AUTO
    overlap: int
    overlap_share: float
    gold_share: float = 0.0
    repeat_share: float = 0.0
    agreement_target: float = 0.7
    # False: no policy answers, so what has no two responses is not compared.
    is_sampled: bool = True

    def changed(self, choices: dict[str, Any]) -> Self:  # Any: numbers and one word
        """The same plan with the choices that are given."""
        return replace(self, **{name: one for name, one in choices.items() if one is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan comes to. Widths are half-widths of 95 % intervals, in shares."""

    plan: Plan
    are_prompts_assumed: bool
    comparisons: int
    labels: int
    labels_given: int
    judgments_left: int  # gold and repeats included
    seconds: float
    seconds_measured_on: int  # judgments; 0: assumed
    hours: float
    agreement_items: int
    agreement_width: Statistic
    alpha_width: Statistic
    win_rate_width: Statistic
    labels_a_day: float | None
    days: Statistic
    finish_at: datetime | None
    finish_earliest: datetime | None
    finish_latest: datetime | None
    deadline: datetime | None

    @property
    def is_late(self) -> bool:
        """At the present pace the deadline passes first."""
        return bool(self.deadline and self.finish_at and self.finish_at > self.deadline)

    @property
    def is_overdue(self) -> bool:
        """The deadline has passed already."""
        return bool(self.deadline and self.deadline < timezone.now())


def plan_of(project: Project) -> Plan:
    """The plan that the project's settings make."""
    chosen = SamplingPlan.objects.filter(project=project).first()
    sampling = chosen or SamplingPlan()
    return Plan(
        prompts=_prompts(project),
        per_prompt=sampling.per_prompt,
        pairing=project.pairing,
        overlap=project.overlap,
        overlap_share=project.overlap_share,
        gold_share=project.gold_share,
        repeat_share=project.repeat_share,
        agreement_target=project.agreement_target,
        is_sampled=_is_sampled(project, chosen),
    )


def _is_sampled(project: Project, chosen: SamplingPlan | None) -> bool:
    """Whether a policy answers what has no responses; before anything is chosen, where one is there or no response."""
    if chosen is not None:
        return chosen.policy_id is not None
    policies = project.model_versions.filter(kind=ModelVersion.Kind.POLICY)
    return policies.exists() or not project.candidates.exists()


def _prompts(project: Project) -> int:
    """Those that are there, and what imports under way may bring."""
    under_way = PromptImport.objects.filter(project=project, status__in=["queued", "running"])
    coming = under_way.aggregate(rows=Sum(F("progress_total") - F("progress_done")))["rows"] or 0
    return project.prompts.count() + max(0, coming)


def estimate(project: Project, plan: Plan | None = None) -> Estimate:
    """Comparisons there are count as they are; a plan holds for the prompts that have none yet."""
    plan = plan or plan_of(project)
    are_prompts_assumed = plan.prompts == 0
    plan = replace(plan, prompts=PROMPTS_ASSUMED) if are_prompts_assumed else plan
    _check(plan)
    there = _comparisons_there(project)
    lacking = 0 if plan.is_sampled or are_prompts_assumed else _without_two_responses(project)
    fresh = max(0, plan.prompts - there["prompts"] - lacking) * _sets(plan)
    comparisons = there["all"] + fresh
    shared = there["shared"] + (round(fresh * plan.overlap_share) if plan.overlap > 1 else 0)
    labels = there["labels"] + round(fresh * (1 + plan.overlap_share * (plan.overlap - 1)))
    left = max(0, labels - there["given"])
    served = round(left / (1 - plan.gold_share - plan.repeat_share))
    timed = pace.seconds_of_a_judgment(project)
    seconds = timed.mean or SECONDS_ASSUMED + SECONDS_MORE * (_largest_set(plan) - 2)
    forecast = pace.forecast_of(project, left=left)
    agreement = min(max(plan.agreement_target, 0.0), 1.0)
    return Estimate(
        plan=plan,
        are_prompts_assumed=are_prompts_assumed,
        comparisons=comparisons,
        labels=labels,
        labels_given=there["given"],
        judgments_left=served,
        seconds=seconds,
        seconds_measured_on=timed.n if timed.mean else 0,
        hours=served * seconds / 3600,
        agreement_items=shared,
        agreement_width=budget.half_width(agreement, n=shared),
        alpha_width=budget.alpha_half_width(agreement, n=shared),
        win_rate_width=budget.half_width(0.5, n=comparisons),
        labels_a_day=forecast.labels_a_day,
        days=forecast.days,
        finish_at=forecast.finish_at,
        finish_earliest=forecast.finish_earliest,
        finish_latest=forecast.finish_latest,
        deadline=project.deadline,
    )


def _check(plan: Plan) -> None:
    if plan.gold_share + plan.repeat_share > LARGEST_TEST_SHARE:
        raise InvalidInput.at(
            "repeat_share",
            f"Gold and repeats together are {plan.gold_share + plan.repeat_share:.0%} of what a labeler gets; "
            f"at most {LARGEST_TEST_SHARE:.0%}.",
        )


def _without_two_responses(project: Project) -> int:
    """Prompts that cannot be compared as they are."""
    return project.prompts.alias(responses=Count("candidates")).filter(responses__lt=2).count()


def _sets(plan: Plan) -> int:
    return len(candidate_sets(list(range(plan.per_prompt)), plan.pairing))


def _largest_set(plan: Plan) -> int:
    sets = candidate_sets(list(range(plan.per_prompt)), plan.pairing)
    return max((len(one) for one in sets), default=2)


def _comparisons_there(project: Project) -> dict[str, int]:
    withdrawn = Q(state=Comparison.State.CLOSED) | Q(kind=Comparison.Kind.GOLD)
    rows = project.comparisons.exclude(withdrawn)
    facts = rows.aggregate(
        all=Count("pk"),
        prompts=Count("prompt", distinct=True),
        labels=Sum(labels_of()),
        given=Sum("judgments_counted"),
        shared=Count("pk", filter=Q(overlap__gt=1)),
    )
    return {name: value or 0 for name, value in facts.items()}
