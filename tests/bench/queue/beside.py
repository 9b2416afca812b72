"""`--peer`: our queue and that of Label Studio on this machine, turn and turn about, and the ratio of the two."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from statistics import median
from typing import Any

import psycopg

from tests.bench.peer import label_studio
from tests.bench.queue import runs, world
from tests.bench.queue.server import ROOT, Server, serving

PEER = "Label Studio 1.23"
TURNS = 3  # an odd number
PAIRS, OVERLAP, LABELERS = 10_000, 3, 64
CHUNK = 2_500  # tasks an import
PEER_SECONDS = 4  # times ours: it gives few labels in the time that ours needs
TOO_MANY = """
SELECT count(*) FROM (SELECT task_id FROM task_completion WHERE project_id = %s GROUP BY task_id HAVING count(*) > %s) t
"""
_ADDRESS = label_studio.SERVER.rsplit("/", 1)[0] + f"/{label_studio.DATABASE}"
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"


# How many labelers -> what was measured, and how many comparisons got more labels than were asked for.
Slice = Callable[[int], tuple[runs.Measured, int]]


def table(seconds: float, counts: list[int], queries: dict[str, str]) -> Iterator[str]:
    """Lines of Markdown: the middle one of `TURNS` for each system and number of labelers; then the ratios.

    The systems take turns, so that a machine that others slow down slows all of them.
    """
    yield "| | labelers | labels/s | p50 | p95 | p99 ms | CPU web + database, ms | transactions | over-filled |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    told: dict[tuple[str, int], list[runs.Measured]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(serving(workers=2))
        systems = {
            name: _ours(server, query, seconds / TURNS) for name, query in queries.items()
        } | {PEER: stack.enter_context(_peer(PEER_SECONDS * seconds / TURNS))}
        for count in counts:
            slices = [
                (name, measure(count)) for _ in range(TURNS) for name, measure in systems.items()
            ]
            for name in systems:
                told[name, count] = [result for one, (result, _) in slices if one == name]
                over_filled = max(found for one, (_, found) in slices if one == name)
                yield _row(name, _middle(told[name, count]), over_filled)
    yield ""
    yield from _ratios(told, list(queries), counts)


def _middle(turns: list[runs.Measured]) -> runs.Measured:
    return sorted(turns, key=lambda one: one.rate)[len(turns) // 2]


def _row(name: str, one: runs.Measured, over_filled: int) -> str:
    return (
        f"| {name} | {one.labelers} | {one.rate:.1f} | {one.p50_ms:,.0f} | {one.p95_ms:,.0f} | {one.p99_ms:,.0f} | "
        f"{one.web_ms:.1f} + {one.database_ms:.1f} | {one.transactions:.1f} | {over_filled} |"
    )


def _ratios(
    told: dict[tuple[str, int], list[runs.Measured]], ours: list[str], counts: list[int]
) -> Iterator[str]:
    """The middle of the turns' ratios, and the least and greatest."""
    yield "| times Label Studio | labelers | labels/s | p95, shorter | CPU a label, less |"
    yield "|---|---:|---:|---:|---:|"
    for name, count in product(ours, counts):
        turns = list(zip(told[name, count], told[PEER, count], strict=True))
        rates = _spread([one.rate / peer.rate for one, peer in turns])
        waits = _spread([peer.p95_ms / one.p95_ms for one, peer in turns])
        costs = _spread([peer.cpu_ms / one.cpu_ms for one, peer in turns])
        yield f"| {name} | {count} | {rates} | {waits} | {costs} |"


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _ours(server: Server, query: str, seconds: float) -> Slice:
    """Our queue on a project of its own, warm."""
    one = world.make_world(pairs=PAIRS, labelers=LABELERS, overlap=OVERLAP)
    world.settle()
    runs.drive(server, one, runs.Load(labelers=LABELERS, labels=600, seconds=20, query=query))
    world.settle()

    def measure(count: int) -> tuple[runs.Measured, int]:
        load = runs.Load(labelers=count, seconds=seconds, query=query)
        result, seen = runs.measure(server, one, load)
        return result, len(runs.faults(one, seen["acknowledged"]))

    return measure


@contextmanager
def _peer(seconds: float) -> Iterator[Slice]:
    """Label Studio with as many tasks, warm."""
    with (
        label_studio.serving(users=LABELERS) as peer,
        psycopg.connect(label_studio.SERVER, autocommit=True) as server,
    ):
        project = peer.new_project(overlap=OVERLAP)
        for start in range(0, PAIRS, CHUNK):
            peer.call("POST", f"/api/projects/{project}/import", _tasks(start, start + CHUNK))
        _drive(peer, project, LABELERS, seconds)
        with psycopg.connect(_ADDRESS, autocommit=True) as database:
            database.execute("VACUUM ANALYZE")
            database.execute("CHECKPOINT")

        def measure(count: int) -> tuple[runs.Measured, int]:
            before = _spent(peer, server)
            seen = _drive(peer, project, count, seconds)
            if not seen["turnarounds"]:
                raise RuntimeError(
                    f"Label Studio took no answer: {seen['retries']} errors, refusals {seen['refused'][:3]}."
                )
            spent = zip(before, _spent(peer, server), strict=True)
            web, database, commits = (after - one for one, after in spent)
            result = runs.measured(count, seen, web=web, database=database, commits=int(commits))
            return result, _over_filled(project)

        yield measure


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
    with psycopg.connect(_ADDRESS) as database:
        row = database.execute(TOO_MANY, [project, OVERLAP]).fetchone()
    return int(row[0]) if row else 0
