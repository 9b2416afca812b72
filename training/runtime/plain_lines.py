"""How far a stage of a run is, in lines for a file: no bar, no carriage returns."""

import sys
import time

from training.spec.durations import duration_text, rate_text

LINE_EVERY = 30.0  # seconds


class PlainLines:
    """Lines on standard error about one stage: now and then, and one where it ends."""

    def __init__(self, stage: str, *, total: int, unit: str, done: int) -> None:
        self._stage, self._total, self._unit, self._first = stage, total, unit, done
        self._began = self._said_at = time.monotonic()

    def update(self, done: int) -> None:
        """Say how many are done, with rate and time left, where the last line is long ago."""
        now = time.monotonic()
        if done < self._total and now - self._said_at >= LINE_EVERY:
            self._said_at = now
            rate = (done - self._first) / (now - self._began)
            left = duration_text((self._total - done) / rate)
            self._say(done, f"{rate_text(rate, self._unit)}, about {left} left")

    def end(self, done: int) -> None:
        """Say how many were done, and in what time."""
        self._say(done, f"in {duration_text(time.monotonic() - self._began)}")

    def _say(self, done: int, told: str) -> None:
        stage = self._stage[:1].upper() + self._stage[1:]
        sys.stderr.write(f"{stage}: {done:,} of {self._total:,} {self._unit}, {told}\n")
        sys.stderr.flush()
