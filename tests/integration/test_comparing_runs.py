"""Runs over each other, and what a run will cost before it starts."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.runs import comparing, estimates
from annotation.runs.models import RunEvent
from tests import factories
from training.models.tiny import tiny_llama

pytestmark = pytest.mark.django_db
REWARD = {"epochs": 2.0, "groups_per_step": 8, "max_steps": 0, "max_groups": 0}


@pytest.fixture
def project():
    return factories.project()


@pytest.fixture
def engineer(project, client):
    client.force_login(factories.member(project, Role.ENGINEER, username="eve"))
    return client


def told(run, values, *, seconds=2):
    at = timezone.now()
    for step, loss in enumerate(values, start=1):
        moment = at + timedelta(seconds=seconds * step)
        RunEvent.objects.create(run=run, kind="metrics", step=step, at=moment, data={"loss": loss})


def test_only_what_differs_is_told(project):
    snapshot, base = factories.snapshot(project), factories.policy(project)
    shared = {"snapshot": snapshot, "base_model": base}
    first = factories.training_run(project, spec={"seed": 17, "epochs": 1.0}, **shared)
    second = factories.training_run(project, spec={"seed": 17, "epochs": 2.0}, **shared)
    assert comparing.differences([first, second]) == [("epochs", ["1", "2"])]


def test_curves_lie_over_each_other_and_a_metric_that_one_lacks_is_a_dash(project):
    first, second = factories.training_run(project), factories.training_run(project)
    told(first, [1.0, 0.5])
    found = comparing.overlays([first, second])
    assert [(one.name, one.newest) for one in found] == [("loss", ["0.5", "–"])]
    assert found[0].svg.count("<polyline") == 2


def test_the_page_compares_two_to_five_runs_of_the_project(project, engineer):
    runs = [factories.training_run(project, name=f"Run {name}") for name in "ab"]
    told(runs[0], [1.0, 0.5])
    address = reverse("runs-compare", args=[project.pk])
    page = engineer.get(address, {"run": [one.pk for one in runs]})
    assert page.status_code == 200
    assert "Run a" in page.text
    assert engineer.get(address, {"run": [runs[0].pk]}).status_code == 400
    stranger = factories.training_run(factories.project())
    assert engineer.get(address, {"run": [runs[0].pk, stranger.pk]}).status_code == 400
    with pytest.raises(InvalidInput, match="6 were named"):
        comparing.runs_in(project, [str(key) for key in range(6)])


def test_steps_follow_from_rows_and_settings():
    assert estimates.units_and_steps(REWARD, 20) == (40.0, 5)
    assert estimates.units_and_steps({**REWARD, "max_steps": 3}, 20) == (24.0, 3)
    ppo = {"updates": 10, "rollouts_per_update": 32, "update_epochs": 2, "minibatches": 4}
    assert estimates.units_and_steps(ppo, 20) == (320.0, 80)


def test_memory_is_counted_from_the_weights_that_lie_there(project, tmp_path):
    """Weights, gradients and two moments of float32: 16 bytes a weight where all are trained."""
    model = tiny_llama()
    model.save_pretrained(tmp_path)
    version = factories.policy(project, location=str(tmp_path))
    count = sum(one.numel() for one in model.parameters())
    assert estimates.parameters_of(version) == count
    assert estimates.memory("sft", count, count, {}, []) == 16 * count
    assert estimates.memory("sft", count, count, {"precision": "bfloat16"}, []) == 18 * count
    assert estimates.memory("grpo", count, count, {}, []) == 20 * count  # and the reference
    assert estimates.memory("grpo", count, count, {"lora_rank": 8}, []) == 16 * count
    assert estimates.trained_of(version, count, {"trainable_layers": 1}) < count
    assert estimates.trained_of(version, count, {"lora_rank": 1}) == 2 * 7 * 2 * 32


def test_weights_that_are_not_there_or_are_no_weights_give_no_number(project, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 32)
    assert estimates.parameters_of(factories.policy(project, location=str(tmp_path))) is None
    assert estimates.parameters_of(factories.policy(project, location="owner/name")) is None


def test_time_is_taken_from_earlier_runs_of_the_kind_over_the_same_model(project):
    """2 s a step of 8 prompts is 0.25 s a prompt; 40 prompts are passed: 10 s."""
    base = factories.policy(project)
    snapshot = factories.snapshot(project, splits={"train": 20})
    asked = {"kind": "reward_model", "spec": REWARD, "snapshot": snapshot, "reward_model": None}
    before = estimates.estimate(base_model=base, **asked)
    assert (before.seconds, len(before.why)) == (None, 2)
    run = factories.training_run(project, base_model=base, spec=REWARD, status="done")
    told(run, [1.0, 0.9, 0.8])
    found = estimates.estimate(base_model=base, **asked)
    assert (found.seconds, found.paced_by, found.rows, found.steps) == (10.0, 1, 20, 5)


def test_the_form_shows_the_estimate_and_moves_it(project, engineer):
    factories.snapshot(project, splits={"train": 80})
    factories.policy(project)
    page = engineer.get(reverse("runs-new", args=[project.pk]), {"kind": "reward_model"})
    assert "over 80 prompts of the training split" in page.text
    form = page.context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    sent |= {"epochs": 4}
    sent = {name: value for name, value in sent.items() if value is not False}
    address = reverse("runs-estimate", args=[project.pk]) + "?kind=reward_model"
    assert page.context["estimate"].steps == 3  # 80 prompts, 32 a step
    assert engineer.post(address, sent).context["estimate"].steps == 10
    assert engineer.post(address, {**sent, "epochs": "x"}).context["estimate"] is None


def test_sizes_read_as_people_say_them():
    assert [estimates.size_text(one) for one in (None, 12, 2_160_000_000)] == [
        "–",
        "12 B",
        "2.16 GB",
    ]
