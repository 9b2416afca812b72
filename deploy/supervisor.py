"""Web and workers under one supervisor (honcho); if it dies, however it dies, so do they."""

import io
import os
import shlex
import signal
import socket
import sys
from multiprocessing import Queue
from typing import Any

import psutil
from django.conf import settings
from django.core.management.base import CommandError
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Process

from deploy.child import adopt_orphans, die_with_parent

STOP_SECONDS = 30  # a run saves what it can after it is asked to stop


class MortalProcess(Process):  # type: ignore[misc] # honcho has no types
    """A honcho process whose runner dies with the supervisor."""

    def run(self, events: "Queue[Any] | None" = None, ignore_signals: bool = False) -> None:
        die_with_parent(signal.SIGKILL)
        super().run(events, ignore_signals)


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
    }


def make_manager(*, host: str, port: int, quiet_file: io.TextIOBase | None = None) -> Manager:
    """A manager with the processes added; `loop()` runs until one of them ends or a signal comes."""
    refuse_a_taken_port(host, port)
    manager = Manager(Printer(quiet_file or sys.stdout))
    manager._process_ctor = MortalProcess  # noqa: SLF001 - honcho offers no other door
    environment = os.environ | {
        "DATABASE_URL": settings.CONCORD_DATABASE_URL,
        "REMAP_SIGTERM": "SIGQUIT",  # a stopping worker ends its run at once; its checkpoint stays
        "PYTHONUNBUFFERED": "1",
    }
    for name, command in commands(host=host, port=port).items():
        line = shlex.join([sys.executable, "-m", "deploy.child", *command])
        manager.add_process(name, f"exec {line}", env=environment, cwd=str(settings.BASE_DIR))
    return manager


def run(manager: Manager) -> int:
    """Run until a process ends or a signal comes; then wait for what they started, and end what does not stop."""
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
