"""A job that waits tells its place in line: generation, hearings, revisions, snapshots, on pages and over the API."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.core.jobs import JobModel
from annotation.generation.services import request_candidates
from annotation.judges.services import appointing, hearing, revising
from annotation.prompts.models import PromptImport
from annotation.webhooks.models import Delivery, Webhook
from tests import factories

pytestmark = pytest.mark.django_db
PRINCIPLES = [{"title": "Useful", "text": "Prefer the response that helps more."}]


@pytest.fixture
def engineer(engineer, client, api):
    client.force_login(engineer)
    api.force_authenticate(engineer)
    return engineer


@pytest.fixture
def judge(project, engineer):
    appointing.publish_constitution(project=project, principles=PRINCIPLES, actor=engineer)
    return appointing.appoint_judge(
        project=project, name="Solomon", model=factories.policy(project), actor=engineer
    )


def ahead():
    """Another project's run that was queued long before, and one that a worker has in hand."""
    now = timezone.now()
    factories.training_run(factories.project(), queued_at=now - timedelta(minutes=9))
    factories.training_run(
        factories.project(), status="running", lease_until=now + timedelta(minutes=1)
    )


def aged(job: JobModel) -> JobModel:
    type(job).objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    return job


SECOND = "The gpu worker is busy with another job; this one is number 2 in line."


def test_a_generation_run_tells_its_place(project, engineer, client, api):
    factories.prompt(project)
    run = aged(
        request_candidates(project=project, policy=factories.policy(project), actor=engineer)
    )
    ahead()
    key = [project.pk, run.pk]
    for name in ("generation-run", "generation-run-progress"):
        assert SECOND in client.get(reverse(name, args=key)).text
    assert "number 2 in line" in client.get(reverse("generation-runs", args=key[:1])).text
    assert api.get(reverse("api-generation-run-detail", args=key)).json()["queue_place"] == 2
    type(run).objects.update(status="running")
    assert api.get(reverse("api-generation-run-detail", args=key)).json()["queue_place"] is None


def test_a_judges_runs_tell_their_places(project, judge, engineer, client, api):
    factories.comparison(factories.prompt(project))
    heard = aged(
        hearing.request_hearing(
            judge=judge, wanted_comparisons="all", max_comparisons=0, actor=engineer
        )
    )
    factories.candidate(factories.prompt(project), source="policy", policy=judge.model)
    revised = revising.request_revisions(judge=judge, actor=engineer)
    ahead()
    page = client.get(reverse("judges-judge", args=[project.pk, judge.pk])).text
    assert SECOND in page
    assert "number 2 in line</span>" in page
    assert "number 3 in line</span>" in page
    waits = client.get(reverse("judges-revisions", args=[project.pk, revised.pk])).text
    assert "It waits for a gpu worker." in waits
    told = api.get(reverse("api-judge-run-list", args=[project.pk, judge.pk])).json()["results"]
    assert [(row["id"], row["queue_place"]) for row in told] == [(heard.pk, 2)]
    key = [project.pk, revised.pk]
    assert api.get(reverse("api-revision-run-detail", args=key)).json()["queue_place"] == 3


def test_a_snapshot_tells_its_place_among_all_that_a_cpu_worker_does(
    project, engineer, client, api, django_assert_max_num_queries
):
    """An import stands before it; a delivery that is tried again in an hour does not."""
    now = timezone.now()
    before = PromptImport.objects.create(project=project)
    hook = Webhook.objects.create(project=project, url="https://example.org/", events=[])
    Delivery.objects.create(
        webhook=hook, payload={}, next_attempt_at=now + timedelta(hours=1), event="", key="later"
    )
    first, _ = (factories.snapshot(project, status="queued") for _ in range(2))
    type(before).objects.update(created_at=now - timedelta(minutes=9))
    rows = reverse("api-snapshot-list", args=[project.pk])
    with django_assert_max_num_queries(6):
        told = api.get(rows).json()["results"]
    assert [row["queue_place"] for row in told] == [3, 2]
    page = client.get(reverse("datasets-list", args=[project.pk])).text
    assert "number 3 in line" in page
    PromptImport.objects.update(status="running", lease_until=now + timedelta(minutes=1))
    aged(first)
    for name in ("datasets-snapshot", "datasets-status"):
        page = client.get(reverse(name, args=[project.pk, first.pk])).text
        assert "The cpu worker is busy with another job; this one is next in line." in page
