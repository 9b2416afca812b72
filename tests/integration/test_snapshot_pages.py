"""The pages and the API of snapshots: request, preview, look, compare, stop."""

import csv
import io
import json
import re
from html import unescape

import pytest
from django.urls import reverse

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import building
from annotation.projects.models import Role
from tests import factories
from workers import datasets as tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    project = factories.project()
    for content in ("<script>alert(1)</script>", "Two", "Three"):
        factories.judgment(factories.comparison(factories.prompt(project, content)))
    return project


@pytest.fixture
def engineer(project, client, api):
    engineer = factories.member(project, Role.ENGINEER)
    client.force_login(engineer)
    api.force_authenticate(engineer)
    return engineer


def requested(api, project, **query):
    url = reverse("api-snapshot-list", args=[project.pk])
    answer = api.post(url, {"name": "Mine", "query": query}, format="json")
    assert answer.status_code == 201, answer.json()
    return DatasetSnapshot.objects.get(pk=answer.json()["id"])


def finished(api, project, **query):
    snapshot = requested(api, project, **query)
    tasks.build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    assert (snapshot.status, snapshot.error) == ("done", "")
    return snapshot


FORM = {
    "name": "From the form",
    "labelers": ["people"],
    "criterion": "overall",
    "min_judgments": 1,
    "aggregation": "soft",
    "ties": "keep",
    "train": 80,
    "validation": 10,
    "test": 10,
    "seed": 17,
}


def test_the_form_requests_a_snapshot_and_shows_how_far_it_is(client, engineer, project):
    answer = client.post(reverse("datasets-new", args=[project.pk]), FORM, follow=True)
    snapshot = project.snapshots.get()
    assert snapshot.query["labelers"] == ["people"]
    assert b"It waits for a cpu worker." in answer.content


@pytest.mark.parametrize(
    ("shares", "proposed"),
    [((0.6, 0.15, 0.25), (60, 15, 25, 5)), ((0.605, 0.145, 0.25), (80, 10, 10, 17))],
)
def test_the_form_proposes_the_splits_of_the_newest_snapshot(
    client, engineer, project, api, shares, proposed
):
    page = reverse("datasets-new", args=[project.pk])
    assert "80/10/10" in client.get(page).text
    names = ("train", "validation", "test", "seed")
    finished(api, project, **dict(zip(names, (*shares, 5), strict=True)))
    requested(api, project, seed=6)  # not built yet
    form = client.get(page).context["form"]
    assert tuple(form[name].value() for name in names) == proposed


def test_shares_that_do_not_add_up_are_refused_in_the_form(client, engineer, project):
    answer = client.post(reverse("datasets-new", args=[project.pk]), {**FORM, "test": 30})
    assert answer.status_code == 400
    assert b"must add up to 100, not 120" in answer.content


def test_a_snapshot_that_leaves_nothing_to_train_on_is_refused_at_its_share(
    client, api, engineer, project
):
    shares = {"train": 0, "validation": 50, "test": 50}
    page = client.post(reverse("datasets-new", args=[project.pk]), {**FORM, **shares})
    assert page.status_code == 400
    assert "Nothing would be left to train on" in page.text
    query = {"train": 0, "validation": 0.5, "test": 0.5}
    sent = {"name": "Mine", "query": query}
    answer = api.post(reverse("api-snapshot-list", args=[project.pk]), sent, format="json")
    assert answer.status_code == 400
    assert "Nothing would be left to train on" in answer.json()["error"]["fields"]["train"][0]
    assert not project.snapshots.exists()


def test_the_preview_counts_what_would_go_in(client, engineer, project):
    answer = client.post(reverse("datasets-preview", args=[project.pk]), FORM)
    assert b"3 <small>judgments" in answer.content


def test_the_preview_of_a_broken_form_names_the_mistake(client, engineer, project):
    answer = client.post(reverse("datasets-preview", args=[project.pk]), {**FORM, "labelers": []})
    assert "<li>Whose judgments: This field is required.</li>" in answer.text


