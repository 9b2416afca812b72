"""What a run will cost before it starts: steps, hours and memory, from its settings, its records and earlier runs.

Memory is that of weights, gradients and optimizer, which can be counted; activations come on top. Time is the pace of
earlier runs of the same kind over the same base model, a prompt (or a rollout) at a time; without one there is none.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.core import storage
from annotation.datasets.models import DatasetSnapshot
from annotation.registry.models import ModelVersion
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.specs import needs_reward_model
from training.spec.events import EventKind
from training.spec.runs import SPECS

LARGEST_HEADER = 100 * 1024**2  # bytes
PACED_BY = 3  # earlier runs
FULL_BYTES, MOMENT_BYTES = 4, 8  # of a gradient or weight in float32, of Adam's two moments
HALF_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Numbers of a run that is not queued yet; None where ``why`` says that they cannot be known."""

    rows: int  # prompts of the training split
    steps: int
    parameters: int | None
    trained: int | None
    memory_bytes: int | None  # at least
    seconds: float | None
    paced_by: int  # earlier runs
    why: tuple[str, ...]


def estimate(
    *,
    kind: str,
    spec: Mapping[str, Any],  # Any: settings of many types, checked elsewhere
    snapshot: DatasetSnapshot,
    base_model: ModelVersion,
    reward_model: ModelVersion | None,
    held_out_reward_model: ModelVersion | None = None,
) -> Estimate:
    """The estimate of a run with these settings."""
    scorers = [one for one in (reward_model, held_out_reward_model) if one is not None]
    rows = int(snapshot.splits.get("train", 0))
    if limit := int(spec.get("max_groups", 0)):
        rows = min(rows, limit)
    units, steps = units_and_steps(spec, rows)
    parameters = parameters_of(base_model)
    pace, paced_by = seconds_a_unit(kind, base_model)
    trained = None if parameters is None else trained_of(base_model, parameters, spec)
    why = []
    if parameters is None:
        why.append(f"The weights of {base_model} lie in no folder here, so memory is not known.")
    if pace is None:
        why.append(f"No {SPECS[kind].title} run over {base_model} has ended here to go by.")
    return Estimate(
        rows=rows,
        steps=steps,
        parameters=parameters,
        trained=trained,
        memory_bytes=None
        if parameters is None or trained is None
        else memory(kind, parameters, trained, spec, scorers),
        seconds=None if pace is None else pace * units,
        paced_by=paced_by,
        why=tuple(why),
    )


def units_and_steps(spec: Mapping[str, Any], rows: int) -> tuple[float, int]:  # Any: as above
    """How many prompts are passed (or rollouts drawn), and in how many optimizer steps."""
    if "updates" in spec:
        updates = int(spec["updates"])
        units = updates * float(spec["rollouts_per_update"])
        return units, updates * int(spec["update_epochs"]) * int(spec["minibatches"])
    groups = max(1, int(spec["groups_per_step"]))
    steps = math.ceil(float(spec["epochs"]) * rows / groups)
    if limit := int(spec.get("max_steps", 0)):
        steps = min(steps, limit)
    return float(steps * groups), steps


def parameters_of(version: ModelVersion) -> int | None:
    """Counted from the headers of its safetensors; no weight is read."""
    folder = Path(storage.local_if_here(version.location))
    if not folder.is_absolute() or not folder.is_dir():
        return None
    try:
        return sum(map(_parameters_in, folder.glob("*.safetensors"))) or None
    except (OSError, ValueError, struct.error, KeyError, TypeError):
        return None


def _parameters_in(path: Path) -> int:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > LARGEST_HEADER:
            raise ValueError(f"{path} has a header of {length} bytes.")
        header = json.loads(file.read(length))
    return sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")


def trained_of(
    version: ModelVersion, parameters: int, spec: Mapping[str, Any]
) -> int:  # Any: as above
    """Weights that change: all, those of the top layers, or two thin matrices a layer and projection (LoRA)."""
    config = _config_of(version)
    layers, width = int(config.get("num_hidden_layers", 0)), int(config.get("hidden_size", 0))
    rank, top = int(spec.get("lora_rank", 0)), int(spec.get("trainable_layers", 0))
    if rank and layers and width:
        return min(parameters, layers * 7 * 2 * rank * width)
    vocabulary = int(config.get("vocab_size", 0)) * width
    if top and layers:
        return (parameters - min(vocabulary, parameters)) * min(top, layers) // layers
    return parameters


def _config_of(version: ModelVersion) -> dict[str, Any]:  # Any: JSON
    try:
        path = Path(storage.local_if_here(version.location), "config.json")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def memory(
    kind: str,
    parameters: int,
    trained: int,
    spec: Mapping[str, Any],  # Any: as above
    scorers: Sequence[ModelVersion],
) -> int:
    """Bytes of weights, gradients and moments (docs/sizing.md); of the reward models too that score.

    A bfloat16 weight that is trained has a float32 master; what learns from rollouts without
    adapters keeps the weights it began with, as the reference.
    """
    is_half = spec.get("precision") == "bfloat16"
    a_weight = HALF_BYTES if is_half else FULL_BYTES
    a_trained = FULL_BYTES + MOMENT_BYTES + (FULL_BYTES if is_half else 0)
    if needs_reward_model(kind) and not spec.get("lora_rank"):
        a_trained += a_weight
    total = parameters * a_weight + trained * a_trained
    if needs_reward_model(kind):
        total += sum(parameters_of(one) or 0 for one in scorers) * a_weight
    return total


def seconds_a_unit(kind: str, base_model: ModelVersion) -> tuple[float | None, int]:
    """Seconds a prompt or rollout in the newest finished runs of this kind over this model, and how many."""
    runs = TrainingRun.objects.filter(
        kind=kind, base_model=base_model, status=TrainingRun.Status.DONE
    ).order_by("-pk")[:PACED_BY]
    paces = [pace for run in runs if (pace := _pace_of(run)) is not None]
    return (sum(paces) / len(paces), len(paces)) if paces else (None, 0)


def _pace_of(run: TrainingRun) -> float | None:
    """From the first to the last step that it told of."""
    said = RunEvent.objects.filter(run=run, kind=EventKind.METRICS).order_by("step")
    first, last = said.first(), said.last()
    if first is None or last is None or last.step <= first.step:
        return None
    a_step = (last.at - first.at).total_seconds() / (last.step - first.step)
    spec = run.spec
    units = spec.get("rollouts_per_update") if "updates" in spec else spec.get("groups_per_step")
    return a_step / units if units else None


def size_text(count: int | None) -> str:
    """`1.2 GB`; a dash where it is not known."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
