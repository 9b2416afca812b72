"""The pages of demonstrations: what a writer, a reviewer and an admin see, also without JavaScript."""

import re
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from annotation.demonstrations.models import Demonstration, Opening
from annotation.demonstrations.selectors import latest_version
from annotation.demonstrations.services import writing
from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png) [y](javascript:alert(1))"


def signed_in(project, role) -> Client:
    client = Client()
    client.user = factories.member(project, role)
    client.force_login(client.user)
    return client


@pytest.fixture
def writer(project) -> Client:
    return signed_in(project, Role.LABELER)


@pytest.fixture
def admin(project) -> Client:
    return signed_in(project, Role.ADMIN)


def opened(project, source=None, **fields) -> Opening:
    prompt = source.prompt if source else factories.prompt(project)
    return Opening.objects.create(project=project, prompt=prompt, source=source, **fields)


def submitted(project, text="Ideal.", source=None) -> Demonstration:
    opened(project, source)
    row = writing.lease_next(project=project, author=factories.member(project))
    return writing.submit(demonstration=row, client_uuid=uuid4(), text=text)


def review_url(row) -> str:
    return reverse("demonstrations-review", args=[row.project_id, row.pk])


def work_url(row) -> str:
    return reverse("demonstrations-work", args=[row.project_id, row.pk])


def test_the_bench_shows_the_original_and_not_where_it_comes_from(project, writer):
    policy = factories.policy(project, name="secret-model")
    prompt = factories.prompt(project)
    source = factories.candidate(
        prompt, "The *original*.", policy=policy, source_name="secret-model v1"
    )
    opened(project, source)
    page = writer.get(reverse("demonstrations-write", args=[project.pk])).content.decode()
    assert "<em>original</em>" in page
    assert "secret-model" not in page


def test_a_conversation_says_who_speaks_to_the_writer_and_to_the_reviewer(project, writer, admin):
    turns = [("user", "Wild dogs?"), ("assistant", "Wolves, or coyotes?"), ("user", "Wolves.")]
    prompt = factories.prompt(
        project, turns=[{"role": role, "content": content} for role, content in turns]
    )
    Opening.objects.create(project=project, prompt=prompt)
    page = writer.get(reverse("demonstrations-write", args=[project.pk])).content.decode()
    assert re.findall(r'<span class="who">(\w+)</span>', page) == ["User", "Assistant", "User"]
    row = Demonstration.objects.get()
    writing.submit(demonstration=row, client_uuid=uuid4(), text="Ideal.")
    page = admin.get(review_url(row)).content.decode()
    assert re.findall(r'<p class="small muted">(\w+)</p>', page)[:3] == [
        "User",
        "Assistant",
        "User",
    ]


def test_the_plain_form_keeps_a_draft_and_sends_it(project, writer):
    opened(project)
    row = writing.lease_next(project=project, author=writer.user)
    writer.post(work_url(row), {"text": "Half.", "act": "save"})
    assert "Half." in writer.get(work_url(row)).content.decode()
    answer = {"text": "Whole.", "act": "submit", "client_uuid": str(uuid4())}
    there = writer.post(work_url(row), answer, follow=True)
    page = there.text
    assert "Sent to review. Z takes it back." in page
    assert "Everything that was asked for is written" not in page  # it waits for review
    assert latest_version(row).text == "Whole."
    Demonstration.objects.update(state="approved")
    assert "Sent to review" not in writer.get(there.redirect_chain[-1][0]).text


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"text": " ", "act": "submit", "client_uuid": str(uuid4())}, "no text yet"),
        ({"text": "Good.", "act": "submit", "client_uuid": "none"}, "load the page again"),
        ({"text": "Good.", "reason": "bored"}, "no reason"),
    ],
)
def test_what_the_plain_form_sends_wrongly_is_said(project, writer, sent, words):
    opened(project)
    row = writing.lease_next(project=project, author=writer.user)
    assert words in writer.post(work_url(row), sent, follow=True).content.decode()


def test_a_text_is_taken_back_from_its_page(project, writer):
    opened(project)
    row = writing.lease_next(project=project, author=writer.user)
    writing.submit(demonstration=row, client_uuid=uuid4(), text="Too early.")
    url = reverse("demonstrations-withdraw", args=[project.pk, row.pk])
    assert "Too early." in writer.post(url, follow=True).content.decode()
    row.refresh_from_db()
    assert row.state == "draft"


def test_another_labelers_text_is_not_found(project, writer):
    assert writer.get(work_url(submitted(project))).status_code == 404


@pytest.mark.parametrize("page", ["review", "preview"])
def test_hostile_markdown_stays_text(project, admin, writer, page):
    if page == "review":
        shown = admin.get(review_url(submitted(project, HOSTILE))).content.decode()
    else:
        url = reverse("api-demonstration-preview", args=[project.pk])
        shown = writer.post(url, {"text": HOSTILE}, content_type="application/json").json()["html"]
    assert "<script>alert" not in shown
    assert 'src="http://evil' not in shown
    assert 'href="javascript' not in shown