def test_a_done_snapshot_shows_its_hash_and_inert_samples(client, api, engineer, project):
    snapshot = finished(api, project)
    content = client.get(reverse("datasets-snapshot", args=[project.pk, snapshot.pk])).content
    assert snapshot.sha256.encode() in content
    assert b"<script>alert" not in content
    assert b"style=" not in content


def test_a_done_snapshot_tells_its_duplicates_and_an_older_one_that_counted_none_does_not(
    client, api, engineer, project
):
    for content in (" two", "three"):
        factories.judgment(factories.comparison(factories.prompt(project, content)))
    snapshot = finished(api, project)
    page = client.get(reverse("datasets-snapshot", args=[project.pk, snapshot.pk])).text
    assert "4 prompts share their last turn with another one, and so its split; 0 pairs of" in page
    older = factories.snapshot(
        project,
        folder=snapshot.folder,
        manifest={key: one for key, one in snapshot.manifest.items() if key != "duplicates"},
    )
    page = client.get(reverse("datasets-snapshot", args=[project.pk, older.pk])).text
    assert "Longer response chosen" in page
    assert "Duplicates" not in page


def test_the_list_costs_the_same_however_long_it_is(
    client, api, engineer, project, django_assert_num_queries
):
    url = reverse("datasets-list", args=[project.pk])
    finished(api, project)
    with django_assert_num_queries(6):
        client.get(url)
    finished(api, project, ties="drop")
    with django_assert_num_queries(6):
        client.get(url)


def test_a_difference_tells_flips_from_ties_that_came(client, api, engineer, project):
    before = finished(api, project)
    flipped, evened = project.comparisons.order_by("pk")[:2]
    for _ in range(2):
        factories.judgment(flipped, ranking=[[pk] for pk in reversed(flipped.candidate_ids)])
    factories.judgment(evened, ranking=[[pk] for pk in reversed(evened.candidate_ids)])
    new = factories.comparison(factories.prompt(project, "Four"))
    factories.judgment(new)
    after = finished(api, project)
    url = reverse("api-snapshot-difference", args=[project.pk, after.pk])
    found = api.get(url, {"against": before.pk}).json()
    assert (found["pairs_added"], found["pairs_flipped"], found["pairs_kept"]) == (1, 1, 1)
    assert (found["pairs_evened"], found["pairs_decided"]) == (1, 0)
    back = reverse("api-snapshot-difference", args=[project.pk, before.pk])
    assert api.get(back, {"against": after.pk}).json()["pairs_decided"] == 1
    page = reverse("datasets-difference", args=[project.pk, after.pk])
    shown = client.get(page, {"against": before.pk})
    assert [comparison for _, comparison in shown.context["pairs"]] == [flipped.pk]
    assert "preferred before" in shown.text
    assert "preferred now" in shown.text
    assert (
        client.get(page, {"against": before.pk, "change": "added"}).context["pairs"][0][1] == new.pk
    )
    beyond = client.get(page, {"against": before.pk, "page": 7})
    assert [comparison for _, comparison in beyond.context["pairs"]] == [flipped.pk]
    for wrong in ({"against": "x"}, {"change": "lost"}, {"page": "x"}):
        assert client.get(page, {"against": before.pk, **wrong}).status_code == 400, wrong
    changes = reverse("api-snapshot-changes", args=[project.pk, after.pk])
    told = api.get(changes, {"against": before.pk}).json()
    (pair,) = told["results"]
    assert (told["count"], told["page"], told["pages"]) == (1, 1, 1)
    assert {pair["before"]["preferred"], pair["after"]["preferred"]} == {"first", "second"}
    place = pair["after"]["preferred"]
    assert (pair["after"][f"votes_{place}"], pair["comparison"]) == (2, flipped.pk)
    assert pair["prompt"][-1]["content"] == flipped.prompt.turns[-1]["content"]
    assert api.get(changes, {"against": before.pk, "page": 2}).json()["results"] == []
    (gone,) = api.get(
        reverse("api-snapshot-changes", args=[project.pk, before.pk]),
        {"against": after.pk, "change": "removed"},
    ).json()["results"]
    assert (gone["after"], gone["comparison"]) == (None, new.pk)


