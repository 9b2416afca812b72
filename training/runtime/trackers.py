"""Telling other tools what a run says: TensorBoard, W&B, MLflow, trackio. `events.jsonl` stays the source.

Each is a package of its own, imported only where the spec names it. A tracker that fails is left out and the run goes
on: its events hold everything. Nothing leaves the machine unless the tool's own environment says so (WANDB_MODE,
MLFLOW_TRACKING_URI, MLFLOW_DISABLE_TELEMETRY); what they keep lies in DIR/trackers.
"""

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from training.runtime.distributed import rank
from training.runtime.metrics import Reporter
from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.events import Event, EventKind
from training.spec.runs import spec_to_dict

FOLDER = "trackers"
PROJECT = "concord"
TOLD = {EventKind.METRICS: "train", EventKind.EVALUATION: "eval"}
Config = Mapping[str, Any]  # Any: the values of a spec


class Tracker(Protocol):
    """One tool, open for one run."""

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        """Numbers of one step, named `train/...` or `eval/...`."""
        ...

    def finish(self, *, is_done: bool) -> None:
        """Close it; ``is_done`` is False where the run failed or was stopped."""
        ...


class TensorBoard:
    """Event files in DIR/trackers/tensorboard, for `tensorboard --logdir`."""

    def __init__(self, folder: Path, name: str, config: Config) -> None:  # noqa: ARG002 - as the others
        _needed("tensorboard")
        writer = _needed("torch.utils.tensorboard", package="tensorboard").SummaryWriter
        self._writer = writer(log_dir=str(folder / "tensorboard"))
        self._writer.add_text("spec", f"```\n{json.dumps(dict(config), indent=1)}\n```", 0)

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, global_step=step)

    def finish(self, *, is_done: bool) -> None:  # noqa: ARG002 - it keeps no status
        self._writer.close()


class WeightsAndBiases:
    """A W&B run; offline in DIR/trackers/wandb unless WANDB_MODE says otherwise. A resumed run goes on in it."""

    def __init__(self, folder: Path, name: str, config: Config) -> None:
        wandb = _needed("wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=name,
            id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
            resume="allow",
            config=dict(config),
            dir=str(folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        self._run.log(dict(values), step=step)

    def finish(self, *, is_done: bool) -> None:
        self._run.finish(exit_code=0 if is_done else 1)


class MLflow:
    """An MLflow run in DIR/trackers/mlflow.db unless MLFLOW_TRACKING_URI names a store. A resumed run goes on in it."""

    def __init__(self, folder: Path, name: str, config: Config) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it is read as the package loads
        self._mlflow = _needed("mlflow")
        if "MLFLOW_TRACKING_URI" not in os.environ:
            self._mlflow.set_tracking_uri(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
        self._mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
        known = folder / "mlflow_run_id"
        if known.is_file():
            self._mlflow.start_run(run_id=known.read_text(encoding="ascii").strip())
            return
        run = self._mlflow.start_run(run_name=name)
        known.write_text(run.info.run_id, encoding="ascii")
        self._mlflow.log_params(dict(config))

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def finish(self, *, is_done: bool) -> None:
        self._mlflow.end_run(status="FINISHED" if is_done else "FAILED")


class Trackio:
    """A trackio run in DIR/trackers/trackio unless TRACKIO_DIR says otherwise, for `trackio show`."""

    def __init__(self, folder: Path, name: str, config: Config) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(folder.resolve() / "trackio"))  # read as it loads
        self._trackio = _needed("trackio")
        self._trackio.init(project=PROJECT, name=name, config=dict(config), resume="allow")

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        self._trackio.log(dict(values), step=step)

    def finish(self, *, is_done: bool) -> None:  # noqa: ARG002 - it keeps no status
        self._trackio.finish()


TRACKERS: dict[str, Callable[[Path, str, Config], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "trackio": Trackio,
}


@contextmanager
def tracking(reporter: Reporter, spec: RunSpec, folder: Path) -> Iterator[None]:
    """Hand every number that the reporter tells to the trackers of the spec, until the block ends.

    Raises SpecError before the run begins where a package is missing.
    """
    if not spec.trackers or rank():  # of several processes only the first tells
        yield
        return
    audience = Audience(reporter)
    try:
        audience.open(spec, folder)
        reporter.listen(audience.hear)
        yield
    except BaseException:
        audience.finish(is_done=False)
        raise
    audience.finish(is_done=True)


class Audience:
    """The open trackers of a run; one that fails is told of once, and left out."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._opened: dict[str, Tracker] = {}
        self._last_step = 0

    def open(self, spec: RunSpec, folder: Path) -> None:
        """Open those of the spec. Raises SpecError where a package is missing."""
        (folder / FOLDER).mkdir(exist_ok=True)
        for name in spec.tracker_names():
            self._try(name, partial(self._open, name, spec, folder))

    def _open(self, name: str, spec: RunSpec, folder: Path) -> None:
        opened = TRACKERS[name](folder / FOLDER, folder.resolve().name, spec_to_dict(spec))
        self._opened[name] = opened

    def hear(self, event: Event) -> None:
        """Pass the numbers of an event on; other events stay in `events.jsonl`.

        What is measured at the end names no step, and belongs to the last: W&B drops what goes back.
        """
        self._last_step = max(self._last_step, event.step)
        prefix = TOLD.get(event.kind)
        values = numbers_of(event.data, prefix) if prefix else {}
        if not values:
            return
        for name, tracker in list(self._opened.items()):
            self._try(name, partial(tracker.numbers, values, step=event.step or self._last_step))

    def finish(self, *, is_done: bool) -> None:
        for name, tracker in list(self._opened.items()):
            self._try(name, partial(tracker.finish, is_done=is_done))

    def _try(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except SpecError:
            raise
        except Exception as error:  # noqa: BLE001 - another's tool must not end a run of hours
            self._opened.pop(name, None)
            self._reporter.log(
                f"{name} failed and is told nothing more; events.jsonl has everything.",
                tracker=name,
                reason=f"{type(error).__name__}: {error}"[:500],
            )


def numbers_of(data: Mapping[str, object], prefix: str) -> dict[str, float]:
    """The numbers in an event's data by name; a statistic gives its value, nested ones their path."""
    found: dict[str, float] = {}
    for name, value in data.items():
        place = f"{prefix}/{name}"
        if isinstance(value, Mapping):
            known = value.get("value", ...)
            found |= numbers_of(value, place) if known is ... else numbers_of({name: known}, prefix)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[place] = float(value)
    return found


def _needed(module: str, *, package: str = "") -> ModuleType:
    name = package or module
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SpecError(
            f"trackers: {name} is not installed here. Run `pip install {name}`, or take it out of "
            "trackers: events.jsonl has every number without it."
        ) from error
