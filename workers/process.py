"""Start, follow and stop a process with a folder. No Django, no database: what it says is in its files.

The process runs in its own session. It exits when its stdin reaches its end (CONCORD_FOLLOW_STDIN=1), which happens
however its parent dies. It holds a lock on its folder as long as it lives, so that no two ever write there.
"""

import errno
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

LOCK_FILE = ".lock"
LOOK_EVERY = 0.25  # seconds
GRACE_SECONDS = 60.0  # for a last checkpoint


class TimedOut(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The process ran longer than it may."""


class FolderBusy(Exception):  # noqa: N818
    """Another process works in the folder and cannot be stopped."""


class Child:
    """A running process; leaving the `with` block stops it, politely first."""

    def __init__(self, process: "subprocess.Popen[bytes]", *, grace_seconds: float) -> None:
        self._process = process
        self._grace_seconds = grace_seconds

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def follow(
        self, look: Callable[[], None], *, timeout_seconds: float, every: float = LOOK_EVERY
    ) -> int:
        """Call ``look`` until the process ends, and once after; its exit status. Raises TimedOut."""
        self.follow_until(lambda: False, look, timeout_seconds=timeout_seconds, every=every)
        return self._process.wait()

    def follow_until(
        self,
        is_over: Callable[[], bool],
        look: Callable[[], None],
        *,
        timeout_seconds: float,
        every: float = LOOK_EVERY,
    ) -> int | None:
        """As `follow`, but None as soon as it is over: a process that stays has done what it was told."""
        deadline = time.monotonic() + timeout_seconds
        while (status := self._wait(every)) is None:
            look()
            if is_over():
                return None
            if time.monotonic() > deadline:
                raise TimedOut
        look()
        return status

    def tell(self, line: str) -> bool:
        """Write a line to its stdin; whether it was there to read it."""
        if self._process.stdin is None or self._process.poll() is not None:
            return False
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def stop(self) -> None:
        """End the process and all it started: SIGTERM, then SIGKILL after the grace."""
        if self._process.poll() is None:
            signal_group(self.pid, signal.SIGTERM)
            if self._wait(self._grace_seconds) is None:
                signal_group(self.pid, signal.SIGKILL)
                self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def start(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> Child:
    """Start ``command`` with its output in ``log``, after ending whatever a dead worker left in ``folder``."""
    with take_lock(folder, grace_seconds=grace_seconds) as lock, log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the worker's own command, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), "CONCORD_FOLLOW_STDIN": "1"},
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        lock.write(str(process.pid))
        lock.flush()
    return Child(process, grace_seconds=grace_seconds)


def take_lock(folder: Path, *, grace_seconds: float) -> IO[str]:
    """The lock file of a folder, locked for us and empty. The process that holds it is given the grace, then killed."""
    lock = (folder / LOCK_FILE).open("a+", encoding="ascii")
    is_ours = wait_for_lock(lock, grace_seconds)
    if not is_ours:
        lock.seek(0)
        kill_holder(lock.read())
        is_ours = wait_for_lock(lock, grace_seconds)
    if not is_ours:
        lock.close()
        raise FolderBusy(
            f"A process that cannot be stopped still works in {folder}. End it by hand, then resume."
        )
    lock.truncate(0)
    return lock


def wait_for_lock(lock: IO[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
        else:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY)


def kill_holder(pid: str) -> None:
    """Kill the session that holds a lock. While it does, its number cannot belong to another."""
    if pid.isdigit():
        signal_group(int(pid), signal.SIGKILL)


def signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def tail(path: Path, limit: int = 16_384) -> str:
    """The last ``limit`` bytes of a text file; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - limit))
        return file.read().decode("utf-8", errors="replace").replace("\x00", "�")


def whole_lines(path: Path, offset: int, limit: int = 1_000_000) -> tuple[list[bytes], int]:
    """The complete lines after byte ``offset`` (about ``limit`` bytes of them) and the offset after the last.

    A line that is still being written stays for the next call.
    """
    if not path.is_file():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.readlines(limit)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    return lines, offset + sum(len(line) for line in lines)
