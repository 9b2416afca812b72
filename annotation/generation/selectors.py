"""Finding generation runs, their prompts and candidates; how fast a run goes."""

from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from annotation.core.errors import NotFound
from annotation.core.jobs import UNDER_WAY
from annotation.generation.models import (
    Candidate,
    GenerationRun,
    PlaygroundRun,
    PromptOutcome,
    RunGroup,
    SamplingPlan,
)
from annotation.projects.models import Project
from annotation.projects.selectors import criterion_titles
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion


def runs_of(project: Project) -> QuerySet[GenerationRun]:
    """The project's generation runs with their policies, newest first."""
    rows = GenerationRun.objects.filter(project=project)
    return rows.select_related("policy", "created_by").order_by("-pk")


def run_for(project: Project, pk: int) -> GenerationRun:
    """One generation run of the project."""
    run = runs_of(project).filter(pk=pk).first()
    if run is None:
        raise NotFound(f"There is no generation run {pk} in {project.name}.")
    return run


def prompt_for(project: Project, pk: int) -> Prompt:
    """One prompt of the project."""
    prompt = Prompt.objects.filter(project=project, pk=pk).first()
    if prompt is None:
        raise NotFound(f"There is no prompt {pk} in {project.name}.")
    return prompt


def candidates_of(project: Project, prompt: Prompt | None = None) -> QuerySet[Candidate]:
    """Candidates of the project (of one prompt) with where they came from, newest first."""
    rows = Candidate.objects.filter(project=project)
    if prompt is not None:
        rows = rows.filter(prompt=prompt)
    return rows.select_related("policy", "run", "author").order_by("-pk")


def policies_of(project: Project) -> QuerySet[ModelVersion]:
    """The policies that may be asked, the serving one first."""
    rows = ModelVersion.objects.filter(project=project, kind=ModelVersion.Kind.POLICY)
    return rows.order_by("-stage", "-pk")  # of candidate, retired, serving the last is the first


def planned_policies(plan: SamplingPlan) -> QuerySet[ModelVersion]:
    """The policies of a plan in the order in which they are offered; none of a plan that is not saved."""
    return policies_of(plan.project).filter(pk__in=plan.policies.values("pk"))


def lacking(run: GenerationRun) -> QuerySet[Prompt]:
    """Prompts of the project that the policy has not answered in this way, oldest first."""
    asked_this_way = PromptOutcome.objects.filter(
        prompt=OuterRef("pk"),
        reason="",
        run__policy_id=run.policy_id,
        run__per_prompt__gte=run.per_prompt,
        run__temperature=run.temperature,
        run__top_p=run.top_p,
        run__max_tokens=run.max_tokens,
        run__seed=run.seed,
    )
    rows = Prompt.objects.filter(project_id=run.project_id).exclude(Exists(asked_this_way))
    rows = rows.filter(pk__in=run.prompt_ids) if run.prompt_ids else rows
    return rows.order_by("pk")


def wanted(run: GenerationRun) -> QuerySet[Prompt]:
    """What the run has still to ask: those that lack, within its most prompts."""
    rows = lacking(run)
    if run.max_prompts == 0:
        return rows
    answered = run.outcomes.filter(reason="").count() if run.pk else 0
    return rows[: max(0, run.max_prompts - answered)]


def begun_with(run: GenerationRun) -> QuerySet[GenerationRun]:
    """The others of the runs that were begun together, with their policies."""
    together = GenerationRun.objects.filter(group__isnull=False, group=run.group_id)
    return together.exclude(pk=run.pk).select_related("policy").order_by("pk")


def is_awaited(run: GenerationRun, prompt: Prompt) -> bool:
    """Whether a run that was begun with this one has yet to answer the prompt."""
    return any(
        lacking(one).filter(pk=prompt.pk).exclude(outcomes__run=one).exists()
        for one in begun_with(run)
        if not one.is_over
    )


def held_for_others() -> Exists:
    """Of prompts: some of their responses wait to be compared with those of a run begun together with theirs."""
    said = Candidate.objects.filter(prompt=OuterRef("pk"), run__group__isnull=False)
    return Exists(said.filter(run__group__paired_at=None))


def under_way(plan: SamplingPlan, policy: ModelVersion) -> QuerySet[GenerationRun]:
    """Runs that ask this policy for all that the plan would, and are not over."""
    like = GenerationRun(
        project=plan.project, temperature=plan.temperature, max_tokens=plan.max_tokens
    )
    return runs_of(plan.project).filter(
        status__in=UNDER_WAY,
        policy=policy,
        per_prompt__gte=plan.per_prompt,
        temperature=like.temperature,
        top_p=like.top_p,
        max_tokens=like.max_tokens,
        seed=like.seed,
        max_prompts=like.max_prompts,
        prompt_ids=like.prompt_ids,
    )


def waiting_runs(plan: SamplingPlan) -> QuerySet[GenerationRun]:
    """Runs of the plan's policies that said something to a prompt of which nothing was compared, though it could be."""
    prompts = Prompt.objects.filter(project=plan.project, comparisons=None)
    several = prompts.annotate(many=Count("candidates")).filter(many__gt=1)
    said = Candidate.objects.filter(run=OuterRef("pk"), prompt__in=several.values("pk"))
    rows = GenerationRun.objects.filter(project=plan.project, policy__in=plan.policies.all())
    return rows.filter(Exists(said))


