"""Runs of the tiny model for the tests of trainers."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PretrainedConfig, PreTrainedModel

from training.execution import algorithm
from training.models.tiny import tiny_tokenizer
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.base import RunSpec
from training.spec.errors import Cancelled

CPU = torch.device("cpu")


def saved(model: type[PreTrainedModel], config: PretrainedConfig, folder: Path) -> Path:
    """The folder with a model of random weights, the same each time, and the tiny tokenizer."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


class StopAt(StopRequest):
    """Asks the run to stop as it comes to a function for the nth time; counts how often it came."""

    def __init__(self, patch: pytest.MonkeyPatch, place: str, *, time: int) -> None:
        super().__init__()
        self.came = 0
        module, _, name = place.rpartition(":")
        owner = import_module(module)
        *inner, name = name.split(".")
        for one in inner:
            owner = getattr(owner, one)
        function = getattr(owner, name)

        def asking(*arguments: Any, **named: Any) -> Any:
            self.came += 1
            if self.came == time:
                self.ask("Enough.")
            return function(*arguments, **named)

        patch.setattr(owner, name, asking)


def train(folder: Path, spec: RunSpec, stop: StopRequest | None = None) -> dict[str, Any]:
    """Train in this process; the trainer's metrics."""
    folder.mkdir(exist_ok=True)
    with Reporter(folder, has_bar=False) as reporter:
        run = Run(folder=folder, reporter=reporter, stop=stop or StopRequest())
        return dict(algorithm(spec).train(run, spec))


def train_until(stop: StopAt, folder: Path, spec: RunSpec) -> None:
    """Train until the run is cancelled, as it must be."""
    with pytest.raises(Cancelled, match="Enough"):
        train(folder, spec, stop)


def evaluate(folder: Path, spec: RunSpec, stop: StopRequest | None = None) -> dict[str, Any]:
    measure = algorithm(spec).evaluate
    assert measure is not None
    with Reporter(folder, has_bar=False) as reporter:
        run = Run(folder=folder, reporter=reporter, stop=stop or StopRequest())
        return dict(measure(run, spec))


def metrics_of(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Step and numbers of every line of metrics, but for the memory, which is no number of the training."""
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    told = [(one["step"], one["data"]) for one in events if one["kind"] == "metrics"]
    return [
        (step, {name: one for name, one in data.items() if name != "peak_memory"})
        for step, data in told
    ]
