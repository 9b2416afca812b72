"""Waiting in tests: ask until it is so, with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import connection

Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen], *, seconds: float = 60.0, every: float = 0.05) -> Seen:
    """What ``look`` returns once that is true; AssertionError naming the last answer after the deadline."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {seen!r}"
        time.sleep(every)
    return seen


def somebody_waits_for_this_transaction() -> bool:
    """Whether another connection stands at a lock that this one holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])
