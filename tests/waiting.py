"""Waiting in tests: ask until it is so, with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen], *, seconds: float = 60.0, every: float = 0.05) -> Seen:
    """What ``look`` returns once that is true; AssertionError naming the last answer after the deadline."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {seen!r}"
        time.sleep(every)
    return seen
