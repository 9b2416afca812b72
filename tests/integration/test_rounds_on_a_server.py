"""A round whose policy's run samples on a server, chosen among those that an admin registered."""

import pytest
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.registry.models import ModelVersion
from annotation.registry.services import promote
from annotation.rounds import services
from annotation.rounds.models import Round
from annotation.rounds.plans import Plan
from annotation.rounds.services.advancing import begin_policy
from annotation.runs.models import TrainingRun
from annotation.runs.specs import preset_settings
from tests import factories

pytestmark = pytest.mark.django_db
SERVER = {"name": "vllm", "backend": "http", "location": "http://10.0.0.7:8000/v1"}


@pytest.fixture
def engineer(engineer, client, api):
    client.force_login(engineer)
    api.force_authenticate(engineer)
    return engineer


@pytest.fixture
def server(project):
    admin = factories.member(project, Role.ADMIN)
    return factories.policy(project, created_by=admin, remote_model="base", **SERVER)


@pytest.fixture(autouse=True)
def policy(project, engineer):
    factories.prompt(project)
    return promote(version=factories.policy(project), actor=engineer)


def started(project, engineer, sampler, **plan) -> Round:
    return services.start_round(project=project, plan=Plan(**plan), sampler=sampler, actor=engineer)


def test_the_policys_run_samples_on_the_server_that_was_chosen(project, engineer, server, client):
    row = started(project, engineer, server)
    row.snapshot = factories.snapshot(project, splits={"train": 20})
    row.reward_run = factories.training_run(
        project, model_version=factories.policy(project, kind="reward")
    )
    assert begin_policy(row)
    assert TrainingRun.objects.get(kind="ppo").sampler == server
    page = client.get(reverse("rounds-detail", args=[project.pk, row.number])).text
    assert "<dt>Sample on</dt>" in page
    assert "vllm v1" in page


def test_the_form_and_the_api_take_a_server(project, engineer, server, client, api):
    page = client.get(reverse("rounds-new", args=[project.pk]))
    form = page.context["form"]
    sent = {name: form[name].value() for name in form.fields} | {"sampler": server.pk}
    assert "The run’s own process" in page.text
    client.post(reverse("rounds-new", args=[project.pk]), sent)
    row = Round.objects.get()
    assert row.sampler == server
    services.cancel_round(row=row, actor=engineer)
    again = client.get(reverse("rounds-new", args=[project.pk])).context["form"]
    assert not again["sampler"].value(), "the next round may start from another policy"
    address = reverse("api-round-list", args=[project.pk])
    made = api.post(address, {"sampler": server.pk}, format="json")
    assert (made.status_code, made.json()["sampler"]) == (201, server.pk)


@pytest.mark.parametrize("change", ["by_an_engineer", "retired", "local", "elsewhere"])
def test_what_no_admin_of_the_project_registered_is_refused(
    project, engineer, server, client, api, change
):
    other = factories.project()
    fields = {
        "by_an_engineer": {"created_by": engineer},
        "retired": {"stage": ModelVersion.Stage.RETIRED},
        "local": {"backend": "local"},
        "elsewhere": {"project": other, "created_by": factories.member(other, Role.ADMIN)},
    }[change]
    ModelVersion.objects.filter(pk=server.pk).update(**fields)
    address = reverse("api-round-list", args=[project.pk])
    refused = api.post(address, {"sampler": server.pk}, format="json")
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["sampler"])
    form = client.get(reverse("rounds-new", args=[project.pk])).context["form"]
    assert not form.fields["sampler"].queryset.exists()
    assert not Round.objects.exists()


def test_a_round_that_is_resumed_leaves_a_server_that_may_be_asked_no_more(
    project, engineer, server
):
    started(project, engineer, server)
    for is_allowed in (True, False):
        stage = server.stage if is_allowed else ModelVersion.Stage.RETIRED
        ModelVersion.objects.filter(pk=server.pk).update(stage=stage)
        Round.objects.update(state=Round.State.FAILED)
        services.resume_round(row=Round.objects.get(), actor=engineer)
        assert Round.objects.get().sampler == (server if is_allowed else None)
    assert AuditEvent.objects.filter(verb="round.server_left").count() == 1


@pytest.fixture
def on_the_server(project, engineer, server):
    """A round that failed with its policy's run, which samples on the server."""
    row = started(project, engineer, server)
    row.policy_run = factories.training_run(
        project,
        kind="grpo",
        spec={"kind": "grpo", **preset_settings("standard", "grpo")},
        reward_model=factories.policy(project, kind="reward"),
        sampler=server,
        status="failed",
        error="The server does not answer.",
    )
    row.stage, row.state = Round.Stage.POLICY, Round.State.FAILED
    row.save()
    return row


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_round_that_is_resumed_lets_its_run_leave_a_server_that_is_lost(
    engineer, server, on_the_server, is_lost
):
    stage = ModelVersion.Stage.RETIRED if is_lost else server.stage
    ModelVersion.objects.filter(pk=server.pk).update(stage=stage)
    services.resume_round(row=Round.objects.get(), actor=engineer)
    run = TrainingRun.objects.get(pk=on_the_server.policy_run_id)
    assert (run.status, run.sampler) == ("queued", None if is_lost else server)
    assert Round.objects.get().sampler == (None if is_lost else server)


def test_a_round_whose_server_does_not_answer_leads_to_the_run(project, on_the_server, client):
    page = client.get(reverse("rounds-detail", args=[project.pk, on_the_server.number])).text
    run = reverse("runs-detail", args=[project.pk, on_the_server.policy_run_id])
    assert f'<a href="{run}">resume the run</a> elsewhere, then this round' in page


@pytest.mark.parametrize(
    ("plan", "told"),
    [({"preset": "demo"}, "these settings train none"), ({"algorithm": "dpo"}, "samples nothing")],
)
def test_a_round_that_could_not_sample_there_is_refused_before_it_costs_labels(
    project, engineer, server, plan, told
):
    with pytest.raises(InvalidInput, match=told):
        started(project, engineer, server, **plan)
    assert not Round.objects.exists()
