"""Web and workers under one supervisor (honcho); if it dies, however it dies, so do they.

A process that is killed or fails is started again, with a sentence; one that does so again and again ends them all.
"""

import io
import multiprocessing
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from multiprocessing import Queue
from multiprocessing.synchronize import Event
from typing import Any

import psutil
from django.conf import settings
from django.core.management.base import CommandError
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Process

from deploy.child import STARTED_BY, adopt_orphans, die_with_parent

STOP_SECONDS = 30  # a run saves what it can after it is asked to stop
STARTS_AGAIN, WITHIN_SECONDS = 3, 60.0


class MortalProcess(Process):  # type: ignore[misc] # honcho has no types
    """A honcho process whose runner dies with the supervisor, and starts it again where it ended badly.

    The supervisor asks the runner for an end, and the runner its process: the supervisor may not have heard yet of
    one that was started again.
    """

    def __init__(self, *args: Any, stopping: Event, **options: Any) -> None:  # Any: honcho's
        super().__init__(*args, **options)
        self._stopping = stopping
        self._ended: Any = None  # the process that was asked to end

    def run(self, events: "Queue[Any] | None" = None, ignore_signals: bool = False) -> None:
        """Until it ends well, the supervisor stops, or it has ended badly too often."""
        supervisor = multiprocessing.parent_process()
        die_with_parent(signal.SIGKILL, supervisor.pid if supervisor else None)
        self._events = events
        if ignore_signals:  # by a handler: what it starts would inherit that they are ignored
            signal.signal(signal.SIGINT, _heed_nothing)
            signal.signal(signal.SIGTERM, self._end_if_stopping)
        ends: deque[float] = deque(maxlen=STARTS_AGAIN + 1)
        while (code := self._once()) and not self._stopping.is_set():
            ends.append(time.monotonic())
            if len(ends) > STARTS_AGAIN and ends[-1] - ends[0] < WITHIN_SECONDS:
                self._say(f"{_ending(code)} once too often within a minute: everything stops.")
                break
            self._say(f"{_ending(code)}; it is started again.")
        self._send_message({"returncode": code}, type="stop")

    def _once(self) -> int:
        """Start it, pass its lines on until it and all that it left have ended; its exit code."""
        env = self.env | {STARTED_BY: str(os.getpid())}
        child = self._child = self._child_ctor(self.cmd, env=env, cwd=self.cwd)
        self._end_if_stopping()  # the signal may have come before there was a child
        self._send_message({"pid": child.pid}, type="start")
        threading.Thread(target=_end_what_is_left, args=(child,), daemon=True).start()
        for line in iter(child.stdout.readline, b""):
            self._send_message(line)
        child.stdout.close()
        return int(child.wait())

    def _end_if_stopping(self, *_: object) -> None:
        """Once the supervisor stops, ask the process to end, one time: a second signal would hurry it."""
        child = self._child
        if self._stopping.is_set() and child is not None and child is not self._ended:
            self._ended = child
            _end(child)

    def _say(self, sentence: str) -> None:
        self._send_message(f"{self.name} {sentence}\n".encode())


def _heed_nothing(*_: object) -> None:
    """The supervisor alone decides when its processes end."""


def _end_what_is_left(child: Any) -> None:  # Any: honcho's Popen
    """Wait for a process, then end its group: what a killed one leaves holds its port and its output."""
    child.wait()
    _end(child)


def _end(child: Any) -> None:  # Any: as above
    """Ask its whole group to end."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


class Supervisor(Manager):  # type: ignore[misc] # as above
    """A honcho manager that tells its processes when an end is wanted."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(printer)
        self.stopping = multiprocessing.Event()
        self._terminating = False
        self._process_ctor = partial(MortalProcess, stopping=self.stopping)

    def terminate(self) -> None:
        """Ask all runners for an end, also those that are about to start or to start again."""
        if self._terminating:
            return
        self._terminating = True
        self.stopping.set()
        self._ring()

    def _start(self) -> None:
        super()._start()
        if self._terminating:  # a signal came between
            self._ring()

    def _ring(self) -> None:
        runners = [one["process"] for one in self._processes.values() if "process" in one]
        for pid in [one.pid for one in runners if one.pid is not None]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def commands(*, host: str, port: int) -> dict[str, list[str]]:
    """The processes of an embedded installation, by name."""
    python = sys.executable
    celery = [
        python,
        "-m",
        "celery",
        "-A",
        "deploy.celery",
        "--quiet",
        "worker",
        "--concurrency",
        "1",
    ]
    beat = str(settings.CONCORD_VAR / "celerybeat-schedule")
    return {
        "web": [
            *[python, "-m", "gunicorn", "-c", "python:deploy.serving"],
            *["--bind", f"{host}:{port}", "--log-level", "warning"],
        ],
        "cpu": [*celery, "-Q", "cpu", "-n", "cpu@%h", "-B", "-s", beat, "--loglevel", "WARNING"],
        "gpu": [*celery, "-Q", "gpu", "-n", "gpu@%h", "--loglevel", "WARNING"],
        "live": [*celery, "-Q", "live", "-n", "live@%h", "--loglevel", "WARNING"],
    }


def make_manager(*, host: str, port: int, quiet_file: io.TextIOBase | None = None) -> Supervisor:
    """A manager with the processes added; `loop()` runs until one of them ends for good or a signal comes."""
    refuse_a_taken_port(host, port)
    manager = Supervisor(Printer(quiet_file or sys.stdout))
    environment = os.environ | {
        "DATABASE_URL": settings.CONCORD_DATABASE_URL,
        "REMAP_SIGTERM": "SIGQUIT",  # a stopping worker ends its run at once; its checkpoint stays
        "PYTHONUNBUFFERED": "1",
    }
    for name, command in commands(host=host, port=port).items():
        line = shlex.join([sys.executable, "-m", "deploy.child", *command])
        manager.add_process(name, f"exec {line}", env=environment, cwd=str(settings.BASE_DIR))
    return manager


def run(manager: Supervisor) -> int:
    """Run until one ends for good or a signal comes; then wait for what they started, and end what does not stop."""
    adopt_orphans()
    manager.loop()
    left = psutil.Process().children(recursive=True)
    _, stubborn = psutil.wait_procs(left, timeout=STOP_SECONDS)
    for process in stubborn:
        process.kill()
    return int(manager.returncode)


def refuse_a_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} is taken ({error.strerror}). Stop what listens there, or set PORT=8001."
            ) from error
