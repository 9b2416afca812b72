"""Judgments leave in every shape and come back into a fresh project: what leaves from there is the same."""

import csv
import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from annotation.comparisons.models import Judgment
from annotation.comparisons.services.importing import run_any_import
from annotation.datasets.services.exporting import FileFormat, Form, judgments_export
from annotation.projects.models import Guideline, Role
from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_import
from tests import factories

pytestmark = pytest.mark.django_db


def compared(prompt, *texts, **facts):
    comparison = factories.comparison(prompt, size=0, overlap=9)
    candidates = [factories.candidate(prompt, text, **facts) for text in texts]
    comparison.candidates.set(candidates)
    comparison.candidate_ids = sorted(one.pk for one in candidates)
    comparison.save(update_fields=["candidate_ids"])
    return comparison


@pytest.fixture
def project():
    """A pair and a ranking of three by a person and a machine: strengths, ties, all bad, criteria, marks, reasons."""
    project = factories.project()
    person = factories.member(project)
    machine = factories.user(kind="machine")
    guideline = Guideline.objects.create(project=project, version=3, text="Be fair.")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": 'Hi,\n"you"; æ'},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why?"},
    ]
    long = factories.prompt(
        project, turns=turns, external_id="q1", category="chat", tags=["x"], language="en"
    )
    pair = compared(long, "So, it is.\nReally =1+1", "Because", source_name="m1")
    first, second = pair.candidate_ids
    factories.judgment(
        pair,
        person,
        ranking=[[second], [first]],
        strengths=[3],
        criteria={"honest": {"ranking": [[first, second]], "strengths": []}},
        marks=[{"candidate": first, "start": 0, "end": 2, "kind": "wrong"}],
        rationale="Shorter,\nclearer.",
        shown_order=[second, first],
        active_ms=1234,
        guideline=guideline,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    )
    factories.judgment(pair, machine, ranking=[[first, second]])
    factories.judgment(pair, is_all_bad=True)
    three = compared(factories.prompt(project, "Human: is it plain?"), "x", "z", "y")
    a, b, c = three.candidate_ids
    factories.judgment(three, person, ranking=[[b], [a, c]], strengths=[1])
    factories.judgment(three, machine, ranking=[[c], [b], [a]], strengths=[2, 3])
    factories.judgment(three, ranking=[[a, b, c]])
    factories.judgment(three, is_all_bad=True)
    return project


def exported(project, form, file_format=FileFormat.JSONL) -> bytes:
    return b"".join(judgments_export(project, form=form).pieces(file_format))


def imported(payload, name):
    project = factories.project()
    row = request_import(
        project=project,
        chunks=[payload],
        filename=name,
        actor=None,
        contents=PromptImport.Contents.JUDGMENTS,
    )
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    assert row.rows_rejected == 0, list(row.rejected_rows.values_list("line", "reason"))
    assert row.unused_columns == []
    return project


ROUND_TRIPS = [
    (form, file_format)
    for form in (Form.VOTES, Form.RANKING, Form.LABELS)
    for file_format in (FileFormat.JSONL, FileFormat.CSV, FileFormat.PARQUET)
]
ROUND_TRIPS += [(Form.LABEL_STUDIO, FileFormat.JSON), (Form.LABEL_STUDIO, FileFormat.JSONL)]


@pytest.mark.parametrize(("form", "file_format"), ROUND_TRIPS)
def test_a_round_trip_loses_nothing(project, form, file_format):
    before = exported(project, form, file_format)
    fresh = imported(before, f"judgments.{file_format}")
    assert Judgment.objects.filter(project=fresh).count() == 7
    assert exported(fresh, form) == exported(project, form)


