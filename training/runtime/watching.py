"""Guards of every kind of run: a loss that goes up for good, and a policy that is far from where it began.

They look at the numbers that a run says, so that no loop has to know of them.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from types import MappingProxyType

from training.runtime.run import Run
from training.spec.base import RunSpec
from training.spec.events import Event, EventKind

STEPS = 20  # of which the mean loss is taken, at the start and now
CEILING = 1.5  # of the first mean
ADVICE = MappingProxyType(
    {
        "loss": "the run diverges. Stop it and clone it with a lower learning_rate or a longer warm-up.",
        "value_loss": "the value head follows the returns less and less. Stop the run and clone it with a "
        "lower value_learning_rate.",
    }
)


@dataclass(slots=True)
class _Losses:
    """The losses that a mean is taken of: the first, and the newest behind them."""

    first: list[float] = field(default_factory=list)
    newest: list[float] = field(default_factory=list)
    has_warned: bool = False

    def take(self, loss: float) -> None:
        if len(self.first) < STEPS:
            self.first.append(loss)
        else:
            self.newest = [*self.newest[1 - STEPS :], loss]

    @property
    def rises(self) -> bool:
        return len(self.newest) == STEPS and fmean(self.newest) > CEILING * fmean(self.first) > 0


class Watch:
    """Hears the numbers of every step; each guard speaks up once, and stops the run where the spec says so.

    ``divergence`` looks at losses: PPO has a value loss alone, and GRPO none that tells (a policy loss stays near
    zero). ``log_ratio`` looks at how far responses are from the starting policy.
    """

    def __init__(self, run: Run, spec: RunSpec) -> None:
        self._run = run
        self._stopping = spec.stopping_guards()
        self._ceiling = float(getattr(spec, "max_log_ratio", 0.0))
        self._losses: defaultdict[str, _Losses] = defaultdict(_Losses)
        self._is_far = False

    def hear(self, event: Event) -> None:
        """Take in the numbers of a step, and tell what they show."""
        for name, message in self._found(event):
            action = "stop" if name in self._stopping else "warn"
            self._run.guard(name, action=action, message=message, step=event.step)

    def recall(self, path: Path, *, last_step: int) -> None:
        """Take in, in silence, what a resumed run said in `events.jsonl` until the step that it goes on from."""
        for event in said_before(path, last_step=last_step):
            deque(self._found(event), maxlen=0)

    def _found(self, event: Event) -> Iterator[tuple[str, str]]:
        """Name and sentence of each guard that has something to tell now."""
        if event.kind != EventKind.METRICS:
            return
        for name in ADVICE:
            losses, loss = self._losses[name], event.data.get(name)
            if losses.has_warned or not isinstance(loss, float):
                continue
            losses.take(loss)
            if losses.rises:
                losses.has_warned = True
                yield "divergence", _risen(name, losses)
        far = event.data.get("log_ratio")
        if self._ceiling and not self._is_far and isinstance(far, float) and far > self._ceiling:
            self._is_far = True
            yield "log_ratio", _far(far, self._ceiling)


def _risen(name: str, losses: _Losses) -> str:
    before, now = fmean(losses.first), fmean(losses.newest)
    return (
        f"The {name.replace('_', ' ')} rose from {before:.3g} in the first {STEPS} steps to {now:.3g} "
        f"in the newest: {ADVICE[name]}"
    )


def _far(now: float, ceiling: float) -> str:
    return (
        f"The probability of a response is on average {now:.0f} nats from what the starting policy gave it, beyond "
        f"max_log_ratio {ceiling:g}: little of that policy may be left. Raise beta, or lower learning_rate or epochs."
    )


def said_before(path: Path, *, last_step: int) -> list[Event]:
    """The metrics of each step until ``last_step``, in order; of a step that was done again, the newer."""
    found: dict[int, Event] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:  # what a crash of the machine left; it holds up no resume
                continue
            if row["kind"] == EventKind.METRICS and row["step"] <= last_step:
                found[row["step"]] = Event(**row)
    return [found[step] for step in sorted(found)]
