"""What a run says while it works: JSON objects, a line each, in `events.jsonl`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EventKind(StrEnum):
    """The kinds of line in `events.jsonl`."""

    STARTED = "started"  # step: that of the checkpoint it goes on from, 0 for a new run; data: spec, machine
    PROGRESS = "progress"  # data: done, total, unit, stage
    METRICS = "metrics"  # step and data: {name: float}
    SAMPLE = "sample"  # step and data: prompt, response, reward, ...
    EVALUATION = "evaluation"  # step and data: {name: value | {value, interval, n, reason}}
    CHECKPOINT = "checkpoint"  # step and data: path
    GUARD = "guard"  # data: name, action (warn | stop), message
    LOG = "log"  # data: message
    FINISHED = "finished"
    FAILED = "failed"  # data: kind, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of `events.jsonl`; ``at`` is Unix time, ``step`` counts optimizer steps."""

    kind: EventKind
    at: float
    step: int = 0
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a run computes, as its `started` event tells."""

    host: str
    device: str  # a GPU by its name, or a CPU with the threads that are used of it
    is_gpu: bool
    torch: str  # version
    bfloat16: bool  # whether the device has instructions for it


def json_value(value: object) -> object:
    """The same value for JSON, which has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(key): json_value(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
