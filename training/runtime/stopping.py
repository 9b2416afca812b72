"""The wish to stop: SIGTERM, Ctrl-C, or a parent that died."""

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from training.spec.errors import Cancelled

FOLLOW_STDIN = "CONCORD_FOLLOW_STDIN"
STDIN = 0


class StopRequest:
    """Remembers that somebody asked the run to stop, and why."""

    def __init__(self) -> None:
        self.reason = ""

    @property
    def is_set(self) -> bool:
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason

    def heed(self) -> None:
        """Raises Cancelled when the run was asked to stop."""
        if self.is_set:
            raise Cancelled(self.reason)


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Hear signals, and the end of stdin where the parent set CONCORD_FOLLOW_STDIN=1.

    A parent that dies, however it dies, closes the pipe.
    """
    stop = StopRequest()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stop.ask(f"The run was asked to stop ({signal.Signals(number).name}).")

    heard = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(one, on_signal) for one in heard]
    if os.environ.get(FOLLOW_STDIN) == "1" and stat.S_ISFIFO(os.fstat(STDIN).st_mode):
        threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    try:
        yield stop
    finally:
        for one, handler in zip(heard, before, strict=True):
            signal.signal(one, handler)


def _wait_for_the_end(stop: StopRequest) -> None:
    while os.read(STDIN, 4096):
        pass
    stop.ask("The process that started the run went away.")
