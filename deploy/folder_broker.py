"""The embedded broker: kombu's folder transport, with messages that appear whole.

kombu opens a message under its final name before it writes it; a quick reader takes an empty file and its
worker dies. Here a message is written under a hidden name and renamed; a torn one is left out, for a message is only a
doorbell and the sweep rings again (docs/adr/0003).
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any, TypeVar

from kombu.transport import filesystem
from kombu.utils.json import dumps

Read = TypeVar("Read")
TRIES = 50


class Channel(filesystem.Channel):
    """A folder in which every message is whole."""

    def _put(  # type: ignore[override] # kombu's own classes disagree on the signature
        self, queue: str, payload: dict[str, Any], **_options: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg"
        draft = folder / f".{name}.part"
        draft.write_text(dumps(payload), encoding="utf-8")
        draft.replace(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - kombu never waits here
        try:
            return super()._get(queue)
        except ValueError as error:
            raise Empty from error

    def get_table(self, exchange: str) -> Any:  # Any: kombu's routing table
        return whole(lambda: super(Channel, self).get_table(exchange))

    def _queue_bind(
        self, exchange: str, routing_key: str | None, pattern: str | None, queue: str
    ) -> None:
        bind = super()._queue_bind
        whole(lambda: bind(exchange, routing_key or "", pattern or "", queue))


class Transport(filesystem.Transport):
    """Named as the transport of ``filesystem://`` by `deploy.celery`."""

    Channel = Channel


def whole(read: Callable[[], Read]) -> Read:
    """What ``read`` gives once the file it reads is written to its end."""
    for _ in range(TRIES):
        try:
            return read()
        except ValueError:
            time.sleep(0.01)
    return read()
