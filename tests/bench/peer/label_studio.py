"""Label Studio 1.23 beside ours, on the same machine in the same run.

`install()` makes its environment once under var/bench/peer (CONCORD_BENCH_PEER names another folder); `serving()`
starts it on a fresh copy of its migrated database, with users who have tokens, and ends it.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.bench.queue.server import ROOT, START_SECONDS, Server, free_port, server_cpu_seconds

PACKAGES = ["label-studio==1.23.2", "uwsgi==2.0.31"]
SERVER = os.environ.get("CONCORD_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
TEMPLATE, DATABASE = "concord_bench_peer_1_23", "concord_bench_peer"
SEEDING = Path(__file__).with_name("seeding.py")
REQUEST_SECONDS = 900  # of its slowest request, on a machine that others use too
PAIRWISE = """<View>
  <Text name="prompt" value="$prompt"/>
  <Pairwise name="choice" toName="a,b"/>
  <Text name="a" value="$response_a"/>
  <Text name="b" value="$response_b"/>
</View>"""


class Peer(Server):
    """A running Label Studio; ``tokens`` are of its users, the first of whom owns everything."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", port: int, tokens: list[str], workers: int
    ) -> None:
        super().__init__(process, port)
        self.address, self.tokens, self.workers = f"http://127.0.0.1:{port}", tokens, workers

    @property
    def token(self) -> str:
        return self.tokens[0]

    def call(
        self, method: str, path: str, body: object = None, *, token: str = ""
    ) -> Any:  # Any: JSON
        """What the API answers; RuntimeError with its words where it refuses."""
        return json.loads(self.fetch(path, method=method, body=body, token=token) or b"null")

    def fetch(
        self, path: str, *, method: str = "GET", body: object = None, token: str = ""
    ) -> bytes:
        """The answer as it comes."""
        request = urllib.request.Request(  # noqa: S310 - its own address
            f"{self.address}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Token {token or self.token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as reply:  # noqa: S310
                return bytes(reply.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def new_project(self, *, overlap: int = 1) -> int:
        """A project of pairs, each labeled by so many; its key."""
        facts = {
            "title": "pairs",
            "label_config": PAIRWISE,
            "maximum_annotations": overlap,
            "show_skip_button": True,
        }
        return int(self.call("POST", "/api/projects/", facts)["id"])

    def database_cpu_seconds(self) -> float:
        """Of the whole database server: it opens a connection a request, whose process is gone soon after."""
        with psycopg.connect(SERVER) as connection:
            return server_cpu_seconds(connection)


def install() -> Path:
    """Its interpreter; what is missing of its environment is installed first."""
    home = Path(os.environ.get("CONCORD_BENCH_PEER", ROOT / "var" / "bench" / "peer"))
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.is_file():
        return python
    _do([sys.executable, "-m", "venv", str(home)])
    _do([str(python), "-m", "pip", "install", "--quiet", "uv"])
    _do(
        [
            *[str(home / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(python)],
            *PACKAGES,
        ]
    )
    ready.touch()
    return python


@contextmanager
def serving(*, users: int = 1, workers: int | None = None) -> Iterator[Peer]:
    """A Label Studio that answers. ``workers`` processes: two a core, as its image has, unless named."""
    python, port = install(), free_port()
    workers = workers or 2 * (os.cpu_count() or 1)
    _copy_database(python)
    told = {"input": SEEDING.read_text(), **_setting(python, DATABASE)}
    seeded = _do([str(python), "-", str(users)], **told)
    tokens = json.loads(seeded.splitlines()[-1])
    log = python.parent.parent / "served.log"
    with log.open("wb") as heard:
        process = subprocess.Popen(
            _uwsgi(python, port, workers),
            stdout=heard,
            stderr=subprocess.STDOUT,
            **_setting(python, DATABASE),
        )
    peer = Peer(process, port, tokens, workers)
    try:
        _wait_for(peer, log)
        yield peer
    finally:
        process.terminate()
        process.wait(timeout=120)


def _uwsgi(python: Path, port: int, workers: int) -> list[str]:
    """As its image runs it: one thread a process, applications loaded in each, ended by SIGTERM."""
    switches = ["master", "single-interpreter", "lazy-apps", "enable-threads", "thunder-lock"]
    switches += ["die-on-term", "need-app", "disable-logging", "ignore-sigpipe"]
    facts = {
        "http": f"127.0.0.1:{port}",
        "module": "core.wsgi:application",
        "processes": workers,
        "threads": 1,
        "buffer-size": 65535,
        "http-timeout": REQUEST_SECONDS,
        "post-buffering": 4096,
        "max-requests": 5000,
    }
    named = [word for name, value in facts.items() for word in (f"--{name}", str(value))]
    return [str(python.with_name("uwsgi")), *(f"--{one}" for one in switches), *named]


def _setting(python: Path, database: str) -> dict[str, Any]:  # Any: arguments of subprocess
    """Where its code lies and what it reads from the environment; it calls nobody."""
    place = urlsplit(SERVER)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"} | {
        "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
        "DJANGO_DB": "default",
        "POSTGRE_HOST": place.hostname or "",
        "POSTGRE_PORT": str(place.port or 5432),
        "POSTGRE_USER": place.username or "postgres",
        "POSTGRE_PASSWORD": place.password or "",
        "POSTGRE_NAME": database,
        "LABEL_STUDIO_BASE_DATA_DIR": str(python.parent.parent / "data"),
        "LOG_LEVEL": "ERROR",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
    }
    found = next(python.parent.parent.glob("lib/python3*/site-packages/label_studio"))
    return {"cwd": found, "env": environment}


def _copy_database(python: Path) -> None:
    """A fresh copy of its migrated database, which is made once: its migrations take minutes."""
    with psycopg.connect(SERVER, autocommit=True) as server:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not server.execute(known, [TEMPLATE]).fetchone():
            _create(server, DATABASE)
            _do(
                [str(python), "manage.py", "migrate", "--verbosity", "0"],
                **_setting(python, DATABASE),
            )
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            server.execute(rename.format(sql.Identifier(DATABASE), sql.Identifier(TEMPLATE)))
        _create(server, DATABASE, template=TEMPLATE)


def _create(server: "psycopg.Connection[Any]", name: str, template: str = "template1") -> None:
    names = sql.Identifier(name), sql.Identifier(template)
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(names[0]))
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))


def _wait_for(peer: Peer, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if peer.process.poll() is not None:
            raise RuntimeError(f"Label Studio ended with {peer.process.returncode}; see {log}.")
        try:
            peer.call("GET", "/api/projects/")
        except (OSError, RuntimeError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"Label Studio did not answer within {START_SECONDS} s; see {log}.")


def _do(command: list[str], **options: Any) -> str:  # Any: arguments of subprocess
    """What a command writes; with its errors shown where it fails."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout
