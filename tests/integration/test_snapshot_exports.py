"""Exports: the shapes that TRL reads, in JSONL and Parquet, through page, API and command."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation.datasets.services import building, exporting, files, requesting
from annotation.datasets.services.exporting import FileFormat, Form
from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db
OWN_FORMS = (*exporting.PROJECT_FORMS,)  # tests/integration/test_judgment_round_trip.py


@pytest.fixture
def snapshot():
    """Two preferences (one of a longer chat), a tie, and two responses that are all bad."""
    project = factories.project()
    prompt = factories.prompt(project, "What is 2 + 2?")
    factories.judgment(_of(prompt, "Four.", "Five."))
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Who are you?"},
    ]
    factories.judgment(_of(factories.prompt(project, turns=turns), "A model.", "A cat."))
    tied = _of(factories.prompt(project), "Same", "Likewise")
    factories.judgment(tied, ranking=[tied.candidate_ids], strengths=[])
    factories.judgment(_of(factories.prompt(project), "Bad", "Worse"), is_all_bad=True)
    row = requesting.request_snapshot(
        project=project,
        name="Two pairs",
        query={"train": 1, "validation": 0, "test": 0},
        actor=None,
    )
    building.build_snapshot(snapshot=row, progress=lambda *_: None)
    type(row).objects.filter(pk=row.pk).update(status="done")
    row.refresh_from_db()
    return row


def _of(prompt, better, worse):
    comparison = factories.comparison(prompt, size=0, overlap=9)
    candidates = [factories.candidate(prompt, text) for text in (better, worse)]
    comparison.candidate_ids = sorted(one.pk for one in candidates)
    comparison.save(update_fields=["candidate_ids"])
    return comparison


def rows(snapshot, form):
    lines = b"".join(files.jsonl(exporting.rows_of(snapshot, form=form)))
    return [json.loads(line) for line in lines.splitlines()]


def test_conversational_preferences_have_the_messages_trl_reads(snapshot):
    row = next(row for row in rows(snapshot, Form.PREFERENCE_CHAT) if len(row["prompt"]) == 1)
    assert row["prompt"] == [{"role": "user", "content": "What is 2 + 2?"}]
    assert row["chosen"] == [{"role": "assistant", "content": "Four."}]
    assert row["rejected"] == [{"role": "assistant", "content": "Five."}]
    assert row["margin"] == 2.0


def test_plain_preferences_are_text_and_longer_chats_a_transcript(snapshot):
    texts = {row["chosen"]: row["prompt"] for row in rows(snapshot, Form.PREFERENCE)}
    assert texts["Four."] == "What is 2 + 2?"
    told = "\n\nSystem: Be brief.\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Who are you?\n\nAssistant:"
    assert texts["A model."] == told


def test_ties_are_in_no_preference_row(snapshot):
    assert len(rows(snapshot, Form.PREFERENCE)) == 2


def test_responses_that_are_all_bad_are_kto_negatives(snapshot):
    labels = {row["completion"]: row["label"] for row in rows(snapshot, Form.KTO)}
    assert labels == {
        "Four.": True,
        "Five.": False,
        "A model.": True,
        "A cat.": False,
        "Bad": False,
        "Worse": False,
    }


def test_sft_rows_imitate_what_people_chose(snapshot):
    assert {row["completion"] for row in rows(snapshot, Form.SFT)} == {"Four.", "A model."}
    last = {row["messages"][-1]["content"] for row in rows(snapshot, Form.SFT_CHAT)}
    assert last == {"Four.", "A model."}


@pytest.mark.parametrize("form", [one for one in Form if one not in OWN_FORMS])
def test_parquet_holds_the_same_rows_as_jsonl(snapshot, form):
    content = b"".join(exporting.export_of(snapshot, form=form).pieces(FileFormat.PARQUET))
    assert pq.read_table(io.BytesIO(content)).to_pylist() == rows(snapshot, form)


def test_csv_and_json_hold_the_same_rows_as_jsonl(snapshot):
    pieces = exporting.export_of(snapshot, form=Form.KTO).pieces(FileFormat.CSV)
    table = list(csv.DictReader(io.StringIO(b"".join(pieces).decode())))
    array = b"".join(exporting.export_of(snapshot, form=Form.KTO).pieces(FileFormat.JSON))
    found = rows(snapshot, Form.KTO)
    assert [one["completion"] for one in table] == [one["completion"] for one in found]
    assert json.loads(array) == found


def test_the_api_streams_a_download_with_its_name(api, snapshot):
    api.force_authenticate(factories.member(snapshot.project, Role.ENGINEER))
    url = f"/api/v1/projects/{snapshot.project_id}/snapshots/{snapshot.pk}/export/"
    answer = api.get(url, {"form": "kto", "file_format": "jsonl"})
    assert answer.streaming
    assert f"two-pairs-{snapshot.sha256[:8]}-kto.jsonl" in answer["Content-Disposition"]
    assert len(b"".join(answer.streaming_content).splitlines()) == 6


def test_the_api_streams_parquet(api, snapshot):
    api.force_authenticate(factories.member(snapshot.project, Role.ADMIN))
    url = f"/api/v1/projects/{snapshot.project_id}/snapshots/{snapshot.pk}/export/"
    answer = api.get(url, {"form": "sft_chat", "file_format": "parquet"})
    content = b"".join(answer.streaming_content)
    assert pq.read_table(io.BytesIO(content)).num_rows == 2


def test_an_unknown_form_is_refused_by_its_name(api, snapshot):
    api.force_authenticate(factories.member(snapshot.project, Role.ENGINEER))
    url = f"/api/v1/projects/{snapshot.project_id}/snapshots/{snapshot.pk}/export/"
    answer = api.get(url, {"form": "pickle"})
    assert answer.status_code == 400
    assert "form" in answer.json()["error"]["fields"]


def test_the_page_downloads_too_and_refuses_what_it_does_not_know(client, snapshot):
    client.force_login(factories.member(snapshot.project, Role.ENGINEER))
    url = f"/projects/{snapshot.project_id}/datasets/{snapshot.pk}/download/"
    assert client.get(url, {"split": "train"}).status_code == 200
    assert client.get(url, {"split": "../../etc"}).status_code == 400


def test_a_snapshot_whose_files_are_gone_says_so(api, snapshot):
    type(snapshot).objects.filter(pk=snapshot.pk).update(name="Lost")
    snapshot.folder = "/nowhere"
    with pytest.raises(exporting.Conflict, match="are gone"):
        exporting.rows_of(snapshot, form=Form.KTO)


def test_the_command_writes_a_file_whole_or_not_at_all_and_says_what(snapshot, tmp_path, capsys):
    path = tmp_path / "pairs.jsonl"
    call_command("export_snapshot", snapshot.pk, form="preference", output=path)
    assert len(path.read_text().splitlines()) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["pairs.jsonl"]
    assert "Wrote 2 rows (preference, " in capsys.readouterr().err


def test_the_command_names_a_snapshot_that_is_not_there():
    with pytest.raises(CommandError, match="no snapshot 404"):
        call_command("export_snapshot", 404)
