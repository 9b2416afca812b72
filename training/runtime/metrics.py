"""What a run says: lines of `events.jsonl`, a bar with counts and rates on a terminal, plain lines without one."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from training.runtime.device import peak_memory_mb
from training.runtime.distributed import rank
from training.runtime.log_lines import LogLines
from training.runtime.plain_lines import PlainLines
from training.runtime.step_lines import StepLines
from training.runtime.stopping import FOLLOW_STDIN
from training.spec.events import Event, EventKind, json_value
from training.spec.layout import EVENTS_FILE

Item = TypeVar("Item")
PROGRESS_EVERY = 0.5  # seconds between lines of progress


class Reporter:
    """Appends events, each flushed; numbers may be tensors, which are read once a line.

    Of several processes only the first is heard. Where a person started it, a bar (without a terminal: plain lines now
    and then) tells how far it is, and lines what steps, guards and the log say; a worker that leads it reads events.
    """

    def __init__(self, folder: Path, *, has_bar: bool | None = None) -> None:
        self._path = folder / EVENTS_FILE if rank() == 0 else Path(os.devnull)
        _cut_torn_line(self._path)
        self._lines = self._path.open("a", encoding="utf-8")
        self._has_bar = rank() == 0 and (sys.stderr.isatty() if has_bar is None else has_bar)
        is_led = has_bar is not None or FOLLOW_STDIN in os.environ
        self._has_lines = rank() == 0 and not (self._has_bar or is_led)
        self._listeners: list[Callable[[Event], None]] = []
        if self._has_lines:
            self.listen(PlainLines().hear)
        if self._is_read:
            self.listen(LogLines(_write).hear)
            self.listen(StepLines(_write).hear)

    @property
    def _is_read(self) -> bool:
        """Whether a person reads what goes to standard error."""
        return self._has_bar or self._has_lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()

    def say(self, kind: EventKind, data: Mapping[str, object], *, step: int = 0) -> None:
        """One event. Numbers that are not finite become null: JSON has no NaN."""
        event = Event(kind=kind, at=time.time(), step=step, data=dict(data))
        self._lines.write(
            json.dumps(json_value(asdict(event)), ensure_ascii=False, allow_nan=False) + "\n"
        )
        self._lines.flush()
        for listener in self._listeners:
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Let ``listener`` hear every event once it is written."""
        self._listeners.append(listener)

    def metrics(self, values: Mapping[str, Tensor | float], *, step: int) -> None:
        """The numbers of one step, and the most memory held by then; tensors are read together, in one wait."""
        held = {"peak_memory": round(peak_memory_mb(), 1)}
        self.say(EventKind.METRICS, read_tensors(values) | held, step=step)

    def log(self, message: str, **facts: object) -> None:
        self.say(EventKind.LOG, {"message": message, **facts})

    def guard(self, name: str, *, action: str, message: str, step: int) -> None:
        """A guard that warned or stopped the run; who started it reads it at once."""
        data = {"name": name, "action": action, "message": message}
        self.say(EventKind.GUARD, data, step=step)
        if self._is_read:
            _write(f"Guard {name} ({action}) at step {step}: {message}")

    def track(
        self, items: Iterable[Item], *, stage: str, total: int, unit: str, done: int = 0
    ) -> Iterator[Item]:
        """Hand items on, saying how many are done: events at most twice a second, and a bar."""
        bar = tqdm(
            total=total, initial=done, desc=stage, unit=f" {unit}", disable=not self._has_bar
        )
        said_at = -math.inf
        with bar:
            for item in items:
                if time.monotonic() - said_at >= PROGRESS_EVERY:
                    self._progress(stage, done, total, unit)
                    said_at = time.monotonic()
                yield item
                done += 1
                bar.update()
            self._progress(stage, done, total, unit)

    def _progress(self, stage: str, done: int, total: int, unit: str) -> None:
        data = {"stage": stage, "done": done, "total": total, "unit": unit}
        self.say(EventKind.PROGRESS, data)


def _write(line: str) -> None:
    """A line on standard error, above a bar where there is one."""
    tqdm.write(line, file=sys.stderr)


def read_tensors(values: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Numbers of scalars, by one copy from the device."""
    tensors = [one.detach().float() for one in values.values() if isinstance(one, Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return {name: next(read) if isinstance(one, Tensor) else one for name, one in values.items()}


def _cut_torn_line(path: Path) -> None:
    """A crash may leave half a line at the end; the events before it are whole."""
    if not path.is_file():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)
