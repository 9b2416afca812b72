"""What Label Studio takes for the same, in the same run on this machine; figures of before where it is not asked."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.bench.inout import files
from tests.bench.peer.label_studio import Peer, serving

PAIRS, LABELS = 10_000, 2
PROJECTS = 30  # a page of its list
ASKED = 10  # times, for a median
A_PAGE = "/api/projects/?page=1&page_size=30"  # as its list of projects asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Seconds by the clock, and CPU seconds of the web server and of the database."""

    seconds: float
    web: float = 0.0
    database: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of Label Studio 1.23; those that stand here were measured on two idle cores of another machine."""

    tasks_in: Act = Act(seconds=3.3)
    labels_out: Act = Act(seconds=20.0)
    table_out: Act = Act(seconds=20.0)
    list_ms: float = 3800.0
    idle_mb: float = 767.0


def measured(show: Callable[[str, Act], None]) -> Figures:
    """All of it, on a server of its own that is ended afterwards; each act is shown once it is done."""
    with serving(users=LABELS) as peer:

        def act(what: str, do: Callable[[], object]) -> Act:
            done = _act(peer, do)
            show(f"Label Studio: {what}", done)
            return done

        idle = peer.memory_mb()
        peer.call("GET", A_PAGE)  # what a server has loaded long ago is not measured
        tasks, labeled = peer.new_project(), peer.new_project(overlap=LABELS)
        rows = list(_tasks()), list(_labeled(peer))
        tasks_in = act("import of 10,000 tasks", lambda: _import(peer, tasks, rows[0]))
        act("import of 10,000 with 20,000 labels", lambda: _import(peer, labeled, rows[1]))
        out = f"/api/projects/{labeled}/export?exportType="
        labels_out = act("export of 20,000 labels as JSON", lambda: peer.fetch(f"{out}JSON"))
        table_out = act("export of 20,000 labels as CSV", lambda: peer.fetch(f"{out}CSV"))
        for _ in range(PROJECTS - 2):
            peer.new_project()
        listed = [_act(peer, lambda: peer.call("GET", A_PAGE)).seconds for _ in range(ASKED)]
    return Figures(
        tasks_in=tasks_in,
        labels_out=labels_out,
        table_out=table_out,
        list_ms=1000 * statistics.median(listed),
        idle_mb=idle,
    )


def _act(peer: Peer, act: Callable[[], object]) -> Act:
    web, database, began = peer.cpu_seconds(), peer.database_cpu_seconds(), time.perf_counter()
    act()
    seconds = time.perf_counter() - began
    return Act(
        seconds=seconds,
        web=peer.cpu_seconds() - web,
        database=peer.database_cpu_seconds() - database,
    )


def _import(peer: Peer, project: int, tasks: list[dict[str, Any]]) -> None:
    told = peer.call("POST", f"/api/projects/{project}/import", tasks)
    if told["task_count"] != len(tasks):
        raise RuntimeError(f"Label Studio took {told['task_count']} of {len(tasks)} tasks.")


def _tasks() -> Iterator[dict[str, Any]]:
    return ({"data": row} for row in files.pairs(PAIRS))


def _labeled(peer: Peer) -> Iterator[dict[str, Any]]:
    people = [one["id"] for one in peer.call("GET", "/api/users/")][:LABELS]
    for number, task in enumerate(_tasks()):
        given = [
            {"result": _chosen((number + one) % 2), "completed_by": person}
            for one, person in enumerate(people)
        ]
        yield {**task, "annotations": given}


def _chosen(side: int) -> list[dict[str, Any]]:
    value = {"selected": ("left", "right")[side]}
    return [{"from_name": "choice", "to_name": "a", "type": "pairwise", "value": value}]
