"""The agreement page of a project with a million judgments: CPU of the process that answers, and of one judgment more.

`make bench-agreement` runs it after the measures; `--judgments 100000` takes a tenth of the time. A database of its
own is filled by the database itself; then everything goes through the code of the product: the worker's task,
the views, the live address.
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from threadpoolctl import threadpool_limits

from tests.bench.queue.__main__ import SERVER, show, use_own_database

if TYPE_CHECKING:
    from django.test import Client

    from annotation.projects.models import Project

DATABASE = "concord_bench_agreement"
A_ITEM, LABELERS, POLICIES, DAYS = 4, 1000, 6, 90
BAR_MS = 400
TABS = ("agreement", "labelers", "items", "guideline")

_PROMPTS = """
INSERT INTO prompts_prompt (project_id, turns, fingerprint, external_id, category, tags, language, source,
    license, created_at)
SELECT %(project)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'Question ' || n)),
    md5('p' || n), '', '', '{}', CASE n %% 3 WHEN 0 THEN 'de' ELSE 'en' END, '', '', now()
FROM generate_series(1, %(items)s) n
"""
_CANDIDATES = """
INSERT INTO generation_candidate (project_id, prompt_id, source, source_name, sample_index, text, fingerprint,
    is_finished, token_count, created_at)
SELECT %(project)s, p.id, 'import', 'model-' || (p.id + k * (1 + p.id / 7 %% 5)) %% %(policies)s, 0,
    repeat('word ', (20 + (p.id * 31 + k * 17) %% 97)::int), md5(p.id || '-' || k), true, 0, now()
FROM prompts_prompt p, generate_series(1, 2) k WHERE p.project_id = %(project)s ORDER BY p.id, k
"""
_COMPARISONS = """
INSERT INTO comparisons_comparison (project_id, prompt_id, candidate_ids, kind, language, state, priority,
    overlap, slots_taken, judgments_counted, created_at)
SELECT c.project_id, c.prompt_id, array_agg(c.id ORDER BY c.id), 'overlap', min(p.language), 'judged', 0,
    %(a_item)s, %(a_item)s, %(a_item)s, now()
FROM generation_candidate c JOIN prompts_prompt p ON p.id = c.prompt_id
WHERE c.project_id = %(project)s GROUP BY c.project_id, c.prompt_id ORDER BY c.prompt_id
"""
# The truth of an item is a hash of it; three answers in four follow it, the rest fall on any of the seven steps.
_JUDGMENTS = """
INSERT INTO comparisons_judgment (project_id, comparison_id, labeler_id, guideline_id, client_uuid, ranking,
    strengths, is_all_bad, criteria, marks, rationale, is_repeat, shown_order, active_ms, elapsed_ms, is_counted,
    is_imported, created_at)
SELECT %(project)s, id, (%(labelers)s::bigint[])[1 + (n * 7 + k * 241) %% %(people)s],
    (%(guidelines)s::bigint[])[1 + (n * 3 / %(items)s)::int], gen_random_uuid(),
    CASE WHEN is_bad THEN '[]' WHEN step = 0 THEN jsonb_build_array(to_jsonb(ids))
        WHEN step > 0 THEN jsonb_build_array(jsonb_build_array(ids[1]), jsonb_build_array(ids[2]))
        ELSE jsonb_build_array(jsonb_build_array(ids[2]), jsonb_build_array(ids[1])) END,
    CASE WHEN is_bad OR step = 0 THEN '[]' ELSE jsonb_build_array(abs(step)) END, is_bad, '{}', '[]', '', false,
    CASE WHEN random() < 0.5 THEN ids ELSE ARRAY[ids[2], ids[1]] END, 3000 + (random() * 40000)::int, 20000, true,
    false, now() - %(days)s * interval '1 day' * (1 - n::float / %(items)s)
