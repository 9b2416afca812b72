"""A run's settings in the form of a new one: changed in one place, queued, the same otherwise."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.projects.models import Role
from annotation.runs.models import RunEvent, TrainingRun
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages(client, project):
    client.force_login(factories.member(project, Role.ENGINEER))
    return client


@pytest.fixture
def run(project):
    """A DPO run that differs from every preset."""
    spec = {"kind": "dpo", "learning_rate": 3e-6, "beta": 0.07, "seed": 99, "loss": "ipo"}
    return factories.training_run(project, kind="dpo", spec=spec, status="done", name="Peaceful")


def form_of(pages, project, **asked):
    return pages.get(f"/projects/{project.pk}/runs/new/", asked)


def test_the_form_begins_with_the_settings_records_and_models_of_the_run(pages, project, run):
    factories.snapshot(project)  # newer: the form would take it by itself
    form = form_of(pages, project, **{"from": run.pk}).context["form"]
    assert [form[name].initial for name in ("beta", "seed", "loss")] == [0.07, 99, "ipo"]
    assert form["snapshot"].initial == run.snapshot
    assert form["base_model"].initial == run.base_model
    assert form["name"].initial == "Peaceful (again)"


@pytest.mark.parametrize(
    ("asked", "status"), [("123456789", 200), ("1234567890", 404), ("9" * 25, 200)]
)
def test_the_number_of_a_run_is_read_whole(pages, project, asked, status):
    """Cut after nine digits, a number of ten would name another run; what can be no number names none."""
    factories.training_run(project, pk=123456789)
    assert form_of(pages, project, **{"from": asked}).status_code == status


def test_a_changed_setting_makes_a_run_that_differs_in_it_alone(pages, project, run):
    address = f"/projects/{project.pk}/runs/new/?from={run.pk}"
    form = pages.get(address).context["form"]
    sent = {name: form[name].initial for name in form.fields if form[name].initial is not None}
    sent |= {"snapshot": run.snapshot.pk, "base_model": run.base_model.pk, "beta": 0.2}
    assert pages.post(address, sent).status_code == 302
    made = TrainingRun.objects.exclude(pk=run.pk).get()
    assert made.spec["beta"] == 0.2
    assert made.spec | {"beta": 0.07} == made.spec | run.spec


def test_the_live_part_of_a_page_brings_what_stands_below_the_curves(pages, project):
    """The page has it once, below the curves; the fragment puts it there."""
    live = factories.training_run(project, status="running")
    address = f"/projects/{project.pk}/runs/{live.pk}/"
    page = pages.get(address).content.decode()
    assert page.index("data-curves=") < page.index('id="told"')
    fragment = pages.get(address, headers={"HX-Request": "true"}).content.decode()
    assert 'id="told" hx-swap-oob="true"' in fragment
    assert "hx-swap-oob" not in page


def test_the_page_of_a_run_leads_there(pages, project, run):
    page = pages.get(f"/projects/{project.pk}/runs/{run.pk}/").content.decode()
    assert f"/projects/{project.pk}/runs/new/?from={run.pk}" in page


@pytest.mark.parametrize(("kind", "is_asked"), [("ppo", False), ("grpo", False), ("sft", True)])
def test_passes_over_rows_are_asked_for_only_where_a_run_makes_them(pages, project, kind, is_asked):
    form = form_of(pages, project, kind=kind).context["form"]
    assert ("epochs" in form.fields, "max_steps" in form.fields) == (is_asked, is_asked)


def test_a_run_of_another_project_gives_its_settings_to_nobody(pages, project):
    stranger = factories.training_run(factories.project())
    assert form_of(pages, project, **{"from": stranger.pk}).status_code == 404


@pytest.mark.parametrize(
    ("attempts", "said"),
    [(0, "Done after 26 s."), (1, "Done after 26 s."), (2, "Done; the last of 2 attempts took")],
)
def test_a_run_that_was_resumed_says_that_its_time_is_that_of_the_last_attempt(
    pages, project, run, attempts, said
):
    now = timezone.now()
    TrainingRun.objects.filter(pk=run.pk).update(
        started_at=now - timedelta(seconds=26), finished_at=now
    )
    RunEvent.objects.bulk_create(
        RunEvent(run=run, kind="started", step=0, at=now) for _ in range(attempts)
    )
    assert said in pages.get(f"/projects/{project.pk}/runs/{run.pk}/").text


def test_a_guard_that_spoke_at_many_steps_is_told_once_with_its_newest_sentence(pages, project):
    run = factories.training_run(project, kind="ppo", spec={"kind": "ppo"}, status="done")
    for step, name, action in ((4, "length", "warn"), (5, "length", "warn"), (6, "kl", "stop")):
        data = {"name": name, "action": action, "message": f"{name} of step {step}."}
        RunEvent.objects.create(run=run, kind="guard", step=step, at=timezone.now(), data=data)
    page = pages.get(f"/projects/{project.pk}/runs/{run.pk}/").text
    assert "2 times from step 4 to 5, at last: length of step 5." in page
    assert "length of step 4." not in page
    assert "A guard stopped the run at step 6. kl of step 6." in page
    assert page.index("kl of step 6") < page.index("length of step 5")
