"""What a run says, taken in exactly once: the byte offset in its `events.jsonl` moves in the same transaction."""

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.runs.models import RunEvent, TrainingRun
from training.spec.events import EventKind, Machine

LONGEST_LINE = 256 * 1024  # bytes
LAST_STEP = 2**31 - 1  # the database's
# A resumed run says these again for the steps after its checkpoint.
OF_A_STEP = (
    EventKind.METRICS,
    EventKind.SAMPLE,
    EventKind.EVALUATION,
    EventKind.CHECKPOINT,
    EventKind.GUARD,
)


def owned(run_id: int, owner: str) -> QuerySet[TrainingRun]:
    """The run, while it is this worker's."""
    return TrainingRun.objects.filter(pk=run_id, owner=owner, status=TrainingRun.Status.RUNNING)


@transaction.atomic
def take_in_events(
    *, run_id: int, owner: str, lines: Sequence[bytes], start: int, end: int
) -> bool:
    """Store the whole lines between two byte offsets; False if this worker no longer owns the run.

    1. The offset moves from ``start`` to ``end`` only if the run is still this worker's.
    2. A resumed run goes back to its checkpoint: what was said of later steps is forgotten, it comes again.
    3. Progress changes the row of the run; every other event becomes a row of its own.
    """
    if not owned(run_id, owner).filter(events_offset=start).update(events_offset=end):
        return False
    events: list[RunEvent] = []
    for line in lines:
        event = event_of(run_id, line)
        if event.kind == EventKind.STARTED:
            save_events(events)
            events = []
            forget_after(run_id, event.step)
            keep_machine(run_id, event.data.get("machine"))
        events.append(event)
    save_events(events)
    tell_progress(run_id, events)
    return True


def save_events(events: Sequence[RunEvent]) -> None:
    RunEvent.objects.bulk_create(one for one in events if one.kind != EventKind.PROGRESS)


def forget_after(run_id: int, step: int) -> None:
    """A run goes on from the checkpoint of ``step``: it will say again what it said of later steps."""
    RunEvent.objects.filter(run_id=run_id, kind__in=OF_A_STEP, step__gt=step).delete()


def keep_machine(run_id: int, told: Any) -> None:  # Any: what a process wrote
    """Where it computes, by the fields that are known; a process of another version may tell nothing."""
    if isinstance(told, dict):
        known = {one.name: told[one.name] for one in fields(Machine) if one.name in told}
        TrainingRun.objects.filter(pk=run_id).update(machine=known)


def tell_progress(run_id: int, events: Sequence[RunEvent]) -> None:
    """The newest progress on the run's row; a checkpoint gives it fresh attempts."""
    run: QuerySet[TrainingRun] = TrainingRun.objects.filter(pk=run_id)
    if any(one.kind == EventKind.CHECKPOINT for one in events):
        run.update(attempt=1)
    newest = next((one.data for one in reversed(events) if one.kind == EventKind.PROGRESS), None)
    if newest is not None:
        run.update(
            stage=str(newest.get("stage", ""))[:60],
            progress_done=count(newest.get("done")),
            progress_total=count(newest.get("total")),
            progress_unit=str(newest.get("unit", ""))[:30],
        )


def count(value: Any) -> int:  # Any: what a process wrote
    return min(max(value, 0), LAST_STEP) if isinstance(value, int) else 0


def event_of(run_id: int, line: bytes) -> RunEvent:
    """The event of one line; a line that cannot be read becomes a log entry that says so."""
    try:
        return read_event(run_id, line)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        message = f"A line of the run's events could not be read and was left out ({error})."
        data = {"message": message, "line": storable(line[:200].decode("utf-8", "replace"))}
        return RunEvent(run_id=run_id, kind=EventKind.LOG, at=timezone.now(), data=data)


def read_event(run_id: int, line: bytes) -> RunEvent:
    if len(line) > LONGEST_LINE:
        raise ValueError(f"it has {len(line)} bytes")
    row = json.loads(line)
    step, data = row["step"], row["data"]
    if type(step) is not int or not 0 <= step <= LAST_STEP:
        raise ValueError(f"its step is {step!r}")
    if not isinstance(data, dict):
        raise ValueError("its data is no object")  # noqa: TRY004 - all of a bad line is a ValueError
    return RunEvent(
        run_id=run_id,
        kind=EventKind(row["kind"]),
        step=step,
        at=datetime.fromtimestamp(row["at"], tz=UTC),
        data=storable(data),
    )


def storable(value: Any) -> Any:  # Any: JSON in, JSON out
    """JSON that PostgreSQL takes: no NUL, no lone surrogate, no number that is not finite."""
    if isinstance(value, dict):
        return {storable(key): storable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [storable(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@transaction.atomic
def move_run(*, run_id: int, owner: str, work_folder: str, goes_on_from: int) -> bool:
    """The run goes on in another folder, whose events count from their start; False as above.

    What it said stays where it goes on from a checkpoint; else it starts from nothing.
    """
    run = owned(run_id, owner)
    if not run.update(work_folder=work_folder, events_offset=0):
        return False
    if not goes_on_from:
        RunEvent.objects.filter(run_id=run_id).delete()
        run.update(progress_done=0, progress_total=0)
    return True


@transaction.atomic
def tell(*, run_id: int, owner: str, message: str) -> None:
    """A line of the worker in the run's log; none of a worker that no longer owns the run."""
    if owned(run_id, owner).select_for_update(no_key=True).first() is None:
        return
    data = {"message": storable(message)}
    RunEvent.objects.create(run_id=run_id, kind=EventKind.LOG, at=timezone.now(), data=data)


def keep_log(*, run_id: int, owner: str, text: str) -> None:
    """The tail of the process's output, for the run's page."""
    owned(run_id, owner).update(log_tail=storable(text))
