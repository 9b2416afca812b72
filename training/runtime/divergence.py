"""Warns where a loss goes up for good: what a learning rate that is too high does before a number overflows."""

import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from types import MappingProxyType

from training.runtime.metrics import Reporter
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


class LossWatch:
    """Hears the losses of every step and speaks up once of each.

    PPO has a value loss alone, and GRPO no loss that tells: a policy loss stays near zero.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._losses: defaultdict[str, _Losses] = defaultdict(_Losses)

    def hear(self, event: Event) -> None:
        """Take in the losses of an event, where it has some; warn of those that rise now."""
        for name, losses in self._rising(event):
            self._warn(name, losses, event.step)

    def recall(self, path: Path, *, last_step: int) -> None:
        """Take in, in silence, what a resumed run said in `events.jsonl` until the step that it goes on from."""
        for event in said_before(path, last_step=last_step):
            deque(self._rising(event), maxlen=0)

    def _rising(self, event: Event) -> Iterator[tuple[str, _Losses]]:
        if event.kind != EventKind.METRICS:
            return
        for name in ADVICE:
            losses, loss = self._losses[name], event.data.get(name)
            if losses.has_warned or not isinstance(loss, float):
                continue
            losses.take(loss)
            if losses.rises:
                losses.has_warned = True
                yield name, losses

    def _warn(self, name: str, losses: _Losses, step: int) -> None:
        before, now = fmean(losses.first), fmean(losses.newest)
        message = (
            f"The {name.replace('_', ' ')} rose from {before:.3g} in the first {STEPS} steps to {now:.3g} "
            f"in the newest: {ADVICE[name]}"
        )
        self._reporter.guard("divergence", action="warn", message=message, step=step)


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