def test_every_vote_has_its_time_its_guideline_version_and_no_name(project):
    rows = [json.loads(line) for line in exported(project, Form.VOTES).splitlines()]
    assert len(rows) == 7
    first = rows[0]
    assert (first["judged_at"], first["guideline_version"]) == (
        "2026-01-02T03:04:05.000678+00:00",
        3,
    )
    assert [one["text"] for one in first["responses"]] == ["Because", "So, it is.\nReally =1+1"]
    assert (first["ranking"], first["criteria"]["honest"]["ranking"]) == ([[0], [1]], [[0, 1]])
    names = {row["labeler"] for row in rows}
    assert all(name.startswith("labeler-") and len(name) == 20 for name in names)
    assert len(names) == 5  # the person, the machine, and three who judged once


def test_what_the_file_says_again_is_a_duplicate(project):
    payload = exported(project, Form.VOTES)
    fresh = imported(payload, "votes.jsonl")
    row = request_import(
        project=fresh,
        chunks=[payload],
        filename="votes.jsonl",
        actor=None,
        contents=PromptImport.Contents.JUDGMENTS,
    )
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    assert (row.rows_created, row.rows_duplicate) == (0, 7)


def test_tasks_of_label_studio_hold_the_annotations_of_a_comparison(project):
    pair, ranked = json.loads(exported(project, Form.LABEL_STUDIO, FileFormat.JSON))
    assert [len(pair["annotations"]), len(ranked["annotations"])] == [3, 4]
    kinds = [one["result"][0]["type"] for one in pair["annotations"]]
    assert kinds == ["pairwise", "choices", "choices"]
    assert {"answer1", "answer2", "prompt"} <= pair["data"].keys()


def test_the_page_the_api_and_the_command_give_the_same_file(client, api, project, tmp_path):
    admin = factories.member(project, Role.ADMIN)
    client.force_login(admin)
    api.force_authenticate(admin)
    path = tmp_path / "votes.jsonl"
    call_command("export_judgments", project.pk, output=path)
    page = client.get(f"/projects/{project.pk}/datasets/judgments/")
    answer = api.get(f"/api/v1/projects/{project.pk}/judgments/export/")
    assert path.read_bytes() == b"".join(page.streaming_content)
    assert path.read_bytes() == b"".join(answer.streaming_content)
    assert page["Content-Disposition"].endswith('-votes.jsonl"')


def test_tasks_of_label_studio_are_refused_as_csv_with_a_reason(client, project):
    client.force_login(factories.member(project, Role.ADMIN))
    page = client.get(
        f"/projects/{project.pk}/datasets/judgments/?form=label_studio&file_format=csv"
    )
    assert page.status_code == 400
    with pytest.raises(CommandError, match="no project 0"):
        call_command("export_judgments", 0)


def test_no_cell_of_a_table_of_judgments_acts_as_a_formula_and_it_comes_back(project):
    prompt = factories.prompt(project, "-1 = what?")
    factories.judgment(compared(prompt, "=1+1", "- a list"), rationale="@SUM(A1)")
    table = exported(project, Form.LABELS, FileFormat.CSV)
    cells = [cell for row in csv.reader(table.decode().splitlines()) for cell in row]
    assert {"'-1 = what?", "'=1+1", "'- a list", "'@SUM(A1)"} <= set(cells)
    assert exported(imported(table, "labels.csv"), Form.LABELS) == exported(project, Form.LABELS)


def test_judgments_leave_in_flat_memory():
    """Four times the judgments, of 2,000 characters each: the peak grows by less than a tenth of their texts."""
    peaks = []
    for size in (1_000, 4_000):
        project = factories.project()
        rows = (
            {
                "prompt": f"Question {number}?",
                "response_a": f"{number} " + "a" * 1_000,
                "response_b": f"{number} " + "b" * 1_000,
                "labels": {"ann": "a", "bo": "b"},
            }
            for number in range(size // 2)
        )
        project = imported(b"\n".join(json.dumps(row).encode() for row in rows), "rows.jsonl")
        tracemalloc.start()
        for _piece in judgments_export(project, form=Form.VOTES).pieces(FileFormat.JSONL):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 3_000 * 2_000 / 10
