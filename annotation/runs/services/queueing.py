"""A run is queued, cancelled, resumed, cloned."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone
from django.utils.text import capfirst

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core import storage
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import Job, ring
from annotation.datasets.models import DatasetSnapshot
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.selectors import may_sample
from annotation.runs.specs import (
    a_run,
    again,
    needs_reward_model,
    resolved_spec,
    stored_spec,
    trained_kind,
)
from annotation.runs.usable import prompts_to_learn_from
from annotation.runs.verdicts import verdicts_in
from training.spec.backbone import refuse_more_layers
from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.events import EventKind
from training.spec.preferences import KtoSpec, SftSpec
from training.spec.records import FEWEST_ROWS
from training.spec.rollouts import RolloutSpec
from training.spec.runs import without_unused

DAY = 86_400
Status = TrainingRun.Status


@transaction.atomic
def queue_run(  # noqa: PLR0913 - a run is made of these
    *,
    project: Project,
    spec: Mapping[str, Any],  # Any: {"kind": ..., field: value}; checked by training.spec
    snapshot: DatasetSnapshot,
    base_model: ModelVersion,
    reward_model: ModelVersion | None = None,
    held_out_reward_model: ModelVersion | None = None,
    sampler: ModelVersion | None = None,
    name: str,
    actor: User | None,
    timeout_seconds: int = DAY,
) -> TrainingRun:
    """Queue a run of ``spec["kind"]``. Raises InvalidInput naming the field, the value and what is allowed."""
    inputs = Inputs(
        snapshot=snapshot,
        base_model=base_model,
        reward_model=reward_model,
        held_out_reward_model=held_out_reward_model,
        sampler=sampler,
    )
    checked = checked_spec(project=project, spec=spec, inputs=inputs)
    if not 60 <= timeout_seconds <= 60 * DAY:
        raise InvalidInput.at("timeout_seconds", f"{timeout_seconds} is outside 60 to {60 * DAY}.")
    run = TrainingRun.objects.create(
        project=project,
        name=checked_name(name),
        kind=checked.kind,
        spec=stored_spec(checked),
        **inputs._asdict(),
        timeout_seconds=timeout_seconds,
        created_by=actor,
    )
    record("run.queued", run, actor=actor, kind=run.kind, name=run.name)
    ring(Job.EXECUTE_RUN, run.pk)
    return run


def checked_name(name: str) -> str:
    """The name without spaces around it."""
    if not (name := name.replace("\x00", "").strip()):
        raise InvalidInput.at("name", "Give the run a name; its model version will carry it.")
    if len(name) > 120:
        raise InvalidInput.at("name", f"The name has {len(name)} characters; 120 are allowed.")
    return name


class SampleOn(NamedTuple):
    """Where a run that goes on, or a copy of one, samples."""

    server: ModelVersion | None  # None: the run's own process


class Inputs(NamedTuple):
    """The rows that a run learns from, by their fields."""

    snapshot: DatasetSnapshot
    base_model: ModelVersion
    reward_model: ModelVersion | None
    held_out_reward_model: ModelVersion | None
    sampler: ModelVersion | None = None


def checked_spec(
    *,
    project: Project,
    spec: Mapping[str, Any],  # Any: as above
    inputs: Inputs,
) -> RunSpec:
    """The whole spec of a run that could start like this. Raises InvalidInput as in `queue_run`."""
    checked = resolved_spec(spec, **inputs._asdict())
    check_inputs(project=project, spec=checked, inputs=inputs)
    return checked


def check_inputs(*, project: Project, spec: RunSpec, inputs: Inputs) -> None:
    """Refuse what cannot be trained on, at the field that names it."""
    for field, row in inputs._asdict().items():
        if row is not None and row.project_id != project.pk:
            raise InvalidInput.at(field, f"{row.pk} belongs to another project.")
    snapshot = inputs.snapshot
    if snapshot.status != DatasetSnapshot.Status.DONE:
        raise InvalidInput.at(
            "snapshot", f"{snapshot.name} is {snapshot.status}; choose one that is built."
        )
    check_records(spec, snapshot)
    check_base(spec.kind, inputs.base_model)
    check_layers(spec, inputs.base_model)
    check_reward_model(spec.kind, inputs.reward_model)
    check_watcher(spec.kind, inputs.held_out_reward_model, teacher=inputs.reward_model)
    check_sampler(project, spec.kind, inputs.sampler)


def check_records(spec: RunSpec, snapshot: DatasetSnapshot) -> None:
    """Refuse what its manifest says is too little; the trainer counts what it can use of the rest."""
    if not snapshot.manifest.get("counts"):
        return
    found, what = material(spec, snapshot)
    if found < FEWEST_ROWS:
        raise InvalidInput.at(
            "snapshot",
            f"{snapshot.name} has {found} {what}; {a_run(spec.kind)} needs at least {FEWEST_ROWS}. "
            "Judge or write more, and build another snapshot.",
        )
    if snapshot.splits and not prompts_to_learn_from(snapshot, spec.kind, stored_spec(spec)):
        raise InvalidInput.at(
            "snapshot",
            f"No prompt in the train split of {snapshot.name} holds anything that {a_run(spec.kind)} learns from. "
            "Judge or write more, and build another snapshot.",
        )


def material(spec: RunSpec, snapshot: DatasetSnapshot) -> tuple[int, str]:
    """The most rows that a run can find in the snapshot, and what a row is to it."""
    counts = Counter(snapshot.manifest["counts"])
    decided = counts["preferences"] + counts["edit_preferences"]
    match spec:
        case RolloutSpec():
            return snapshot.splits.get("train", 0), "prompts in its train split"
        case SftSpec(include_chosen=False):
            return counts["demonstrations"], "demonstrations"
        case SftSpec():
            chosen = min(decided, snapshot.rows)  # one a prompt
            return counts["demonstrations"] + chosen, "demonstrations and chosen responses"
        case KtoSpec() if told := verdicts_in(snapshot):
            good, bad = told.desirable, told.undesirable
            where = "in its train split"
            return min((good, f"desirable responses {where}"), (bad, f"undesirable ones {where}"))
        case KtoSpec():
            good = decided + counts.get("accepted", counts["signals"])
            bad = decided + counts.get("rejected", counts["signals"]) + counts["unacceptable"]
            return min((good, "responses found good"), (bad, "responses found bad"))
        case _:
            return decided, "decided pairs"


def check_base(kind: str, base: ModelVersion) -> None:
    if base.backend != ModelVersion.Backend.LOCAL:
        raise InvalidInput.at(
            "base_model",
            f"{base.name} is served over HTTP; training needs weights in a folder or a hub name.",
        )
    trained = trained_kind(kind)
    if trained == ModelVersion.Kind.POLICY and base.kind != ModelVersion.Kind.POLICY:
        raise InvalidInput.at("base_model", f"{base.name} is a {base.kind} model; choose a policy.")


def check_layers(spec: RunSpec, base: ModelVersion) -> None:
    """Refuse to keep more layers than the base has, where its config lies here."""
    folder = Path(storage.local_if_here(base.location))
    if not folder.is_absolute():
        return
    try:
        refuse_more_layers(spec, folder)
    except SpecError as error:
        raise InvalidInput.at("layers", str(error)) from error


def check_reward_model(kind: str, reward_model: ModelVersion | None) -> None:
    if not needs_reward_model(kind):
        if reward_model is not None:
            raise InvalidInput.at(
                "reward_model", f"{capfirst(a_run(kind))} takes no reward model; leave it out."
            )
        return
    if reward_model is None:
        raise InvalidInput.at(
            "reward_model", f"{capfirst(a_run(kind))} needs a reward model; train one first."
        )
    if reward_model.kind != ModelVersion.Kind.REWARD:
        raise InvalidInput.at(
            "reward_model", f"{reward_model.name} is a {reward_model.kind}; choose a reward model."
        )


def check_watcher(kind: str, watcher: ModelVersion | None, *, teacher: ModelVersion | None) -> None:
    """Refuse a held-out reward model that cannot watch."""
    field = "held_out_reward_model"
    if watcher is None:
        return
    if not needs_reward_model(kind):
        raise InvalidInput.at(
            field, f"{capfirst(a_run(kind))} takes no reward model; leave it out."
        )
    if watcher.kind != ModelVersion.Kind.REWARD:
        raise InvalidInput.at(field, f"{watcher.name} is a {watcher.kind}; choose a reward model.")
    if watcher == teacher:
        raise InvalidInput.at(
            field, f"{watcher} teaches this run; choose one that learned from other judgments."
        )


def check_sampler(project: Project, kind: str, sampler: ModelVersion | None) -> None:
    """Refuse a server that no admin of the project registered: workers would fetch what an engineer names."""
    if sampler is None:
        return
    if not needs_reward_model(kind):
        raise InvalidInput.at(
            "sampler", f"{capfirst(a_run(kind))} samples nothing while it trains; leave it out."
        )
    if not may_sample(project, sampler):
        raise InvalidInput.at(
            "sampler",
            f"{sampler} is no server that an admin of this project has registered as a policy and that is in use. "
            "Ask an admin to register the server, or leave it out: then the run's own process samples.",
        )


@transaction.atomic
def cancel_run(*, run: TrainingRun, actor: User | None) -> TrainingRun:
    """Cancel a queued run at once; ask a running one to stop after a last checkpoint."""
    if run.is_over:
        raise Conflict(f"{run.name} is already {run.status}; there is nothing to cancel.")
    run.request_cancel()
    record("run.cancelled", run, actor=actor)
    return run


@transaction.atomic
def resume_run(
    *, run: TrainingRun, actor: User | None, sample_on: SampleOn | None = None
) -> TrainingRun:
    """Queue a failed or cancelled run again; it goes on from its newest checkpoint.

    From there it samples on ``sample_on``; None leaves it where it was. Raises InvalidInput where that cannot be.
    """
    before, now_on = run.sampler, sample_on.server if sample_on else run.sampler
    check_follower(run, now_on)
    stopped = TrainingRun.objects.filter(pk=run.pk, status__in=(Status.FAILED, Status.CANCELLED))
    requeued = stopped.update(
        status=Status.QUEUED,
        attempt=0,
        sampler=now_on,
        error="",
        owner="",
        cancel_requested_at=None,
        queued_at=timezone.now(),
        finished_at=None,
    )
    if not requeued:
        run.refresh_from_db()
        raise Conflict(f"{run.name} is {run.status}; only a failed or cancelled run is resumed.")
    record("run.resumed", run, actor=actor)
    if before != now_on:
        places = [str(one or "the run’s own process") for one in (before, now_on)]
        message = "Responses were sampled on {}; from here on, on {}.".format(*places)
        data = {"message": message}
        RunEvent.objects.create(run=run, kind=EventKind.LOG, at=timezone.now(), data=data)
    ring(Job.EXECUTE_RUN, run.pk)
    run.refresh_from_db()
    return run


def check_follower(run: TrainingRun, sampler: ModelVersion | None) -> None:
    """Refuse a server that may not sample for this run, or that its settings could not follow."""
    if sampler is None:
        return
    check_sampler(run.project, run.kind, sampler)
    resolved_spec(
        without_unused({"kind": run.kind, **run.spec}),
        snapshot=run.snapshot,
        base_model=run.base_model,
        reward_model=run.reward_model,
        held_out_reward_model=run.held_out_reward_model,
        sampler=sampler,
    )


def clone_run(
    *, run: TrainingRun, actor: User | None, name: str = "", sample_on: SampleOn | None = None
) -> TrainingRun:
    """Queue a new run with the same spec, records and models; it samples there too, unless ``sample_on`` says where."""
    return queue_run(
        project=run.project,
        spec=without_unused(run.spec),
        snapshot=run.snapshot,
        base_model=run.base_model,
        reward_model=run.reward_model,
        held_out_reward_model=run.held_out_reward_model,
        sampler=sample_on.server if sample_on else run.sampler,
        name=name or again(run),
        actor=actor,
        timeout_seconds=run.timeout_seconds,
    )
