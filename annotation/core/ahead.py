"""Doing two things at once: the next item of an iterator is made while the last one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; a thread makes the next one meanwhile. What makes them must not use the database."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(_next, items)
        while held := coming.result():
            coming = thread.submit(_next, items)
            yield held[0]


def _next(items: Iterator[Item]) -> list[Item]:
    """The next item in a list; an empty one at the end."""
    return list(islice(items, 1))
