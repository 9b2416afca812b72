"""`make bench-queue`: a database of its own, a server as deployed, labelers of another process; a table at the end.

`--quick` takes a quarter of the time. Figures of Label Studio 1.23 (uwsgi, PostgreSQL), measured in the same way on two
cores, stand beside ours.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import django
import psycopg

if TYPE_CHECKING:  # both import models, which need the settings first
    from tests.bench.queue import runs
    from tests.bench.queue.server import Server
    from tests.bench.queue.world import World

SERVER = os.environ.get("CONCORD_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
DATABASE = "concord_bench_queue"
PEER_RATE = {8: 9.5, 64: 8.5}  # labels a second
PEER_P95 = {1: 287, 8: 1087, 64: 8853}  # ms
GOAL_P95 = {1: 25, 8: 50, 64: 250}
GOAL_TIMES = {8: 30, 64: 40}
GOAL_CPU, GOAL_GROWTH = 6.0, 1.2
WARM_LABELERS, WARM_LABELS, WARM_SECONDS = 64, 600, 20  # whichever of the two comes first
PAGE = "bench=1&ahead=2"  # as the page asks
FRESH, BARE, HALF, LARGE = (
    "10,000 pairs",
    "10,000 pairs, JSON alone",
    "half done",
    "100,000 pairs",
)


def show(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def use_own_database(name: str = DATABASE) -> None:
    """An empty database, migrated, and Django set up on it."""
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f'drop database if exists "{name}" with (force)')
        server.execute(f'create database "{name}"')
    os.environ["DATABASE_URL"] = SERVER.rsplit("/", 1)[0] + f"/{name}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "deploy.settings"
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def load() -> str:
    """How busy the machine is with everything, this run included."""
    return f"{os.getloadavg()[0]:.1f}"


def label_rows(seconds: float, counts: list[int]) -> None:
    """The tables of labels over HTTP, on fresh, half-done and large projects, and of what else a server costs."""
    from tests.bench.queue import runs, site, world
    from tests.bench.queue.server import serving

    fresh = world.make_world(pairs=10_000, labelers=64)
    worlds = [  # a project each: the rows of one must not come to its end
        (FRESH, fresh, PAGE),
        (BARE, world.make_world(pairs=10_000, labelers=64), ""),
        (HALF, world.make_world(pairs=10_000, labelers=64, is_half_done=True), PAGE),
        (LARGE, world.make_world(pairs=100_000, labelers=64), PAGE),
    ]
    world.settle()
    workers = min(os.cpu_count() or 1, 4)
    results: dict[tuple[str, int], runs.Measured] = {}
    with serving(workers=workers) as server:
        idle = site.idle_memory_mb(server, workers)
        show(
            "| project | labelers | labels/s | p50 | p95 | p99 ms | CPU web + database, ms | driver, ms "
            "| faults | load |"
        )
        show("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
        for name, one, query in worlds:
            _warm_up(server, one, query)
            for count in counts:
                wanted = runs.Load(labelers=count, seconds=seconds, query=query)
                result, seen = runs.measure(server, one, wanted)
                results[name, count] = result
                show(_row(name, result, len(runs.faults(one, seen["acknowledged"]))))
        show()
        show("| | goal | here | Label Studio 1.23 | |")
        show("|---|---:|---:|---:|---|")
        for line in _goals(results, counts):
            show(line)
        for line in _site_rows(server, fresh, idle):
            show(line)
    took = site.first_start_seconds()
    show(f"| first start: tables made until the first page | – | {took:.0f} s | – | – |")
    show()
    show(f"{workers} processes; load at the end {load()}.")


def _warm_up(server: "Server", world: "World", query: str) -> None:
    """Every thread gets its connection, every module is loaded, the tables are known to be no longer empty: none of it
    is measured.
    """
    from tests.bench.queue import runs
    from tests.bench.queue.world import settle

    warm = runs.Load(labelers=WARM_LABELERS, labels=WARM_LABELS, seconds=WARM_SECONDS, query=query)
    runs.drive(server, world, warm)
    settle()


def _row(name: str, result: "runs.Measured", faults: int) -> str:
    return (
        f"| {name} | {result.labelers} | {result.rate:.0f} | {result.p50_ms:.1f} | {result.p95_ms:.1f} | "
        f"{result.p99_ms:.1f} | {result.web_ms:.2f} + {result.database_ms:.2f} | "
        f"{result.driver_ms:.2f} | {faults} | {load()} |"
    )


def _goals(results: "dict[tuple[str, int], runs.Measured]", counts: list[int]) -> Iterator[str]:
    """The goals beside what was measured: with the page's HTML, and with JSON alone, as the peer's API answers."""
    for count in counts:
        for name in (FRESH, BARE, HALF):
            yield from _goals_of(name, results[name, count])
        growth = results[LARGE, count].cpu_ms / results[FRESH, count].cpu_ms
        yield (
            f"| {LARGE} over {FRESH}, CPU, {count} labelers | {GOAL_GROWTH} times | {growth:.2f} times | "
            f"3.6 times (time of `next`) | {met(growth <= GOAL_GROWTH)} |"
        )


def _goals_of(name: str, one: "runs.Measured") -> Iterator[str]:
    count = one.labelers
    if goal := GOAL_TIMES.get(count):
        times = one.rate / PEER_RATE[count]
        yield (
            f"| {name}: labels/s at {count} labelers | {goal} times | {one.rate:.0f} ({times:.1f} times) | "
            f"{PEER_RATE[count]} | {met(times >= goal)} |"
        )
    if goal := GOAL_P95.get(count):
        yield (
            f"| {name}: turnaround p95 at {count} | {goal} ms | {one.p95_ms:.1f} ms | {PEER_P95[count]:,} ms | "
            f"{met(one.p95_ms <= goal)} |"
        )
    yield (
        f"| {name}: CPU a label at {count} | {GOAL_CPU:.0f} ms | {one.cpu_ms:.1f} ms | 194 to 236 ms | "
        f"{met(one.cpu_ms <= GOAL_CPU)} |"
    )


def _site_rows(server: "Server", world: "World", idle: float) -> Iterator[str]:
    from tests.bench.queue import growth, site

    cost = growth.cost_of_a_label(world)
    middle, slow = site.project_list_ms(server, world)
    weight, requests = site.page_weight(server, world)
    yield f"| list of projects, median (p95) | 50 ms | {middle:.0f} ({slow:.0f}) ms | 3,800 ms | {met(middle <= 50)} |"
    yield f"| labeling page with all it loads | 100 KB | {weight / 1024:.0f} KB | – | {met(weight <= 102_400)} |"
    yield f"| requests of the labeling page | 5 | {requests} | – | {met(requests <= 5)} |"
    yield f"| memory of the web server, idle | 192 MB | {idle:.0f} MB | 767 MB | {met(idle <= 767 / 4)} |"
    yield f"| memory of the web server after the load | – | {server.memory_mb():.0f} MB | – | – |"
    for what, most, count, peer in (
        ("a label, sign-in, begin and commit with them", 8, cost.statements, "133"),
        ("of `next`", 6, cost.next_statements, "–"),
    ):
        yield f"| statements {what} | {most} | {count} | {peer} | {met(count <= most)} |"


def show_growth() -> None:
    """A label in a queue of a million, counted."""
    from tests.bench.queue.growth import growth_table

    for line in growth_table():
        show(line)


def show_harm(seconds: float) -> None:
    """What is left after workers and connections have died."""
    from tests.bench.queue import harm, runs, world
    from tests.bench.queue.server import serving

    one = world.make_world(pairs=10_000, labelers=64)
    with serving(workers=4) as server:
        load = runs.Load(labelers=64, seconds=seconds)
        harmed = harm.label_under_harm(server, one, load, workers=4)
    show(
        f"{seconds:.0f} s, 64 labelers, 4 workers: {harmed.acknowledged:,} answers acknowledged, {harmed.killed} "
        f"workers killed, {harmed.cut} connections to the database cut, {harmed.retries} requests sent again, "
        f"{len(harmed.faults)} faults."
    )
    for fault in harmed.faults[:20]:
        show(f"- {fault}")


def show_beside(seconds: float, counts: list[int]) -> None:
    """Our rates and Label Studio's, measured in one run."""
    from tests.bench.queue.beside import table

    for line in table(seconds, counts, {"the page": PAGE, "JSON alone": ""}):
        show(line)
    show()
    show(f"{os.cpu_count()} cores; load at the end {load()}.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-queue", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--growth", action="store_true", help="a million comparisons, counted")
    parser.add_argument("--harm", action="store_true", help="workers killed, connections cut, 60 s")
    parser.add_argument("--peer", action="store_true", help="beside Label Studio, in one run")
    parser.add_argument("--labelers", default="1,8,32,64")
    options = parser.parse_args()
    counts = [int(one) for one in options.labelers.split(",")]
    seconds = 3 if options.quick else 12
    use_own_database()
    if options.growth:
        show_growth()
    elif options.harm:
        show_harm(15 if options.quick else 60)
    elif options.peer:
        show_beside(seconds, counts)
    else:
        label_rows(seconds, counts)


if __name__ == "__main__":
    main()
