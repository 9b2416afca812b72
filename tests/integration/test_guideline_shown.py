"""A judgment is bound to the version of the guideline that its labeler had before them."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from annotation.comparisons.models import Judgment
from annotation.projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    row = factories.project(overlap=1, min_reading_seconds=0)
    for version in (1, 2):
        row.guidelines.create(version=version, text=f"Version *{version}*")
    for _ in range(3):
        factories.comparison(factories.prompt(row))
    return row


@pytest.fixture
def as_labeler(api: APIClient, labeler) -> APIClient:
    api.force_authenticate(labeler)
    return api


@pytest.fixture
def page(labeler) -> Client:
    client = Client()
    client.force_login(labeler)
    return client


def ask_next(client: APIClient, project: Project) -> dict[str, Any]:
    return client.post(reverse("api-assignment-next", args=[project.pk])).json()


def submit(client: APIClient, project: Project, **fields: Any) -> Any:
    row = ask_next(client, project)["assignment"]
    first, second = (one["id"] for one in row["candidates"])
    given = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [2]}
    url = reverse("api-assignment-judgment", args=[project.pk, row["id"]])
    return client.post(url, {**given, **fields}, format="json")


def version_of_the_judgment() -> int | None:
    guideline = Judgment.objects.get().guideline
    return guideline and guideline.version


@pytest.mark.parametrize(
    ("shown", "stored"),
    [({"guideline_version": 1}, 1), ({"guideline_version": 2}, 2), ({}, 2)],
)
def test_a_judgment_is_bound_to_the_version_that_was_shown_else_the_newest(
    as_labeler, project, shown, stored
):
    assert submit(as_labeler, project, **shown).status_code == 200
    assert version_of_the_judgment() == stored


@pytest.mark.parametrize("shown", [0, None])
def test_without_a_guideline_shown_the_judgment_has_none_or_the_newest(as_labeler, project, shown):
    submit(as_labeler, project, guideline_version=shown)
    assert version_of_the_judgment() == {0: None, None: 2}[shown]


def test_a_version_of_another_project_or_of_the_future_is_refused_with_a_sentence(
    as_labeler, project
):
    factories.project().guidelines.create(version=3, text="Of others")
    reply = submit(as_labeler, project, guideline_version=3)
    assert reply.status_code == 400
    assert "no version 3; the newest is 2" in reply.json()["error"]["message"]
    assert not Judgment.objects.exists()


@pytest.mark.parametrize("value", [-1, 2**31, "two", 1.5, True, [1], {"version": 1}])
def test_what_is_no_version_is_refused(as_labeler, project, value):
    reply = submit(as_labeler, project, guideline_version=value)
    assert reply.status_code == 400
    assert list(reply.json()["error"]["fields"]) == ["guideline_version"]


def test_every_reply_tells_the_newest_version(as_labeler, project):
    assert ask_next(as_labeler, project)["guideline_version"] == 2
    project.guidelines.create(version=3, text="Newer")
    assert submit(as_labeler, project, guideline_version=2).json()["guideline_version"] == 3
    undone = as_labeler.post(reverse("api-judgment-undo", args=[project.pk])).json()
    assert undone["guideline_version"] == 3


def test_a_reply_tells_that_there_is_no_guideline(as_labeler, project):
    project.guidelines.all().delete()
    assert ask_next(as_labeler, project)["guideline_version"] == 0


def test_the_plain_form_sends_the_version_that_its_page_shows(page, project):
    form = page.get(reverse("comparisons-label", args=[project.pk])).context["bench"]
    project.guidelines.create(version=3, text="Newer")
    first = form.candidates[0].id
    fields = {
        "assignment": form.lease.pk,
        "client_uuid": form.client_uuid,
        "overall": f"{first}:2",
        "guideline_version": 2,
    }
    page.post(reverse("comparisons-label", args=[project.pk]), fields)
    assert version_of_the_judgment() == 2


def test_the_page_has_the_version_in_its_form_and_on_its_sheet(page, project):
    text = page.get(reverse("comparisons-label", args=[project.pk])).text
    assert '<input type="hidden" name="guideline_version" value="2">' in text
    assert 'data-version="2"' in text


def test_the_page_knows_the_version_of_the_newest_judgment_else_the_newest(
    page, as_labeler, project
):
    url = reverse("comparisons-label", args=[project.pk])
    assert 'data-known="2"' in page.get(url).text
    submit(as_labeler, project, guideline_version=1)
    assert 'data-known="1"' in page.get(url).text
    Judgment.objects.update(guideline=None)
    assert 'data-known="0"' in page.get(url).text


def test_the_sheet_is_cleaned_and_of_the_newest_version(page, project):
    project.guidelines.create(version=3, text="Be *kind*<script>alert(1)</script>")
    answer = page.get(reverse("comparisons-guideline-sheet", args=[project.pk]))
    assert 'data-version="3"' in answer.text
    assert "<em>kind</em>" in answer.text
    assert "<script" not in answer.text


def test_the_sheet_is_for_the_labelers_of_the_project(client, project):
    url = reverse("comparisons-guideline-sheet", args=[project.pk])
    client.force_login(factories.user())
    assert client.get(url).status_code == 404
    client.force_login(factories.member(project, "admin"))
    assert client.get(url).status_code == 403
    client.force_login(factories.member(project))
    assert client.post(url).status_code == 405
    assert client.get(url.replace(str(project.pk), "987654")).status_code == 404
