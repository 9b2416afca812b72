"""The server under measure: gunicorn as it is deployed, on a database of its own; its processor time and memory."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 300  # much, for a machine that others use too


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """gunicorn with its workers."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process, self.port = process, port

    def processes(self) -> list[psutil.Process]:
        master = psutil.Process(self.process.pid)
        return [master, *master.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Of the master and the workers that live now."""
        return sum(sum(one.cpu_times()[:2]) for one in self.processes())

    def memory_mb(self) -> float:
        """Proportional set size: shared pages are counted once."""
        return sum(one.memory_full_info().pss for one in self.processes()) / 1e6


def database_cpu_seconds() -> float:
    """Of the sessions of this database, and of the processes that write for all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() OR backend_type IN "
            "('walwriter', 'checkpointer', 'background writer')"
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    return sum(map(_spent, pids))


def _spent(pid: int) -> float:
    """CPU seconds of a process; none of one that has ended meanwhile."""
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:2]))
    except psutil.NoSuchProcess:
        return 0.0


def server_cpu_seconds(connection: "psycopg.Connection[tuple[object, ...]]") -> float:
    """Of a whole database server on this machine, sessions that have ended with it."""
    own = psutil.Process(connection.info.backend_pid)
    postmaster = own.parent()
    if postmaster is None:
        raise RuntimeError("The database server is not on this machine.")
    living = sum(_spent(one.pid) for one in postmaster.children())
    return living + sum(postmaster.cpu_times()[:4])


@contextmanager
def serving(*, workers: int) -> Iterator[Server]:
    """A server that answers; ended afterwards."""
    port = free_port()
    command = [
        *[sys.executable, "-m", "gunicorn", "-c", "python:deploy.serving"],
        *["--workers", str(workers), "--bind", f"127.0.0.1:{port}"],
        *["--log-level", "error"],
    ]
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "LOG_LEVEL": "ERROR",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_for(port, process)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(timeout=30)


def database_url() -> str:
    """The database of this process, for another one."""
    parts = urlsplit(settings.CONCORD_DATABASE_URL)
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with {process.returncode}.")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"The server did not listen within {START_SECONDS} seconds.")
