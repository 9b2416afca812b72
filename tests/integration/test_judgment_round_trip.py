"""Judgments leave in every shape and come back into a fresh project: what leaves from there is the same."""

import csv
import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from annotation.comparisons.models import Comparison
from annotation.comparisons.services.importing import run_any_import
from annotation.core.errors import InvalidInput
from annotation.datasets.services.exporting import FileFormat, Form, export_of, judgments_export
from annotation.datasets.services.judgment_rows import pseudonym
from annotation.projects.models import Guideline, Role
from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_import
from tests import factories
from tests.integration.test_snapshot_round_trip import snapshot_of

pytestmark = pytest.mark.django_db


def compared(prompt, *texts, **facts):
    comparison = factories.comparison(prompt, size=0, overlap=9)
    candidates = [factories.candidate(prompt, text, **facts) for text in texts]
    comparison.candidate_ids = sorted(one.pk for one in candidates)
    comparison.save(update_fields=["candidate_ids"])
    return comparison


@pytest.fixture
def project():
    """A pair and a ranking of three by a person and a machine: strengths, ties, all bad, criteria, marks, reasons.

    The person judged the pair once more, sides swapped and otherwise.
    """
    project = factories.project()
    person = factories.member(project)
    machine = factories.user(kind="machine")
    a_pair(project, person, machine)
    a_ranking(project, person, machine)
    return project


