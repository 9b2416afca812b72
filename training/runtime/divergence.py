"""Warns where a loss goes up for good: what a learning rate that is too high does before a number overflows."""

from statistics import fmean

from training.runtime.metrics import Reporter
from training.spec.events import Event, EventKind

STEPS = 20  # of which the mean loss is taken, at the start and now
CEILING = 1.5  # of the first mean


class LossWatch:
    """Hears the ``loss`` of every step and speaks up once. A resumed run is compared with its own first steps."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._first: list[float] = []
        self._newest: list[float] = []
        self._has_warned = False

    def hear(self, event: Event) -> None:
        """Take in the loss of an event, where it has one."""
        loss = event.data.get("loss")
        if event.kind != EventKind.METRICS or self._has_warned or not isinstance(loss, float):
            return
        if len(self._first) < STEPS:
            self._first.append(loss)
            return
        self._newest = [*self._newest[1 - STEPS :], loss]
        before, now = fmean(self._first), fmean(self._newest)
        if len(self._newest) == STEPS and now > CEILING * before > 0:
            self._has_warned = True
            self._warn(before, now, event.step)

    def _warn(self, before: float, now: float, step: int) -> None:
        message = (
            f"The loss rose from {before:.3g} in the first {STEPS} steps to {now:.3g} in the newest: "
            "the run diverges. Stop it and clone it with a lower learning_rate or a longer warm-up."
        )
        self._reporter.guard("divergence", action="warn", message=message, step=step)