def test_the_pairs_that_changed_are_a_table_with_no_cell_that_acts_as_a_formula(
    client, api, engineer, project
):
    before = finished(api, project)
    prompt = factories.prompt(project, "=cmd()")
    added = factories.judgment(factories.comparison(prompt)).comparison
    after = finished(api, project)
    asked = {"against": before.pk, "change": "added"}
    answers = [
        one.get(reverse(name, args=[project.pk, after.pk]), asked)
        for one, name in (
            (client, "datasets-difference-table"),
            (api, "api-snapshot-changes-table"),
        )
    ]
    first, second = (b"".join(one.streaming_content).decode() for one in answers)
    assert first == second
    (row,) = csv.DictReader(io.StringIO(first))
    assert (row["change"], row["before"], row["comparison"]) == ("added", "", str(added.pk))
    assert row["prompt"] == "'=cmd()"
    assert row[f"votes_{row['after']}_after"] == "1.0"


def test_a_snapshot_of_another_project_is_not_found(api, engineer, project):
    foreign = factories.snapshot(factories.project())
    url = reverse("api-snapshot-detail", args=[project.pk, foreign.pk])
    assert api.get(url).status_code == 404


def test_a_queued_snapshot_can_be_stopped_once(api, engineer, project):
    snapshot = requested(api, project)
    url = reverse("api-snapshot-cancel", args=[project.pk, snapshot.pk])
    assert api.post(url).json()["status"] == "cancelled"
    assert api.post(url).status_code == 409


def test_an_unknown_key_of_a_query_is_refused(api, engineer, project):
    url = reverse("api-snapshot-preview", args=[project.pk])
    assert api.post(url, {"ties": "flip"}, format="json").status_code == 400
    assert api.post(url, {}, format="json").json()["judgments"] == 3


def test_a_build_that_cannot_succeed_fails_with_its_sentence(api, engineer):
    project = factories.project()
    api.force_authenticate(factories.member(project, Role.ENGINEER))
    snapshot = requested(api, project)
    tasks.build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    assert snapshot.status == "failed"
    assert "no usable pair" in snapshot.error


def test_a_full_disk_leaves_nothing_behind(api, engineer, project, monkeypatch, settings, tmp_path):
    settings.CONCORD_VAR = tmp_path
    snapshot = requested(api, project)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(building, "_write_manifest", full)
    tasks.build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    assert (snapshot.status, snapshot.error[:17]) == ("failed", "The disk is full.")
    assert list((tmp_path / "snapshots").iterdir()) == []
    assert not project.judgments.exclude(frozen_at=None).exists()


def test_an_admin_reads_how_to_become_who_may_request_one(client, project):
    page = reverse("datasets-list", args=[project.pk])
    members = reverse("projects-members", args=[project.pk])
    told = f'give yourself that role under <a href="{members}">'
    admin = factories.member(project, Role.ADMIN)
    client.force_login(admin)
    assert told in client.get(page).text
    client.post(
        reverse("projects-member-roles", args=[project.pk, admin.pk]),
        {"roles": ["admin", "engineer"]},
    )
    text = client.get(page).text
    assert told not in text
    assert "New snapshot" in text


OFFERED = re.compile(r'href="([^"]*form=label_studio[^"]*)"')


def test_tasks_of_label_studio_are_offered_as_json_alone(client, api, project, engineer):
    snapshot = finished(api, project)
    pages = [
        reverse("datasets-list", args=[project.pk]),
        reverse("datasets-snapshot", args=[project.pk, snapshot.pk]),
    ]
    for page, offers in zip(pages, (1, 4), strict=True):
        text = client.get(page).text
        assert 'value="label_studio"' not in text
        links = [unescape(link) for link in OFFERED.findall(text)]
        assert len(links) == offers
        for link in links:
            answer = client.get(link)
            assert answer.status_code == 200
            assert isinstance(json.loads(b"".join(answer.streaming_content)), list)
