"""Overlap, gold and repeats on the rules tab: tried on what was judged, then saved."""

import pytest
from django.urls import reverse

from annotation.projects.models import Role
from tests import factories
from tests.refusals import refusal_in

pytestmark = pytest.mark.django_db
POSTED = {
    "overlap": "3", "overlap_share": "50", "gold_share": "10", "repeat_share": "5", "min_reading_seconds": "4",
}  # fmt: skip


@pytest.fixture
def project():
    return factories.project(overlap=2, overlap_share=1.0, gold_share=0.0, repeat_share=0.0)


@pytest.fixture
def tried(api, project):
    """The answer of the API to these settings."""
    api.force_authenticate(factories.member(project, Role.ADMIN))
    address = reverse("api-asking-dry-run", args=[project.pk])
    return lambda **settings: api.post(address, settings, format="json")


@pytest.fixture
def url(client, project):
    client.force_login(factories.member(project, Role.ADMIN))
    return reverse("quality-asking", args=[project.pk])


def judged(project, labels):
    """A comparison with so many labels, three seconds each."""
    comparison = factories.comparison(
        factories.prompt(project), overlap=labels, slots_taken=labels, judgments_counted=labels
    )
    for _ in range(labels):
        factories.judgment(comparison, factories.member(project), active_ms=3_000)


def test_history_tells_what_other_settings_would_have_asked(client, project, url):
    """Twenty comparisons with two labels: half of them with three and half with one is as many, gold a tenth of 40."""
    for _ in range(20):
        judged(project, 2)
    page = client.post(url, POSTED)
    tried = page.context["would_ask"]
    assert (tried.labels, tried.labels_wanted) == (40, 40)
    assert (tried.shared, tried.shared_wanted) == (20, 10)
    assert (tried.answers, tried.gold_wanted, tried.repeats_wanted, tried.quick) == (40, 4, 2, 40)
    project.refresh_from_db()
    assert (project.overlap, project.gold_share) == (2, 0.0)
    assert 'value="50"' in page.text


def test_saving_changes_the_settings(client, project, url):
    page = client.post(url, {**POSTED, "save": "yes"}, follow=True)
    assert "Saved." in page.text
    project.refresh_from_db()
    saved = (project.overlap, project.overlap_share, project.gold_share, project.repeat_share)
    assert saved == (3, 0.5, 0.1, 0.05)
    assert project.min_reading_seconds == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overlap", "0"),
        ("overlap", "2.5"),
        ("overlap_share", "101"),
        ("gold_share", "nan"),
        ("gold_share", "48"),
        ("repeat_share", ""),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(client, project, url, name, value):
    for button in ({}, {"save": "yes"}):
        page = client.post(url, {**POSTED, name: value, **button})
        assert page.status_code == 400
        assert not list(page.context["messages"])
        told = refusal_in(page.text, url)
        assert name in told or "Gold and repeats together" in told
    project.refresh_from_db()
    assert project.overlap_share == 1.0


@pytest.mark.parametrize("button", [{}, {"save": "yes"}])
def test_what_was_typed_stays_in_the_form_that_was_refused(client, url, button):
    typed = {**POSTED, "gold_share": "30", "repeat_share": "35"}
    page = client.post(url, {**typed, **button}).text
    for name, value in typed.items():
        field = page[page.index(f'id="{name}"') :].split(">")[0]
        assert f'value="{value}"' in field


def test_a_refused_form_leaves_the_rest_of_the_page_as_it_is_stored(client, project, url):
    page = client.post(url, {**POSTED, "overlap": "51", "save": "yes"})
    assert page.context["project"].overlap == project.overlap


def test_the_api_tries_settings_and_writes_nothing(project, tried):
    """Ten comparisons with two labels; with the project's overlap of two, half of them drawn are 15 labels."""
    for _ in range(10):
        judged(project, 2)
    answer = tried(overlap_share=0.5, gold_share=0.1, min_reading_seconds=4)
    assert answer.json() == {
        "overlap": 2, "comparisons": 10, "labels": 20, "labels_wanted": 15, "shared": 10, "shared_wanted": 5,
        "answers": 20, "gold": 0, "gold_wanted": 2, "repeats": 0, "repeats_wanted": 0, "quick": 20,
    }  # fmt: skip
    project.refresh_from_db()
    assert (project.overlap_share, project.gold_share) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"overlap": 0}, "overlap"),
        ({"overlap_share": 1.5}, "overlap_share"),
        ({"gold_share": "much"}, "gold_share"),
        ({"gold_share": 0.4, "repeat_share": 0.4}, "repeat_share"),
    ],
)
def test_the_api_refuses_what_cannot_be_at_its_field(tried, settings, named):
    answer = tried(**settings)
    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [named]


def test_a_setting_of_zero_is_shown_as_zero_and_can_be_saved(project, url, client):
    """A field that must be filled and shows nothing cannot be sent."""
    project.min_reading_seconds = 0
    project.save()
    page = client.get(reverse("quality-rules", args=[project.pk])).content.decode()
    field = page[page.index('id="min_reading_seconds"') :].split(">")[0]
    assert 'value="0"' in field
