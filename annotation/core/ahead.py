"""Doing two things at once: the next item of an iterator is made while the caller waits for the database."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class OneAhead(Generic[Item]):
    """The same items; a thread makes the next one from `begin` on. What makes them must not use the database.

    Threads of Python that compute take turns, and one that was answered by the database waits for its turn: an item
    made while statements are sent one after the other holds up each of them. So `begin` before a long wait.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._coming: Future[list[Item]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.shutdown()

    def begin(self) -> None:
        """Have the next item made, unless that was asked already; the iterator asks where the caller did not."""
        if self._coming is None:
            self._coming = self._thread.submit(self._next)

    def __iter__(self) -> Iterator[Item]:
        while held := self._taken():
            yield held[0]

    def _taken(self) -> list[Item]:
        self.begin()
        coming, self._coming = self._coming, None
        return coming.result() if coming else []

    def _next(self) -> list[Item]:
        """The next item in a list; an empty one at the end."""
        return list(islice(self._items, 1))
