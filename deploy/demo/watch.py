"""What the person at the terminal sees: stages with bars, and how much memory and time they took."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
from django.conf import settings
from django.core.management.base import CommandError
from tqdm import tqdm

from annotation.core.jobs import JobModel

POLL_SECONDS = 0.5


def log_file() -> Path:
    """Where web and workers of the demo write."""
    return settings.CONCORD_VAR / "demo" / "log.txt"


class MemoryMeter(threading.Thread):
    """Samples the memory of this process and all it started (proportional set size, so shared pages count once)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(1.0):
            self.peak_mb = max(self.peak_mb, tree_memory_mb())

    def stop(self) -> float:
        """The peak in MiB."""
        self._stop_asked.set()
        self.join()
        return round(self.peak_mb, 1)


def tree_memory_mb() -> float:
    """Memory of this process and its descendants, in MiB."""
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            memory = process.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(memory, "pss", memory.uss)
    return total / 2**20


class Stages:
    """Times each stage and says what is going on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, sentence: str) -> Iterator[Self]:
        """Run one stage: says what it does, then how long it took."""
        sys.stderr.write(f"\n{len(self.seconds) + 1}. {sentence}\n")
        started = time.monotonic()
        yield self
        self.seconds[name] = round(time.monotonic() - started, 1)
        sys.stderr.write(f"   done in {self.seconds[name]:.1f} s\n")


def bar(*, total: int, unit: str, initial: int = 0) -> "tqdm[None]":
    """A progress bar with count, rate and time left."""
    every = 0.5 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total, initial=initial, unit=f" {unit}", file=sys.stderr, mininterval=every, ncols=88
    )


def wait_until(is_true: Callable[[], bool], *, is_alive: Callable[[], bool], what: str) -> None:
    """Wait for what a worker does. Raises CommandError if the workers stop or it takes ten minutes."""
    deadline = time.monotonic() + 600
    while not is_true():
        if not is_alive():
            raise CommandError(f"The workers stopped; see {log_file()}.")
        if time.monotonic() > deadline:
            raise CommandError(f"Waited ten minutes for {what}; see {log_file()}.")
        time.sleep(POLL_SECONDS)


def follow(job: JobModel, *, is_alive: Callable[[], bool]) -> None:
    """Show a job's progress until it is over. Raises CommandError with its own sentence if it failed."""
    unit = job.progress_unit
    with bar(total=job.progress_total, unit=unit, initial=job.progress_done) as progress:
        while not job.is_over:
            if not is_alive():
                raise CommandError(f"The workers stopped; see {log_file()}.")
            time.sleep(POLL_SECONDS)
            job.refresh_from_db()
            progress.set_description_str(getattr(job, "stage", "") or job.status, refresh=False)
            progress.total, progress.unit = job.progress_total or None, f" {job.progress_unit}"
            progress.update(job.progress_done - progress.n)
    if job.status != job.Status.DONE:
        raise CommandError(f"{type(job).__name__} {job.pk} ended as {job.status}: {job.error}")
