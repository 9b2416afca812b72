"""One run in its folder: train, publish, measure, and write `result.json` whatever happens.

torch is loaded by what a run needs of it, not by this module.
"""

import gc
import json
import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from training.runtime.loading import UNUSED, quick_imports
from training.runtime.stopping import FOLLOW_STDIN, StopRequest, listening
from training.spec.base import RunSpec
from training.spec.errors import Broke, Cancelled, DiskFull, ModelError, SpecError, TrainingError
from training.spec.events import json_value
from training.spec.headlines import HEADLINES, headline_in, headline_line
from training.spec.layout import (
    ARTIFACT_DIR,
    CHECKPOINTS_DIR,
    EVENTS_FILE,
    RESULT_FILE,
    SPEC_FILE,
    TRAINED_FILE,
)
from training.spec.runs import spec_from_dict, spec_to_dict, without_unused

if TYPE_CHECKING:
    from training.runtime.run import Run

EVALS = {  # the module of `evals` that measures what the trainer of this name made
    "sft": "heldout_loss",
    "reward_model": "reward_accuracy",
    "ppo": "reward_gain",
    "grpo": "reward_gain",
    "dpo": "preference_accuracy",
    "kto": "preference_accuracy",
}
SHARDS_NOTHING = (
    "sharding full does nothing here: one process holds the whole model. Several share it: "
    "torchrun --nproc-per-node N -m training run DIR."
)


class Algorithm(NamedTuple):
    """How one kind of run trains, and how its artifact is measured on held-out records."""

    train: Callable[["Run", Any], Mapping[str, object]]  # Any: the spec of this kind
    evaluate: Callable[["Run", Any], Mapping[str, object]]


def algorithm(spec: RunSpec) -> Algorithm:
    """The algorithm of a spec; torch is loaded here, and what this run does not need is not."""
    with quick_imports(unused=() if spec.has_four_bits else UNUSED):
        trainer = import_module(f"training.trainers.{spec.kind}")
        measure = import_module(f"training.evals.{EVALS[spec.kind]}")
    return Algorithm(trainer.train, measure.evaluate)


def read_spec(folder: Path) -> RunSpec:
    """The spec of a run's folder. Raises SpecError when it is missing or wrong."""
    path = folder / SPEC_FILE
    if not path.is_file():
        raise SpecError(f"There is no {SPEC_FILE} in {folder}; make one with `new`.")
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise SpecError(f"{path} must hold a JSON object, not {type(row).__name__}.")
    return spec_from_dict(without_unused(row))


def execute(folder: Path) -> int:
    """Train, publish, measure, and write the result whatever happens; the exit code."""
    from training.runtime.distributed import rank

    if not folder.is_dir():
        raise SpecError(f"There is no folder {folder}.")
    if rank():
        return _assisted(folder)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    began = time.monotonic()
    try:
        with listening() as stop:
            spec = read_spec(folder)
            metrics = _trained(folder, spec, stop)
    except TrainingError as error:
        _write_result(folder, began, error=error)
        sys.stderr.write(f"{error}\n{_way_on(folder, error)}")
        return 1
    _write_result(folder, began, metrics=metrics)
    if FOLLOW_STDIN not in os.environ:  # a worker reads the result
        came_to = headline_line(headline_in(metrics, HEADLINES[spec.kind]))
        sys.stdout.write(
            f"Done: the model is in {folder / ARTIFACT_DIR}, the numbers are in {folder / RESULT_FILE}.\n"
            f"It came to: {came_to}\n"
        )
    return 0


def _way_on(folder: Path, error: TrainingError) -> str:
    """How a person goes on with a run that stopped."""
    if FOLLOW_STDIN in os.environ:  # a worker leads it, and goes on by itself
        return ""
    if _is_begun(folder):
        return f"Go on: {command('resume', folder)}\n"
    again = f"Nothing was saved yet. Begin again: {command('run', folder)}\n"
    return again if isinstance(error, Cancelled) else ""


def _is_begun(folder: Path) -> bool:
    """Whether it has a checkpoint, or only measuring is left."""
    return any((folder / CHECKPOINTS_DIR).glob("[0-9]*")) or (folder / TRAINED_FILE).is_file()


def command(act: str, folder: Path) -> str:
    """What a person types to do this with a run."""
    return f"python -m training {act} {shlex.quote(str(folder))}"


