"""One load on one project: drive it, measure it, and check every acknowledged answer against what is stored."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from annotation.comparisons.models import Comparison, Judgment
from annotation.datasets.query import SnapshotQuery
from annotation.datasets.selectors import votes_for
from annotation.datasets.services.judgment_rows import pseudonym, vote_rows, votes_of
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from tests.bench.queue.server import ROOT, Server, database_cpu_seconds
from tests.bench.queue.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many labelers, for how long; ``query`` is that of the labeling calls."""

    labelers: int
    seconds: float
    labels: int = 10**9  # of all together; then it ends sooner
    query: str = "bench=1&ahead=2"  # as the page asks
    cut_share: float = 0.0  # of requests whose connection is cut while they run


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one load gave."""

    labelers: int
    labels: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    web_ms: float  # of processor time, a label
    database_ms: float
    driver_ms: float
    transactions: float  # a label, of the whole database
    retries: int

    @property
    def rate(self) -> float:
        return self.labels / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.web_ms + self.database_ms


def drive(
    server: Server,
    world: World,
    load: Load,
    *,
    meanwhile: Callable[[threading.Event], None] | None = None,
) -> dict[str, Any]:  # Any: JSON
    """Run the labelers in a process of their own; what they saw. ``meanwhile`` runs until its event is set."""
    plan = {
        "port": server.port,
        "project": world.project_id,
        "sessions": world.sessions[: load.labelers],
        "seconds": load.seconds,
        "labels": load.labels,
        "query": load.query,
        "cut_share": load.cut_share,
    }
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.queue.driver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    is_over = threading.Event()
    other = threading.Thread(target=meanwhile, args=[is_over]) if meanwhile else None
    if other:
        other.start()
    out, _ = driver.communicate(json.dumps(plan))
    is_over.set()
    if other:
        other.join()
    return dict(json.loads(out))


def measure(server: Server, world: World, load: Load) -> tuple[Measured, dict[str, Any]]:
    """Drive and take the processor time of server and database; with what the driver saw."""
    before = server.cpu_seconds(), database_cpu_seconds(), _commits()
    seen = drive(server, world, load)
    after = server.cpu_seconds(), database_cpu_seconds(), _commits()
    web, database, commits = (b - a for a, b in zip(before, after, strict=True))
    return measured(load.labelers, seen, web=web, database=database, commits=int(commits)), seen


def measured(
    labelers: int, seen: dict[str, Any], *, web: float, database: float, commits: int
) -> Measured:
    """What a driver saw, with what web and database server spent meanwhile: seconds and transactions."""
    labels = len(seen["acknowledged"])
    times = sorted(seen["turnarounds"])
    return Measured(
        labelers=labelers,
        labels=labels,
        seconds=seen["seconds"],
        p50_ms=1000 * times[len(times) // 2],
        p95_ms=1000 * times[int(len(times) * 0.95)],
        p99_ms=1000 * times[int(len(times) * 0.99)],
        web_ms=1000 * web / labels,
        database_ms=1000 * database / labels,
        driver_ms=1000 * seen["cpu"] / labels,
        transactions=commits / labels,
        retries=seen["retries"],
    )


def _commits() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def faults(world: World, acknowledged: list[list[Any]]) -> list[str]:  # Any: JSON
    """What is wrong with what is stored and exported; empty where every answer is there, once, as it was given."""
    rows = Judgment.objects.filter(project_id=world.project_id).values_list(
        "client_uuid", "comparison_id", "ranking", "strengths", "is_counted", "labeler_id"
    )
    stored = {
        str(uuid): (key, tiers[0][0], steps[0], counted)
        for uuid, key, tiers, steps, counted, _ in rows
    }
    wrong = [
        f"{uuid} was acknowledged as {given}, stored is {stored.get(uuid)}"
        for uuid, *given in acknowledged
        if stored.get(uuid) != tuple(given)
    ]
    pairs = Counter((key, labeler) for _, key, _, _, _, labeler in rows)
    wrong += [f"{pair} is judged {count} times" for pair, count in pairs.items() if count > 1]
    counted = Counter(key for _, key, _, _, is_counted, _ in rows if is_counted)
    for row in Comparison.objects.filter(project_id=world.project_id).iterator():
        if not counted[row.pk] == row.judgments_counted <= row.slots_taken <= row.overlap:
            wrong.append(
                f"Comparison {row.pk}: {counted[row.pk]} judgments, counted {row.judgments_counted}, "
                f"places taken {row.slots_taken} of {row.overlap}"
            )
    labelers = {str(uuid): labeler for uuid, _, _, _, _, labeler in rows}
    return wrong + _not_exported(world, acknowledged, labelers)


def _not_exported(
    world: World,
    acknowledged: list[list[Any]],  # Any: JSON
    labelers: dict[str, int],  # by client UUID
) -> list[str]:
    """Answers that count and that the export of votes lacks or tells otherwise; each response has a text of its own."""
    project = Project.objects.get(pk=world.project_id)
    votes = vote_rows(votes_of(project, votes_for(project, SnapshotQuery())))
    told = {
        (one["labeler"], one["responses"][one["ranking"][0][0]]["text"], one["strengths"][0])
        for one in votes
    }
    texts = dict(Candidate.objects.filter(project=project).values_list("pk", "text"))
    return [
        f"{uuid} was acknowledged, and is not in the export of votes"
        for uuid, _, chosen, step, is_counted in acknowledged
        if is_counted and (pseudonym(project, labelers[uuid]), texts[chosen], step) not in told
    ]
