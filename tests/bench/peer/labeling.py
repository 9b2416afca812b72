"""Labelers of Label Studio in a closed loop over HTTP: each posts an annotation, then asks for the next task.

Run as a process of its own, as `tests.bench.queue.driver` is: a plan (JSON) on standard input, what it saw on standard
output. A turnaround is from sending the annotation until the next task is there: two requests, as its page sends them.
Its HTTP router ends the connection after each answer, so each request opens one.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

from tests.bench.queue.driver import RETRY_SECONDS, Connection

NOTHING_LEFT = 404


class Labeler:
    """Answers until the time is over or no task is left."""

    def __init__(self, plan: dict[str, Any], token: str, seen: dict[str, Any]) -> None:
        self.connection = Connection(plan["port"], {"Authorization": f"Token {token}"})
        self.project, self.seen = plan["project"], seen
        self.ends_at = time.perf_counter() + plan["seconds"]
        self.random = random.Random(token)  # noqa: S311 - a simulation

    async def work(self) -> None:
        """Ask for the first task, then answer and answer."""
        task = await self.next_task()
        while task and time.perf_counter() < self.ends_at:
            started = time.perf_counter()
            is_taken = await self.annotate(task)
            task = await self.next_task()
            if is_taken and task:
                self.seen["turnarounds"].append(time.perf_counter() - started)

    async def next_task(self) -> int | None:
        told = await self.sent("GET", f"/api/projects/{self.project}/next/")
        return told and int(told["id"])

    async def annotate(self, task: int) -> bool:
        value = {"selected": self.random.choice(["left", "right"])}
        choice = {"from_name": "choice", "to_name": "a,b", "type": "pairwise", "value": value}
        body = {"result": [choice], "lead_time": 1.0}
        told = await self.sent("POST", f"/api/tasks/{task}/annotations/", body)
        if told:
            self.seen["acknowledged"].append(told["id"])
        return bool(told)

    async def sent(self, method: str, path: str, body: object = None) -> Any:  # Any: JSON
        """The answer; sent again until there is one. None where it was refused, or nothing is left."""
        while True:
            try:
                status, told = await self.connection.send(method, path, body)
            except OSError:
                status = 503
            self.connection.cut()
            if status < 300:
                return told
            if status < 500 or time.perf_counter() > self.ends_at + 60:
                if status != NOTHING_LEFT:
                    self.seen["refused"].append(status)
                return None
            self.seen["retries"] += 1
            await asyncio.sleep(RETRY_SECONDS * self.random.random())


async def drive(plan: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Let all labelers of a plan work at once; what they saw."""
    seen: dict[str, Any] = {"turnarounds": [], "acknowledged": [], "refused": [], "retries": 0}
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(Labeler(plan, one, seen).work() for one in plan["tokens"]))
    seen["seconds"] = time.perf_counter() - started
    seen["cpu"] = time.process_time() - cpu
    return seen


if __name__ == "__main__":
    json.dump(asyncio.run(drive(json.load(sys.stdin))), sys.stdout)
