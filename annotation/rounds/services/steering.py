"""A person's hand on a round: pause, resume, cancel, go on with the labels there are, promote what it made."""

from django.db import transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.comparisons.batches import batch_of
from annotation.comparisons.models import Batch
from annotation.core.errors import Conflict
from annotation.core.jobs import JobModel
from annotation.evaluations.services import stop_evaluation
from annotation.generation.services import cancel as cancel_generation
from annotation.generation.services import resume as resume_generation
from annotation.registry.models import ModelVersion
from annotation.registry.services import promote
from annotation.rounds.models import Round
from annotation.rounds.services.advancing import begin_snapshot, hold_labels
from annotation.runs.models import TrainingRun
from annotation.runs.selectors import may_sample
from annotation.runs.services import SampleOn, cancel_run, resume_run

Stage, State = Round.Stage, Round.State
ENDED_BADLY = frozenset({JobModel.Status.FAILED, JobModel.Status.CANCELLED})
ENDED = ENDED_BADLY | {JobModel.Status.DONE}


@transaction.atomic
def pause_round(*, row: Round, actor: User) -> Round:
    """Take no further step; the part under way ends, and no label is asked for meanwhile."""
    _change(row, State.PAUSED, only_from=(State.RUNNING,))
    hold_labels(row, Batch.State.PAUSED)
    record("round.paused", row, actor=actor)
    return row


@transaction.atomic
def resume_round(*, row: Round, actor: User) -> Round:
    """Go on after a pause or a failure: the part that failed is queued again, with what it has kept.

    A server that may be asked no more is left: the policy's run then samples by itself.
    """
    had_failed = row.state == State.FAILED
    _change(row, State.RUNNING, only_from=(State.PAUSED, State.FAILED))
    Round.objects.filter(pk=row.pk).update(error="")
    _leave_lost_server(row, actor)
    hold_labels(row, Batch.State.OPEN)
    _resume_part(row, actor)
    if row.stage == Stage.SNAPSHOT:
        _renew_snapshot(row, ENDED if had_failed else ENDED_BADLY)
    record("round.resumed", row, actor=actor)
    row.refresh_from_db()
    return row


def _leave_lost_server(row: Round, actor: User) -> None:
    run = row.policy_run
    is_needed = run is None or run.status in ENDED_BADLY
    if row.sampler is not None and is_needed and not may_sample(row.project, row.sampler):
        record("round.server_left", row, actor=actor, server=str(row.sampler))
        row.sampler = None
        row.save(update_fields=["sampler"])


def _resume_part(row: Round, actor: User) -> None:
    generation, run = row.generation, _run_of(row)
    if row.stage == Stage.GENERATE and generation and generation.status in ENDED_BADLY:
        resume_generation(run=generation, actor=actor)
    if run is not None and run.status in ENDED_BADLY:
        is_lost = run.sampler is not None and not may_sample(row.project, run.sampler)
        resume_run(run=run, actor=actor, sample_on=SampleOn(None) if is_lost else None)


def _renew_snapshot(row: Round, where: frozenset[str]) -> None:
    """Build it anew, with the project's shares of now; after a failure a built one too: it may hold too little."""
    if row.snapshot is None or row.snapshot.status in where:
        begin_snapshot(row)


def _run_of(row: Round) -> TrainingRun | None:
    return {Stage.REWARD: row.reward_run, Stage.POLICY: row.policy_run}.get(Stage(row.stage))


@transaction.atomic
def cancel_round(*, row: Round, actor: User) -> Round:
    """End it for good: the part under way is stopped, its batch closed. What was made stays."""
    _change(row, State.CANCELLED, only_from=(State.RUNNING, State.PAUSED, State.FAILED))
    Round.objects.filter(pk=row.pk).update(finished_at=timezone.now())
    generation, run = row.generation, _run_of(row)
    if row.stage == Stage.GENERATE and generation and not generation.is_over:
        cancel_generation(run=generation, actor=actor)
    hold_labels(row, Batch.State.CLOSED)
    if row.stage == Stage.EVALUATE and row.evaluation and not row.evaluation.is_over:
        stop_evaluation(row=row.evaluation, actor=actor)
    if row.stage == Stage.SNAPSHOT and row.snapshot and not row.snapshot.is_over:
        row.snapshot.request_cancel()
    if run is not None and not run.is_over:
        cancel_run(run=run, actor=actor)
    record("round.cancelled", row, actor=actor)
    row.refresh_from_db()
    return row


@transaction.atomic
def take_labels(*, row: Round, actor: User) -> Round:
    """Go on with the labels that are there; the batch stays open for more. Raises Conflict without any."""
    refuse_without_labels(row)
    here = Round.objects.filter(pk=row.pk, stage=Stage.LABEL, state=State.RUNNING)
    if not here.update(labels_are_enough=True):
        raise Conflict(f"{row} does not wait for labels now.")
    record("round.labels_taken", row, actor=actor)
    row.refresh_from_db()
    return row


def refuse_without_labels(row: Round) -> None:
    """A snapshot without one new label holds only what earlier rounds learned from."""
    if row.stage != Stage.LABEL or row.batch_id is None:
        return
    batch = batch_of(row.project, row.batch_id)
    given: int = batch.labels_given  # type: ignore[attr-defined] # annotated
    wanted: int = batch.labels_wanted  # type: ignore[attr-defined] # annotated
    if not given:
        raise Conflict(
            f"{row} has brought 0 of {wanted} labels yet: it would train on old votes alone. "
            "Wait for the first label, or cancel it."
        )


@transaction.atomic
def take_votes(*, row: Round, actor: User) -> Round:
    """End the blind vote with what was said; the round ends with it."""
    if row.stage != Stage.EVALUATE or row.state != State.RUNNING or row.evaluation is None:
        raise Conflict(f"{row} does not wait for blind votes now.")
    stop_evaluation(row=row.evaluation, actor=actor)
    record("round.votes_taken", row, actor=actor)
    row.refresh_from_db()
    return row


@transaction.atomic
def promote_result(*, row: Round, actor: User) -> ModelVersion:
    """Let the policy of a finished round serve; the next round starts from it."""
    made = row.policy_run.model_version if row.policy_run else None
    if row.state != State.DONE or made is None:
        raise Conflict(f"{row} is {row.state}; it has no policy to promote yet.")
    version = promote(version=made, actor=actor)
    Round.objects.filter(pk=row.pk).update(verdict={**row.verdict, "promoted": True})
    return version


def _change(row: Round, state: Round.State, *, only_from: tuple[Round.State, ...]) -> None:
    here = Round.objects.filter(pk=row.pk, state__in=only_from)
    if not here.update(state=state, moved_at=timezone.now()):
        row.refresh_from_db()
        raise Conflict(f"{row} is {row.state}; only a {' or '.join(only_from)} one can be that.")
    row.refresh_from_db()
