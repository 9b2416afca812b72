"""Projects of any size, made by the database itself in seconds, with labelers who are signed in."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection

from annotation.accounts.models import User
from annotation.accounts.sessions import SessionStore
from annotation.projects.models import Membership, Project, Role

PROMPT = "Explain to a new colleague, in a few sentences and with one example, why this matters. "
RESPONSE = (
    "It matters because **people rely on it** every day. For example:\n\n- first, it saves time;\n"
    "- second, it prevents mistakes that are costly later.\n\nIn short, do it early. "
)

_PROMPTS = """
INSERT INTO prompts_prompt (project_id, turns, fingerprint, external_id, category, tags, language, source,
    license, created_at)
SELECT %(project)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content', %(text)s || n)),
    md5('p' || %(project)s || '-' || n), '', '', '{}', '', '', '', now()
FROM generate_series(1, %(pairs)s) n
"""
_CANDIDATES = """
INSERT INTO generation_candidate (project_id, prompt_id, source, source_name, sample_index, text, fingerprint,
    is_finished, token_count, created_at)
SELECT %(project)s, p.id, 'import', 'model-' || k, 0, repeat(%(text)s, 2 + k) || p.id || '-' || k,
    md5(p.id || '-' || k), true, 0, now()
FROM prompts_prompt p, generate_series(1, 2) k WHERE p.project_id = %(project)s ORDER BY p.id, k
"""
_COMPARISONS = """
INSERT INTO comparisons_comparison (project_id, prompt_id, candidate_ids, kind, language, state, priority,
    overlap, slots_taken, judgments_counted, created_at)
SELECT %(project)s, prompt_id, array_agg(id ORDER BY id), 'normal', '', 'open', 0, %(overlap)s, 0, 0, now()
FROM generation_candidate WHERE project_id = %(project)s GROUP BY prompt_id ORDER BY prompt_id
"""
# Each comparison has one judgment, every second has two, by labelers of the project in turn.
_ASSIGNMENTS = """
INSERT INTO comparisons_assignment (project_id, comparison_id, labeler_id, state, is_repeat, is_training,
    takes_place, shown_order, leased_at, lease_until, skip_reason, created_at)
SELECT c.project_id, c.id, (%(labelers)s::bigint[])[1 + (c.id * 7 + k * 3) %% %(count)s], 'submitted', false,
    false, true, c.candidate_ids, now() - interval '1 day', now() - interval '1 day', '', now() - interval '1 day'
FROM comparisons_comparison c, generate_series(1, 2) k
WHERE c.project_id = %(project)s AND (k = 1 OR c.id %% 2 = 0)
"""
_JUDGMENTS = """
INSERT INTO comparisons_judgment (project_id, comparison_id, assignment_id, labeler_id, client_uuid, ranking,
    strengths, is_all_bad, criteria, marks, rationale, is_repeat, shown_order, active_ms, elapsed_ms, is_counted,
    is_imported, created_at)
SELECT a.project_id, a.comparison_id, a.id, a.labeler_id, gen_random_uuid(),
    jsonb_build_array(jsonb_build_array(a.shown_order[1]), jsonb_build_array(a.shown_order[2])), '[1]', false,
    '{}', '[]', '', false, a.shown_order, 9000, 9000, true, false, a.created_at
FROM comparisons_assignment a WHERE a.project_id = %(project)s AND a.state = 'submitted' ORDER BY a.id
"""
_COUNTS = """
UPDATE comparisons_comparison c SET slots_taken = n.count, judgments_counted = n.count
FROM (SELECT comparison_id, count(*) FROM comparisons_judgment WHERE project_id = %(project)s
      GROUP BY comparison_id) n WHERE c.id = n.comparison_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A project and the session keys of its labelers."""

    project_id: int
    labeler_ids: list[int]
    sessions: list[str]


def make_world(*, pairs: int, labelers: int, overlap: int = 3, is_half_done: bool = False) -> World:
    """A project of ``pairs`` comparisons of two; half done, half of their places are filled by the same labelers."""
    project = Project.objects.create(
        name=f"{pairs:,} pairs", overlap=overlap, min_reading_seconds=0
    )
    people = [
        User.objects.create(username=f"labeler-{project.pk}-{number}", time_zone="UTC")
        for number in range(labelers)
    ]
    Membership.objects.bulk_create(
        Membership(project=project, user=one, role=Role.LABELER) for one in people
    )
    values = {"project": project.pk, "pairs": pairs, "overlap": overlap}
    with connection.cursor() as cursor:
        cursor.execute(_PROMPTS, {**values, "text": PROMPT})
        cursor.execute(_CANDIDATES, {**values, "text": RESPONSE})
        cursor.execute(_COMPARISONS, values)
        if is_half_done:
            ids = [one.pk for one in people]
            cursor.execute(_ASSIGNMENTS, {**values, "labelers": ids, "count": len(ids)})
            cursor.execute(_JUDGMENTS, values)
            cursor.execute(_COUNTS, values)
    return World(
        project_id=project.pk,
        labeler_ids=[one.pk for one in people],
        sessions=[session_of(one) for one in people],
    )


def session_of(user: User) -> str:
    """The key of a new session in which this person is signed in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def settle() -> None:
    """What a database does for itself within minutes: statistics, and a checkpoint, so that none falls into a run.

    Statements are planned anew after it.

    Empty tables are left alone, as it does: told that one is empty, it plans for that until a minute after it is not.
    """
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}")')  # noqa: S608 - our own names
            if cursor.fetchone()[0]:
                cursor.execute(f'VACUUM ANALYZE "{table}"')
        cursor.execute("CHECKPOINT")
