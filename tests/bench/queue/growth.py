"""What a label costs as the queue and the labeler's history grow: `python -m tests.bench.queue --growth`.

The cost is counted, not timed: blocks of tables and indexes that PostgreSQL touches a label, rows that it reads by
sequential scans, and statements. None of them depends on how busy the machine is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.accounts.models import User
from annotation.projects.models import Membership, Project, Role
from tests.bench.queue.world import World, session_of, settle

TOKEN = "c" * 32
WARM, LABELS = 6, 20
GROWING = (
    "comparisons_comparison",
    "comparisons_assignment",
    "comparisons_judgment",
    "audit_auditevent",
)
# Candidates enough that each two of them are one comparison; all of one prompt, so that a million rows take a minute.
_PROMPT = """
INSERT INTO prompts_prompt (project_id, turns, fingerprint, external_id, category, tags, language, source,
    license, created_at)
VALUES (%(project)s, '[{"role": "user", "content": "Why?"}]', 'p', '', '', '{}', '', '', '', now()) RETURNING id
"""
_CANDIDATES = """
INSERT INTO generation_candidate (project_id, prompt_id, source, source_name, sample_index, text, fingerprint,
    is_finished, token_count, created_at)
SELECT %(project)s, %(prompt)s, 'import', '', 0, 'Because of ' || n, md5('c' || n), true, 0, now()
FROM generate_series(1, 2 + ceil(sqrt(2.0 * %(pairs)s))::int) n
"""
_COMPARISONS = """
INSERT INTO comparisons_comparison (project_id, prompt_id, candidate_ids, kind, language, state, priority,
    overlap, slots_taken, judgments_counted, created_at)
SELECT %(project)s, %(prompt)s, ARRAY[a.id, b.id], 'normal', CASE WHEN %(readable)s = 1 THEN ''
    WHEN row_number() OVER () %% %(readable)s = 0 THEN 'de-CH' ELSE 'en' END, 'open', 0, 3, 0, 0, now()
FROM generation_candidate a JOIN generation_candidate b ON b.prompt_id = a.prompt_id AND b.id > a.id
WHERE a.prompt_id = %(prompt)s LIMIT %(pairs)s
"""
_JUDGED = """
WITH judged AS (
    UPDATE comparisons_comparison SET slots_taken = 1, judgments_counted = 1 WHERE id IN (
        SELECT id FROM comparisons_comparison WHERE project_id = %(project)s ORDER BY id LIMIT %(judged)s)
    RETURNING id, candidate_ids
), ended AS (
    INSERT INTO comparisons_assignment (project_id, comparison_id, labeler_id, state, is_repeat, is_training,
        takes_place, shown_order, leased_at, lease_until, skip_reason, created_at)
    SELECT %(project)s, id, %(labeler)s, 'submitted', false, false, true, candidate_ids, now() - interval '1 day',
        now() - interval '1 day', '', now() - interval '1 day' FROM judged
    RETURNING id, comparison_id, shown_order
)
INSERT INTO comparisons_judgment (project_id, comparison_id, assignment_id, labeler_id, client_uuid, ranking,
    strengths, is_all_bad, criteria, marks, rationale, is_repeat, shown_order, active_ms, elapsed_ms, is_counted,
    is_imported, created_at)
