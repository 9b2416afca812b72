"""The one number of a run in the list and over the API: what it is of, where it may lie, or why there is none."""

import pytest
from django.urls import reverse

from tests import factories

pytestmark = pytest.mark.django_db

ACCURACY = {"value": 0.7143, "interval": [0.632, 0.785], "n": 62, "reason": None}
GAIN = {
    "reward_before": 1.03,
    "reward_after": 1.45,
    "reward_gain": 0.42,
    "interval": [0.31, 0.53],
    "n": 24,
    "win_rate": {"value": 0.6, "interval": [0.5, 0.7], "n": 24},
}
LOSS = {
    "loss_before": {"value": 2.311, "interval": [2.2, 2.4], "n": 400},
    "loss_after": {"value": 2.306, "interval": [2.2, 2.4], "n": 400},
}


@pytest.fixture
def engineer(engineer, client, api):
    client.force_login(engineer)
    api.force_authenticate(engineer)
    return engineer


def done(project, kind="reward_model", **metrics):
    return factories.training_run(project, kind=kind, spec={"kind": kind}, **ended(**metrics))


def ended(**metrics):
    return {"status": "done", "result": {"metrics": metrics}}


def rows(client, project, **asked):
    return client.get(reverse("runs-list", args=[project.pk]), asked).content.decode()


@pytest.mark.usefixtures("engineer")
@pytest.mark.parametrize(
    ("kind", "metrics", "shown"),
    [
        ("reward_model", {"accuracy": ACCURACY}, ["0.714", "held-out accuracy", "0.632 to 0.785, n 62"]),
        ("kto", {"accuracy": ACCURACY}, ["0.714"]),
        ("dpo", {"accuracy": ACCURACY}, ["0.714"]),
        ("sft", LOSS, ["2.306", "held-out loss", "from 2.311, 95 %: 2.2 to 2.4, n 400"]),
        ("ppo", GAIN, ["+0.42", "reward gain", "1.03 → 1.45, 95 %: 0.31 to 0.53, n 24"]),
        ("grpo", GAIN | {"reward_gain": -0.1}, ["−0.1"]),
    ],
)  # fmt: skip
def test_the_list_shows_what_a_run_of_each_kind_came_to(client, project, kind, metrics, shown):
    done(project, kind, **metrics)
    page = rows(client, project)
    assert [text for text in shown if text not in page] == []


@pytest.mark.usefixtures("engineer")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "queued"}, "It waits in line."),
        ({"status": "failed"}, "The run failed."),
        (
            ended(accuracy={"value": None, "reason": "There are no held-out pairs."}),
            "There are no held-out pairs.",
        ),
        (
            ended(reason="Nothing was measured: eval_prompts is 0.") | {"kind": "ppo"},
            "Nothing was measured: eval_prompts is 0.",
        ),
        ({"status": "done", "result": {}}, "The run measured nothing."),
    ],
)  # fmt: skip
def test_a_run_without_a_number_says_why(client, api, project, fields, reason):
    run = factories.training_run(project, **fields)
    assert reason in rows(client, project)
    told = api.get(reverse("api-run-detail", args=[project.pk, run.pk])).json()["headline"]
    assert (told["value"], told["reason"]) == (None, reason)


@pytest.mark.usefixtures("engineer")
def test_the_api_lists_each_run_with_its_number_and_by_kind(api, project):
    done(project, accuracy=ACCURACY)
    gained = done(project, "ppo", **GAIN)
    address = reverse("api-run-list", args=[project.pk])
    assert len(api.get(address).json()["results"]) == 2
    (told,) = api.get(address, {"kind": "ppo"}).json()["results"]
    assert (told["id"], told["headline"]) == (
        gained.pk,
        {
            "name": "reward gain",
            "value": 0.42,
            "interval": [0.31, 0.53],
            "n": 24,
            "before": 1.03,
            "after": 1.45,
            "is_better_low": False,
            "reason": "",
        },
    )
    assert api.get(address, {"kind": "bo"}).status_code == 400


def order(client, project, **asked):
    page = rows(client, project, **asked)
    return [word for word in page.replace("<", ">").split(">") if word.startswith("run-")]


@pytest.mark.usefixtures("engineer")
def test_the_runs_of_a_kind_are_sorted_with_the_best_first_and_those_without_a_number_last(
    client, project
):
    names = [
        done(project, "ppo", **metrics).name
        for metrics in (GAIN | {"reward_gain": 0.2}, {}, GAIN | {"reward_gain": 0.9}, GAIN)
    ]
    done(project, accuracy=ACCURACY)
    middle, nothing, best, second = names
    assert order(client, project, kind="ppo", sort="result") == [best, second, middle, nothing]
    assert order(client, project, kind="ppo") == [second, best, nothing, middle]


@pytest.mark.usefixtures("engineer")
def test_of_losses_the_lowest_is_the_best(client, project):
    worse = done(project, "sft", **LOSS)
    untold = done(project, "sft", loss_after={"value": None})
    better = done(project, "sft", loss_after={"value": 1.5})
    found = order(client, project, kind="sft", sort="result")
    assert found == [better.name, worse.name, untold.name]


@pytest.mark.usefixtures("engineer")
def test_an_unknown_kind_in_the_address_is_refused(client, project):
    assert client.get(reverse("runs-list", args=[project.pk]), {"kind": "bo"}).status_code == 400


@pytest.mark.usefixtures("engineer")
def test_a_comparison_tells_the_reward_before_and_after(client, project):
    runs = [done(project, "ppo", **GAIN), done(project, "ppo", **GAIN)]
    page = client.get(reverse("runs-compare", args=[project.pk]), {"run": [one.pk for one in runs]})
    assert "<td>Mean score of held-out answers</td><td>1.03 → 1.45</td>" in page.content.decode()
