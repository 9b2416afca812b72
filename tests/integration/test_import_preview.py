"""The import page shows the first rows as they will be read, and stores nothing."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

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


def test_a_file_that_cannot_be_read_says_why(client):
    assert "Parquet" in shown(client, b"PAR1xxxx", name="rows.parquet")
    assert "ends in none of" in shown(client, b"x", name="rows.exe")


def test_the_page_explains_every_form_with_an_example(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    page = client.get(f"/projects/{project.pk}/prompts/import/").content.decode()
    assert page.count("<pre>") == len(EXAMPLES)