def test_a_reviewer_sees_what_changed_and_approves_with_changes(project, admin):
    source = factories.candidate(factories.prompt(project), "One two three four.")
    row = submitted(project, "One two five four.", source)
    page = admin.get(review_url(row)).content.decode()
    assert "<del>three</del>" in page
    assert "<ins>five</ins>" in page
    verdict = {"act": "approve", "version": latest_version(row).pk, "is_changed": "yes"}
    page = admin.post(review_url(row), {**verdict, "text": "One two six four."}, follow=True)
    assert "Approved." in page.content.decode()
    row.refresh_from_db()
    assert row.candidate.text == "One two six four."


def test_a_state_has_one_word_in_the_filter_the_count_and_the_table(project, admin):
    submitted(project)
    opened(project)
    writing.lease_next(project=project, author=factories.member(project))
    page = admin.get(reverse("demonstrations-list", args=[project.pk])).text
    assert re.findall(r">(Waits for review|waits for review|Draft|draft|Submitted)<", page) == [
        "Draft",
        "Waits for review",
        "draft",
        "waits for review",
    ]
    assert "1 draft, 1 waits for review" in page


def test_a_review_says_who_wrote_and_who_decided(project, admin):
    row = submitted(project)
    author = row.author.get_username()
    assert f"by {author}, waits for review, sent" in heading_of(admin.get(review_url(row)))
    sent = {"act": "return", "note": "Shorter.", "version": latest_version(row).pk}
    there = admin.post(review_url(row), sent, follow=True)
    reviewer = admin.user.get_username()
    assert f"by {author}, returned by {reviewer}, sent" in heading_of(there)


def heading_of(page) -> str:
    """What stands below the title, without tags."""
    below = page.text.partition("</h1>")[2]
    return " ".join(re.sub(r"<[^>]+>", "", below).split())


def test_a_review_is_reversed_from_its_page(project, admin):
    row = submitted(project)
    version = latest_version(row).pk
    admin.post(review_url(row), {"act": "return", "version": version, "note": "Shorter."})
    assert "Shorter." in admin.get(review_url(row)).content.decode()
    admin.post(review_url(row), {"act": "reverse"})
    row.refresh_from_db()
    assert row.state == "submitted"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"act": "return", "version": "1"}, "another text meanwhile"),
        ({"act": "approve", "version": "9" * 40}, "another text meanwhile"),
        ({"act": "sing"}, "no act"),
        ({"act": "release"}, "can be released"),
    ],
)
def test_a_verdict_that_does_not_fit_is_refused_with_reason(project, admin, sent, words):
    row = submitted(project)
    sent = {"version": "0", **sent} if sent["act"] != "return" else {**sent, "version": "0"}
    assert words in admin.post(review_url(row), sent, follow=True).content.decode()


def test_an_author_who_is_admin_too_is_told_to_leave_it_to_another(project, admin):
    project.memberships.create(user=admin.user, role=Role.LABELER)
    opened(project)
    row = writing.lease_next(project=project, author=admin.user)
    writing.submit(demonstration=row, client_uuid=uuid4(), text="Mine.")
    page = admin.get(review_url(row)).content.decode()
    assert "a second person must review it" in page
    assert "data-approve" not in page


def test_asking_on_the_page_opens_places_and_says_how_many(project, admin):
    factories.prompt(project, language="en")
    url = reverse("demonstrations-ask", args=[project.pk])
    sent = {"per_prompt": "2", "at_most": "100", "priority": "0", "language": "en"}
    counted = admin.post(url, {**sent, "act": "count"})
    assert (counted.status_code, Opening.objects.exists()) == (200, False)
    assert "2 openings would be made. Nothing is made yet." in counted.text
    assert "Openings made: 2." in admin.post(url, sent, follow=True).content.decode()
    assert "nothing was opened" in admin.post(url, sent, follow=True).content.decode()
    refused = admin.post(url, {**sent, "per_prompt": "99"})
    assert refused.status_code == 400
    assert "it lies from 1 to 10" in refused.content.decode()


@pytest.mark.parametrize("state", ["", "open", "submitted", "closed", "no-such-state"])
def test_the_list_is_narrowed_by_state(project, admin, state):
    submitted(project)
    opened(project)
    opened(project, state="closed")
    url = reverse("demonstrations-list", args=[project.pk])
    rows = admin.get(url, {"state": state}).context["rows"]
    assert len(rows) == (1 if state in {"open", "submitted", "closed"} else 3)


def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    project, admin, writer, django_assert_num_queries
):
    url = reverse("demonstrations-list", args=[project.pk])
    submitted(project)
    queries = _queries_of(admin, url)
    for _ in range(3):
        submitted(project)
    with django_assert_num_queries(queries):
        admin.get(url)


def _queries_of(client: Client, url: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as seen:
        client.get(url)
    return len(seen)
