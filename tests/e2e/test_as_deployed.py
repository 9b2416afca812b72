"""The processes of deploy/compose.yaml, started by the same commands, against a PostgreSQL and a Redis server."""

import json
import os
import secrets
import shlex
import subprocess
import sys
import uuid
from pathlib import Path
from typing import IO

import httpx
import psycopg
import pytest
import redis

from tests.e2e.conftest import ROOT, free_port
from tests.waiting import eventually

SERVER = os.environ.get("CONCORD_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
BROKER = os.environ.get("CONCORD_TEST_REDIS", "redis://127.0.0.1:6379/15")
Child = subprocess.Popen[bytes]
SERVICES = ("web", "cpu-worker", "gpu-worker", "live-worker", "beat")


@pytest.fixture
def database() -> str:
    """A database of its own on the server; fails with the sentence that says what is missing."""
    name = f"concord_deployed_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg.connect(SERVER, autocommit=True)
        redis.Redis.from_url(BROKER).ping()
    except (psycopg.OperationalError, redis.ConnectionError) as error:
        pytest.fail(
            f"This test needs PostgreSQL at {SERVER} and Redis at {BROKER}; start them. ({error})"
        )
    server.execute(f'create database "{name}"')
    yield SERVER.rsplit("/", 1)[0] + f"/{name}"
    server.execute(f'drop database "{name}" with (force)')
    server.close()
    redis.Redis.from_url(BROKER).flushdb()


def command_of(service: str, *, port: int, var: Path) -> list[str]:
    """What systemd would start, with this test's port and folder."""
    unit = (ROOT / "deploy" / "systemd" / f"concord-{service}.service").read_text()
    line = next(one for one in unit.splitlines() if one.startswith("ExecStart="))
    text = line.removeprefix("ExecStart=/srv/concord/.venv/bin/").replace("%%", "%")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("/var/lib/concord", str(var))
    return [sys.executable, "-m", *shlex.split(text)]


def test_a_lap_runs_through_the_processes_of_a_server_installation(database, tiny_model, tmp_path):
    port = free_port()
    env = os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": BROKER,
        "CONCORD_VAR": str(tmp_path),
        "REMAP_SIGTERM": "SIGQUIT",
        "LOG_LEVEL": "WARNING",
        "CONCORD_PRODUCTION": "1",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "0",  # no proxy with TLS in front of this test
    }
    manage = [sys.executable, "manage.py"]
    for step in ("migrate", "createcachetable", "collectstatic"):
        extra = ["--noinput"] if step != "createcachetable" else []
        subprocess.run([*manage, step, *extra], cwd=ROOT, env=env, check=True, capture_output=True)
    with (tmp_path / "log.txt").open("wb") as log:
        children = start(port=port, var=tmp_path, env=env, log=log)
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/accounts/login/"), seconds=300)
        lap = [*manage, "demo", "--smoke", "--attach", "--model", str(tiny_model)]
        done = subprocess.run(
            lap, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1800
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert [child.poll() for child in children] == [None] * len(SERVICES)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(120)
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["ppo"]["updates"] == 2


def start(*, port: int, var: Path, env: dict[str, str], log: IO[bytes]) -> list[Child]:
    commands = [command_of(name, port=port, var=var) for name in SERVICES]
    return [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log) for command in commands
    ]


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
