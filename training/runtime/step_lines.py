"""The numbers of a run's steps, in lines for a person: some twenty, and those of each look at held-out records."""

import math
from collections.abc import Callable, Mapping

from training.spec.events import Event, EventKind
from training.spec.metrics import METRICS, Tells

LINES = 20  # a run
COUNTED = {
    "steps": "Step",
    "updates": "Update",
}  # the unit of the stage that trains, and what one is called
TOLD = [
    name
    for name, one in METRICS.items()
    if one.tells in {Tells.PROGRESS, Tells.REWARD, Tells.GUARDED} or name == "learning_rate"
]


class StepLines:
    """Hears a run's events; hands on the numbers of its first step, of each twentieth part, and of the last."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._name, self._total = "Step", 0
        self._next = 0

    def hear(self, event: Event) -> None:
        if event.kind == EventKind.PROGRESS and event.data["unit"] in COUNTED:
            self._name = COUNTED[str(event.data["unit"])]
            self._total = int(str(event.data["total"]))
        if event.kind == EventKind.METRICS and self._is_told(event):
            self._next = event.step + math.ceil(self._total / LINES)
            self._write(f"{self._name} {event.step:,} of {self._total:,}: {numbers(event.data)}")

    def _is_told(self, event: Event) -> bool:
        is_looked_at = any(name.startswith(("held_out_", "eval_")) for name in event.data)
        return event.step >= self._next or event.step == self._total or is_looked_at


def numbers(data: Mapping[str, object]) -> str:
    """`loss 0.6931, accuracy 0.5` of what a step tells; what has no number is left out."""
    found = ((name, data.get(name)) for name in TOLD)
    told = (
        f"{name.replace('_', ' ')} {one:.4g}" for name, one in found if isinstance(one, int | float)
    )
    return ", ".join(told)
