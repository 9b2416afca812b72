"""Labelers in a closed loop over HTTP, outside the server: each answers as soon as the next comparison is there.

Run as a process of its own: `python -m tests.bench.queue.driver` reads a plan (JSON) from standard input and writes
what it saw to standard output. As the page does: a session cookie, a CSRF token, a kept connection, retries by uuid.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any
from uuid import uuid4

TOKEN = "c" * 32
RETRY_SECONDS = 0.2


class Connection:
    """One kept-alive connection; opened again when the server is gone, or cut on purpose."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.port = port
        self.headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, method: str, path: str, body: object) -> tuple[int, Any]:  # Any: JSON
        """Status and JSON of one request; OSError where the connection ends before the answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"{self.headers}Content-Length: {len(content)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + content)
            return await self._answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.cut()
            raise OSError(str(error)) from error

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, Any]:  # Any: JSON
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            self.cut()
        return int(head[0].split()[1]), json.loads(content)

    def cut(self) -> None:
        """Close the connection, whatever the server is doing."""
        if self.streams is not None:
            self.streams[1].transport.abort()
            self.streams = None


class Labeler:
    """Answers until the time is over or the queue is empty; keeps what was acknowledged.

    With ``ahead`` in the query it works as the page does: it holds leases for later, and says which ones.
    """

    def __init__(self, plan: dict[str, Any], session: str, seen: dict[str, Any]) -> None:
        cookies = {"Cookie": f"sessionid={session}; csrftoken={TOKEN}", "X-CSRFToken": TOKEN}
        self.connection = Connection(plan["port"], cookies)
        self.base = f"/api/v1/projects/{plan['project']}/assignments/"
        self.query, self.cut_share = plan["query"], plan["cut_share"]
        self.ends_at = time.perf_counter() + plan["seconds"]
        self.seen, self.most = seen, plan["labels"]
        self.deck: list[dict[str, Any]] = []  # Any: JSON
        self.random = random.Random(session)  # noqa: S311 - a simulation

    async def work(self) -> None:
        """Ask for the first comparison, then answer and answer."""
        while time.perf_counter() < self.ends_at and len(self.seen["acknowledged"]) < self.most:
            if not self.deck and not await self.ask():
                break
            await self.answer(self.deck.pop(0))
        self.connection.cut()

    async def ask(self) -> bool:
        """Whether there is something to judge."""
        told = await self.sent("next/", {})
        if told:
            self.take(told)
        return bool(self.deck)

    def take(self, told: dict[str, Any]) -> None:  # Any: JSON
        """Keep the new leases, drop those that are no more."""
        live = {one["id"] for one in told["leases"]}
        kept = [one for one in self.deck if one["id"] in live]
        new = [told["assignment"], *told["ahead"]] if told["assignment"] else []
        held = {one["id"] for one in kept}
        self.deck = kept + [one for one in new if one["id"] not in held]

    async def answer(self, lease: dict[str, Any]) -> None:  # Any: JSON
        """Send an answer; the time until the next comparison is there."""
        first, second = self.random.sample([one["id"] for one in lease["candidates"]], 2)
        strength = self.random.randint(1, 3)
        body = {
            "client_uuid": str(uuid4()),
            "ranking": [[first], [second]],
            "strengths": [strength],
            "active_ms": 10,
        }
        started = time.perf_counter()
        told = await self.sent(f"{lease['id']}/judgment/", body)
        if told is None:
            return
        self.take(told)
        self.seen["turnarounds"].append(time.perf_counter() - started)
        given = [body["client_uuid"], lease["comparison"], first, strength]
        self.seen["acknowledged"].append([*given, told["judgment"]["is_counted"]])

    async def sent(self, path: str, body: object) -> Any:  # Any: JSON
        """The answer; sent again until there is one. None where it was refused, as a second answer is."""
        while True:
            try:
                status, told = await self._once(path, body)
            except OSError:
                status = 503
            if status == 200:
                return told
            if status < 500 or time.perf_counter() > self.ends_at + 30:
                self.seen["refused"].append(status)
                return None
            self.seen["retries"] += 1
            await asyncio.sleep(RETRY_SECONDS * self.random.random())

    async def _once(self, path: str, body: object) -> tuple[int, Any]:  # Any: JSON
        held = ",".join(str(one["id"]) for one in self.deck)
        path = f"{self.base}{path}?held={held}&{self.query}"
        if self.random.random() >= self.cut_share:
            return await self.connection.send("POST", path, body)
        posting = asyncio.ensure_future(self.connection.send("POST", path, body))
        await asyncio.sleep(0.01 * self.random.random())
        self.connection.cut()
        return await posting


async def drive(plan: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Let all labelers of a plan work at once; what they saw."""
    seen: dict[str, Any] = {"turnarounds": [], "acknowledged": [], "refused": [], "retries": 0}
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(Labeler(plan, one, seen).work() for one in plan["sessions"]))
    seen["seconds"] = time.perf_counter() - started
    seen["cpu"] = time.process_time() - cpu
    return seen


if __name__ == "__main__":
    json.dump(asyncio.run(drive(json.load(sys.stdin))), sys.stdout)
