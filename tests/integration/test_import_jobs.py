"""An import as a job: cut off, taken up again, met by its successor, stopped."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.services.importing import import_here, run_any_import
from annotation.core.errors import Conflict
from annotation.projects.models import Role
from annotation.prompts.models import PromptImport
from annotation.prompts.services import importing
from annotation.prompts.services.requesting import cancel_import, request_import
from tests import factories

pytestmark = pytest.mark.django_db


def asked(*rows: dict[str, str]) -> PromptImport:
    project = factories.project()
    payload = "\n".join(map(json.dumps, rows)).encode()
    actor = factories.member(project, Role.ADMIN)
    return request_import(project=project, chunks=[payload], filename="prompts.jsonl", actor=actor)


def counts(row: PromptImport) -> tuple[int, int, int]:
    return row.rows_created, row.rows_duplicate, row.rows_rejected


class Killed(BaseException):
    """What a SIGKILL looks like from inside: nothing runs after it."""


def test_an_import_that_was_cut_off_goes_on_behind_its_last_batch(monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 2)
    row = asked(*({"text": f"Prompt {n}"} for n in range(5)), {"text": ""})

    def die_after_first_batch(*_told) -> None:
        raise Killed

    with pytest.raises(Killed):
        run_any_import(import_id=row.pk, progress=die_after_first_batch)
    row.refresh_from_db()
    assert counts(row) == (2, 0, 0)
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    assert (counts(row), row.rows_read) == ((5, 0, 1), 6)


def test_a_worker_that_wakes_beside_its_successor_stores_nothing_more(monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 2)
    row = asked(*({"text": f"Prompt {n}"} for n in range(3)), {"text": ""})

    def successor_finishes(done: int, *_told) -> None:
        if done == 2:
            run_any_import(import_id=row.pk, progress=lambda *_told: None)

    with pytest.raises(Conflict, match="Another worker"):
        run_any_import(import_id=row.pk, progress=successor_finishes)
    row.refresh_from_db()
    assert (counts(row), row.rows_read) == ((3, 0, 1), 4)
    assert row.rejected_rows.count() == 1


def test_an_import_in_a_terminal_tells_its_row_how_far_it_is_at_the_end():
    row = import_here(prompt_import=asked({"text": "a"}), owner="me", progress=lambda *_told: None)
    assert (row.status, row.progress_done, row.progress_total) == ("done", 1, 1)


def test_an_import_in_a_terminal_stops_where_a_worker_was_given_it():
    row = asked(*({"text": f"Prompt {n}"} for n in range(3)))

    def give_away(*_told) -> None:
        PromptImport.objects.filter(pk=row.pk).update(owner="a worker")

    with pytest.raises(Conflict, match="given to a worker"):
        import_here(prompt_import=row, owner="me", progress=give_away)
    row.refresh_from_db()
    assert (row.status, row.owner) == ("running", "a worker")


def test_an_import_that_is_over_cannot_be_stopped_and_no_audit_says_it_was():
    row = asked({"text": "a"})
    PromptImport.objects.filter(pk=row.pk).update(status=PromptImport.Status.DONE)
    row.refresh_from_db()
    with pytest.raises(Conflict, match="done already"):
        cancel_import(prompt_import=row, actor=factories.user())
    assert not AuditEvent.objects.filter(verb="import.cancelled").exists()


def standing(client, *, heard: int, asked_before: int = 900, **fields: object) -> list[str]:
    """The notices of both pages that follow an import; times are seconds ago."""
    row, now = asked({"text": "a"}), timezone.now()
    fields["heartbeat_at"] = now - timedelta(seconds=heard) if heard else None
    fields["created_at"] = now - timedelta(seconds=asked_before)
    PromptImport.objects.filter(pk=row.pk).update(**fields)
    client.force_login(row.created_by)
    pages = {"prompts-import-progress": [row.pk], "overview-setup-imports": []}
    texts = [client.get(reverse(one, args=[row.project_id, *pages[one]])).text for one in pages]
    return [text.partition('<p class="notice')[2].partition("</p>")[0] for text in texts]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"status": "running", "attempt": 2, "heard": 1}, "another has taken it up where it"),
        ({"status": "running", "attempt": 1, "heard": 40}, "90 seconds after it was last heard"),
        ({"status": "queued", "attempt": 1, "heard": 20}, "next one goes on from there by itself."),
        ({"status": "queued", "attempt": 1, "heard": 99}, "No worker has taken this job for 9"),
        ({"status": "queued", "heard": 0, "asked_before": 99}, "No worker has taken this job"),
    ],
)
def test_the_pages_of_an_import_say_what_happens_when_its_worker_died(client, fields, told):
    here, in_the_set_up = standing(client, **fields)
    assert told in here
    assert told in in_the_set_up


@pytest.mark.parametrize(
    "fields", [{"status": "running", "attempt": 1, "heard": 1}, {"status": "queued", "heard": 0}]
)
def test_an_import_that_moves_has_no_notice(client, fields):
    assert standing(client, asked_before=2, **fields) == ["", ""]
