"""How far a run is, in lines for a file: no bar, no carriage returns."""

import sys
from dataclasses import dataclass
from typing import TextIO

from training.spec.durations import duration_text, rate_text
from training.spec.events import Event, EventKind

LINE_EVERY = 30.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What is under way: since when, and with how many done."""

    name: str
    first: int
    began: float


class PlainLines:
    """Hears a run's events; of each stage it says how far it is now and then, and where it ends."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._stage: _Stage | None = None
        self._said_at = 0.0

    def hear(self, event: Event) -> None:
        if event.kind != EventKind.PROGRESS:
            return
        name, unit = str(event.data["stage"]), str(event.data["unit"])
        done, total = (int(str(event.data[key])) for key in ("done", "total"))
        if self._stage is None or self._stage.name != name:
            self._stage = _Stage(name=name, first=done, began=event.at)
            self._said_at = event.at
        gained, seconds = done - self._stage.first, event.at - self._stage.began
        told = f"{name[:1].upper()}{name[1:]}: {done:,} of {total:,} {unit}"
        if done >= total:
            self._out.write(told + (f", in {duration_text(seconds)}\n" if gained else "\n"))
            self._stage = None
        elif gained and event.at - self._said_at >= LINE_EVERY:
            self._said_at = event.at
            rate = gained / seconds
            left = duration_text((total - done) / rate)
            self._out.write(f"{told}, {rate_text(rate, unit)}, about {left} left\n")
        self._out.flush()
