"""Two to five runs over each other."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.registry.selectors import lineage_facts
from annotation.runs import comparing
from annotation.runs.models import RunEvent
from annotation.runs.services.finishing import lineage_of
from tests import factories

pytestmark = pytest.mark.django_db


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
    assert comparing.differences([first, second]) == ([("Epochs", ["1", "2"])], [])


def test_the_reward_model_that_only_watches_is_told_where_it_differs(project):
    shared = {"snapshot": factories.snapshot(project), "base_model": factories.policy(project)}
    watcher = factories.policy(project, kind="reward", name="watcher")
    runs = [
        factories.training_run(project, held_out_reward_model=one, **shared)
        for one in (watcher, None)
    ]
    assert comparing.differences(runs) == ([("Held-out reward model", ["watcher v1", "–"])], [])
    facts = lineage_facts(lineage_of(runs[0]))
    assert ("Held-out reward model", "watcher v1") in [one[:2] for one in facts]


def test_settings_come_in_the_order_of_the_form_and_those_of_one_kind_apart(project):
    shared = {"snapshot": factories.snapshot(project), "base_model": factories.policy(project)}
    spec = {"beta": 0.1, "epochs": 1.0, "loss": "ipo", "seed": 1}
    first = factories.training_run(project, kind="dpo", spec=spec, **shared)
    second = factories.training_run(project, kind="sft", spec={"epochs": 2.0, "seed": 2}, **shared)
    found = comparing.differences([first, second])
    assert [row.name for row in found.shared] == ["Kind", "Seed", "Epochs"]
    assert [row.name for row in found.of_some] == ["Beta", "Loss"]


def test_curves_lie_over_each_other_and_a_metric_that_one_lacks_is_a_dash(project):
    first, second = factories.training_run(project), factories.training_run(project)
    told(first, [1.0, 0.5])
    found = comparing.overlays([first, second])
    assert [(one.name, one.newest) for one in found] == [
        ("loss", ["0.5", "–"]),
        ("seconds_a_step", ["2", "–"]),
    ]
    assert found[0].svg.count("<polyline") == 2


def test_losses_of_different_kinds_have_axes_of_their_own(project):
    """Nats a token beside the loss of a sigmoid: on one axis they would seem to be better and worse."""
    kinds = ("sft", "dpo", "dpo")
    runs = [factories.training_run(project, kind=kind) for kind in kinds]
    for run, loss in zip(runs, (2.5, 0.69, 0.68), strict=True):
        told(run, [loss, loss])
    found = [one for one in comparing.overlays(runs) if one.name == "loss"]
    assert [(one.metric.title, one.metric.unit, one.newest) for one in found] == [
        ("Loss: Supervised fine-tuning", "nats a token", ["2.5", "–", "–"]),
        ("Loss: DPO", "nats", ["–", "0.69", "0.68"]),
    ]


def test_a_curve_below_zero_is_drawn_with_a_true_minus(project):
    runs = [factories.training_run(project) for _ in range(2)]
    told(runs[0], [-1.5, -0.5])
    found, *_ = comparing.overlays(runs)
    assert ">−1.5<" in found.svg
    assert found.newest == ["−0.5", "–"]


def test_small_differences_are_drawn_from_the_first_step_on_with_ticks_that_differ(project):
    runs = [factories.training_run(project) for _ in range(2)]
    told(runs[0], [5.1701, 5.1702])
    svg = comparing.overlays(runs)[0].svg
    assert [f">{text}<" in svg for text in ("5.1701", "5.1702")] == [True, True]
    assert f'points="{comparing.LEFT}.0,{comparing.BOTTOM}.0 ' in svg
    assert comparing.texts_apart([0.02, 0.02]) == ["0.02", "0.02"]


def test_the_page_compares_two_to_five_runs_of_the_project(project, engineer):
    runs = [factories.training_run(project, name=f"Run {name}") for name in "ab"]
    told(runs[0], [1.0, 0.5])
    address = reverse("runs-compare", args=[project.pk])
    page = engineer.get(address, {"run": [one.pk for one in runs]})
    assert page.status_code == 200
    assert "Run a" in page.text
    assert "Progress</h3>" in page.text
    assert "<b>Time a step</b>" in page.text
    page = engineer.get(address, {"run": [runs[0].pk]}, follow=True)
    assert page.redirect_chain == [(reverse("runs-list", args=[project.pk]), 302)]
    assert "Choose 2 to 5 runs, not 1." in page.text
    stranger = factories.training_run(factories.project())
    page = engineer.get(address, {"run": [runs[0].pk, stranger.pk]}, follow=True)
    assert f"There is no run {stranger.pk} in" in page.text
    with pytest.raises(InvalidInput, match="not 6"):
        comparing.runs_in(project, [str(key) for key in range(6)])


def test_numbers_that_are_zero_in_all_runs_are_named_and_not_drawn(project, engineer):
    runs = [factories.training_run(project) for _ in range(2)]
    for run in runs:
        told(run, [0.0, 0.0])
    page = engineer.get(reverse("runs-compare", args=[project.pk]), {"run": [r.pk for r in runs]})
    assert "Zero at every step of all: Loss." in page.text
    assert "<b>Loss</b>" not in page.text
