"""The import page shows the first rows as they will be read, and stores nothing."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from annotation.projects.models import Role
from annotation.prompts.examples import EXAMPLES
from annotation.prompts.models import Prompt, PromptImport
from tests import factories

pytestmark = pytest.mark.django_db
ROW = {"prompt": "Name a color.", "response_a": "Blue.", "response_b": "Seven.", "label": "b"}


def shown(client, payload, contents="judgments", name="rows.jsonl"):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    sent = {"contents": contents, "row_form": "auto", "file": SimpleUploadedFile(name, payload)}
    page = client.post(f"/projects/{project.pk}/prompts/import/preview/", sent)
    assert page.status_code == 200
    return page.content.decode()


def test_the_first_five_rows_are_shown_in_words_and_nothing_is_stored(client):
    rows = [ROW, {**ROW, "label": "maybe"}, *[{**ROW, "prompt": f"Q{n}?"} for n in range(9)]]
    page = shown(client, "\n".join(map(json.dumps, rows)).encode())
    assert page.count("<article") == 5
    assert "dataset: B over A (better)" in page
    assert "Rows are looked at one by one" in page
    assert "known are" in page
    assert not PromptImport.objects.exists()
    assert not Prompt.objects.exists()


@pytest.mark.parametrize(
    ("contents", "row", "words"),
    [
        ("signals", {"prompt": "Q?", "response": "x", "accepted": 0}, "product: rejected"),
        ("comparisons", {"prompt": "Q?", "responses": ["first", "second"]}, "second"),
        ("demonstrations", {"prompt": "Q?", "completion": "Written."}, "Written."),
        ("prompts", {"text": "<b>Bold?</b>"}, "&lt;b&gt;Bold?"),
    ],
)
def test_every_kind_of_contents_has_its_preview(client, contents, row, words):
    assert words in shown(client, json.dumps(row).encode(), contents)


@pytest.mark.parametrize(
    ("row", "unused", "kind"),
    [
        ({"prompt": "Q?", "responses": ["x", "y"]}, "responses", "Responses to compare"),
        (ROW, "label, response_a, response_b", "Judgments: two responses"),
        ({"prompt": "Q?", "chosen": "x", "rejected": "y"}, "", "Preferences: chosen"),
        ({"prompt": "Q?", "response": "x"}, "response", "Demonstrations: one response"),
        (
            {"prompt": "Q?", "completion": "x", "label": True},
            "completion, label",
            "Signals: one response",
        ),
        (
            {"prompt": "Q?", "answer1": "x", "answer2": "y", "annotator1": "a"},
            "annotator1, answer1, answer2",
            "Judgments: two responses",
        ),
        ({"prompt": "Q?", "label": True}, "label", ""),
        ({"prompt": "Q?", "mood": "good"}, "mood", ""),
        ({"prompt": "Q?"}, "", ""),
    ],
)
def test_what_is_taken_as_prompts_says_what_else_the_file_holds(client, row, unused, kind):
    page = shown(client, json.dumps(row).encode(), "prompts")
    assert (f"These columns are not used: {unused}." in page) == bool(unused)
    assert ("the file holds more than prompts" in page) == bool(kind)
    assert kind in page


def test_a_table_whose_header_is_written_freely_says_what_else_it_holds(client):
    page = shown(client, b"Prompt,Response A,Response B\nQ?,x,y\n", "prompts", "rows.csv")
    assert "import it as “Responses to compare: labelers judge them here”" in page


def test_what_is_not_used_is_said_of_judgments_too(client):
    page = shown(client, json.dumps({**ROW, "mood": "good"}).encode())
    assert "These columns are not used: mood." in page
    assert "more than prompts" not in page


def test_an_empty_response_that_was_judged_is_shown_as_empty(client):
    page = shown(client, json.dumps({**ROW, "response_a": ""}).encode())
    assert '<span class="muted">(empty)</span>' in page
    assert "<bdi>Seven.</bdi>" in page


def test_a_file_that_cannot_be_read_says_why(client):
    assert "Parquet" in shown(client, b"PAR1xxxx", name="rows.parquet")
    assert "ends in none of" in shown(client, b"x", name="rows.exe")


def test_the_page_explains_every_form_with_an_example(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    page = client.get(f"/projects/{project.pk}/prompts/import/").content.decode()
    assert page.count("<pre>") == len(EXAMPLES)


def test_the_preview_gathers_the_rows_of_one_reason(client):
    lines = [json.dumps({"text": ""})] * 7 + [json.dumps({"text": "Hello"}), "{\n"]
    page = " ".join(shown(client, "\n".join(lines).encode(), "prompts").split())
    assert "1 of 9 rows would be taken" in page
    assert ">8 would be rejected<" in page
    reasons = page.split("What would be rejected")[1]
    assert reasons.count("<tr>") == 3  # with its head
    assert '<td>7</td><td class="left wrap">text is empty.</td>' in reasons
    assert '<td class="left">plain</td><td class="left">1, 2, 3, 4, 5, …</td>' in reasons
    assert '<td class="left">9</td>' in reasons
    assert "double quotes at character 2." in reasons
    assert page.count("<article") == 1
    assert "Hello" in page


def test_the_page_of_an_import_gathers_the_rows_of_one_reason_and_shows_those_of_one(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    row = PromptImport.objects.create(project=project, filename="rows.jsonl", size_bytes=1)
    for line, reason in enumerate(["text is empty."] * 60 + ["Turn 1 <b> is empty."], 1):
        row.rejected_rows.create(line=line, reason=reason, excerpt=f"row {line}")
    address = f"/projects/{project.pk}/prompts/imports/{row.pk}/"
    page = client.get(address).content.decode()
    assert "<td>60</td>" in page
    assert "Page 1 of 2" in page
    assert "Turn 1 &lt;b&gt; is empty." in page
    page = client.get(address, {"reason": "Turn 1 <b> is empty."}).content.decode()
    assert ("row 61" in page, "row 60" in page, "Page 1 of 1" in page) == (True, False, True)
    assert client.get(address, {"reason": "\0"}).status_code == 200


def previewed(api, rows=None, payload=None, name="rows.jsonl", **sent):
    project = factories.project()
    api.force_authenticate(factories.member(project, Role.ADMIN))
    url = f"/api/v1/projects/{project.pk}/imports/preview/"
    if rows is not None:
        return api.post(url, {"rows": rows, **sent}, format="json")
    return api.post(url, {"file": SimpleUploadedFile(name, payload), **sent})


def test_the_api_tells_which_reader_was_chosen_and_what_would_be_rejected(api):
    trl = {"prompt": "Q?", "chosen": "a", "rejected": "b"}
    rows = [ROW, trl, {**ROW, "label": "maybe"}, {**ROW, "response_b": "Blue. "}]
    told = previewed(api, rows, contents="judgments").json()
    assert told["read_as"] == {"labels": 1, "trl": 1}
    assert (told["rows_taken"], told["rows_refused"], told["rows_checked"]) == (2, 2, 4)
    assert told["is_whole"]
    assert told["shown"][0]["verdicts"] == ["dataset: B over A (better)"]
    assert told["shown"][0]["responses"][1] == {"text": "Seven.", "model": ""}
    assert [one["line"] for one in told["refused"]] == [3, 4]
    assert "known are" in told["refused"][0]["reason"]
    assert "the same" in told["refused"][1]["reason"]
    assert not PromptImport.objects.exists()


def test_the_page_counts_a_rejected_row_as_rejected_alone(client):
    rows = [ROW, ROW, {**ROW, "response_b": "Blue."}]
    page = " ".join(shown(client, "\n".join(map(json.dumps, rows)).encode()).split())
    assert "2 of 3 rows would be taken" in page
    assert ">1 would be rejected<" in page
    assert "labels: 2 rows" in page


def test_the_same_text_of_two_models_is_rejected_where_it_is_to_be_compared_here(api):
    row = {"prompt": "Why?", "response_a": "So.", "model_a": "x", "model_b": "y"}
    rows = [row | {"response_b": "No."}, row | {"response_b": "So. "}]
    told = previewed(api, rows, contents="comparisons").json()
    assert (told["rows_taken"], told["rows_refused"]) == (1, 1)


def test_a_file_of_one_array_is_named_json(client, api):
    payload = json.dumps([ROW, ROW]).encode()
    assert '<span class="tag">json</span>' in shown(client, payload, name="rows.json")
    told = previewed(api, payload=payload, name="rows.json", contents="judgments").json()
    assert (told["file_format"], told["rows_taken"]) == ("json", 2)


def test_the_api_checks_the_first_thousand_rows_of_a_file_and_says_so(api):
    told = previewed(api, payload=b'{"text": "a"}\n' * 1_001).json()
    assert (told["rows_checked"], told["is_whole"], told["read_as"]) == (
        1_000,
        False,
        {"plain": 1_000},
    )
    assert len(told["shown"]) == 5


def test_the_command_reads_the_whole_file_and_stores_nothing(tmp_path, capsys):
    project = factories.project()
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, [ROW] * 6 + [{**ROW, "label": "maybe"}])))
    call_command("import_prompts", project.pk, path, contents="judgments", dry_run=True)
    said = capsys.readouterr().out
    assert (
        "7 rows of jsonl: 6 would be taken (6 as labels), 1 rejected. Nothing was stored." in said
    )
    assert "rejected, line 7: The labeler gave the label 'maybe'" in said
    assert not Prompt.objects.exists()
    assert not PromptImport.objects.exists()


def test_columns_that_cannot_be_shown_break_no_preview(client):
    row = {"text": "Hello", "\ud83d": 1, "n" * 5_000: 2, "a\0b": 3}
    page = shown(client, json.dumps(row).encode(), "prompts")
    assert f"not used: {'n' * 60}." in page
    page = shown(client, json.dumps({"\ud83d": 1}).encode(), "prompts")
    assert "No column holds a prompt" in page
