"""Responses to compare, signals of a product, demonstrations: taken once, and given away again as they came."""

import pytest
from django.db import IntegrityError, connection

from annotation.comparisons.models import Comparison, Signal
from annotation.datasets.services import exporting, files
from annotation.datasets.services.exporting import Form
from annotation.generation.models import Candidate
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.selectors import rejected_of
from tests import factories
from tests.integration.test_importing_judgments import as_parquet, lines, take
from tests.integration.test_snapshot_round_trip import snapshot_of

pytestmark = pytest.mark.django_db
Contents = PromptImport.Contents
PAIR = {"prompt": "Name a color.", "response_a": "Blue.", "response_b": "Seven.", "model_a": "m1"}


def test_responses_to_compare_become_open_comparisons_of_the_projects_overlap():
    project = factories.project(overlap=3, overlap_share=1)
    listed = {"prompt": "Why?", "responses": ["So.", {"text": "Because.", "model": "m2"}, "No."]}
    row = take(lines(PAIR, listed, PAIR), Contents.COMPARISONS, project=project)
    assert (row.rows_created, row.rows_duplicate, row.rows_rejected) == (2, 1, 0)
    comparisons = list(Comparison.objects.filter(project=project).order_by("pk"))
    assert [len(one.candidate_ids) for one in comparisons] == [2, 3]
    assert {(one.state, one.overlap, one.slots_taken) for one in comparisons} == {("open", 3, 0)}
    assert set(comparisons[0].candidates.values_list("pk", flat=True)) == set(
        comparisons[0].candidate_ids
    )
    sources = Candidate.objects.filter(project=project).values_list("text", "source_name")
    assert dict(sources)["Blue."] == "m1"


def test_texts_that_could_break_a_stream_of_rows_are_stored_as_they_are():
    odd = ["tab\there", "\\N", "\\.", 'back\\slash "q" {a,b}', "two\nlines\r\nand more", "end\\"]
    row = {"prompt": "\\t or\t?", "tags": ['a "b"', "c\\,d", ""], "responses": odd}
    taken = take(lines(row, PAIR), Contents.COMPARISONS)
    assert taken.rows_created == 2
    stored = Candidate.objects.filter(prompt__turns__0__content=row["prompt"])
    assert sorted(stored.values_list("text", flat=True)) == sorted(odd)
    assert stored.first().prompt.tags == row["tags"]


def test_a_project_goes_with_its_comparisons_and_what_they_compare():
    row = take(lines(PAIR), Contents.COMPARISONS)
    row.project.delete()
    connection.check_constraints()
    assert not Comparison.objects.exists()
    assert not Candidate.objects.exists()


def test_the_database_keeps_a_candidate_that_is_compared():
    take(lines(PAIR), Contents.COMPARISONS)
    Candidate.objects.get(text="Blue.").delete()
    with pytest.raises(IntegrityError, match="is in a comparison, so it stays"):
        connection.check_constraints()


def as_csv(row: dict[str, str]) -> tuple[bytes, str]:
    return f"{','.join(row)}\n{','.join(row.values())}\n".encode(), "rows.csv"


@pytest.mark.parametrize("written", [as_csv, as_parquet])
def test_capitals_spaces_and_hyphens_of_a_header_hide_no_column(written):
    names = ("Prompt", "response a", "Response-B", "MODEL A", "My Mood")
    values = ("Name a color.", "Blue.", "Seven.", "m1", "good")
    payload, name = written(dict(zip(names, values, strict=True)))
    row = take(payload, Contents.COMPARISONS, name)
    assert (row.rows_created, row.unused_columns) == (1, ["My Mood"])
    sources = Candidate.objects.filter(project=row.project).values_list("text", "source_name")
    assert dict(sources) == {"Blue.": "m1", "Seven.": ""}


@pytest.mark.parametrize("written", [as_csv, as_parquet])
def test_columns_that_would_be_the_same_keep_their_names(written):
    names = ("prompt", "response_a", "Response A", "response_b", "Model A", "model-a")
    values = ("Name a color.", "Blue.", "Green.", "Seven.", "m1", "m2")
    payload, name = written(dict(zip(names, values, strict=True)))
    row = take(payload, Contents.COMPARISONS, name)
    assert row.unused_columns == ["Model A", "Response A", "model-a"]
    texts = Candidate.objects.filter(project=row.project).values_list("text", flat=True)
    assert sorted(texts) == ["Blue.", "Seven."]


NOT_COMPARABLE = {
    "one response": ({"prompt": "Q?", "responses": ["x"]}, "this one has 1"),
    "an empty response": ({**PAIR, "response_b": " "}, "empty"),
    "the same twice": ({**PAIR, "response_b": "Blue.", "model_a": ""}, "the same"),
    "the same of two models": ({**PAIR, "response_b": "Blue. ", "model_b": "m2"}, "the same"),
    "no responses": ({"prompt": "Q?"}, "no responses"),
}


@pytest.mark.parametrize("case", NOT_COMPARABLE)
def test_a_row_to_compare_is_refused_for(case):
    bad, words = NOT_COMPARABLE[case]
    row = take(lines(PAIR, bad), Contents.COMPARISONS)
    assert (row.rows_created, row.rows_rejected) == (1, 1)
    assert words in row.rejected_rows.get(line=2).reason


