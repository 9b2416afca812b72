"""`manage.py up`: whatever ends the supervisor ends the processes it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import ROOT, free_port
from tests.waiting import eventually


@pytest.fixture(scope="module")
def var(tmp_path_factory) -> Path:
    """The folder of one installation, which every test starts again."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture
def up(var, tmp_path) -> Iterator["subprocess.Popen[bytes]"]:
    """An embedded installation that answers."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    env |= {"CONCORD_VAR": str(var)}
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "log.txt").read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{port}/accounts/login/").status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(answers, seconds=300)
        yield process
    finally:
        process.kill()
        process.wait()
        eventually(lambda: not processes_of(var), seconds=60, every=0.5)


def processes_of(var: Path) -> list[str]:
    """The command lines of all processes that work in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CONCORD_VAR") == str(var):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_a_killed_web_server_comes_back(up, tmp_path):
    web = next(
        one
        for one in psutil.Process(up.pid).children(recursive=True)
        if "gunicorn" in " ".join(one.cmdline())
    )
    address = (
        f"http://127.0.0.1:{web.cmdline()[web.cmdline().index('--bind') + 1].rpartition(':')[2]}"
    )

    def is_back() -> bool:
        try:
            return httpx.get(f"{address}/accounts/login/").status_code == 200
        except httpx.TransportError:
            return False

    web.kill()
    told = "web was killed by signal 9; it is started again."
    eventually(lambda: told in (tmp_path / "log.txt").read_text(), seconds=60, every=0.5)
    eventually(is_back, seconds=60, every=0.5)
    assert up.poll() is None


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_supervisor(up, var, ending):
    assert len(processes_of(var)) > 3
    up.send_signal(ending)
    up.wait(60)
    eventually(lambda: not processes_of(var), seconds=60, every=0.5)
