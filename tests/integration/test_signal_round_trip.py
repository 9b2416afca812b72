"""Signals leave one a row, with who and when, and come back into a fresh project as they were."""

import csv
import json

import pytest
from django.core.management import CommandError, call_command

from annotation.core.errors import InvalidInput
from annotation.datasets.services.exporting import FileFormat, Form, judgments_export, rows_of
from annotation.datasets.services.judgment_rows import pseudonym
from annotation.projects.models import Role
from annotation.prompts.models import PromptImport
from tests import factories
from tests.integration.test_judgment_round_trip import stored_prompts, stored_responses
from tests.integration.test_snapshot_round_trip import imported, snapshot_of, taken_into

pytestmark = pytest.mark.django_db
Contents = PromptImport.Contents
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": 'Hi,\n"you"'},
    {"role": "assistant", "content": "Hello\n\nHuman: quoted"},
    {"role": "user", "content": "=1+1?"},
]
ASKED = {"prompt": TURNS, "id": "q1", "category": "chat", "tags": ["x", "y, z"], "language": "en"}
SAID = [
    {**ASKED, "completion": "=2", "model": "m1", "label": True, "labeler": "ann"},
    {**ASKED, "completion": "=2", "model": "m1", "label": False, "labeler": "bo"},
    {**ASKED, "completion": "=2", "model": "m2", "label": True, "labeler": "ann"},
    {"prompt": "Name a color.", "completion": "Blue,\nor", "label": True, "labeler": "ann"},
    {"prompt": "Name a color.", "completion": '[{"role": "user", "content": "x"}]', "label": False},
]
SAID[3]["completion_is_finished"] = False


@pytest.fixture
def project():
    project = factories.project()
    rows = [
        {**row, "created_at": f"2026-01-02T03:04:0{number}.000678+00:00"}
        for number, row in enumerate(SAID[:4])
    ]
    taken_into(project, b"\n".join(json.dumps(row).encode() for row in rows), Contents.SIGNALS)
    prompt = project.prompts.last()
    chat = factories.candidate(prompt, SAID[4]["completion"])
    project.signals.create(
        prompt=prompt, candidate=chat, labeler=factories.user(), is_accepted=False
    )
    return project


def exported(project, file_format=FileFormat.JSONL) -> bytes:
    return b"".join(judgments_export(project, form=Form.SIGNALS).pieces(file_format))


def stored_signals(project):
    rows = project.signals.select_related("prompt", "candidate", "labeler")
    return [
        {
            "prompt": one.prompt.turns,
            "response": (one.candidate.text, one.candidate.source_name),
            "labeler": pseudonym(project, one.labeler_id, one.labeler.first_name),
            "is_accepted": one.is_accepted,
            "created_at": one.created_at,
        }
        for one in rows.order_by("pk")
    ]


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_a_round_trip_of_signals_loses_nothing(project, file_format):
    fresh = imported(exported(project, file_format), Contents.SIGNALS, f"signals.{file_format}")
    assert stored_prompts(fresh) == stored_prompts(project)
    assert stored_responses(fresh) == stored_responses(project)
    assert stored_signals(fresh) == stored_signals(project)
    assert exported(fresh) == exported(project)
    assert fresh.imports.get().unused_columns == []


def test_a_signal_says_who_and_when_and_no_name(project):
    first, *_others, last = map(json.loads, exported(project).splitlines())
    assert first["labeler"].startswith("labeler-")
    told = {name: first[name] for name in ("completion", "label", "model", "created_at")}
    assert told == {
        "completion": "=2",
        "label": True,
        "model": "m1",
        "created_at": "2026-01-02T03:04:00.000678+00:00",
    }
    assert json.loads(last["completion"]) == [
        {"role": "assistant", "content": SAID[4]["completion"]}
    ]


def test_no_cell_of_a_table_of_signals_acts_as_a_formula(project):
    rows = csv.DictReader(exported(project, FileFormat.CSV).decode().splitlines(keepends=True))
    assert [row["completion"] for row in rows][:3] == ["'=2"] * 3


def test_the_page_the_api_and_the_command_give_the_same_signals(client, api, project, tmp_path):
    admin = factories.member(project, Role.ADMIN)
    client.force_login(admin)
    api.force_authenticate(admin)
    path = tmp_path / "signals.jsonl"
    call_command("export_judgments", project.pk, form="signals", output=path)
    page = client.get(f"/projects/{project.pk}/datasets/judgments/?form=signals")
    answer = api.get(f"/api/v1/projects/{project.pk}/judgments/export/?form=signals")
    assert path.read_bytes() == exported(project) == b"".join(page.streaming_content)
    assert path.read_bytes() == b"".join(answer.streaming_content)
    assert 'value="signals"' in client.get(f"/projects/{project.pk}/datasets/").content.decode()


def test_a_snapshot_counts_signals_and_has_no_rows_of_them(api, project):
    snapshot = snapshot_of(project)
    api.force_authenticate(factories.member(project, Role.ADMIN))
    url = f"/api/v1/projects/{project.pk}/snapshots/{snapshot.pk}/export/"
    assert api.get(url, {"form": "signals"}).status_code == 400
    with pytest.raises(InvalidInput, match="of a project, not of a snapshot"):
        rows_of(snapshot, form=Form.SIGNALS)
    with pytest.raises(CommandError, match="invalid choice: 'signals'"):
        call_command("export_snapshot", str(snapshot.pk), "--form", "signals")
