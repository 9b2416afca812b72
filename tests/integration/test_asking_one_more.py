"""One more label on a comparison, asked for where its judgments are read, and taken back there."""

from importlib import import_module

import pytest
from django.db import connection
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.again import asked_more
from annotation.comparisons.services.queue import lease_next_comparison, skip_assignment
from annotation.quality import services
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def judged(project):
    """Two labels of two."""
    places = {"overlap": 2, "slots_taken": 2, "judgments_counted": 2}
    one = factories.comparison(factories.prompt(project), state="judged", **places)
    for _ in range(2):
        factories.judgment(one)
    services.catch_up(project=project)
    return one


def items(client, project, **asked):
    return client.get(reverse("quality-items", args=[project.pk]), asked).text


def post(client, route, one, **fields):
    return client.post(reverse(route, args=[one.project_id, one.pk]), fields)


def test_one_more_is_asked_for_from_the_items_and_taken_back(project, admin, client, judged):
    assert "Ask one more" in items(client, project)
    answer = post(client, "quality-ask", judged, query="days=30")
    assert answer.url.endswith(f"/agreement/items/?days=30#comparison-{judged.pk}")
    judged.refresh_from_db()
    assert (judged.state, judged.overlap, judged.slots_taken) == ("open", 3, 2)
    page = items(client, project)
    assert "one more asked for" in page
    assert "Ask one more" not in page
    post(client, "quality-ask-undo", judged)
    judged.refresh_from_db()
    assert (judged.state, judged.overlap, judged.batch) == ("judged", 2, None)
    assert "Ask one more" in items(client, project)
    assert not Batch.objects.exists()


def test_it_is_served_to_somebody_else_and_then_stays(project, admin, client, judged):
    post(client, "quality-ask", judged)
    lease = lease_next_comparison(project=project, labeler=factories.member(project))
    assert lease.comparison_id == judged.pk
    assert "one more asked for" not in items(client, project)
    page = client.post(reverse("quality-ask-undo", args=[project.pk, judged.pk]), follow=True).text
    assert "somebody has it, or it was taken back" in page
    assert Comparison.objects.get(pk=judged.pk).overlap == 3


def test_one_that_is_given_back_can_be_taken_back(project, admin, client, judged):
    post(client, "quality-ask", judged)
    lease = lease_next_comparison(project=project, labeler=factories.member(project))
    undo = reverse("quality-ask-undo", args=[project.pk, judged.pk])
    told = client.post(undo, follow=True).text
    assert "somebody has it, or it was taken back" in told
    assert "No further label is asked for" not in told
    assert not AuditEvent.objects.filter(verb="batch.asking_undone").exists()
    skip_assignment(assignment=lease, reason="other")
    assert "No further label is asked for" in client.post(undo, follow=True).text
    assert Comparison.objects.get(pk=judged.pk).overlap == 2


def test_a_batch_named_by_its_one_comparison_is_known_as_the_others(project, admin, client, judged):
    post(client, "quality-ask", judged)
    Batch.objects.update(made_from={"comparison": judged.pk})
    kept = project.batches.create(name="Pilot", made_from={"draws": 2})
    migration = import_module(
        "annotation.comparisons.migrations.0025_one_more_label_by_its_purpose"
    )
    with connection.cursor() as cursor:
        cursor.execute(migration.NAME_PURPOSE)
    assert "one more asked for" in items(client, project)
    post(client, "quality-ask-undo", judged)
    assert list(Batch.objects.values_list("pk", "made_from")) == [(kept.pk, {"draws": 2})]


def another(judged):
    """A second one, judged like it, that was in a batch of its own."""
    pilot = judged.project.batches.create(name="Pilot", state="closed")
    places = {"overlap": 2, "slots_taken": 2, "judgments_counted": 2}
    return factories.comparison(
        factories.prompt(judged.project), state="judged", batch=pilot, **places
    )


def test_all_that_are_asked_so_share_the_open_batch(project, admin, client, judged):
    other = another(judged)
    for one in (judged, other):
        post(client, "quality-ask", one)
    batch = Batch.objects.get(name="One more label")
    assert list(batch.comparisons.order_by("pk")) == [judged, other]
    assert asked_more(project, [judged.pk, other.pk]) == {judged.pk, other.pk}
    post(client, "quality-ask-undo", other)
    other.refresh_from_db()
    assert (other.batch.name, other.state, other.overlap) == ("Pilot", "judged", 2)
    assert asked_more(project, [judged.pk, other.pk]) == {judged.pk}
    batch.refresh_from_db()
    assert [row["pk"] for row in batch.asked_again] == [judged.pk]
    Batch.objects.filter(pk=batch.pk).update(state="closed")
    post(client, "quality-ask", other)
    other.refresh_from_db()
    assert (other.batch.name, other.state) == ("One more label (2)", "open")


def test_what_was_asked_so_and_judged_is_forgotten_and_can_be_asked_anew(
    project, admin, client, judged
):
    post(client, "quality-ask", judged)
    Comparison.objects.update(state="judged", slots_taken=3, judgments_counted=3)
    other = another(judged)
    post(client, "quality-ask", other)
    batch = Batch.objects.get(name="One more label")
    assert [row["pk"] for row in batch.asked_again] == [other.pk]
    post(client, "quality-ask", judged)
    post(client, "quality-ask-undo", judged)
    judged.refresh_from_db()
    assert (judged.batch, judged.state, judged.overlap) == (batch, "judged", 3)
    assert asked_more(project, [judged.pk, other.pk]) == {other.pk}


def test_twice_is_once(project, admin, client, judged):
    for _ in range(2):
        answer = client.post(reverse("quality-ask", args=[project.pk, judged.pk]), follow=True)
    assert "This comparison cannot be asked again: it waits for a label already" in answer.text
    assert Comparison.objects.get(pk=judged.pk).overlap == 3


def test_one_of_a_blind_evaluation_or_with_the_most_labels_offers_none(
    project, admin, client, judged
):
    assert "Ask one more" in items(client, project)
    blind = project.batches.create(name="Evaluation 1", made_from={"evaluation": 1})
    Comparison.objects.update(batch=blind)
    assert "Ask one more" not in items(client, project)
    Comparison.objects.update(batch=None, slots_taken=50, overlap=50)
    assert "Ask one more" not in items(client, project)
    answer = client.post(reverse("quality-ask", args=[project.pk, judged.pk]), follow=True)
    assert "part of a blind evaluation, or has the 50 labels that it may have" in answer.text


def test_the_way_back_leads_nowhere_else(project, admin, client, judged):
    answer = post(client, "quality-ask", judged, query="//evil.example/?a=1\r\nX: y")
    assert answer.url.startswith(f"/projects/{project.pk}/agreement/items/?")
    assert "\n" not in answer.url


def test_the_api_asks_for_one_more_and_its_batch_takes_it_back(project, admin, api, judged):
    url = reverse("api-comparison-asking", args=[project.pk, judged.pk])
    answer = api.post(url)
    assert answer.status_code == 201
    batch = Batch.objects.get(pk=answer.json()["batch"])
    assert list(batch.comparisons.all()) == [judged]
    assert api.post(url).status_code == 409
    assert api.delete(url).status_code == 204
    assert api.delete(url).json()["error"]["message"].startswith("Nobody is waited for")
    assert not Batch.objects.exists()
    foreign = factories.comparison(factories.prompt(factories.project()))
    theirs = reverse("api-comparison-asking", args=[project.pk, foreign.pk])
    assert {api.post(theirs).status_code, api.delete(theirs).status_code} == {404}
