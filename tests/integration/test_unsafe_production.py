"""A production that lacks its secret, database, broker or hosts does not start, by whatever command."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAFE = {
    "CONCORD_PRODUCTION": "1",
    "SECRET_KEY": "x" * 50,
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ALLOWED_HOSTS": "concord.example",
}
WEB = [sys.executable, "-c", "import deploy.wsgi; print('started')"]
WORKER = [sys.executable, "-m", "celery", "-A", "deploy.celery", "worker", "-Q", "cpu"]


def start(command: list[str], var: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **SAFE, "CONCORD_VAR": str(var), **changed}
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_web_starts_with_all_four(tmp_path):
    assert "started" in start(WEB, tmp_path).stdout


def test_the_web_does_not_start_without_them_and_names_each(tmp_path):
    ended = start(WEB, tmp_path, SECRET_KEY="", REDIS_URL="", ALLOWED_HOSTS="")
    assert (ended.returncode, ended.stdout) == (1, "")
    missing = [name for name in SAFE if f"{name} is not set" in ended.stderr]
    assert missing == ["SECRET_KEY", "REDIS_URL", "ALLOWED_HOSTS"]


def test_a_worker_does_not_start_either(tmp_path):
    ended = start(WORKER, tmp_path, ALLOWED_HOSTS="*")
    assert ended.returncode == 1
    assert "ALLOWED_HOSTS=* accepts any host" in ended.stderr