def _assisted(folder: Path) -> int:
    """The part of a process that is not the first of several: it trains, and writes nothing."""
    from training.runtime.device import named_failures
    from training.runtime.metrics import Reporter
    from training.runtime.run import Run

    spec = read_spec(folder)
    with listening() as stop, named_failures(), Reporter(folder) as reporter:
        run = Run(folder=folder, reporter=reporter, stop=stop)
        if not run.is_published:
            algorithm(spec).train(run, spec)
    return 0


def _trained(folder: Path, spec: RunSpec, stop: StopRequest) -> Mapping[str, object]:
    from training.runtime.checkpoint import saved_steps
    from training.runtime.device import machine, named_failures, peak_memory_mb
    from training.runtime.distributed import world
    from training.runtime.metrics import Reporter
    from training.runtime.run import Run
    from training.runtime.trackers import tracking
    from training.runtime.watching import Watch
    from training.spec.events import EventKind

    with named_failures(), Reporter(folder) as reporter, tracking(reporter, spec, folder):
        run = Run(folder=folder, reporter=reporter, stop=stop)
        steps_before = max(saved_steps(folder / CHECKPOINTS_DIR), default=0)
        watch = Watch(run, spec)
        watch.recall(folder / EVENTS_FILE, last_step=steps_before)
        reporter.listen(watch.hear)
        begun = {"spec": spec_to_dict(spec), "machine": asdict(machine())}
        reporter.say(EventKind.STARTED, begun, step=steps_before)
        if spec.sharding == "full" and world() == 1:
            reporter.log(SHARDS_NOTHING)
        try:
            with named_failures():
                metrics = _measured(run, spec) | {"peak_memory_mb": round(peak_memory_mb(), 1)}
        except Exception as error:
            named = _named(error)
            reporter.say(EventKind.FAILED, {"kind": named.kind, "message": str(named)})
            raise named from error
        reporter.say(EventKind.FINISHED, metrics)
    return metrics


def _named(error: Exception) -> TrainingError:
    """A failure as `result.json` tells it; the traceback of what nobody expected goes to standard error."""
    if isinstance(error, TrainingError):
        return error
    sys.stderr.write("".join(traceback.format_exception(error)))
    return Broke(
        f"Something that should not happen: {type(error).__name__}: {error}. What was done is kept; "
        "report it with the traceback above and spec.json."
    )


def _measured(run: "Run", spec: RunSpec) -> dict[str, object]:
    chosen = algorithm(spec)
    run.stop.heed()
    metrics = _once_trained(run, lambda: chosen.train(run, spec))
    gc.collect()  # the models that trained: others are loaded now
    return metrics | dict(chosen.evaluate(run, spec))


def _once_trained(run: "Run", train: Callable[[], Mapping[str, object]]) -> dict[str, object]:
    """What the trainer told, from its file where the artifact is published already."""
    from training.runtime.checkpoint import write_atomically

    path = run.folder / TRAINED_FILE
    if not run.is_published:
        write_atomically(path, json.dumps(json_value(train())))
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}). Delete it, and resume: the run trains on from its last checkpoint."
        ) from error


def _write_result(
    folder: Path,
    began: float,
    *,
    metrics: Mapping[str, object] | None = None,
    error: TrainingError | None = None,
) -> None:
    """`result.json`, last and in one rename."""
    metrics = dict(metrics or {})
    peak = metrics.pop("peak_memory_mb", None)
    status = "done" if error is None else "failed"
    result = {
        "status": "cancelled" if isinstance(error, Cancelled) else status,
        "error": error and {"kind": error.kind, "message": str(error)},
        "metrics": json_value(metrics),
        "peak_memory_mb": peak,
        "seconds": round(time.monotonic() - began, 3),
    }
    draft = folder / f".{RESULT_FILE}.draft"
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(folder / RESULT_FILE)
    except OSError as failure:
        raise DiskFull(f"The result of {folder} could not be written: {failure}.") from failure


def measure_again(folder: Path) -> Mapping[str, object]:
    """What measuring the model of a finished run comes to. Raises SpecError where there is none."""
    from training.runtime.device import named_failures
    from training.runtime.metrics import Reporter
    from training.runtime.run import Run

    spec = read_spec(folder)
    evaluate = algorithm(spec).evaluate
    if not (folder / ARTIFACT_DIR).is_dir():
        act = "resume" if _is_begun(folder) else "run"
        raise SpecError(f"{folder} has no model to measure yet. First: {command(act, folder)}")
    with listening() as stop, named_failures(), Reporter(folder) as reporter:
        return evaluate(Run(folder=folder, reporter=reporter, stop=stop), spec)