FROM (
    SELECT c.id, c.candidate_ids AS ids, c.n, k, random() < 0.0003 AS is_bad,
        CASE WHEN random() < 0.75 THEN (hashint8(c.id) & 7) %% 7 - 3 ELSE floor(random() * 7)::int - 3 END AS step
    FROM (SELECT id, candidate_ids, row_number() OVER (ORDER BY id) - 1 AS n FROM comparisons_comparison
          WHERE project_id = %(project)s) c, generate_series(1, %(a_item)s) k
    ORDER BY c.n, k
) drawn
"""


def make_project(judgments: int) -> "Project":
    """A project of so many judgments, four an item, by a thousand labelers over ninety days and three guidelines."""
    from django.db import connection

    from annotation.accounts.models import User
    from annotation.projects.models import Project

    project = Project.objects.create(name=f"{judgments:,} judgments", overlap=A_ITEM)
    people = User.objects.bulk_create(User(username=f"labeler-{n:04}") for n in range(LABELERS))
    versions = [project.guidelines.create(version=n, text="Be fair.") for n in (1, 2, 3)]
    values = {
        "project": project.pk,
        "items": judgments // A_ITEM,
        "policies": POLICIES,
        "a_item": A_ITEM,
        "labelers": [one.pk for one in people],
        "people": LABELERS,
        "guidelines": [one.pk for one in versions],
        "days": DAYS,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        for step in (_PROMPTS, _CANDIDATES, _COMPARISONS, _JUDGMENTS):
            cursor.execute(step, values)
        cursor.execute("ANALYZE")
    return project


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU of this process, and what its memory grew by at the peak."""

    seconds: float
    memory_mb: float


def spent(work: Callable[[], object]) -> Spent:
    before, start = _peak_mb(), time.process_time()
    work()
    return Spent(time.process_time() - start, _peak_mb() - before)


def best_ms(work: Callable[[], object], *, times: int = 3) -> float:
    return 1000 * min(spent(work).seconds for _ in range(times))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(judgments: int) -> bool:
    """Fill, measure, print; whether every tab kept under its bar."""
    from django.test import Client
    from django.urls import reverse

    from annotation.accounts.models import User
    from annotation.projects.models import Role
    from annotation.quality import services, storing

    project = make_project(judgments)
    admin = User.objects.create(username="admin")
    project.memberships.create(user=admin, role=Role.ADMIN)
    folded = spent(lambda: storing.fold_changes(project=project))
    show(
        f"| into the columns, the first time | {folded.seconds:.1f} s, {folded.memory_mb:.0f} MB |"
    )
    report = spent(lambda: services.refresh_agreement(project=project))
    show(f"| all tables and resolutions, by a worker | {report.seconds:.1f} s |")
    client = Client(SERVER_NAME="localhost")
    client.force_login(admin)
    slow = []
    for tab in TABS:
        url = reverse(f"quality-{tab}", args=[project.pk])
        stored, anew = (_page_ms(client, f"{url}{query}") for query in ("", f"?days={10 * DAYS}"))
        show(f"| {tab} | {stored:.0f} | {anew:.0f} |")
        slow += [tab] if anew > BAR_MS else []
    live = [_one_judgment(client, project) for _ in range(5)]
    fold, answer, quiet = (min(one[at] for one in live) for at in range(3))
    show(f"| one judgment into columns and tally | {fold:.0f} |")
    show(f"| the figures from the tally, and the answer | {answer:.0f} |")
    show(f"| asked again with nothing new | {quiet:.0f} |")
    return not slow


def _page_ms(client: "Client", url: str) -> float:
    def ask() -> None:
        assert client.get(url).status_code == 200

    ask()
    return best_ms(ask)


def _one_judgment(client: "Client", project: "Project") -> tuple[float, float, float]:
    """CPU of folding one edit, of the address that an open page asks, and of asking it again."""
    from django.urls import reverse

    from annotation.comparisons.models import Judgment
    from annotation.quality import storing

    rows = Judgment.objects.filter(project=project, is_all_bad=False, strengths=[1]).order_by("-pk")
    Judgment.objects.filter(pk=rows[:1].get().pk).update(strengths=[2])
    folded = best_ms(lambda: storing.fold_changes(project=project), times=1)
    url = reverse("quality-live", args=[project.pk]) + "?shown=1&state=full"
    return (
        folded,
        best_ms(lambda: client.get(url), times=1),
        best_ms(lambda: client.get(url), times=1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judgments", type=int, default=1_000_000)
    asked = parser.parse_args()
    os.environ.setdefault("SECRET_KEY", "bench")
    use_own_database(DATABASE)
    with threadpool_limits(1):
        is_met = measure(asked.judgments)
    from django.db import connection

    connection.close()
    drop(DATABASE)
    if not is_met:
        sys.exit(f"A tab took more than {BAR_MS} ms.")


def drop(name: str) -> None:
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f'drop database if exists "{name}" with (force)')


if __name__ == "__main__":
    main()
