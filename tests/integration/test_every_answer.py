"""What every answer of the site comes with, page or API: language, policy, the session it was asked in."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from annotation.accounts import sessions
from annotation.accounts.models import User
from annotation.accounts.sessions import SessionStore
from annotation.core.middleware import API_ROOT
from annotation.projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/", f"{API_ROOT}v1/projects/", f"{API_ROOT}v1/nothing/"])
def test_language_and_policy_are_told_by_pages_and_by_the_api(client, admin, address):
    answer = client.get(address, headers={"Accept-Language": "de"})
    assert answer.headers["Content-Language"] == "de"
    assert "Accept-Language" in answer.headers["Vary"].split(", ")
    rules = answer.headers["Content-Security-Policy"].split("; ")
    told = dict(rule.split(" ", 1) for rule in rules)
    asked = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert told == {name: " ".join(sources) for name, sources in asked.items()}


def test_the_api_answers_json_whatever_is_accepted(client, admin, project):
    asked = {"Accept": "text/csv;q=0.9, image/png"}
    answer = client.get(f"{API_ROOT}v1/projects/", headers=asked)
    assert answer.json()["results"][0]["id"] == project.pk


@pytest.mark.parametrize(
    "kind", ["application/vnd.oai.openapi", "application/vnd.oai.openapi+json"]
)
def test_the_schema_comes_as_it_is_accepted(client, admin, kind):
    answer = client.get(reverse("schema"), headers={"Accept": kind})
    assert answer["Content-Type"].partition(";")[0] == kind


def test_the_schema_comes_to_who_accepts_nothing_that_it_has(client, admin):
    answer = client.get(reverse("schema"), headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (
        200,
        "application/vnd.oai.openapi",
    )


def test_what_is_told_on_the_next_page_outlasts_calls_of_the_api(client, admin, project):
    refused = client.post(reverse("overview-setup-start", args=[project.pk]))
    client.get(f"{API_ROOT}v1/projects/")
    said = [str(one) for one in client.get(refused.url).context["messages"]]
    assert len(said) == 1


def test_the_form_of_the_next_comparison_holds_the_token_that_was_sent(client, labeler, project):
    token = "d" * 32
    bench = _bench(client, labeler, project, token)
    assert f'name="csrfmiddlewaretoken" value="{token}"' in bench


def test_what_is_no_token_does_not_get_out_of_its_place(client, labeler, project):
    bench = _bench(client, labeler, project, '"><script>alert(1)</script>')
    assert 'value="&quot;&gt;&lt;script&gt;' in bench
    assert "<script" not in bench


def _bench(client: Client, labeler: User, project: Project, token: str) -> str:
    """The HTML of a comparison, asked for with this token."""
    factories.comparison(factories.prompt(project))
    client.force_login(labeler)
    address = reverse("api-assignment-next", args=[project.pk])
    told = client.post(f"{address}?bench=1", headers={"X-CSRFToken": token}).json()
    return str(told["assignment"]["bench"])


def test_what_is_done_with_a_session_that_was_read_stays_with_that_reading():
    stored = SessionStore()
    stored["seen"] = ["first"]
    stored.create()
    one, other = (SessionStore(stored.session_key) for _ in range(2))
    one["seen"].append("second")
    assert other["seen"] == ["first"]
    one.save()
    assert SessionStore(stored.session_key)["seen"] == ["first", "second"]


def test_a_session_that_was_tampered_with_is_empty():
    stored = SessionStore()
    stored["seen"] = True
    stored.create()
    row = stored.model.objects.get(pk=stored.session_key)
    row.session_data = row.session_data[:-2] + "xx"
    row.save()
    assert SessionStore(stored.session_key).get("seen") is None


def test_a_session_and_its_person_are_one_statement(client, labeler, django_assert_num_queries):
    client.force_login(labeler)
    sessions._owner_of.clear()
    with django_assert_num_queries(2):
        client.get(reverse("api-me"))
    with django_assert_num_queries(1):
        assert client.get(reverse("api-me")).json()["username"] == labeler.username


def test_whose_a_session_was_thought_to_be_signs_nobody_in(client, labeler, admin):
    client.force_login(labeler)
    sessions._owner_of[client.session.session_key] = admin.pk
    for _ in range(2):
        assert client.get(reverse("api-me")).json()["username"] == labeler.username


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "!"}])
def test_who_may_no_longer_sign_in_is_out_with_the_next_request(client, labeler, change):
    client.force_login(labeler)
    assert client.get(reverse("api-me")).status_code == 200
    User.objects.filter(pk=labeler.pk).update(**change)
    assert client.get(reverse("api-me")).status_code == 401
