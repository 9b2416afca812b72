"""`--peer`: our queue and that of Label Studio, one after the other on this machine, and the ratio of the two."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.bench.peer import label_studio
from tests.bench.queue import runs, world
from tests.bench.queue.server import ROOT, serving

PAIRS, OVERLAP, LABELERS = 10_000, 3, 64
CHUNK = 2_500  # tasks an import
PEER_SECONDS = 4  # times ours: it gives few labels in the time that ours needs
TOO_MANY = """
SELECT count(*) FROM (SELECT task_id FROM task_completion WHERE project_id = %s GROUP BY task_id HAVING count(*) > %s) t
"""
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"


def table(seconds: float, counts: list[int], queries: dict[str, str]) -> Iterator[str]:
    """Lines of Markdown: a row for each system and number of labelers; then the ratios."""
    yield "| | labelers | labels/s | p50 | p95 | p99 ms | CPU web + database, ms | transactions | over-filled |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    ours: dict[str, list[runs.Measured]] = {}
    with serving(workers=2, threads=8) as server:
        for name, query in queries.items():
            one = world.make_world(pairs=PAIRS, labelers=LABELERS, overlap=OVERLAP)
            world.settle()
            runs.drive(
                server, one, runs.Load(labelers=LABELERS, labels=600, seconds=20, query=query)
            )
            ours[name] = []
            for count in counts:
                load = runs.Load(labelers=count, seconds=seconds, query=query)
                result, seen = runs.measure(server, one, load)
                ours[name].append(result)
                yield _row(name, result, len(runs.faults(one, seen["acknowledged"])))
    theirs = []
    for result, over_filled in _peer(seconds * PEER_SECONDS, counts):
        theirs.append(result)
        yield _row("Label Studio 1.23", result, over_filled)
    yield ""
    yield from _ratios(ours, theirs)


def _row(name: str, one: runs.Measured, over_filled: int) -> str:
    return (
        f"| {name} | {one.labelers} | {one.rate:.1f} | {one.p50_ms:,.0f} | {one.p95_ms:,.0f} | {one.p99_ms:,.0f} | "
        f"{one.web_ms:.1f} + {one.database_ms:.1f} | {one.transactions:.1f} | {over_filled} |"
    )


def _ratios(ours: dict[str, list[runs.Measured]], theirs: list[runs.Measured]) -> Iterator[str]:
    yield "| times Label Studio | labelers | labels/s | p95, shorter | CPU a label, less |"
    yield "|---|---:|---:|---:|---:|"
    for name, rows in ours.items():
        for one, peer in zip(rows, theirs, strict=True):
            yield (
                f"| {name} | {one.labelers} | {one.rate / peer.rate:.1f} | {peer.p95_ms / one.p95_ms:.1f} | "
                f"{peer.cpu_ms / one.cpu_ms:.1f} |"
            )


def _peer(seconds: float, counts: list[int]) -> Iterator[tuple[runs.Measured, int]]:
    """Measured at each number of labelers, and how many tasks hold more labels than were asked for."""
    with (
        label_studio.serving(users=LABELERS) as peer,
        psycopg.connect(label_studio.SERVER, autocommit=True) as server,
    ):
        project = peer.new_project(overlap=OVERLAP)
        for start in range(0, PAIRS, CHUNK):
            peer.call("POST", f"/api/projects/{project}/import", _tasks(start, start + CHUNK))
        _drive(peer, project, LABELERS, seconds / 4)
        for count in counts:
            before = _spent(peer, server)
            seen = _drive(peer, project, count, seconds)
            if not seen["turnarounds"]:
                raise RuntimeError(
                    f"Label Studio took no answer: {seen['retries']} errors, refusals {seen['refused'][:3]}."
                )
            web, database, commits = (
                after - one for one, after in zip(before, _spent(peer, server), strict=True)
            )
            result = runs.measured(count, seen, web=web, database=database, commits=int(commits))
            yield result, _over_filled(project)


def _tasks(start: int, end: int) -> list[dict[str, str]]:
    """Texts as long as those of `world`."""
    return [
        {
            "prompt": f"{world.PROMPT}{number}",
            "response_a": f"{world.RESPONSE * 3}{number}-1",
            "response_b": f"{world.RESPONSE * 4}{number}-2",
        }
        for number in range(start, end)
    ]


def _drive(
    peer: label_studio.Peer, project: int, count: int, seconds: float
) -> dict[str, Any]:  # Any: JSON
    plan = {
        "port": peer.port,
        "project": project,
        "tokens": peer.tokens[:count],
        "seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.peer.labeling"],
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
        text=True,
    )
    return dict(json.loads(done.stdout))


def _spent(
    peer: label_studio.Peer, server: "psycopg.Connection[tuple[int]]"
) -> tuple[float, float, int]:
    """Processor seconds of web and database server, and transactions, so far."""
    row = server.execute(COMMITS, [label_studio.DATABASE]).fetchone()
    return peer.cpu_seconds(), peer.database_cpu_seconds(), row[0] if row else 0


def _over_filled(project: int) -> int:
    address = label_studio.SERVER.rsplit("/", 1)[0] + f"/{label_studio.DATABASE}"
    with psycopg.connect(address) as database:
        row = database.execute(TOO_MANY, [project, OVERLAP]).fetchone()
    return int(row[0]) if row else 0
