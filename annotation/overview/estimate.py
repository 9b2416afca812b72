"""What a project's settings will cost and buy: labels, hours, the widths of two intervals, the day it ends.

Nothing is stored. What is known of the project counts; for what is not, the assumption is stated beside the number.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from math import comb
from typing import Any, Self

from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from annotation.comparisons import pace
from annotation.comparisons.batches import labels_of
from annotation.comparisons.models import Comparison
from annotation.comparisons.services.pairing import candidate_sets, sets_across
from annotation.core.errors import InvalidInput
from annotation.core.statements import run
from annotation.generation.models import SamplingPlan
from annotation.generation.services.planning import check_responses
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
    gettext_noop("No person has labeled here yet, so there is no pace to go by."),
    gettext_noop("No person has labeled in the last days, so there is no pace to go by."),
    gettext_noop("The days differ too much for an interval."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices that an estimate rests on; shares lie from 0 to 1."""

    prompts: int
    policies: int = 1  # 0: none answers, so what has no two responses is not compared
    per_prompt: int = 2  # of each policy
    pairing: str = Project.Pairing.AUTO
    overlap: int
    overlap_share: float
    gold_share: float = 0.0
    repeat_share: float = 0.0
    agreement_target: float = 0.7

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
        policies=_policies(project, chosen),
        per_prompt=sampling.per_prompt,
        pairing=project.pairing,
        overlap=project.overlap,
        overlap_share=project.overlap_share,
        gold_share=project.gold_share,
        repeat_share=project.repeat_share,
        agreement_target=project.agreement_target,
    )


def _policies(project: Project, chosen: SamplingPlan | None) -> int:
    """How many answer; before anything is chosen one does, where one is there or no response."""
    if chosen is not None:
        return chosen.policies.count()
    policies = project.model_versions.filter(kind=ModelVersion.Kind.POLICY)
    return int(policies.exists() or not project.candidates.exists())


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
    lacking = 0 if plan.policies or are_prompts_assumed else _without_two_responses(project)
    new_prompts, sets = max(0, plan.prompts - there["prompts"] - lacking), _sets(plan)
    fresh = new_prompts * len(sets)
    comparisons = there["all"] + fresh
    shared = there["shared"] + (round(fresh * plan.overlap_share) if plan.overlap > 1 else 0)
    labels = there["labels"] + round(fresh * (1 + plan.overlap_share * (plan.overlap - 1)))
    left = max(0, labels - there["given"])
    served = round(left / (1 - plan.gold_share - plan.repeat_share))
    timed = pace.seconds_of_a_judgment(project)
    seconds = timed.mean or SECONDS_ASSUMED + SECONDS_MORE * (_largest(sets) - 2)
    forecast = pace.forecast_of(project, left=left)
    met = comparisons if plan.policies < 2 else _of_two_policies(project, plan, new_prompts, sets)
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
        win_rate_width=budget.half_width(0.5, n=met),
        labels_a_day=forecast.labels_a_day,
        days=forecast.days,
        finish_at=forecast.finish_at,
        finish_earliest=forecast.finish_earliest,
        finish_latest=forecast.finish_latest,
        deadline=project.deadline,
    )


def _check(plan: Plan) -> None:
    check_responses(plan.per_prompt, policies=plan.policies)
    if plan.gold_share + plan.repeat_share > LARGEST_TEST_SHARE:
        raise InvalidInput.at(
            "repeat_share",
            f"Gold and repeats together are {plan.gold_share + plan.repeat_share:.0%} of what a labeler gets; "
            f"at most {LARGEST_TEST_SHARE:.0%}.",
        )


def _without_two_responses(project: Project) -> int:
    """Prompts that cannot be compared as they are."""
    return project.prompts.alias(responses=Count("candidates")).filter(responses__lt=2).count()


def _sets(plan: Plan) -> list[tuple[int, ...]]:
    """What is compared of a prompt: each policy's responses are numbered one after the other."""
    if plan.policies < 2:
        return candidate_sets(list(range(plan.per_prompt)), plan.pairing)
    starts = range(0, plan.policies * plan.per_prompt, plan.per_prompt)
    said = [list(range(start, start + plan.per_prompt)) for start in starts]
    return sets_across(said, plan.pairing)


def _largest(sets: Collection[tuple[int, ...]]) -> int:
    return max((len(one) for one in sets), default=2)


# Two policies of the project's plan on one comparison that is there, counted for each two.
_MET = """
SELECT COALESCE(sum(policies * (policies - 1) / 2), 0) FROM (
    SELECT count(DISTINCT w.policy_id) AS policies FROM comparisons_comparison c
    JOIN generation_candidate w ON w.prompt_id = c.prompt_id AND w.id = ANY(c.candidate_ids)
    JOIN generation_samplingplan_policies p ON p.modelversion_id = w.policy_id AND p.samplingplan_id = c.project_id
    WHERE c.project_id = %(project)s AND c.state <> 'closed' AND c.kind <> 'gold' GROUP BY c.id
) met"""


def _of_two_policies(
    project: Project, plan: Plan, new_prompts: int, sets: Collection[tuple[int, ...]]
) -> int:
    """On how many comparisons any two policies of the plan meet, on average."""
    there = int(run(_MET, {"project": project.pk})[0][0])
    met = sum(comb(len({pk // plan.per_prompt for pk in one}), 2) for one in sets)
    return round((there + new_prompts * met) / comb(plan.policies, 2))


def _counted(project: Project) -> QuerySet[Comparison]:
    """The comparisons that are neither withdrawn nor gold."""
    withdrawn = Q(state=Comparison.State.CLOSED) | Q(kind=Comparison.Kind.GOLD)
    return project.comparisons.exclude(withdrawn)


def _comparisons_there(project: Project) -> dict[str, int]:
    facts = _counted(project).aggregate(
        all=Count("pk"),
        prompts=Count("prompt", distinct=True),
        labels=Sum(labels_of()),
        given=Sum("judgments_counted"),
        shared=Count("pk", filter=Q(overlap__gt=1)),
    )
    return {name: value or 0 for name, value in facts.items()}
