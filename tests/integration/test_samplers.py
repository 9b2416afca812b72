"""A server that samples for a run: chosen among those that an admin registered, named by nobody else."""

import pytest
from django.urls import reverse

from annotation.core.errors import InvalidInput
from annotation.projects.models import Membership, Role
from annotation.registry.models import ModelVersion
from annotation.runs.forms import NewRunForm
from annotation.runs.models import TrainingRun
from annotation.runs.services import check_sampler
from annotation.runs.specs import preset_settings, resolved_spec
from tests import factories
from training.spec.errors import ModelError
from training.spec.rollouts import SAMPLER_KEY
from workers.training import child_environment

pytestmark = pytest.mark.django_db
PRIVATE = "http://169.254.169.254/v1"  # where clouds keep the keys of a machine
SERVER = {
    "kind": "policy",
    "name": "vllm",
    "backend": "http",
    "location": "http://10.0.0.7:8000/v1",
    "remote_model": "base",
    "api_key_variable": "VLLM_API_KEY",
}


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


@pytest.fixture
def engineer(project, client, api):
    person = factories.member(project, Role.ENGINEER)
    client.force_login(person)
    api.force_authenticate(person)
    return person


@pytest.fixture
def server(project, admin):
    return factories.policy(project, created_by=admin, **SERVER)


@pytest.fixture
def asked(project, engineer):
    """A run of GRPO, as the API takes it."""
    return {
        "name": "With a server",
        "spec": {"kind": "grpo", **preset_settings("standard", "grpo")},
        "snapshot": factories.snapshot(project, splits={"train": 20}).pk,
        "base_model": factories.policy(project).pk,
        "reward_model": factories.policy(project, kind="reward").pk,
    }


def queue(api, project, asked, **more):
    return api.post(reverse("api-run-list", args=[project.pk]), {**asked, **more}, format="json")


def spec_of(run):
    inputs = {
        name: getattr(run, name) for name in ("snapshot", "base_model", "reward_model", "sampler")
    }
    return resolved_spec({"kind": run.kind, **run.spec}, **inputs)


def test_an_admin_registers_a_server_and_an_engineer_samples_on_it(
    client, api, project, admin, asked
):
    api.force_authenticate(admin)
    made = api.post(reverse("api-model-list", args=[project.pk]), SERVER, format="json")
    assert made.status_code == 201, made.json()
    api.force_authenticate(Membership.objects.get(project=project, role=Role.ENGINEER).user)
    form = client.get(reverse("runs-new", args=[project.pk]), {"kind": "grpo"})
    assert "vllm v1 · policy" in form.text
    answer = queue(api, project, asked, sampler=made.json()["id"])
    assert answer.status_code == 201, answer.json()
    run = TrainingRun.objects.get(pk=answer.json()["id"])
    assert spec_of(run).sampler_url == SERVER["location"]
    assert "sampler_url" not in run.spec
    page = client.get(reverse("runs-detail", args=[project.pk, run.pk])).text
    assert "<dt>Sampled on</dt>" in page
    clone = client.post(reverse("runs-clone", args=[project.pk, run.pk]))
    assert TrainingRun.objects.latest("pk").sampler_id == run.sampler_id
    assert clone.status_code == 302


def test_an_address_that_is_typed_reaches_no_process(api, project, asked):
    asked["spec"]["sampler_url"] = PRIVATE
    answer = queue(api, project, asked)
    assert answer.status_code == 201
    assert spec_of(TrainingRun.objects.get(pk=answer.json()["id"])).sampler_url == ""


@pytest.mark.parametrize("change", ["by_an_engineer", "retired", "local", "reward", "elsewhere"])
def test_what_no_admin_of_the_project_registered_as_a_server_is_refused(
    client, api, project, engineer, server, asked, change
):
    """An engineer who could name an address could have the workers fetch what only they reach."""
    other = factories.project()
    fields = {
        "by_an_engineer": {"created_by": engineer, "location": PRIVATE},
        "retired": {"stage": ModelVersion.Stage.RETIRED},
        "local": {"backend": "local"},
        "reward": {"kind": "reward"},
        "elsewhere": {"project": other, "created_by": factories.member(other, Role.ADMIN)},
    }[change]
    ModelVersion.objects.filter(pk=server.pk).update(**fields)
    answer = queue(api, project, asked, sampler=server.pk)
    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == ["sampler"]
    assert not TrainingRun.objects.exists()
    form = client.get(reverse("runs-new", args=[project.pk]), {"kind": "grpo"}).context["form"]
    assert not form.fields["sampler"].queryset.exists()


def test_a_server_needs_adapters_and_a_run_that_samples(api, project, server, asked):
    whole = queue(api, project, asked, spec={**asked["spec"], "lora_rank": 0}, sampler=server.pk)
    told = "a server follows the policy by its adapter alone; set {} or let the run's own process sample."
    assert whole.json()["error"]["fields"]["sampler"] == [
        "sampler: " + told.format("lora_rank, for example to 16,")
    ]
    body = {**asked, **asked["spec"], "lora_rank": 0, "sampler": server.pk}
    form = NewRunForm(body, project=project, kind="grpo")
    assert form.errors["sampler"] == [told.format("“LoRA rank”, for example to 16,")]
    of_records = {**asked, "spec": {"kind": "dpo"}, "reward_model": None}
    answer = queue(api, project, of_records, sampler=server.pk)
    assert "samples nothing" in answer.json()["error"]["fields"]["sampler"][0]


def test_a_run_that_waits_does_not_outlive_the_admin_who_registered_its_server(
    project, admin, server
):
    check_sampler(project, "ppo", server)
    Membership.objects.filter(project=project, user=admin).delete()
    with pytest.raises(InvalidInput, match="no server that an admin"):
        check_sampler(project, "ppo", server)


def test_the_process_is_given_the_key_of_its_server_and_of_no_other(server, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert child_environment(server)[SAMPLER_KEY] == "secret"
    assert SAMPLER_KEY not in child_environment(None)
    server.api_key_variable = ""
    assert child_environment(server)[SAMPLER_KEY] == ""
    server.api_key_variable = "OTHER_API_KEY"
    with pytest.raises(ModelError, match="OTHER_API_KEY"):
        child_environment(server)
