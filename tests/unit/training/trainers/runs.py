"""Runs of the tiny model for the tests of trainers."""

import json
from pathlib import Path
from typing import Any

from training.__main__ import algorithm
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.runs import RunSpec


class StopAfter(StopRequest):
    """Asks the run to stop when it has looked so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    @property
    def is_set(self) -> bool:
        self._looks -= 1
        if self._looks < 0:
            self.ask("Enough.")
        return super().is_set


def train(folder: Path, spec: RunSpec, stop: StopRequest | None = None) -> dict[str, Any]:
    """Train in this process; the trainer's metrics."""
    folder.mkdir(exist_ok=True)
    with Reporter(folder, has_bar=False) as reporter:
        run = Run(folder=folder, reporter=reporter, stop=stop or StopRequest())
        return dict(algorithm(spec.kind).train(run, spec))


def evaluate(folder: Path, spec: RunSpec) -> dict[str, Any]:
    measure = algorithm(spec.kind).evaluate
    assert measure is not None
    with Reporter(folder, has_bar=False) as reporter:
        return dict(measure(Run(folder=folder, reporter=reporter, stop=StopRequest()), spec))


def metrics_of(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Step and numbers of every line of metrics."""
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [(one["step"], one["data"]) for one in events if one["kind"] == "metrics"]
