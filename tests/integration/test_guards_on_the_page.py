"""Guards stop real runs of a tiny model, and the run's page and the API tell why."""

import pytest
import torch
from django.urls import reverse

from annotation.projects.models import Role
from tests import factories
from tests.unit.training.conftest import judged_group, write_groups
from training.models.load import save_model
from training.models.reward import new_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers.training import execute_run

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
SMALL = {
    "groups_per_step": 4,
    "rollouts_per_update": 8,
    "max_response_tokens": 8,
    "eval_prompts": 0,
    "target_kl": 0.0,
    "warmup_share": 0.0,
}


@pytest.fixture
def place(settings, tmp_path):
    """A policy, a reward model of it, and records."""
    settings.CONCORD_VAR = tmp_path / "var"
    settings.CONCORD_LEASE_SECONDS = 3600
    tiny_llama().save_pretrained(tmp_path / "policy")
    tiny_tokenizer().save_pretrained(tmp_path / "policy")
    reward = new_reward_model(
        str(tmp_path / "policy"), precision="float32", device=torch.device("cpu"), seed=3
    )
    save_model(reward, tmp_path / "reward")
    write_groups(tmp_path / "records", [judged_group(number) for number in range(16)])
    return tmp_path


@pytest.fixture
def executed(place):
    """`executed("ppo", max_kl=0.001)`: a run of that spec, done by a worker in this process."""
    project = factories.project()
    models = {
        kind: factories.policy(project, kind=kind, location=str(place / kind))
        for kind in ("policy", "reward")
    }

    def execute(kind, **spec):
        run = factories.training_run(
            project,
            snapshot=factories.snapshot(project, folder=str(place / "records")),
            base_model=models["policy"],
            kind=kind,
            spec={"kind": kind, **spec},
            reward_model=models["reward"] if kind in {"ppo", "grpo"} else None,
        )
        execute_run(run.pk)
        run.refresh_from_db()
        return run

    return execute


def told(run, client, api):
    """The run's page, and its guards as the API gives them."""
    engineer = factories.member(run.project, Role.ENGINEER)
    client.force_login(engineer)
    api.force_authenticate(engineer)
    page = client.get(reverse("runs-detail", args=[run.project_id, run.pk])).content.decode()
    events = reverse("api-run-events", args=[run.project_id, run.pk])
    return page, api.get(events, {"kind": "guard"}).json()["results"]


def test_too_much_kl_stops_ppo_and_is_told(executed, client, api):
    run = executed("ppo", updates=6, max_kl=1e-3, learning_rate=0.02, **SMALL)
    page, guards = told(run, client, api)
    assert (run.status, run.error) == ("done", "")
    assert run.result["metrics"]["updates"] < 6
    assert "beyond max_kl 0.001" in run.result["metrics"]["stop_reason"]
    assert "A guard stopped the run at step" in page
    assert "beyond max_kl 0.001. Lower learning_rate" in page
    assert ("kl", "stop") in {(one["data"]["name"], one["data"]["action"]) for one in guards}


def test_a_number_that_is_not_finite_fails_the_run_and_is_told(executed, place, client, api):
    broken = tiny_llama()
    with torch.no_grad():
        broken.model.norm.weight[0] = float("nan")
    broken.save_pretrained(place / "policy")
    run = executed("sft", max_response_tokens=16)
    page, _ = told(run, client, api)
    assert (run.status, run.model_version) == ("failed", None)
    assert "The gradient is no longer finite at step 1." in run.error
    assert "The gradient is no longer finite at step 1." in page
