"""Harm while labelers work: workers killed with -9, database connections cut, answers lost on their way."""

import random
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
from django.db import connection, connections

from annotation.comparisons.models import Judgment
from tests.bench.queue import runs
from tests.bench.queue.server import Server
from tests.bench.queue.world import World

CUT_SHARE = 0.02  # of requests whose connection the client cuts while they run
PAUSE_SECONDS = 0.2  # between two acts, on average
LABELS_BETWEEN = 20
GROWN_UP_SECONDS = 0.5  # a worker of this age serves
_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY random() LIMIT 1
"""


@dataclass(slots=True, kw_only=True)
class Harmed:
    """What was done, and what came of it."""

    killed: int = 0
    cut: int = 0
    acknowledged: int = 0
    retries: int = 0
    faults: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)  # of refusals


def label_under_harm(server: Server, world: World, load: runs.Load, *, workers: int) -> Harmed:
    """Let labelers work while workers and connections die; then look at every answer that was acknowledged."""
    harmed = Harmed()
    connections.close_all()  # this thread's would be cut too
    load = replace(load, cut_share=CUT_SHARE)
    seen = runs.drive(
        server, world, load, meanwhile=lambda over: _harm(server, harmed, workers, over)
    )
    return _looked_at(harmed, world, seen)


def _looked_at(harmed: Harmed, world: World, seen: dict[str, Any]) -> Harmed:  # Any: JSON
    harmed.acknowledged, harmed.retries = len(seen["acknowledged"]), seen["retries"]
    harmed.statuses = set(seen["refused"])
    harmed.faults = runs.faults(world, seen["acknowledged"])
    return harmed


def _harm(server: Server, harmed: Harmed, workers: int, is_over: threading.Event) -> None:
    """Kill and cut, whenever some more labels have come in, so that a slow machine gets on too.

    A worker dies only while as many as there shall be serve, so that somebody always does.
    """
    chance = random.Random(workers)  # noqa: S311 - a simulation
    stored = Judgment.objects.count()
    try:
        while not is_over.wait(2 * PAUSE_SECONDS * chance.random()):
            if Judgment.objects.count() < stored + LABELS_BETWEEN:
                continue
            stored = Judgment.objects.count()
            with connection.cursor() as cursor:
                cursor.execute(_CUT)
                harmed.cut += len(cursor.fetchall())
            grown = _grown_up(server)
            if len(grown) >= workers:
                chance.choice(grown).kill()
                harmed.killed += 1
    finally:
        connections.close_all()  # this thread's


def _grown_up(server: Server) -> list[psutil.Process]:
    """The workers that live long enough to serve."""
    born_before = time.time() - GROWN_UP_SECONDS
    return [one for one in server.processes()[1:] if one.create_time() < born_before]