WITH_ID = {"prompt": "Why?", "response_a": "So.", "response_b": "No.", "id": "q1"}


@pytest.mark.parametrize(
    ("contents", "row"),
    [
        (Contents.COMPARISONS, WITH_ID),
        (Contents.JUDGMENTS, {**WITH_ID, "label": "a"}),
        (Contents.SIGNALS, {"prompt": "Why?", "response": "So.", "accepted": 1, "id": "q1"}),
        (Contents.DEMONSTRATIONS, {"prompt": "Why?", "completion": "So.", "id": "q1"}),
    ],
)
def test_a_second_prompt_with_the_same_id_is_taken_without_it_and_the_report_says_so(contents, row):
    other = {**row, "prompt": "Who?"}
    payload = lines(row, other, row, other)
    taken = take(payload, contents)
    prompts = Prompt.objects.filter(project=taken.project).order_by("pk")
    assert [one.external_id for one in prompts] == ["q1", ""]
    assert (taken.rows_created, taken.rows_duplicate, taken.rows_rejected) == (2, 2, 0)
    [part] = rejected_of(taken)
    assert (part.line, part.is_taken) == (2, True)
    assert part.reason == (
        "The id 'q1' names another prompt already. The prompt is taken without an id."
    )
    again = take(payload, contents, project=taken.project)
    assert (again.rows_created, again.rows_duplicate, again.rows_rejected) == (0, 4, 0)
    assert not rejected_of(again)


SIGNAL = {"prompt": "Name a color.", "response": "Blue.", "accepted": True, "user": "u1"}


def test_signals_are_kept_apart_from_judgments_with_who_and_when():
    other = {**SIGNAL, "labeler": "bo", "accepted": "down", "judged_at": "2026-01-02T03:04:05Z"}
    row = take(lines(SIGNAL, other, SIGNAL), Contents.SIGNALS)
    assert (row.rows_created, row.rows_duplicate) == (2, 1)
    first, second = Signal.objects.filter(project=row.project).order_by("pk")
    assert (first.is_accepted, first.labeler.first_name) == (True, "product")
    assert (second.is_accepted, second.created_at.year) == (False, 2026)
    assert not Comparison.objects.filter(project=row.project).exists()


def test_a_signal_that_says_the_opposite_is_listed_and_the_first_kept():
    row = take(lines(SIGNAL, {**SIGNAL, "accepted": False}), Contents.SIGNALS)
    assert "opposite" in row.rejected_rows.get(line=2).reason
    assert Signal.objects.get(project=row.project).is_accepted


def test_a_signal_that_says_nothing_is_refused():
    row = take(lines(SIGNAL, {**SIGNAL, "accepted": "maybe"}), Contents.SIGNALS)
    assert "true or false" in row.rejected_rows.get(line=2).reason


def exported(project, form) -> bytes:
    snapshot = snapshot_of(project, train=1, validation=0, test=0)
    return b"".join(files.jsonl(exporting.rows_of(snapshot, form=form)))


@pytest.mark.parametrize("form", [Form.KTO, Form.KTO_CHAT])
def test_kto_rows_of_signals_come_back_as_the_same_rows(form):
    rows = [
        SIGNAL,
        {**SIGNAL, "response": "Seven.", "accepted": 0},
        {**SIGNAL, "labeler": "bo", "response": "Red.", "accepted": "yes"},
        {**SIGNAL, "labeler": "cy", "response": "Red.", "accepted": "no"},
    ]
    before = exported(take(lines(*rows), Contents.SIGNALS).project, form)
    after = exported(take(before, Contents.SIGNALS).project, form)
    assert after == before
    assert before.count(b"\n") == 2  # "Red." was liked as often as disliked
    assert b'"source": "signal"' in before


@pytest.mark.parametrize("form", [Form.SFT, Form.SFT_CHAT])
def test_sft_rows_of_demonstrations_come_back_as_the_same_rows(form):
    rows = [
        {"prompt": "Name a color.", "completion": "Blue."},
        {"prompt": "Name a number.", "completion": "Seven."},
    ]
    row = take(lines(*rows, rows[0]), Contents.DEMONSTRATIONS)
    assert (row.rows_created, row.rows_duplicate) == (2, 1)
    before = exported(row.project, form)
    assert exported(take(before, Contents.DEMONSTRATIONS).project, form) == before
    assert before.count(b"\n") == 2


def test_counted_votes_of_preferences_come_back_as_the_same_rows():
    votes = {"labels": {"x": "a", "y": "a", "z": "b", "w": "tie"}, "strength": 3}
    project = take(lines({**PAIR, **votes}), Contents.JUDGMENTS).project
    before = exported(project, Form.PREFERENCE)
    after = exported(take(before, Contents.PREFERENCES).project, Form.PREFERENCE)
    drop = b'"prompt_id"'
    assert after.split(drop)[0] == before.split(drop)[0]
    assert b'"votes_chosen": 2.0' in before
