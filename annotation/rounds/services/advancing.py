"""What moves a round: each step looks at the row of its part, and where that is done begins the next.

A step is one transaction. It first moves the stage by a conditional update, which only one process can win; what it
then makes is made once. Where a step cannot be taken the round fails with the sentence, and can be resumed.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from annotation.audit.services import record
from annotation.comparisons.batches import batch_of
from annotation.comparisons.models import Batch
from annotation.comparisons.services.batches import Chosen, create_batch, set_state
from annotation.core.errors import Conflict, DomainError
from annotation.core.jobs import JobModel
from annotation.datasets.selectors import splits_of_newest
from annotation.datasets.services.requesting import request_snapshot
from annotation.evaluations.services import start_evaluation, stop_evaluation
from annotation.generation.models import Candidate
from annotation.registry.models import ModelVersion
from annotation.registry.services import promote
from annotation.rounds.models import Round
from annotation.rounds.plans import Plan
from annotation.rounds.verdicts import alarms_of, verdict_of
from annotation.runs.models import TrainingRun
from annotation.runs.services import queue_run
from annotation.runs.specs import preset_settings

logger = logging.getLogger(__name__)
Stage, State = Round.Stage, Round.State
Status = JobModel.Status


def advance_all() -> int:
    """Move every running round as far as it can go; how many moved. Harmless in any number."""
    running = Round.objects.filter(state=State.RUNNING).order_by("pk")
    return sum(advance(pk) for pk in running.values_list("pk", flat=True))


def advance(pk: int) -> bool:
    """Take the next step of one round, if its part is done; whether something changed."""
    row = Round.objects.select_related(
        *["project", "policy", "sampler", "generation", "batch", "snapshot", "created_by"],
        *["evaluation__project", "evaluation__batch", "evaluation__created_by"],
        *["evaluation__generation", "evaluation__baseline_generation"],
        *["reward_run__model_version", "policy_run__model_version"],
    ).get(pk=pk)
    if row.state != State.RUNNING:
        return False
    try:
        with transaction.atomic():
            return STEPS[Stage(row.stage)](row)
    except DomainError as error:
        row.refresh_from_db(fields=["stage"])  # the step was rolled back
        return fail(row, str(error))


def fail(row: Round, sentence: str) -> bool:
    """Stop with the reason; the part that failed stays as it is."""
    here = Round.objects.filter(pk=row.pk, state=State.RUNNING, stage=row.stage)
    if not here.update(state=State.FAILED, error=sentence, moved_at=timezone.now()):
        return False
    record("round.failed", row, actor=None, stage=row.stage, reason=sentence)
    logger.info("round.failed", extra={"pk": row.pk, "stage": row.stage})
    return True


def moved(row: Round, stage: Round.Stage) -> bool:
    """Go on to ``stage``; False if another process was faster, or the round was stopped."""
    here = Round.objects.filter(pk=row.pk, state=State.RUNNING, stage=row.stage)
    if not here.update(stage=stage, moved_at=timezone.now()):
        return False
    row.stage = stage
    record("round.moved", row, actor=None, stage=stage.value)
    return True


def is_done(part: JobModel | None, name: str) -> bool:
    """Whether a part has ended well. Raises Conflict with its own reason where it ended otherwise."""
    if part is None:
        raise Conflict(f"The {name} of this round is not there; resume the round to make it anew.")
    if part.status == Status.CANCELLED:
        raise Conflict(f"The {name} was cancelled. Resume the round to go on with it.")
    if part.status == Status.FAILED:
        raise Conflict(f"The {name} failed: {part.error}")
    return part.status == Status.DONE


def after_responses(row: Round) -> bool:
    """Put the new comparisons before people, as one batch."""
    if not is_done(row.generation, "generation run") or not moved(row, Stage.LABEL):
        return False
    if not Candidate.objects.filter(run_id=row.generation_id).exists():
        raise Conflict(
            "The policy said nothing new: every response was there before. Cancel this round, and "
            "start one with a higher temperature or with more prompts."
        )
    row.batch = create_batch(
        project=row.project,
        name=f"Round {row.number}",
        chosen=Chosen(generation_run=row.generation_id),
        actor=row.created_by,
    )
    row.save(update_fields=["batch"])
    return True


def after_labels(row: Round) -> bool:
    """Freeze what was said, once enough of it is there."""
    if not has_labels(row) or not moved(row, Stage.SNAPSHOT):
        return False
    begin_snapshot(row)
    return True


def has_labels(row: Round) -> bool:
    """Whether the batch has the share of labels that the plan wants, or a person said it is enough."""
    if row.batch_id is None:
        raise Conflict("The batch of this round is not there; cancel the round and start another.")
    batch = batch_of(row.project, row.batch_id)
    wanted: int = batch.labels_wanted  # type: ignore[attr-defined] # annotated
    given: int = batch.labels_given  # type: ignore[attr-defined] # annotated
    if batch.state == Batch.State.CLOSED and wanted and not given:
        raise Conflict(
            "The batch of this round was closed before it brought a label. Open the batch again and "
            "resume the round, or cancel the round."
        )
    if row.labels_are_enough or batch.state == Batch.State.CLOSED:
        return True
    return given >= wanted * Plan.from_json(row.plan).label_share


def begin_snapshot(row: Round) -> None:
    """With the splits of the snapshot before: no prompt that was held out is learned from."""
    row.snapshot = request_snapshot(
        project=row.project,
        name=f"Round {row.number}",
        query=splits_of_newest(row.project),
        actor=row.created_by,
    )
    row.save(update_fields=["snapshot"])


def after_snapshot(row: Round) -> bool:
    """Train the reward model, or the policy at once where its algorithm needs none."""
    if not is_done(row.snapshot, "snapshot"):
        return False
    if not Plan.from_json(row.plan).has_reward_model:
        return begin_policy(row)
    if not moved(row, Stage.REWARD):
        return False
    row.reward_run = queued(row, "reward_model")
    row.save(update_fields=["reward_run"])
    return True


def after_reward(row: Round) -> bool:
    """Improve the policy against the new reward model."""
    return is_done(row.reward_run, "reward model's run") and begin_policy(row)


def begin_policy(row: Round) -> bool:
    if not moved(row, Stage.POLICY):
        return False
    reward = row.reward_run.model_version if row.reward_run else None
    row.policy_run = queued(
        row, Plan.from_json(row.plan).algorithm, reward_model=reward, sampler=row.sampler
    )
    row.save(update_fields=["policy_run"])
    return True


def queued(
    row: Round,
    kind: str,
    *,
    reward_model: ModelVersion | None = None,
    sampler: ModelVersion | None = None,
) -> TrainingRun:
    """The run of this round and kind, with the settings of its preset."""
    assert row.snapshot is not None  # noqa: S101 - its stage says so
    settings = preset_settings(Plan.from_json(row.plan).preset, kind)
    return queue_run(
        project=row.project,
        spec={"kind": kind, **settings},
        snapshot=row.snapshot,
        base_model=row.policy,
        reward_model=reward_model,
        sampler=sampler,
        name=f"round-{row.number}-{kind.replace('_', '-')}",
        actor=row.created_by,
    )


def after_policy(row: Round) -> bool:
    """Ask people, where the plan says so; that they cannot be asked is told, and stops nothing."""
    if not is_done(row.policy_run, "policy's run") or not moved(row, Stage.EVALUATE):
        return False
    if Plan.from_json(row.plan).blind_prompts:
        try:
            ask_people(row)
        except DomainError as error:
            row.verdict = {"people": f"People were not asked: {error}"}
            row.save(update_fields=["verdict"])
    return True


def ask_people(row: Round) -> None:
    """The new policy against the one the round started from, on prompts neither was trained on."""
    plan = Plan.from_json(row.plan)
    assert row.policy_run is not None and row.policy_run.model_version is not None  # noqa: S101, PT018
    row.evaluation = start_evaluation(
        project=row.project,
        policy=row.policy_run.model_version,
        baseline=row.policy,
        reward_model=row.reward_run.model_version if row.reward_run else None,
        prompts=plan.blind_prompts,
        temperature=plan.temperature,
        max_tokens=plan.max_tokens,
        actor=row.created_by,
    )
    row.save(update_fields=["evaluation"])


def has_verdict_of_people(row: Round) -> bool:
    """Whether nothing more is to come from people; past the days of the plan, their vote is ended."""
    if row.evaluation is None or row.evaluation.is_over:
        return True
    if timezone.now() < row.moved_at + timedelta(days=Plan.from_json(row.plan).blind_days):
        return False
    try:
        stop_evaluation(row=row.evaluation, actor=row.created_by)
    except Conflict:  # it ended at this moment
        row.evaluation.refresh_from_db()
    return True


def after_evaluation(row: Round) -> bool:
    """Say what the new policy is worth, and let it serve where the plan says so and no guard spoke up."""
    assert row.policy_run is not None and row.policy_run.model_version is not None  # noqa: S101, PT018
    if not has_verdict_of_people(row):
        return False
    verdict = verdict_of(row)
    alarms = alarms_of(row)
    is_wanted = Plan.from_json(row.plan).promotion == "when_better" and verdict.is_better is True
    is_promoted = is_wanted and not alarms
    facts = {
        "is_better": verdict.is_better,
        "sentence": verdict.sentence,
        "promoted": is_promoted,
        "held_back": is_wanted and bool(alarms),
        "alarms": alarms,
        **row.verdict,  # why people were not asked
    }
    here = Round.objects.filter(pk=row.pk, state=State.RUNNING, stage=Stage.EVALUATE)
    now = timezone.now()
    if not here.update(state=State.DONE, verdict=facts, moved_at=now, finished_at=now):
        return False
    if is_promoted:
        promote(version=row.policy_run.model_version, actor=row.created_by)
    record("round.done", row, actor=None, **facts)
    return True


def hold_labels(row: Round, state: Batch.State) -> None:
    """Pause, open or close the batch that waits for people now, where there is one that is not over."""
    batch = row.batch if row.stage == Stage.LABEL else None
    if row.stage == Stage.EVALUATE and row.evaluation is not None:
        batch = row.evaluation.batch
    if batch is not None and batch.state != Batch.State.CLOSED:
        set_state(batch=batch, state=state, actor=row.created_by)


STEPS: Mapping[Round.Stage, Callable[[Round], bool]] = {
    Stage.GENERATE: after_responses,
    Stage.LABEL: after_labels,
    Stage.SNAPSHOT: after_snapshot,
    Stage.REWARD: after_reward,
    Stage.POLICY: after_policy,
    Stage.EVALUATE: after_evaluation,
}
