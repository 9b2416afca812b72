"""Two policies are compared by one act: both answer the same held-out prompts, people vote blind.

An always-valid interval ends it: however often it is looked at, it keeps its promise.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from django.db import transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.batches import open_batch, set_state
from annotation.comparisons.services.pairing import Pairing, compare_sets
from annotation.core.errors import Conflict, DomainError, InvalidInput
from annotation.core.jobs import UNDER_WAY, Job, JobModel, ring
from annotation.evaluations.evidence import evidence_of
from annotation.evaluations.models import Evaluation, RewardComparison
from annotation.evaluations.selectors import Pairs, held_out_prompts, pairs_of
from annotation.generation.models import GenerationRun
from annotation.generation.services import cancel as cancel_generation
from annotation.generation.services import request_candidates
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion

State, Status = Evaluation.State, JobModel.Status
SEED = 9_000_000  # far from those of generation runs: a fresh answer
FIRST = 10  # priority of its comparisons in the queue
MOST_PROMPTS = 10_000
NONE_REFUSED: Mapping[str, str] = MappingProxyType({})


@transaction.atomic
def start_evaluation(  # noqa: PLR0913 - what an evaluation is made of
    *,
    project: Project,
    policy: ModelVersion,
    baseline: ModelVersion,
    reward_model: ModelVersion | None = None,
    prompts: int = 100,
    temperature: float = 0.8,
    max_tokens: int = 256,
    is_judged: bool = True,
    actor: User | None,
) -> Evaluation:
    """Ask both policies; all that follows happens in the sweep of a cpu worker.

    Raises InvalidInput at the field that cannot be, Conflict where no prompt is held out for both.
    """
    _check(project, policy, baseline, reward_model, prompts)
    if not is_judged and reward_model is None:
        raise InvalidInput.at("reward_model", "Ask people, a reward model, or both; nobody was.")
    chosen = _chosen_prompts(project, policy, baseline, reward_model, most=prompts)
    row = Evaluation.objects.create(
        project=project,
        policy=policy,
        baseline=baseline,
        is_judged=is_judged,
        prompts=len(chosen),
        created_by=actor,
    )
    if reward_model is not None:
        RewardComparison.objects.create(
            evaluation=row,
            reward_model=reward_model,
            status=Status.CANCELLED,  # until there are answers to score
            created_by=actor,
        )
    row.generation, row.baseline_generation = (
        request_candidates(
            project=project,
            policy=one,
            per_prompt=1,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=SEED + row.pk,
            prompt_ids=chosen,
            pair_after=False,
            actor=actor,
        )
        for one in (policy, baseline)
    )
    row.save(update_fields=["generation", "baseline_generation"])
    facts = {"policy": policy.pk, "baseline": baseline.pk, "prompts": len(chosen)}
    record("evaluation.started", row, actor=actor, **facts)
    return row


def _chosen_prompts(
    project: Project,
    policy: ModelVersion,
    baseline: ModelVersion,
    reward_model: ModelVersion | None,
    *,
    most: int,
) -> list[int]:
    """Prompts that none of them was trained on. Raises Conflict where there are none."""
    versions = [one for one in (policy, baseline, reward_model) if one is not None]
    chosen = held_out_prompts(project, versions, most=most)
    if not chosen:
        raise Conflict(
            "Every prompt of this project was in the training split of one of the two, of a reward model that "
            "taught them, or of the reward model that scores; import more prompts, or build snapshots "
            "with a larger test split."
        )
    return chosen


def _check(
    project: Project,
    policy: ModelVersion,
    baseline: ModelVersion,
    reward_model: ModelVersion | None,
    prompts: int,
) -> None:
    for field, one, kind in (
        ("policy", policy, ModelVersion.Kind.POLICY),
        ("baseline", baseline, ModelVersion.Kind.POLICY),
        ("reward_model", reward_model, ModelVersion.Kind.REWARD),
    ):
        if one is not None and (one.project_id != project.pk or one.kind != kind):
            raise InvalidInput.at(field, f"{one} is no {kind.label.lower()} of this project.")
    if policy.pk == baseline.pk:
        raise InvalidInput.at(
            "baseline", f"{policy} cannot be compared with itself; choose another."
        )
    if not 1 <= prompts <= MOST_PROMPTS:
        raise InvalidInput.at("prompts", f"{prompts} is not from 1 to {MOST_PROMPTS:,}.")


def advance_evaluations() -> int:
    """Take the next step of each that is under way; how many changed. Harmless in any number."""
    under_way = Evaluation.objects.filter(state__in=(State.ANSWERING, State.COMPARING))
    return sum(
        advance_evaluation(pk) for pk in under_way.order_by("pk").values_list("pk", flat=True)
    )


def advance_evaluation(pk: int) -> bool:
    """Compare what was answered, or stop where enough was said; whether something changed."""
    row = Evaluation.objects.select_related(
        *["project", "generation__policy", "baseline_generation__policy", "batch", "created_by"]
    ).get(pk=pk)
    try:
        with transaction.atomic():
            return _compare(row) if row.state == State.ANSWERING else _decide(row)
    except DomainError as error:
        return _fail(row, str(error))


def _compare(row: Evaluation) -> bool:
    """Put each prompt's two answers before people, once both policies are done."""
    runs = (row.generation, row.baseline_generation)
    for run in runs:
        assert run is not None  # noqa: S101 - set when it was started
        if run.status in {Status.FAILED, Status.CANCELLED}:
            raise Conflict(f"{run.policy} gave no answers: {run.error or 'its run was cancelled'}")
    if any(run is None or run.status != Status.DONE for run in runs):
        return False
    here = Evaluation.objects.filter(pk=row.pk, state=State.ANSWERING)
    if not here.update(state=State.COMPARING):
        return False
    pairs = pairs_of([row])[row.pk]
    sets = _sets_to_compare(pairs)
    if row.is_judged:
        _ask_people(row, sets)
    answers = {one.candidate_id for pair in pairs.values() for one in pair}
    for scoring in RewardComparison.objects.filter(evaluation=row):
        RewardComparison.objects.filter(pk=scoring.pk).update(
            status=Status.QUEUED, progress_total=len(answers), progress_unit="answers"
        )
        ring(Job.SCORE_EVALUATION, scoring.pk)
    return True


