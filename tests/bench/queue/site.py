"""What an installation costs before anybody labels: first start, idle memory, the project list, the page's weight."""

import gzip
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

from tests.bench.queue.server import ROOT, START_SECONDS, Server, free_port
from tests.bench.queue.world import World

ASKED = 40  # times, for a median
_ASSET = re.compile(r'(?:<script[^>]+src|<link[^>]+rel="(?:stylesheet|icon)"[^>]+href)="([^"]+)"')


def asked(port: int, path: str, *, session: str = "") -> tuple[float, bytes]:
    """Milliseconds and body of one request; raises where the answer is no page."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"Cookie": f"sessionid={session}"}
    )
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        body = reply.read()
    return 1000 * (time.perf_counter() - started), body


def project_list_ms(server: Server, world: World) -> tuple[float, float]:
    """Milliseconds of the list of projects, the median and the 95th percentile."""
    times = [asked(server.port, "/", session=world.sessions[0])[0] for _ in range(ASKED)]
    return statistics.median(times), sorted(times)[int(0.95 * ASKED)]


def page_weight(server: Server, world: World) -> tuple[int, int]:
    """Bytes and requests of the labeling page with all it loads; scripts and styles compressed, as in production."""
    path = f"/projects/{world.project_id}/label/"
    _, body = asked(server.port, path, session=world.sessions[0])
    assets = {urljoin(path, one) for one in _ASSET.findall(body.decode())}
    weights = [len(gzip.compress(asked(server.port, one)[1])) for one in sorted(assets)]
    return len(body) + sum(weights), 1 + len(weights)


def idle_memory_mb(server: Server, workers: int) -> float:
    """Memory of the web server once all its workers have started and none has worked."""
    deadline = time.monotonic() + START_SECONDS
    while len(server.processes()) <= workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not all {workers} workers had started after {START_SECONDS} s.")
        time.sleep(0.05)
    return server.memory_mb()


def first_start_seconds() -> float:
    """From `manage.py up` in an empty folder (database made, tables migrated) until the first page is there."""
    folder, port = Path(tempfile.mkdtemp(prefix="concord-start-")), free_port()
    hidden = {"DATABASE_URL", "REDIS_URL"}
    environment = {name: text for name, text in os.environ.items() if name not in hidden}
    command = [sys.executable, "manage.py", "up", "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment | {"CONCORD_VAR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                raise RuntimeError(
                    f"`manage.py up` did not answer; it ended with {process.poll()}."
                )
            time.sleep(0.05)
        return time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        return bool(asked(port, "/accounts/login/")[1])
    except OSError:
        return False
