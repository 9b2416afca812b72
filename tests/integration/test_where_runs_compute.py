"""Which machine a run computes on, and its place in line: on its page, in the list, in the API, on the card."""

import json
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.core.jobs import with_places
from annotation.evaluations.cards.origin import stage_rows
from annotation.projects.models import Role
from annotation.runs.services import finish_run, take_in_events
from tests import factories
from workers.housekeeping import queued_keys

pytestmark = pytest.mark.django_db
MACHINE = {
    "host": "gpu-1",
    "device": "NVIDIA H200",
    "is_gpu": True,
    "torch": "2.11.0",
    "bfloat16": True,
}


@pytest.fixture
def engineer(project):
    return factories.member(project, Role.ENGINEER, username="eve")


def said(run, machine):
    """The run's process tells that it has started, and where."""
    data = {"spec": {}, "machine": machine}
    line = json.dumps({"kind": "started", "at": time.time(), "step": 0, "data": data}).encode()
    took = take_in_events(
        run_id=run.pk, owner="w", lines=[line], start=run.events_offset, end=run.events_offset + 1
    )
    assert took
    run.refresh_from_db()


@pytest.fixture
def running(project):
    return factories.training_run(project, status="running", owner="w")


def test_what_its_process_tells_is_on_its_page_in_the_list_and_in_the_api(
    project, engineer, running, client, api
):
    said(running, MACHINE)
    client.force_login(engineer)
    page = client.get(reverse("runs-detail", args=[project.pk, running.pk])).text
    assert "NVIDIA H200, host gpu-1, torch 2.11.0" in page
    assert "The process started on gpu-1, NVIDIA H200." in page
    assert "NVIDIA H200" in client.get(reverse("runs-list", args=[project.pk])).text
    api.force_authenticate(engineer)
    found = api.get(reverse("api-run-detail", args=[project.pk, running.pk])).json()
    assert (found["machine"], found["queue_place"]) == (MACHINE, None)


def test_an_open_page_learns_where_its_run_computes(project, engineer, running, client):
    client.force_login(engineer)
    address = reverse("runs-detail", args=[project.pk, running.pk])
    assert "written down when it starts" in client.get(address).text
    said(running, MACHINE)
    part = client.get(address, headers={"HX-Request": "true"}).text
    told = part[part.index('id="computed-on" hx-swap-oob="true"') :]
    assert "NVIDIA H200, host gpu-1, torch 2.11.0" in told


def test_the_card_of_what_it_made_tells_the_machine(running):
    said(running, MACHINE)
    version = finish_run(run=running, result={"metrics": {}}, location="/nowhere")
    rows = stage_rows(version)
    assert ("Computed on", "NVIDIA H200, host gpu-1, torch 2.11.0") in rows


def test_a_run_that_goes_on_elsewhere_tells_the_newer_machine(running):
    said(running, MACHINE)
    said(running, MACHINE | {"host": "gpu-2"})
    assert running.machine["host"] == "gpu-2"


@pytest.mark.parametrize("told", [None, "gpu", {"secret": "x"}, []])
def test_a_process_that_tells_nothing_of_use_leaves_nothing(running, told):
    said(running, told)
    assert running.machine == {}


def test_those_that_wait_have_places_in_the_line_of_the_whole_site(
    project, engineer, client, api, django_assert_max_num_queries
):
    now = timezone.now()
    factories.training_run(factories.project(), queued_at=now - timedelta(hours=1))
    first, second = (
        factories.training_run(project, queued_at=now - timedelta(minutes=at)) for at in (2, 1)
    )
    assert with_places([first, second]) == [(first, 2), (second, 3)]
    client.force_login(engineer)
    page = client.get(reverse("runs-list", args=[project.pk])).text
    assert "number 2 in line" in page
    assert "number 3 in line" in page
    api.force_authenticate(engineer)
    address = reverse("api-run-list", args=[project.pk])
    with django_assert_max_num_queries(6):
        rows = api.get(address).json()["results"]
    assert [row["queue_place"] for row in rows] == [3, 2]


def test_the_sweep_rings_in_the_order_of_the_places(project):
    """A run that is tried again is older than others, and queued after them."""
    tried_again, fresh = (factories.training_run(project) for _ in range(2))
    type(tried_again).objects.filter(pk=tried_again.pk).update(queued_at=timezone.now())
    assert queued_keys(type(tried_again)) == [fresh.pk, tried_again.pk]
    assert with_places([fresh, tried_again]) == [(fresh, 1), (tried_again, 2)]


def test_the_page_of_a_run_that_does_not_wait_reads_no_line(project, engineer, client, running):
    client.force_login(engineer)
    with CaptureQueriesContext(connection) as asked:
        client.get(reverse("runs-detail", args=[project.pk, running.pk]))
    statements = " ".join(str(one["sql"]) for one in asked.captured_queries)
    assert "runs_trainingrun" in statements
    assert 'BY "runs_trainingrun"."queued_at"' not in statements


@pytest.mark.parametrize(
    ("told", "preset"),
    [([], "standard"), ([True, False], "demo"), ([False, True], "standard")],
)
def test_forms_begin_with_settings_for_slow_cores_where_the_newest_run_found_no_gpu(
    project, client, told, preset
):
    for is_gpu in told:
        factories.training_run(project, machine={**MACHINE, "is_gpu": is_gpu})
    factories.policy(project)
    client.force_login(factories.member(project, Role.ENGINEER))
    page = client.get(reverse("runs-new", args=[project.pk]))
    assert page.context["preset"] == preset
    form = client.get(reverse("rounds-new", args=[project.pk])).context["form"]
    assert form.get_initial_for_field(form.fields["preset"], "preset") == preset
