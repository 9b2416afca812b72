"""A training run: its folder is made ready, `python -m training` works there, and a worker follows it to its result."""

import json
import logging
import os
import shlex
import shutil
import signal
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from annotation.core import storage
from annotation.core.bucket import BucketFailed
from annotation.core.errors import DomainError
from annotation.core.jobs import Job
from annotation.core.revision import code_revision
from annotation.evaluations.services import HeldOutPair, keep_card
from annotation.registry.models import ModelVersion
from annotation.runs import services
from annotation.runs.models import TrainingRun
from annotation.runs.services.following import storable
from annotation.runs.specs import resolved_spec
from training.spec.errors import DataError, ModelError, TrainingError
from training.spec.layout import (
    ARTIFACT_DIR,
    CARD_FILE,
    EVENTS_FILE,
    HELD_OUT_FILE,
    LOG_FILE,
    RESULT_FILE,
    SPEC_FILE,
)
from training.spec.records import GROUPS_FILE
from training.spec.rollouts import SAMPLER_KEY
from training.spec.runs import spec_to_dict, without_unused
from workers import process
from workers.checkpoints import Carrier, bring_newest, newest_step, remove_kept, remove_leftovers
from workers.running import Fenced, RunningJob, running

logger = logging.getLogger(__name__)
NAME_FILE = ".name"
LOG_EVERY = 2.0  # seconds between two looks at the log
NO_SPACE = "No space left on device"


class RunFailed(DomainError):  # noqa: N818 - reads as a sentence where it is raised
    """The training process ended without a model; the message says why and what to do."""


@shared_task(name=Job.EXECUTE_RUN.value)
def execute_run(run_id: int) -> None:
    """Train, or go on training, until the run is done, failed or cancelled."""
    with running(TrainingRun.objects, run_id) as job:
        if job is not None:
            execute(job)
    if TrainingRun.objects.filter(pk=run_id, status=TrainingRun.Status.DONE).exists():
        remove_kept(run_folder(run_id))


def execute(job: RunningJob) -> None:
    rows = TrainingRun.objects.select_related(
        *("project", "snapshot", "base_model", "reward_model", "held_out_reward_model", "sampler")
    )
    run = rows.get(pk=job.pk)
    folder = prepare(run, job)
    with Carrier(run.checkpoints_place, folder, tell=lambda text: tell(job, text)) as carrier:
        try:
            status = train(run, folder, job, carrier)
        finally:
            Ear(run, folder, job, carrier).hear_all()
        publish(run, folder, read_result(folder, status))


def publish(run: TrainingRun, folder: Path, result: dict[str, Any]) -> None:  # Any: JSON
    """Make what the run left in its folder a model version with its card."""
    location = storage.share(folder / ARTIFACT_DIR)
    sha256 = storage.sha256_of(location)
    version = services.finish_run(run=run, result=result, location=location, sha256=sha256)
    keep_card(version=version, facts=card_facts(folder, result), held_out=held_out_pairs(folder))


def card_facts(folder: Path, result: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """What the run computed for the card of its model: its own file, or the metrics alone."""
    path = folder / ARTIFACT_DIR / CARD_FILE
    told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    facts: dict[str, Any] = storable(told or {"metrics": result["metrics"]})
    return facts


def held_out_pairs(folder: Path) -> list[HeldOutPair]:
    """The held-out pairs of a reward model's run by name; none of other runs."""
    path = folder / HELD_OUT_FILE
    if not path.is_file():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        HeldOutPair(row["prompt"], row["chosen"], row["rejected"], row["difference"])
        for row in rows
        if row["difference"] is not None
    ]


def prepare(run: TrainingRun, job: RunningJob) -> Path:
    """The run's folder with its spec. What a dead worker left there, or in the bucket, is resumed."""
    folder = run_folder(run.pk)
    settle_in(run, folder, job)
    refuse_missing(run)
    services.check_sampler(run.project, run.kind, run.sampler)  # an admin may have left since
    spec = spec_to_dict(
        resolved_spec(
            without_unused({"kind": run.kind, **run.spec}),
            snapshot=run.snapshot,
            base_model=run.base_model,
            reward_model=run.reward_model,
            held_out_reward_model=run.held_out_reward_model,
            sampler=run.sampler,
            local=storage.local,
        )
    )
    draft = folder / f".{SPEC_FILE}.draft"
    draft.write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / SPEC_FILE)
    forget_failure(folder)
    keep(job, code_revision=code_revision())
    return folder