def a_pair(project, person, machine):
    guideline = Guideline.objects.create(project=project, version=3, text="Be fair.")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": 'Hi,\n"you"; æ'},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why?"},
    ]
    long = factories.prompt(
        project,
        turns=turns,
        external_id="q1",
        category="chat",
        tags=["x", "y, z"],
        language="en",
        source="logs",
        license="CC0",
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
    factories.judgment(
        pair,
        person,
        ranking=[[first], [second]],
        strengths=[1],
        is_repeat=True,
        is_counted=False,
        shown_order=[first, second],
        created_at=datetime(2026, 1, 3, tzinfo=UTC),
    )
    project.candidates.filter(pk=first).update(is_finished=False)
    Comparison.objects.filter(pk=pair.pk).update(propensity=0.1 + 0.2)
    factories.judgment(pair, machine, ranking=[[first, second]])
    factories.judgment(pair, is_all_bad=True)


def a_ranking(project, person, machine):
    three = compared(factories.prompt(project, "Human: is it plain?"), "x", "z", "y")
    a, b, c = three.candidate_ids
    factories.judgment(three, person, ranking=[[b], [a, c]], strengths=[1])
    project.candidates.filter(pk=c).update(is_finished=False)
    factories.judgment(
        three,
        machine,
        ranking=[[c], [b], [a]],
        strengths=[2, 3],
        criteria={"brief": {"ranking": [[b], [a, c]], "strengths": [2]}},
        marks=[{"candidate": b, "start": 0, "end": 1, "kind": "good"}],
        shown_order=[c, a, b],
    )
    factories.judgment(three, ranking=[[a, b, c]])
    factories.judgment(three, is_all_bad=True)


def exported(project, form, file_format=FileFormat.JSONL) -> bytes:
    return b"".join(judgments_export(project, form=form).pieces(file_format))


def taken(project, payload, name):
    row = request_import(
        project=project,
        chunks=[payload],
        filename=name,
        actor=None,
        contents=PromptImport.Contents.JUDGMENTS,
    )
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    return row


def imported(payload, name):
    project = factories.project()
    row = taken(project, payload, name)
    assert row.rows_rejected == 0, list(row.rejected_rows.values_list("line", "reason"))
    assert row.unused_columns == []
    return project


ROUND_TRIPS = [
    (form, file_format)
    for form in (Form.VOTES, Form.RANKING, Form.LABELS)
    for file_format in (FileFormat.JSONL, FileFormat.CSV, FileFormat.PARQUET)
]
ROUND_TRIPS += [(Form.LABEL_STUDIO, FileFormat.JSON), (Form.LABEL_STUDIO, FileFormat.JSONL)]


def stored_prompts(project):
    columns = ("turns", "external_id", "category", "tags", "language", "source", "license")
    return sorted(project.prompts.values_list(*columns), key=str)


def stored_responses(project):
    columns = ("prompt__turns", "text", "source_name", "is_finished")
    return sorted(project.candidates.values_list(*columns), key=str)


def said_by(judgment):
    """All that is stored of a judgment but its keys, and how long it took by the clock of the server."""
    texts = dict(judgment.comparison.candidates.values_list("pk", "text"))
    version = judgment.guideline.version if judgment.guideline else None
    return {
        "comparison": (str(judgment.comparison.prompt.turns), sorted(texts.values())),
        "labeler": pseudonym(judgment.project, judgment.labeler_id, judgment.labeler.first_name),
        "labeler_kind": judgment.labeler.kind,
        "ranking": told(judgment.ranking, texts),
        "strengths": judgment.strengths,
        "is_all_bad": judgment.is_all_bad,
        "criteria": {
            name: (told(one["ranking"], texts), one["strengths"])
            for name, one in judgment.criteria.items()
        },
        "marks": [{**one, "candidate": texts[one["candidate"]]} for one in judgment.marks],
        "rationale": judgment.rationale,
        "shown_order": [texts[key] for key in judgment.shown_order],
        "active_ms": judgment.active_ms,
        "version": version or judgment.imported_guideline_version,
        "created_at": judgment.created_at,
        "is_repeat": judgment.is_repeat,
        "is_counted": judgment.is_counted,
    }


def told(ranking, texts):
    return [sorted(texts[key] for key in tier) for tier in ranking]


def stored_judgments(project, **which):
    rows = project.judgments.filter(**which).select_related("comparison__prompt", "labeler")
    return sorted((said_by(one) for one in rows), key=str)


def stored_propensities(project):
    return sorted(project.comparisons.values_list("prompt__turns", "propensity"), key=str)


@pytest.mark.parametrize(("form", "file_format"), ROUND_TRIPS)
def test_an_empty_response_that_was_judged_comes_back_in_every_form(project, form, file_format):
    for texts in (("", "x"), ("y", " ", "z")):
        factories.judgment(compared(factories.prompt(project), *texts))
    fresh = imported(exported(project, form, file_format), f"judgments.{file_format}")
    assert stored_responses(fresh) == stored_responses(project)


@pytest.mark.parametrize(("form", "file_format"), ROUND_TRIPS)
def test_a_round_trip_loses_nothing(project, form, file_format):
    """What the tables hold there is what they hold here; repeats are in votes alone."""
    which = {} if form == Form.VOTES else {"is_repeat": False}
    before = exported(project, form, file_format)
    fresh = imported(before, f"judgments.{file_format}")
    assert stored_prompts(fresh) == stored_prompts(project)
    assert stored_responses(fresh) == stored_responses(project)
    assert stored_judgments(fresh) == stored_judgments(project, **which)
    assert stored_propensities(fresh) == stored_propensities(project)
    assert exported(fresh, form) == exported(project, form)


NOTHING = {
    "criteria": {},
    "marks": [],
    "rationale": "",
    "shown_order": [],
    "active_ms": 0,
    "version": None,
    "is_repeat": False,
    "labeler_kind": "person",
}


def test_rows_of_trl_hold_chats_responses_and_counted_votes_and_nothing_else(project):
    """No facts of a prompt, no names of models, no ties, and of a vote neither who, when nor why."""
    export = export_of(snapshot_of(project, aggregation="majority"), form=Form.PREFERENCE_CHAT)
    fresh = factories.project()
    taken(fresh, b"".join(export.pieces(FileFormat.JSONL)), "rows.jsonl")
    [decided] = project.prompts.filter(external_id="q1")  # of the other no pair was decided
    row_of = (decided.fingerprint, "", [], "", "judgment", "")  # the columns prompt_id and source
    assert stored_prompts(fresh) == [(decided.turns, *row_of)]
    here = decided.candidates.values_list("prompt__turns", "text", "is_finished")
    without_models = [(turns, text, "", is_finished) for turns, text, is_finished in here]
    assert stored_responses(fresh) == sorted(without_models, key=str)
    [judgment] = stored_judgments(fresh)  # the one vote of a person that decides
    assert fresh.judgments.get().labeler.first_name == "dataset 1"
    assert {**judgment, **NOTHING} == judgment


def test_a_repeat_comes_back_as_one_and_fills_no_place(project):
    fresh = imported(exported(project, Form.VOTES), "votes.jsonl")
    repeat = fresh.judgments.get(is_repeat=True)
    first = fresh.judgments.get(
        comparison=repeat.comparison, labeler=repeat.labeler, is_repeat=False
    )
    assert repeat.ranking == first.ranking[::-1]
    assert (repeat.comparison.slots_taken, repeat.comparison.judgments_counted) == (3, 3)


def test_a_repeat_whose_first_vote_is_in_another_file_is_taken_with_it_in_any_order(project):
    rows = exported(project, Form.VOTES).splitlines(keepends=True)
    [again] = [row for row in rows if b'"is_repeat": true' in row]
    fresh = imported(again, "again.jsonl")
    assert fresh.comparisons.get().judgments_counted == 0
    row = taken(fresh, b"".join(rows), "votes.jsonl")
    assert (row.rows_created, row.rows_duplicate) == (7, 1)
    assert stored_judgments(fresh) == stored_judgments(project)


def test_every_vote_has_its_time_its_guideline_version_and_no_name(project):
    rows = [json.loads(line) for line in exported(project, Form.VOTES).splitlines()]
    assert [row["is_repeat"] for row in rows] == [False, True, *[False] * 6]
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
    row = taken(fresh, payload, "votes.jsonl")
    assert (row.rows_created, row.rows_duplicate) == (0, 8)


@pytest.mark.parametrize("said", [0, 1.5, "often"])
def test_a_propensity_that_is_no_chance_is_refused_with_its_row(project, said):
    [row, *_others] = map(json.loads, exported(project, Form.VOTES).splitlines())
    payload = json.dumps({**row, "propensity": said}).encode()
    with pytest.raises(InvalidInput, match=f"Line 1: propensity is '{said}'; it is a chance"):
        taken(factories.project(), payload, "votes.jsonl")


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