def groups_to_join(plan: SamplingPlan) -> QuerySet[RunGroup]:
    """Groups that more runs of the plan belong to, an open one first: what theirs said is not compared yet."""
    runs = GenerationRun.objects.filter(group=OuterRef("pk"), policy__in=plan.policies.all())
    waiting = waiting_runs(plan).values("group")
    rows = RunGroup.objects.filter(Q(paired_at=None) | Q(pk__in=waiting), Exists(runs))
    in_project = rows.filter(project=plan.project)
    return in_project.order_by(F("paired_at").desc(nulls_first=True), "-pk")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """How a run stands: what it stored, what failed or was not read whole, how fast it goes."""

    candidates: int
    duplicates: int
    failures: int
    prompts_cut: int
    prompts_a_minute: float | None
    seconds_left: int | None


def facts_of(run: GenerationRun) -> RunFacts:
    """Counts of a run, and while it runs its rate and the time that is left."""
    outcomes = PromptOutcome.objects.filter(run=run)
    sums = outcomes.aggregate(made=Sum("candidates"), dropped=Sum("duplicates"))
    rate = _prompts_a_second(run)
    left = max(0, run.progress_total - run.progress_done)
    return RunFacts(
        candidates=sums["made"] or 0,
        duplicates=sums["dropped"] or 0,
        failures=outcomes.exclude(reason="").count(),
        prompts_cut=outcomes.filter(prompt_tokens_cut__gt=0).count(),
        prompts_a_minute=rate * 60 if rate else None,
        seconds_left=round(left / rate) if rate and run.status == run.Status.RUNNING else None,
    )


def _prompts_a_second(run: GenerationRun) -> float | None:
    if run.started_at is None:
        return None
    until = run.finished_at or timezone.now()
    done = PromptOutcome.objects.filter(run=run, at__gte=run.started_at).count()
    seconds = (until - run.started_at).total_seconds()
    return done / seconds if done and seconds > 0 else None


def failures_of(run: GenerationRun, most: int = 100) -> QuerySet[PromptOutcome]:
    """The newest prompts that failed, with the reason."""
    rows = PromptOutcome.objects.filter(run=run).exclude(reason="")
    return rows.select_related("prompt").order_by("-at")[:most]


def cuts_of(run: GenerationRun, most: int = 100) -> QuerySet[PromptOutcome]:
    """The newest prompts that were longer than the policy reads."""
    rows = PromptOutcome.objects.filter(run=run, prompt_tokens_cut__gt=0)
    return rows.order_by("-at")[:most]


def estimate(project: Project) -> dict[str, Any]:  # Any: counts for a template
    """What the form tells before a run is started."""
    return Prompt.objects.filter(project=project).aggregate(prompts=Count("pk"))


def playground_runs_of(project: Project) -> QuerySet[PlaygroundRun]:
    """The project's playground runs, newest first."""
    rows = PlaygroundRun.objects.filter(project=project)
    return rows.select_related("reward_model", "created_by").order_by("-pk")


def playground_run_for(project: Project, pk: int) -> PlaygroundRun:
    """One playground run of the project."""
    run = playground_runs_of(project).filter(pk=pk).first()
    if run is None:
        raise NotFound(f"There is no playground run {pk} in {project.name}.")
    return run


class PlaygroundPace(NamedTuple):
    """How long the playground's newest runs took for each model that they asked; None where none was timed."""

    seconds_a_model: float | None
    runs: int


def playground_pace(project: Project, most: int = 10) -> PlaygroundPace:
    """The median of the newest finished runs: loading a model and letting it answer or score once."""
    rows = PlaygroundRun.objects.filter(project=project, status=PlaygroundRun.Status.DONE)
    timed = rows.filter(started_at__isnull=False, progress_total__gt=0).order_by("-pk")[:most]
    times = [
        (run.finished_at - run.started_at).total_seconds() / run.progress_total
        for run in timed
        if run.started_at and run.finished_at
    ]
    return PlaygroundPace(median(times) if times else None, len(times))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundAnswer:
    """One column of the playground: a policy and what it said. ``score`` is None where there is none."""

    policy: ModelVersion
    text: str | None  # None: not there yet, or failed for ``reason``
    is_finished: bool
    reason: str
    score: float | None
    criteria: dict[str, float]  # what the head of each says; empty where the reward model has none
    is_best: bool
    is_truncated: bool  # the reward model scored a part of it, or of its prompt
    prompt_tokens_cut: int  # of the prompt's beginning, which the policy was not shown


def playground_answers(run: PlaygroundRun) -> list[PlaygroundAnswer]:
    """The columns in the order asked for; the highest score is marked."""
    versions = ModelVersion.objects.filter(project_id=run.project_id).in_bulk(run.policy_ids)
    titles = criterion_titles(run.project_id) if run.criterion_scores else {}
    best = max(run.scores.values(), default=None)
    columns = []
    for pk in (one for one in run.policy_ids if one in versions):
        answer, score = run.answers.get(str(pk), {}), run.scores.get(str(pk))
        said = run.criterion_scores.get(str(pk), {})
        column = PlaygroundAnswer(
            policy=versions[pk],
            text=answer.get("text"),
            is_finished=answer.get("is_finished", True),
            reason=answer.get("reason", ""),
            score=score,
            criteria={titles.get(name, name): one for name, one in said.items()},
            is_best=score is not None and score == best and len(run.scores) > 1,
            is_truncated=answer.get("is_truncated", False),
            prompt_tokens_cut=answer.get("prompt_tokens_cut", 0),
        )
        columns.append(column)
    return columns
