"""Asking a policy for candidates: a generation run is queued, cancelled, resumed."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import ring
from annotation.generation.models import GenerationRun, RunGroup, SamplingPlan
from annotation.generation.sampling import check_sampling
from annotation.generation.selectors import (
    groups_to_join,
    planned_policies,
    under_way,
    waiting_runs,
    wanted,
)
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import serving
from annotation.registry.servers import check_may_be_asked

MOST_PROMPTS = 10_000_000


@transaction.atomic
def request_candidates(  # noqa: PLR0913 - what a run is made of
    *,
    project: Project,
    policy: ModelVersion | None = None,
    per_prompt: int = 2,
    temperature: float = 0.8,
    top_p: float = 1.0,
    max_tokens: int = 256,
    seed: int = 17,
    max_prompts: int = 0,
    pair_after: bool = True,
    prompt_ids: Sequence[int] = (),
    actor: User | None,
) -> GenerationRun:
    """Queue a run: ``per_prompt`` responses for every prompt that lacks them from this (the serving) policy.

    ``prompt_ids`` asks only these.
    """
    policy = policy or serving(project=project, kind=ModelVersion.Kind.POLICY)
    _check_policy(project, policy)
    check_sampling(
        per_prompt=per_prompt,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
    )
    if not 0 <= max_prompts <= MOST_PROMPTS:
        raise InvalidInput.at("max_prompts", f"max_prompts is {max_prompts}; 0 means all prompts.")
    run = GenerationRun(
        project=project,
        policy=policy,
        per_prompt=per_prompt,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
        max_prompts=max_prompts,
        pair_after=pair_after,
        prompt_ids=list(prompt_ids),
        progress_unit="prompts",
        created_by=actor,
    )
    run.progress_total = wanted(run).count()
    if run.progress_total == 0:
        raise Conflict(_nothing_to_ask(run))
    run.save()
    record("generation.queued", run, actor=actor, policy=run.policy_id, prompts=run.progress_total)
    ring(run.job, run.pk)
    return run


class Begun(NamedTuple):
    """The runs that a plan began, which it had begun before, and why a policy of it was not asked."""

    runs: list[GenerationRun]
    under_way: list[GenerationRun]
    refusals: list[str]


@transaction.atomic
def request_planned(*, plan: SamplingPlan, actor: User) -> Begun:
    """Queue a run for each policy of the plan; those of several are begun together.

    They join the runs of before whose responses are not compared yet. A policy that is being asked in this way is left
    out, and one that has answered everything, with the sentence that says so. Raises InvalidInput where one cannot be
    asked at all: then none is, since the comparison of them all is what was planned.
    """
    SamplingPlan.objects.select_for_update(no_key=True).get(pk=plan.pk)  # of two acts one begins
    begun = Begun([], [], [])
    for policy in planned_policies(plan):
        if (run := under_way(plan, policy).first()) is not None:
            begun.under_way.append(run)
            continue
        try:
            with transaction.atomic():
                run = request_candidates(
                    project=plan.project,
                    policy=policy,
                    per_prompt=plan.per_prompt,
                    temperature=plan.temperature,
                    max_tokens=plan.max_tokens,
                    actor=actor,
                )
        except Conflict as nothing:
            if str(nothing) not in begun.refusals:
                begun.refusals.append(str(nothing))
        else:
            begun.runs.append(run)
    if begun.runs and plan.policies.count() > 1:
        _join(plan, begun.runs)
    return begun


@transaction.atomic
def cancel(*, run: GenerationRun, actor: User | None) -> GenerationRun:
    """Stop a run; what it has stored stays."""
    if run.is_over:
        raise Conflict(f"This run is {run.status} already; there is nothing to cancel.")
    run.request_cancel()
    record("generation.cancelled", run, actor=actor)
    return run


@transaction.atomic
def resume(*, run: GenerationRun, actor: User | None) -> GenerationRun:
    """Queue a run again that ended early or with failures; it goes on with what lacks."""
    left = wanted(run).count()
    if left == 0:
        raise Conflict("Every prompt of this run has its candidates; there is nothing to resume.")
    if not run.queue_again():
        raise Conflict("This run is under way already.")
    RunGroup.objects.filter(runs=run).update(paired_at=None)
    record("generation.resumed", run, actor=actor, prompts=left)
    return run


def _join(plan: SamplingPlan, begun: Sequence[GenerationRun]) -> None:
    """Put the runs into one group with those that wait to be compared: whoever ends a group waits for this act."""
    groups = list(groups_to_join(plan).select_for_update(of=("self",)))
    group = groups[0] if groups else RunGroup.objects.create(project=plan.project)
    closed = [one.pk for one in groups[1:] if one.paired_at is not None]
    waiting = Q(group__in=closed) | Q(group=None, pk__in=waiting_runs(plan).values("pk"))
    GenerationRun.objects.filter(waiting | Q(pk__in=[one.pk for one in begun])).update(group=group)
    RunGroup.objects.filter(pk__in=closed).delete()
    RunGroup.objects.filter(pk=group.pk).update(paired_at=None)
    for one in begun:
        one.group = group


def _check_policy(project: Project, policy: ModelVersion | None) -> None:
    if policy is None:
        raise InvalidInput.at(
            "policy", "No policy serves this project yet; name one, or promote one on Models."
        )
    if policy.project_id != project.pk or policy.kind != ModelVersion.Kind.POLICY:
        raise InvalidInput.at(
            "policy", f"{policy.name} v{policy.number} is no policy of this project."
        )
    check_may_be_asked(policy, field="policy")


def _nothing_to_ask(run: GenerationRun) -> str:
    if not run.project.prompts.exists():
        return "This project has no prompts yet; import some first."
    return (
        f"{run.policy} has answered every prompt in this way already. Change the seed or the "
        "temperature to get other responses, or import more prompts."
    )
