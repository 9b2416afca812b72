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


@pytest.fixture
def stopped(project, engineer, server):
    """A run of GRPO that sampled on the server until that was lost."""
    run = factories.training_run(
        project,
        kind="grpo",
        status="failed",
        spec={"kind": "grpo", **preset_settings("standard", "grpo")},
        snapshot=factories.snapshot(project, splits={"train": 20}),
        reward_model=factories.policy(project, kind="reward"),
        sampler=server,
    )
    ModelVersion.objects.filter(pk=server.pk).update(stage=ModelVersion.Stage.RETIRED)
    return run


@pytest.fixture
def spare(project, admin):
    return factories.policy(project, created_by=admin, **{**SERVER, "name": "spare"})


def act_on(client, run, act, **sent):
    return client.post(reverse(f"runs-{act}", args=[run.project_id, run.pk]), sent, follow=True)


def test_the_page_of_a_run_that_lost_its_server_offers_where_it_goes_on(
    client, project, spare, stopped
):
    address = reverse("runs-detail", args=[project.pk, stopped.pk])
    page = client.get(address).text
    assert "vllm v1, on which it sampled, samples for no run now" in page
    assert f'<option value="{spare.pk}">spare v1</option>' in page
    assert ">vllm v1</option>" not in page
    TrainingRun.objects.update(sampler=spare)
    page = client.get(address).text
    assert f'<option value="{spare.pk}" selected>' in page
    assert "samples for no run now" not in page
    TrainingRun.objects.update(sampler=None)
    assert 'name="sampler"' not in client.get(address).text


@pytest.mark.parametrize("act", ["resume", "clone"])
def test_a_run_that_lost_its_server_goes_on_in_its_own_process_or_on_another(
    client, project, spare, stopped, act
):
    for sampler in (None, spare):
        TrainingRun.objects.filter(pk=stopped.pk).update(status="failed", sampler=stopped.sampler)
        act_on(client, stopped, act, sampler=sampler.pk if sampler else "")
        run = TrainingRun.objects.filter(status="queued").latest("pk")
        assert run.sampler == sampler
        assert spec_of(run).sampler_url == (SERVER["location"] if sampler else "")


def test_the_log_tells_from_where_on_a_run_sampled_elsewhere(client, stopped):
    page = act_on(client, stopped, "resume", sampler="").text
    assert "Responses were sampled on vllm v1; from here on, on the run’s own process." in page


def test_over_the_api_a_run_goes_on_where_it_was_unless_a_place_is_named(
    api, project, server, stopped
):
    address = reverse("api-run-resume", args=[project.pk, stopped.pk])
    refused = api.post(address)
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["sampler"])
    ModelVersion.objects.filter(pk=server.pk).update(stage=ModelVersion.Stage.CANDIDATE)
    assert api.post(address).json()["sampler"] == server.pk
    TrainingRun.objects.update(status="failed")
    assert api.post(address, {"sampler": None}, format="json").json()["sampler"] is None
    clones = reverse("api-run-clone", args=[project.pk, stopped.pk])
    assert api.post(clones, {"sampler": server.pk}, format="json").json()["sampler"] == server.pk


@pytest.mark.parametrize("typed", ["x", "999999"])
def test_a_place_that_is_none_is_refused(client, stopped, typed):
    assert act_on(client, stopped, "resume", sampler=typed).status_code == 400
    stopped.refresh_from_db()
    assert stopped.status == "failed"


def test_a_run_without_adapters_is_not_moved_to_a_server(api, project, spare, stopped):
    TrainingRun.objects.update(spec={**stopped.spec, "lora_rank": 0}, sampler=None)
    address = reverse("api-run-resume", args=[project.pk, stopped.pk])
    answer = api.post(address, {"sampler": spare.pk}, format="json")
    assert "by its adapter alone" in answer.json()["error"]["fields"]["sampler"][0]


def test_the_process_is_given_the_key_of_its_server_and_of_no_other(server, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert child_environment(server)[SAMPLER_KEY] == "secret"
    assert SAMPLER_KEY not in child_environment(None)
    server.api_key_variable = ""
    assert child_environment(server)[SAMPLER_KEY] == ""
    server.api_key_variable = "OTHER_API_KEY"
    with pytest.raises(ModelError, match="OTHER_API_KEY"):
        child_environment(server)
