"""The web server as it is deployed, before an application that makes it hard: what is long, broken, slow, or killed."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from tests.bench.queue.server import ROOT, free_port, wait_for
from tests.integration.small_site import MANY, PIECE
from tests.waiting import eventually

LARGE = 64 * 1024 * 1024  # bytes


class Site:
    """A server of two workers, and what its application tells."""

    def __init__(self, folder: Path, config: str = "deploy.serving") -> None:
        self.told, self.go_on = folder / "told", folder / "go_on"
        os.mkfifo(self.go_on)
        self.port = free_port()
        command = [
            *[sys.executable, "-m", "gunicorn", "-c", f"python:{config}"],
            *["--workers", "2", "--bind", f"127.0.0.1:{self.port}", "--log-level", "error"],
            "tests.integration.small_site:app",
        ]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"SMALL_SITE": str(folder)}
        )
        wait_for(self.port, self.process)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(30)

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def last_told(self) -> str:
        return self.told.read_text() if self.told.exists() else ""

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def memory(self) -> int:
        return sum(one.memory_info().rss for one in self.workers())


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    with closing(Site(tmp_path)) as made:
        yield made


def test_a_long_answer_waits_for_its_reader_and_is_closed_when_they_leave(site):
    site.client.get("/")
    before, looks = site.memory(), [""]

    def stands_still() -> bool:
        looks.append(site.last_told())
        return len(set(looks[-10:])) == 1 and looks[-1] != ""

    with site.client.stream("GET", "/long") as answer:
        pieces = answer.iter_raw(len(PIECE))
        assert next(pieces) == PIECE
        eventually(stands_still)
        assert int(looks[-1]) < MANY / 4
        assert site.memory() - before < LARGE
    eventually(lambda: site.last_told() == "closed")


def test_a_large_upload_arrives_whole_and_is_not_held(site):
    content = os.urandom(LARGE)
    site.client.get("/")
    before = site.memory()
    pieces = (content[at : at + len(PIECE)] for at in range(0, LARGE, len(PIECE)))
    for body in (content, pieces):  # with its length, and in chunks without
        answer = site.client.post("/sum", content=body)
        assert answer.text == hashlib.sha256(content).hexdigest()
    assert site.memory() - before < LARGE / 2


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(site):
    with pytest.raises(httpx.RemoteProtocolError):
        site.client.get("/broken")
    assert site.client.get("/").status_code == 200


def test_what_is_being_answered_is_answered_before_the_server_ends(site):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.client.get, "/slow")
        eventually(lambda: site.last_told() == "begun")
        site.process.terminate()
        eventually(lambda: not site.is_listening())
        go_on = os.open(site.go_on, os.O_WRONLY | os.O_NONBLOCK)  # fails where nobody reads
        os.write(go_on, b"done")
        os.close(go_on)
        assert slow.result().text == "done"
    assert site.process.wait(30) == 0


def test_a_killed_worker_is_replaced(site):
    killed = {one.pid for one in eventually(lambda: len(site.workers()) == 2 and site.workers())}
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len({one.pid for one in site.workers()} - killed) == 2)
    assert int(site.client.get("/").text) not in killed


def test_a_worker_told_to_end_as_it_is_forked_ends(tmp_path):
    with closing(Site(tmp_path, "tests.integration.told_early")) as site:
        told = int(eventually(site.last_told))
        eventually(lambda: told not in {one.pid for one in site.workers()})
        eventually(lambda: len(site.workers()) == 2)