def settle_in(run: TrainingRun, folder: Path, job: RunningJob) -> None:
    """Make this folder the one that the run works in, with its newest checkpoint.

    Where it worked in another one, or this one was lost, its events are counted from the start.
    """
    if not run.work_folder:
        set_aside(folder)
    remove_leftovers(folder)
    name = name_of_folder(folder)
    is_known = run.work_folder in {"", name}
    is_here = is_known and run.events_offset <= size_of(folder / EVENTS_FILE)
    brought = bring(run, folder, job, is_here=is_here) if run.work_folder else 0
    if is_here:
        keep(job, work_folder=name)
        return
    (folder / EVENTS_FILE).unlink(missing_ok=True)
    step = newest_step(folder)
    is_ours = services.move_run(run_id=run.pk, owner=job.owner, work_folder=name, goes_on_from=step)
    if not is_ours:
        raise Fenced
    place = "from the bucket" if brought else "that was there"
    found = f"the checkpoint of step {step} {place}" if step else "no checkpoint: it starts anew"
    tell(job, f"The run moved to {socket.gethostname()} with {found}.")


def set_aside(folder: Path) -> None:
    """A run that never began owns nothing of what a run with its id in another database left there."""
    if (folder / NAME_FILE).is_file():
        folder.rename(folder.with_name(f"{folder.name}-{name_of_folder(folder)}"))
        folder.mkdir()


def bring(run: TrainingRun, folder: Path, job: RunningJob, *, is_here: bool) -> int:
    """What the bucket has that is newer. One that is away stops only a run that worked elsewhere."""
    try:
        return bring_newest(run.checkpoints_place, folder)
    except BucketFailed as error:
        if not is_here:
            raise
        logger.warning("checkpoint.not_asked", extra={"pk": run.pk, "reason": str(error)})
        tell(job, f"The run goes on from what lies on {socket.gethostname()}. {error}")
        return 0


def keep(job: RunningJob, **columns: str) -> None:
    """Write columns of the run while it is this worker's."""
    mine = TrainingRun.objects.filter(pk=job.pk, owner=job.owner, status=TrainingRun.Status.RUNNING)
    if not mine.update(**columns):
        raise Fenced


def tell(job: RunningJob, message: str) -> None:
    services.tell(run_id=job.pk, owner=job.owner, message=message)


def name_of_folder(folder: Path) -> str:
    """What tells this folder from that of the same run on another machine."""
    path = folder / NAME_FILE
    if not path.is_file():
        path.write_text(uuid.uuid4().hex, encoding="ascii")
    return path.read_text(encoding="ascii")


def run_folder(run_id: int) -> Path:
    """Where a run works: CONCORD_VAR/runs/<id>."""
    return storage.folder("runs", str(run_id))


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def forget_failure(folder: Path) -> None:
    """An earlier attempt's result must not be read as that of this one; one that is done stays."""
    result = folder / RESULT_FILE
    if result.is_file() and b'"done"' not in result.read_bytes():
        result.unlink()


def refuse_missing(run: TrainingRun) -> None:
    """Say which folder is gone before a process starts to look for it."""
    records = Path(storage.local(run.snapshot.folder), GROUPS_FILE)
    if not records.is_file():
        raise DataError(
            f"The records of snapshot {run.snapshot.name} are not at {records}. Build it again."
        )
    for version in filter(None, (run.base_model, run.reward_model, run.held_out_reward_model)):
        path = Path(version.location)
        if path.is_absolute() and not path.is_dir():
            raise ModelError(
                f"The folder of {version.name} v{version.number}, {path}, is not there. "
                "Bring it back, or choose another model."
            )


def train(run: TrainingRun, folder: Path, job: RunningJob, carrier: Carrier) -> int:
    """Run the trainer in its own process; its exit status."""
    has_begun = (folder / EVENTS_FILE).exists() or newest_step(folder)
    act = "resume" if has_begun else "run"
    command = [*shlex.split(settings.CONCORD_TRAINING_COMMAND), act, str(folder)]
    ear = Ear(run, folder, job, carrier)
    with process.start(
        command, folder=folder, log=folder / LOG_FILE, environment=child_environment(run.sampler)
    ) as child:
        try:
            return child.follow(ear.look, timeout_seconds=run.timeout_seconds)
        except process.TimedOut as error:
            raise RunFailed(
                f"The run took longer than its limit of {run.timeout_seconds} seconds and was stopped. "
                "Its checkpoint is kept: resume it, or clone it with fewer steps."
            ) from error


def child_environment(sampler: ModelVersion | None) -> dict[str, str]:
    """The code that this worker runs is the code that trains; the key of the server that samples goes along."""
    paths = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    variable = sampler.api_key_variable if sampler else ""
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise ModelError(
            f"{sampler} wants the key in {variable}, and this worker's environment has none. Set it, then resume."
        )
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        **({SAMPLER_KEY: key} if sampler else {}),
    }


class Ear:
    """Hears what the process says and whether the job may go on."""

    def __init__(self, run: TrainingRun, folder: Path, job: RunningJob, carrier: Carrier) -> None:
        self._run_id = run.pk
        self._folder, self._carrier = folder, carrier
        self._events, self._log = folder / EVENTS_FILE, folder / LOG_FILE
        self._job = job
        offsets = TrainingRun.objects.values_list("events_offset", flat=True)
        self._offset = offsets.get(pk=run.pk)
        self._log_size, self._log_at = -1, 0.0

    def look(self) -> None:
        """One look: at the job, at the events, at checkpoints, now and then at the log.

        A checkpoint is stored after what was said before it. A database that is away for less than
        the lease does not stop a run.
        """
        try:
            self._job.check()
            step = newest_step(self._folder)
            self.hear()
            self._carrier.look(step)
            if time.monotonic() - self._log_at > LOG_EVERY:
                self.keep_log()
        except (OperationalError, InterfaceError) as error:
            logger.warning("run.database_away", extra={"pk": self._run_id, "reason": str(error)})
            connection.close()

    def hear(self) -> bool:
        """Take in what was said since; whether there was anything."""
        lines, end = process.whole_lines(self._events, self._offset)
        if not lines:
            return False
        is_ours = services.take_in_events(
            run_id=self._run_id, owner=self._job.owner, lines=lines, start=self._offset, end=end
        )
        if not is_ours:
            raise Fenced
        self._offset = end
        return True

    def hear_all(self) -> None:
        """What was said until the end, and the end of the log."""
        while self.hear():
            pass
        self.keep_log()

    def keep_log(self) -> None:
        self._log_at = time.monotonic()
        if (size := size_of(self._log)) != self._log_size:
            self._log_size = size
            text = process.tail(self._log)
            services.keep_log(run_id=self._run_id, owner=self._job.owner, text=text)


def read_result(folder: Path, status: int) -> dict[str, Any]:
    """What the process made. Raises with its own sentence, or with ours where it could not write one."""
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        outcome, message = result["status"], (result["error"] or {}).get("message")
        metrics = dict(result["metrics"] or {})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as broken:
        raise RunFailed(sentence_for_end(folder, status)) from broken
    if outcome == "cancelled":
        raise RunFailed(
            "The training process was stopped from outside. Its last checkpoint is kept: resume the run."
        )
    if outcome != "done":
        raise TrainingError(message or sentence_for_end(folder, status))
    if not (folder / ARTIFACT_DIR).is_dir():
        raise RunFailed(
            f"The run says it is done, but {folder / ARTIFACT_DIR} is missing. Resume it."
        )
    return {**result, "metrics": metrics}


def sentence_for_end(folder: Path, status: int) -> str:
    """Why a process ended that could not say so itself."""
    log = process.tail(folder / LOG_FILE)
    if NO_SPACE in log or shutil.disk_usage(folder).free < 1024**2:
        return f"The disk of {folder} is full. Free some space, then resume the run."
    if status == -signal.SIGKILL:
        return (
            "The system killed the training process, most often because memory ran out. "
            "Lower tokens_per_forward or groups_per_step in a clone, or resume on a larger machine."
        )
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "nothing")
    return (
        f"The training process ended with status {status} before it could write its result. "
        f"The last line of its log: {last[:300]}"
    )
