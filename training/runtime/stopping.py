"""The wish to stop: SIGTERM, Ctrl-C, or a parent that died. A run hears it between two steps."""

import os
import signal
import stat
import sys
import threading
from types import FrameType

FOLLOW_STDIN = "CONCORD_FOLLOW_STDIN"


class StopRequest:
    """Remembers that somebody asked the run to stop, and why."""

    def __init__(self) -> None:
        self.reason = ""

    @property
    def is_set(self) -> bool:
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason


def listen() -> StopRequest:
    """Hear signals, and the end of stdin where the parent set CONCORD_FOLLOW_STDIN=1.

    A parent that dies, however it dies, closes the pipe.
    """
    stop = StopRequest()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stop.ask(f"The run was asked to stop ({signal.Signals(number).name}).")

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if os.environ.get(FOLLOW_STDIN) == "1" and stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    return stop


def _wait_for_the_end(stop: StopRequest) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.ask("The process that started the run went away.")
