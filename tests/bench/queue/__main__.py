"""`make bench-queue`: a database of its own, a server as deployed, labelers of another process; a table at the end.

`--quick` takes a quarter of the time. Figures of Label Studio 1.23 (uwsgi, PostgreSQL), measured in the same way on two
cores, stand beside ours.
"""

import argparse
import os
import sys

import django
import psycopg

SERVER = os.environ.get("CONCORD_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
DATABASE = "concord_bench_queue"
PEER_RATE = {8: 9.5, 64: 8.5}  # labels a second
PEER_P95 = {1: 287, 8: 1087, 64: 8853}  # ms
GOAL_P95 = {1: 25, 8: 50, 64: 250}
GOAL_TIMES = {8: 30, 64: 40}
GOAL_CPU, GOAL_GROWTH = 6.0, 1.2
WORKERS, THREADS = 4, 4


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
    return "met" if is_met else "MISSED"


def label_rows(seconds: float, counts: list[int]) -> None:
    """Labels over HTTP on fresh, half-done and large projects."""
    from tests.bench.queue import runs, world
    from tests.bench.queue.server import serving

    worlds = [
        ("fresh, 10,000 pairs", world.make_world(pairs=10_000, labelers=64)),
        ("half done, 10,000 pairs", world.make_world(pairs=10_000, labelers=64, is_half_done=True)),
        ("fresh, 100,000 pairs", world.make_world(pairs=100_000, labelers=64)),
    ]
    world.settle()
    show(
        "project | labelers | labels/s | p50 | p95 | p99 ms | web + database CPU ms | faults | goals"
    )
    cpu: dict[tuple[str, int], float] = {}
    with serving(workers=WORKERS, threads=THREADS) as server:
        for name, one in worlds:
            runs.drive(
                server, one, runs.Load(labelers=64, seconds=2)
            )  # every thread has its connection
            for count in counts:
                result, seen = runs.measure(server, one, runs.Load(labelers=count, seconds=seconds))
                faults = runs.faults(one, seen["acknowledged"])
                cpu[name, count] = result.cpu_ms
                show(
                    f"{name} | {count} | {result.rate:.0f} | {result.p50_ms:.1f} | {result.p95_ms:.1f} | "
                    f"{result.p99_ms:.1f} | {result.web_ms:.2f} + {result.database_ms:.2f} | {len(faults)} | "
                    f"{_beside(result)}"
                )
        show(f"memory of the web server after the load: {server.memory_mb():.0f} MB")
    for count in counts:
        growth = cpu[worlds[2][0], count] / cpu[worlds[0][0], count]
        told = met(growth <= GOAL_GROWTH)
        show(f"CPU a label at 100,000 over 10,000 pairs, {count} labelers: {growth:.2f} ({told})")


def _beside(result: "runs.Measured") -> str:  # noqa: F821 - imported once the settings are there
    told = [f"CPU {met(result.cpu_ms <= GOAL_CPU)}"]
    if goal := GOAL_P95.get(result.labelers):
        told.append(
            f"p95 {met(result.p95_ms <= goal)} (Label Studio {PEER_P95[result.labelers]} ms)"
        )
    if goal := GOAL_TIMES.get(result.labelers):
        times = result.rate / PEER_RATE[result.labelers]
        told.append(f"{times:.1f} times Label Studio's rate, goal {goal}: {met(times >= goal)}")
    return "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-queue", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--labelers", default="1,8,32,64")
    options = parser.parse_args()
    use_own_database()
    counts = [int(one) for one in options.labelers.split(",")]
    label_rows(3 if options.quick else 12, counts)


if __name__ == "__main__":
    main()