def _sets_to_compare(pairs: Pairs) -> dict[int, list[tuple[int, ...]]]:
    """The two answers to each prompt where they differ. Raises Conflict where they do nowhere."""
    sets: dict[int, list[tuple[int, ...]]] = {
        prompt: [tuple(sorted((ours.candidate_id, theirs.candidate_id)))]
        for prompt, (ours, theirs) in pairs.items()
        if ours != theirs
    }
    if not pairs:
        raise Conflict("There is no prompt that both policies answered.")
    if not sets:
        raise Conflict(
            "The two policies gave the same answer to each prompt that both answered: there is nothing to compare. "
            "Raise the temperature, or choose policies that differ more."
        )
    return sets


def _ask_people(row: Evaluation, sets: Mapping[int, Sequence[tuple[int, ...]]]) -> None:
    """Open its batch. A set is compared once in a project: of those that were there the first vote counts.

    What an evaluation that is over left without a vote moves into this batch.
    """
    row.batch = open_batch(
        project=row.project,
        name=f"Evaluation {row.pk}",
        made_from={"evaluation": row.pk},
        actor=row.created_by,
        priority=FIRST,
    )
    pairing = Pairing(overlap=1, batch=row.batch)  # votes of one prompt would not be independent
    there = compare_sets(project=row.project, sets=sets, pairing=pairing)
    left = Comparison.objects.filter(
        pk__in=[one.pk for one in there if one.batch_id != row.batch.pk],
        batch__in=Evaluation.objects.filter(project=row.project).values("batch"),
        state=Comparison.State.HELD,
        batch__state=Batch.State.CLOSED,
        judgments_counted=0,
        slots_taken=0,
    ).exclude(kind=Comparison.Kind.GOLD)
    moved = set(left.values_list("pk", flat=True))
    Comparison.objects.filter(pk__in=moved).update(
        batch=row.batch, state=Comparison.State.OPEN, priority=FIRST, overlap=1
    )
    row.compared_ids = [
        one.pk for one in there if one.batch_id != row.batch.pk and one.pk not in moved
    ]
    row.save(update_fields=["batch", "compared_ids"])


def _decide(row: Evaluation) -> bool:
    """End it where the always-valid interval excludes one half, or nothing more is to come."""
    if not row.is_judged:
        scoring = RewardComparison.objects.get(evaluation=row)
        return scoring.is_over and _end(row, State.UNDECIDED, only_from=State.COMPARING)
    found = evidence_of(row)
    if found.is_decided:
        return _end(row, State.DECIDED, only_from=State.COMPARING)
    if found.open == 0 or (row.batch is not None and row.batch.state == Batch.State.CLOSED):
        return _end(row, State.UNDECIDED, only_from=State.COMPARING)
    return False


@transaction.atomic
def stop_evaluation(*, row: Evaluation, actor: User | None) -> Evaluation:
    """End it now; what was said so far stays its result."""
    if row.is_over or not _end(row, State.STOPPED, only_from=State(row.state)):
        raise Conflict(f"This evaluation is {row.state} already.")
    _cancel_jobs(row, actor=actor)
    record("evaluation.stopped", row, actor=actor)
    row.refresh_from_db()
    return row


@transaction.atomic
def _fail(row: Evaluation, reason: str) -> bool:
    has_ended = _end(row, State.FAILED, only_from=State.ANSWERING, error=reason)
    if has_ended:
        _cancel_jobs(row, actor=None)
    return has_ended


def _cancel_jobs(row: Evaluation, *, actor: User | None) -> None:
    """Nobody waits any more for what its policies answer and its reward model says."""
    runs = [pk for pk in (row.generation_id, row.baseline_generation_id) if pk is not None]
    for run in GenerationRun.objects.filter(pk__in=runs, status__in=UNDER_WAY):
        cancel_generation(run=run, actor=actor)
    for scoring in RewardComparison.objects.filter(evaluation=row, status__in=UNDER_WAY):
        scoring.request_cancel()


def _end(
    row: Evaluation, state: Evaluation.State, *, only_from: Evaluation.State, error: str = ""
) -> bool:
    here = Evaluation.objects.filter(pk=row.pk, state=only_from)
    if not here.update(state=state, error=error, finished_at=timezone.now()):
        return False
    if row.batch is not None and row.batch.state != Batch.State.CLOSED:
        set_state(batch=row.batch, state=Batch.State.CLOSED, actor=row.created_by)
    record("evaluation.ended", row, actor=None, state=state.value)
    return True


def store_scores(
    *,
    pk: int,
    scores: Mapping[str, float],
    truncated: Sequence[str] = (),
    refused: Mapping[str, str] = NONE_REFUSED,
) -> None:
    """Add scores of answers by candidate id; of ``truncated`` the reward model read a part, or of their prompt.

    ``refused`` has those that it scored not, with the reason.
    """
    with transaction.atomic():
        row = RewardComparison.objects.select_for_update().get(pk=pk)
        row.scores = {**row.scores, **scores}
        row.truncated = sorted({*row.truncated, *truncated})
        row.refused = {**row.refused, **refused}
        row.save(update_fields=["scores", "truncated", "refused"])