SELECT %(project)s, comparison_id, id, %(labeler)s, gen_random_uuid(),
    jsonb_build_array(jsonb_build_array(shown_order[1]), jsonb_build_array(shown_order[2])), '[1]', false,
    '{}', '[]', '', false, shown_order, 9000, 9000, true, false, now() - interval '1 day' FROM ended
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one answer with the lease that follows it."""

    statements: int  # the most of any label
    blocks: float  # of the tables that grow, and their indexes; the mean
    rows_scanned: float  # by sequential scans of those tables
    next_statements: int  # of asking for the next comparison


def make_queue(
    *, pairs: int, judged: int, is_depth_first: bool = False, readable: int = 1
) -> World:
    """A project of ``pairs`` comparisons with one labeler, who has judged ``judged`` of them.

    They read one of each ``readable``; the others are in another language.
    """
    order = (
        Project.ServingOrder.DEPTH_FIRST if is_depth_first else Project.ServingOrder.BREADTH_FIRST
    )
    project = Project.objects.create(name=f"{pairs:,}", min_reading_seconds=0, serving_order=order)
    labeler = User.objects.create(username=f"labeler-{uuid4().hex[:12]}")
    languages = ["de"] if readable > 1 else []
    Membership.objects.create(project=project, user=labeler, role=Role.LABELER, languages=languages)
    values = {"project": project.pk, "pairs": pairs, "judged": judged, "labeler": labeler.pk}
    values["readable"] = readable
    with connection.cursor() as cursor:
        cursor.execute(_PROMPT, values)
        values["prompt"] = cursor.fetchone()[0]
        for statement in (_CANDIDATES, "ANALYZE generation_candidate", _COMPARISONS, _JUDGED):
            cursor.execute(statement, values)
    return World(project_id=project.pk, labeler_ids=[labeler.pk], sessions=[session_of(labeler)])


def cost_of_a_label(world: World) -> Cost:
    """Judge through the API, as the page does; the mean over `LABELS` after `WARM` others."""
    labels = _labels(world)
    next_statements = next(labels)
    for _ in range(WARM):
        next(labels)
    before = _touched()
    statements = max(next(labels) for _ in range(LABELS))
    after = _touched()
    blocks, rows = ((b - a) / LABELS for a, b in zip(before, after, strict=True))
    return Cost(
        statements=statements, blocks=blocks, rows_scanned=rows, next_statements=next_statements
    )


def _labels(world: World) -> Iterator[int]:
    """The statements of the first call, then those of one answer after another."""
    client = Client(enforce_csrf_checks=True, headers={"X-CSRFToken": TOKEN})
    client.cookies["sessionid"], client.cookies["csrftoken"] = world.sessions[0], TOKEN
    base = f"/api/v1/projects/{world.project_id}/assignments/"
    path, body = "next/", {}
    deck: list[dict[str, Any]] = []  # Any: JSON
    while True:
        held = ",".join(str(one["id"]) for one in deck)
        with CaptureQueriesContext(connection) as asked:
            reply = client.post(
                f"{base}{path}?bench=1&ahead=2&held={held}", body, content_type="application/json"
            )
        assert reply.status_code == 200, reply.content
        yield len(asked)
        told = reply.json()
        deck += [one for one in [told["assignment"], *told["ahead"]] if one]
        lease = deck.pop(0)
        first, second = (one["id"] for one in lease["candidates"])
        path = f"{lease['id']}/judgment/"
        body = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [2]}


def _touched() -> tuple[int, int]:
    """Blocks and sequentially scanned rows of the growing tables, since the database is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT 1")  # the flush comes with the end of a transaction
        cursor.execute(
            "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint"
            " FROM pg_statio_user_tables WHERE relname = ANY(%s)",
            [list(GROWING)],
        )
        blocks = cursor.fetchone()[0]
        cursor.execute(
            "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname = ANY(%s)",
            [list(GROWING)],
        )
        return blocks, cursor.fetchone()[0]


def growth_table() -> Iterator[str]:
    """The lines of the table: small and large queue, in both orders of serving; then one of each thousand readable."""
    yield (
        "| comparisons | that the labeler reads | and has judged | served | statements of an answer | of `next` | "
        "blocks a label | rows scanned |"
    )
    yield "|---:|---:|---:|---|---:|---:|---:|---:|"
    for pairs, judged, readable in (
        (1_000, 100, 1),
        (1_000_000, 20_000, 1),
        (1_000_000, 20_000, 1_000),
    ):
        for is_depth_first in (False, True):
            world = make_queue(
                pairs=pairs, judged=judged, is_depth_first=is_depth_first, readable=readable
            )
            settle()
            cost = cost_of_a_label(world)
            yield (
                f"| {pairs:,} | {pairs // readable:,} | {judged:,} | "
                f"{'depth' if is_depth_first else 'breadth'} first | "
                f"{cost.statements} | {cost.next_statements} | {cost.blocks:.0f} | {cost.rows_scanned:.0f} |"
            )
