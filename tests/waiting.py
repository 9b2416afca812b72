"""Waiting in tests: ask until it is so, with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections

Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen], *, seconds: float = 60.0, every: float = 0.05) -> Seen:
    """What ``look`` returns once that is true; AssertionError naming the last answer after the deadline."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {seen!r}"
        time.sleep(every)
    return seen


def beside(act: Callable[[], Seen]) -> "Future[Seen]":
    """``act`` in a thread and a connection of its own, once it stands at a lock of this transaction or is done."""

    def whole() -> Seen:
        try:
            return act()
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(1)
    other = pool.submit(whole)
    pool.shutdown(wait=False)
    eventually(lambda: other.done() or _somebody_waits_for_this_transaction())
    return other


def _somebody_waits_for_this_transaction() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])
