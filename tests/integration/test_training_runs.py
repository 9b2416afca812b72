"""An engineer's runs through the API and the pages: queued, refused at a field, watched, cancelled, resumed, cloned."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.projects.models import Role
from annotation.runs import services
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.specs import needs_reward_model, resolved_spec
from tests import factories
from training.spec.presets import PRESETS
from training.spec.runs import SPECS

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(project):
    """The body of a request for a reward model run."""
    return {
        "name": "Reward",
        "spec": {"kind": "reward_model", "epochs": 2},
        "snapshot": factories.snapshot(project, folder="/snapshots/1").pk,
        "base_model": factories.policy(project).pk,
    }


@pytest.fixture
def api(api, engineer):
    api.force_authenticate(engineer)
    return api


@pytest.fixture
def pages(client, engineer):
    client.force_login(engineer)
    return client


def address(name, project, *more):
    return reverse(name, args=[project.pk, *more])


def queue(api, project, body):
    return api.post(address("api-run-list", project), body, format="json")


def test_a_queued_run_keeps_its_whole_spec_without_places(api, project, asked):
    answer = queue(api, project, asked)
    assert answer.status_code == 201
    assert (answer.data["status"], answer.data["kind"]) == ("queued", "reward_model")
    assert answer.data["spec"]["epochs"] == 2.0
    assert answer.data["spec"]["learning_rate"] == 1e-5
    assert "model" not in answer.data["spec"]


def test_more_layers_than_the_base_has_are_refused_where_its_config_lies_here(
    api, project, asked, tmp_path
):
    (tmp_path / "config.json").write_text('{"num_hidden_layers": 30}')
    base = factories.policy(project, location=str(tmp_path)).pk
    spec = asked["spec"] | {"layers": 99}
    answer = queue(api, project, asked | {"base_model": base, "spec": spec})
    assert answer.status_code == 400
    assert "layers: 99 of the backbone's 30 cannot be kept." in str(answer.json())
    assert not TrainingRun.objects.exists()
    kept = asked | {"base_model": base, "spec": spec | {"layers": 30}}
    assert queue(api, project, kept).status_code == 201
    assert queue(api, project, asked | {"spec": spec}).status_code == 201  # no config there


def test_a_queued_run_rings_the_gpu_worker(
    api, project, asked, monkeypatch, django_capture_on_commit_callbacks
):
    rung = []
    monkeypatch.setattr(
        "annotation.core.jobs.current_app.send_task",
        lambda name, args, queue, **_: rung.append((name, args, queue)),
    )
    with django_capture_on_commit_callbacks(execute=True):
        pk = queue(api, project, asked).data["id"]
    assert rung == [("workers.training.execute_run", [pk], "gpu")]


@pytest.mark.parametrize(
    ("spec", "field", "sentence"),
    [
        (
            {"kind": "reward_model", "epochs": -1},
            "epochs",
            "epochs: -1.0 is outside 0.001 to 1000.0.",
        ),
        ({"kind": "reward_model", "epochs": "two"}, "epochs", "'two' is not a number"),
        ({"kind": "reward_model", "speed": 1}, "speed", "has no such field"),
        ({"kind": "reward_model", "ties": "maybe"}, "ties", "is not one of drop, half"),
        ({"kind": "alchemy"}, "kind", "'alchemy' is not one of"),
        ({}, "kind", "is not one of"),
        ({"kind": ["x"]}, "kind", "is not one of"),
        ("reward_model", "spec", "Send an object"),
        ({"kind": "ppo"}, "reward_model", "needs a reward model"),
    ],
)
def test_a_wrong_spec_is_refused_at_its_field(api, project, asked, spec, field, sentence):
    answer = queue(api, project, asked | {"spec": spec})
    assert answer.status_code == 400
    assert sentence in answer.data["error"]["fields"][field][0]
    assert not TrainingRun.objects.exists()


@pytest.mark.parametrize(
    ("settings", "field", "sentence"),
    [
        (
            {"rollouts_per_update": 30, "groups_per_step": 8},
            "rollouts_per_update",
            "30 is not a multiple of the 8 prompts in an update (groups_per_step). Set it to 24 or 32.",
        ),
        (
            {"minibatches": 9, "groups_per_step": 8},
            "minibatches",
            "9 is more than the 8 prompts in an update (groups_per_step). Set it to 8 at most.",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_they_are_queued(
    api, project, asked, settings, field, sentence
):
    reward = factories.policy(project, kind="reward").pk
    body = asked | {"spec": {"kind": "ppo", **settings}, "reward_model": reward}
    answer = queue(api, project, body)
    assert answer.status_code == 400
    assert sentence in answer.data["error"]["fields"][field][0]
    assert not TrainingRun.objects.exists()


def test_places_cannot_be_smuggled_in_with_the_spec(api, project, asked):
    spec = asked["spec"] | {"model": "/etc", "data": "/etc"}
    answer = queue(api, project, asked | {"spec": spec})
    assert "model" not in answer.data["spec"]


def test_a_row_of_another_project_is_refused(api, project, asked):
    stranger = factories.snapshot(factories.project())
    answer = queue(api, project, asked | {"snapshot": stranger.pk})
    assert answer.status_code == 400
    assert "There is no snapshot" in answer.data["error"]["fields"]["snapshot"][0]


def test_a_snapshot_that_is_not_built_is_refused(api, project, asked):
    waiting = factories.snapshot(project, status="queued")
    answer = queue(api, project, asked | {"snapshot": waiting.pk})
    assert "choose one that is built" in answer.data["error"]["fields"]["snapshot"][0]


def filled(form) -> dict:
    """What a browser sends of a form as it is."""
    return {name: form[name].value() for name in form.fields if form[name].value() is not None}


DECIDED = {"preferences": 50}
ONE_WRITTEN = {"demonstrations": 1}
TOO_LITTLE = {
    "one class: ties": ("reward_model", {"preferences": 0}, {}, "has 0 decided pairs"),
    "three rows": ("dpo", {"preferences": 3}, {}, "has 3 decided pairs; a DPO run needs"),
    "seven prompts": ("ppo", DECIDED, {}, "has 7 prompts in its train split"),
    "nobody liked any": (
        "kto",
        {"preferences": 4, "signals": 3, "accepted": 3, "unacceptable": 50},
        {},
        "has 7 responses found good; a KTO run needs at least 8",
    ),
    "only rejected": (
        "kto",
        {"signals": 60, "accepted": 0, "rejected": 60},
        {},
        "has 0 responses found good; a KTO run needs",
    ),
    "only accepted": (
        "kto",
        {"signals": 60, "accepted": 60, "rejected": 0},
        {},
        "has 0 responses found bad; a KTO run needs",
    ),
    "nothing to imitate": (
        "sft",
        ONE_WRITTEN | {"preferences": 6},
        {},
        "has 7 demonstrations and chosen responses",
    ),
    "one choice a prompt": ("sft", DECIDED, {}, "has 7 demonstrations and chosen responses"),
    "only demonstrations": (
        "sft",
        DECIDED | ONE_WRITTEN,
        {"include_chosen": False},
        "has 1 demonstrations; a supervised fine-tuning run needs",
    ),
}


@pytest.mark.parametrize("case", TOO_LITTLE)
def test_a_snapshot_that_teaches_nothing_is_refused_before_a_run_is_queued(
    case, api, pages, project, asked
):
    kind, counts, settings, sentence = TOO_LITTLE[case]
    little = factories.snapshot(
        project, manifest={"counts": counts}, rows=7, splits={"train": 7, "test": 0}
    )
    body = asked | {"spec": {"kind": kind, **settings}, "snapshot": little.pk}
    if needs_reward_model(kind):
        body["reward_model"] = factories.policy(project, kind="reward").pk
    answer = queue(api, project, body)
    assert answer.status_code == 400
    assert sentence in answer.data["error"]["fields"]["snapshot"][0]
    url = address("runs-new", project) + f"?kind={kind}"
    form = filled(pages.get(url).context["form"]) | body
    page = pages.post(
        url, {name: one for name, one in (form | settings).items() if one is not False}
    )
    assert sentence in page.context["form"].errors["snapshot"][0]
    assert not TrainingRun.objects.exists()


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"kind": "dpo"}, 400),
        ({"kind": "sft", "include_chosen": False}, 400),
        ({"kind": "sft"}, 201),
        ({"kind": "reward_model", "ties": "half"}, 201),
    ],
)
def test_a_snapshot_that_teaches_in_its_held_out_splits_alone_is_refused(
    api, project, asked, spec, status
):
    told = {"pair": 9, "decided_pair": 0, "response": 9, "demonstration": 0}
    manifest = {
        "counts": {"preferences": 20, "demonstrations": 20},
        "prompts_with_by_split": {"train": told},
    }
    idle = factories.snapshot(project, manifest=manifest, rows=40, splits={"train": 9, "test": 31})
    answer = queue(api, project, asked | {"spec": spec, "snapshot": idle.pk})
    assert answer.status_code == status, answer.data
    if status == 400:
        told = answer.data["error"]["fields"]["snapshot"][0]
        assert f"No prompt in the train split of {idle.name} holds anything" in told


def test_a_served_model_cannot_be_trained(api, project, asked):
    served = factories.policy(project, backend="http")
    answer = queue(api, project, asked | {"base_model": served.pk})
    assert "served over HTTP" in answer.data["error"]["fields"]["base_model"][0]


def test_a_reward_model_is_refused_where_none_is_taken(api, project, asked):
    reward = factories.policy(project, kind="reward")
    answer = queue(api, project, asked | {"reward_model": reward.pk})
    assert "takes no reward model" in answer.data["error"]["fields"]["reward_model"][0]


def test_a_second_reward_model_watches_a_run_and_its_copy(api, project, asked):
    teacher, watcher = (factories.policy(project, kind="reward", location=one) for one in "tw")
    body = asked | {"spec": {"kind": "ppo"}, "reward_model": teacher.pk}
    answer = queue(api, project, body | {"held_out_reward_model": watcher.pk})
    assert answer.data["held_out_reward_model"] == watcher.pk
    run = TrainingRun.objects.get(pk=answer.data["id"])
    assert services.clone_run(run=run, actor=None).held_out_reward_model == watcher
    given = resolved_spec(
        run.spec,
        snapshot=run.snapshot,
        base_model=run.base_model,
        reward_model=teacher,
        held_out_reward_model=watcher,
    )
    assert (given.reward_model, given.held_out_reward_model) == ("t", "w")


@pytest.mark.parametrize(
    ("kind", "watcher", "sentence"),
    [
        ("ppo", "teacher", "teaches this run; choose one that learned from other judgments"),
        ("ppo", "policy", "is a policy; choose a reward model"),
        ("dpo", "other", "A DPO run takes no reward model"),
        ("ppo", "stranger", "There is no model version"),
    ],
)
def test_what_cannot_watch_a_run_is_refused_at_its_field(
    kind, watcher, sentence, api, project, asked
):
    teacher = factories.policy(project, kind="reward")
    watchers = {
        "teacher": teacher,
        "policy": factories.policy(project),
        "other": factories.policy(project, kind="reward"),
        "stranger": factories.policy(factories.project(), kind="reward"),
    }
    body = asked | {"spec": {"kind": kind}, "held_out_reward_model": watchers[watcher].pk}
    if kind == "ppo":
        body["reward_model"] = teacher.pk
    answer = queue(api, project, body)
    assert answer.status_code == 400
    assert sentence in answer.data["error"]["fields"]["held_out_reward_model"][0]


def test_the_form_of_ppo_lets_a_second_reward_model_watch(pages, project, asked):
    rewards = [factories.policy(project, kind="reward") for _ in range(2)]
    url = address("runs-new", project) + "?kind=ppo"
    form = pages.get(url).context["form"]
    assert form["held_out_reward_model"].value() is None
    body = filled(form) | {"held_out_reward_model": rewards[0].pk}
    assert pages.post(url, {name: one for name, one in body.items() if one is not False}).url
    run = TrainingRun.objects.get()
    assert (run.reward_model, run.held_out_reward_model) == (rewards[1], rewards[0])
    page = pages.get(address("runs-detail", project, run.pk)).content.decode()
    assert "Watched by" in page


def test_a_policy_is_refused_as_a_reward_model(api, project, asked):
    spec = {"spec": {"kind": "ppo"}, "reward_model": factories.policy(project).pk}
    answer = queue(api, project, asked | spec)
    assert "choose a reward model" in answer.data["error"]["fields"]["reward_model"][0]


def test_a_queued_run_is_cancelled_at_once(api, project):
    run = factories.training_run(project)
    answer = api.post(address("api-run-cancel", project, run.pk))
    assert answer.data["status"] == "cancelled"


def test_a_running_run_is_asked_to_stop(api, project):
    run = factories.training_run(project, status="running")
    assert api.post(address("api-run-cancel", project, run.pk)).data["status"] == "running"
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


def test_a_finished_run_is_not_cancelled(api, project):
    run = factories.training_run(project, status="done")
    answer = api.post(address("api-run-cancel", project, run.pk))
    assert answer.status_code == 409
    assert "already done" in answer.data["error"]["message"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_stopped_run_is_resumed_with_fresh_attempts(api, project, status):
    now = timezone.now()
    run = factories.training_run(
        project, status=status, attempt=5, error="Out of memory.", cancel_requested_at=now
    )
    answer = api.post(address("api-run-resume", project, run.pk))
    run.refresh_from_db()
    assert answer.data["status"] == "queued"
    assert (run.attempt, run.error, run.cancel_requested_at) == (0, "", None)


def test_a_run_that_is_done_is_not_resumed(api, project):
    run = factories.training_run(project, status="done")
    assert api.post(address("api-run-resume", project, run.pk)).status_code == 409


def test_a_clone_has_the_same_spec_under_a_new_name(api, project, asked):
    first = queue(api, project, asked).data
    answer = api.post(address("api-run-clone", project, first["id"]), {}, format="json")
    assert answer.status_code == 201
    assert (answer.data["spec"], answer.data["name"]) == (first["spec"], "Reward (again)")


def test_passes_over_rows_are_refused_of_a_person_and_dropped_from_a_stored_run(
    api, project, asked
):
    body = asked | {"reward_model": factories.policy(project, kind="reward").pk}
    spec = {"kind": "ppo", "epochs": 2.0}
    answer = queue(api, project, body | {"spec": spec})
    assert "set updates" in answer.data["error"]["fields"]["epochs"][0]
    run_id = queue(api, project, body | {"spec": {"kind": "ppo"}}).data["id"]
    TrainingRun.objects.filter(pk=run_id).update(spec=spec)
    answer = api.post(address("api-run-clone", project, run_id), {}, format="json")
    assert (answer.status_code, answer.data["spec"]["epochs"]) == (201, 1.0)


def test_events_come_in_order_and_after_the_last_one_seen(api, project):
    run = factories.training_run(project)
    first, second = (said(run, step) for step in (1, 2))
    answer = api.get(address("api-run-events", project, run.pk), {"after": first.pk})
    assert [one["id"] for one in answer.data["results"]] == [second.pk]


@pytest.mark.parametrize("query", [{"kind": "gossip"}, {"after": "x"}, {"after": "²"}])
def test_a_wrong_filter_of_events_is_refused(api, project, query):
    run = factories.training_run(project)
    assert api.get(address("api-run-events", project, run.pk), query).status_code == 400


def test_curves_of_a_long_run_are_thinned_and_keep_both_ends(api, project):
    run = factories.training_run(project)
    RunEvent.objects.bulk_create(event(run, step) for step in range(1, 2001))
    steps = api.get(address("api-run-curves", project, run.pk)).data["steps"]
    assert len(steps) <= 602
    assert (steps[0], steps[-1]) == (1, 2000)


def test_a_thinned_curve_keeps_the_steps_that_tell_of_held_out_records(api, project):
    """Every 4th of 2,000 steps is shown for its length, every 50th for what it tells."""
    run = factories.training_run(project)
    TrainingRun.objects.filter(pk=run.pk).update(spec={**run.spec, "eval_every": 50})
    RunEvent.objects.bulk_create(event(run, step) for step in range(1, 2001))
    steps = api.get(address("api-run-curves", project, run.pk)).data["steps"]
    assert set(range(50, 2001, 50)) <= set(steps)
    assert len(steps) <= 602 + 40


def test_a_metric_that_was_not_finite_is_a_gap(api, project):
    run = factories.training_run(project)
    said(run, 1)
    RunEvent.objects.create(run=run, kind="metrics", step=2, at=timezone.now(), data={"loss": None})
    series = api.get(address("api-run-curves", project, run.pk)).data["series"]
    assert series["loss"] == [1.0, None]


def test_curves_tell_how_fast_the_run_went_and_no_time_between_two_attempts(api, project):
    """2 s from step 1 to 2 and 4 s to step 4, 8 responses of 10 tokens each; an hour passed before step 5."""
    run = factories.training_run(project, kind="ppo", spec={"rollouts_per_update": 8})
    began = timezone.now()
    for step, seconds in ((1, 0), (2, 2), (4, 6), (5, 3600)):
        at = began + timedelta(seconds=seconds)
        data = {"length": 10.0, "loss": 1.0}
        RunEvent.objects.create(run=run, kind="metrics", step=step, at=at, data=data)
    RunEvent.objects.create(run=run, kind="started", step=4, at=began + timedelta(seconds=3590))
    series = api.get(address("api-run-curves", project, run.pk)).data["series"]
    assert series["seconds_a_step"] == [None, 2.0, 2.0, None]
    assert series["tokens_a_second"] == [None, 40.0, 40.0, None]


def test_curves_name_their_charts_with_unit_and_what_they_tell_of(api, project):
    run = factories.training_run(project)
    data = {"loss": 1.0, "held_out_loss": 1.5, "disagreement": 0.0}
    RunEvent.objects.create(run=run, kind="metrics", step=1, at=timezone.now(), data=data)
    charts = api.get(address("api-run-curves", project, run.pk)).json()["charts"]
    assert [(one["title"], one["unit"], one["tells"], one["is_zero"]) for one in charts] == [
        ("Loss", "nats", "Progress", False),
        ("Disagreement of the heads", "score", "Reward", True),
    ]
    assert charts[0]["lines"][1] == {"name": "held_out_loss", "title": "held out"}


def test_the_schema_of_a_spec_leaves_out_what_rows_fill_in(api, project):
    kinds = api.get(address("api-run-spec-list", project)).data
    assert [one["kind"] for one in kinds] == list(SPECS)
    assert "model" not in kinds[0]["schema"]["properties"]
    assert kinds[0]["schema"]["properties"]["epochs"]["description"]


def test_a_run_is_not_found_through_another_project(api, project, engineer):
    run = factories.training_run(factories.project())
    assert api.get(address("api-run-detail", project, run.pk)).status_code == 404


def test_the_form_queues_a_run_from_its_defaults(pages, project, asked):
    url = address("runs-new", project) + "?kind=reward_model"
    body = filled(pages.get(url).context["form"])
    body |= {"snapshot": asked["snapshot"], "base_model": asked["base_model"]}
    answer = pages.post(url, body)
    run = TrainingRun.objects.get()
    assert answer.url == address("runs-detail", project, run.pk)
    assert run.spec["learning_rate"] == 1e-5


def test_the_form_shows_every_wrong_value_at_its_field_at_once(pages, project, asked):
    url = address("runs-new", project) + "?kind=reward_model"
    few = factories.snapshot(project, manifest={"counts": {"preferences": 3}}, rows=3)
    body = filled(pages.get(url).context["form"])
    body |= {"snapshot": few.pk, "base_model": asked["base_model"], "name": "", "epochs": "0"}
    body |= {"learning_rate": "1e9", "stop_on": "nonsense", "max_response_tokens": "99999999999"}
    answer = pages.post(url, body)
    assert answer.status_code == 422
    assert answer.context["form"].errors == {
        "name": ["This field is required."],
        "learning_rate": ["1000000000.0 is outside 1e-09 to 1.0."],
        "epochs": ["0.0 is outside 0.001 to 1000.0."],
        "max_response_tokens": ["99999999999 is outside 1 to 1000000."],
        "stop_on": ["'nonsense' is not one of divergence."],
        "snapshot": [
            (
                f"{few.name} has 3 decided pairs; a reward model run needs at least 8. "
                "Judge or write more, and build another snapshot."
            )
        ],
    }
    estimate = pages.post(address("runs-estimate", project) + "?kind=reward_model", body).text
    assert "<b>Learning rate</b>: 1000000000.0 is outside 1e-09 to 1.0." in estimate
    assert "This field is required" not in estimate
    assert not TrainingRun.objects.exists()


def test_the_form_names_settings_as_it_labels_them(pages, project, asked):
    url = address("runs-new", project) + "?kind=reward_model"
    body = filled(pages.get(url).context["form"])
    body |= {"snapshot": asked["snapshot"], "base_model": asked["base_model"], "quantize": "nf4"}
    form = pages.post(url, body).context["form"]
    assert "set “LoRA rank”, for example to 16" in form.errors["quantize"][0]
    assert "nf4 needs “LoRA rank”" in form["quantize"].help_text


@pytest.mark.parametrize("kind", list(SPECS))
def test_every_kind_has_a_form_with_all_its_settings_and_their_help(pages, project, kind):
    page = pages.get(address("runs-new", project), {"kind": kind})
    assert page.status_code == 200
    assert page.content.count(b'class="help"') == len(page.context["form"].fields)


def test_a_preset_fills_the_form(pages, project):
    page = pages.get(address("runs-new", project), {"kind": "ppo", "preset": "demo"})
    assert page.context["form"]["updates"].value() == PRESETS["demo"]["ppo"]["updates"]


def test_what_was_typed_stays_under_another_preset_and_another_kind(pages, project, asked):
    url = address("runs-new", project) + "?kind=sft&preset=standard"
    body = filled(pages.get(url).context["form"])
    body |= {
        "name": "Mine",
        "max_steps": "7",
        "learning_rate": "soon",
        "begin_with": "kind=sft&preset=demo",
    }
    page = pages.post(url, body, follow=True)
    form = page.context["form"]
    assert (page.context["preset"], form["name"].value(), form["max_steps"].value()) == (
        *("demo", "Mine", 7),
    )
    expected = PRESETS["demo"]["sft"]
    assert {name: form[name].value() for name in expected if name != "max_steps"} == {
        name: value for name, value in expected.items() if name != "max_steps"
    }
    again = filled(form) | {"begin_with": "kind=dpo&preset=demo"}
    page = pages.post(page.redirect_chain[-1][0], again, follow=True)
    form = page.context["form"]
    assert (page.context["kind"], form["name"].value(), form["max_steps"].value()) == (
        *("dpo", "Mine", 7),
    )
    assert not TrainingRun.objects.exists()


def test_an_address_with_values_that_may_not_be_fills_in_none_of_them(pages, project, asked):
    url = address("runs-new", project) + "?kind=sft&max_steps=-5&epochs=1e99&base_model=999999"
    form = pages.get(url).context["form"]
    assert form["max_steps"].value() == SPECS["sft"](model="m", data="d").max_steps
    assert form["base_model"].value() == asked["base_model"]


def test_a_run_begins_with_the_policy_that_serves_and_the_list_tells_stages(pages, project):
    served = factories.policy(project, stage="serving")
    retired = factories.policy(project, stage="retired")
    newest = factories.policy(project)
    form = pages.get(address("runs-new", project) + "?kind=ppo").context["form"]
    assert form["base_model"].value() == served.pk
    labels = dict(form.fields["base_model"].choices)
    told = {str(key): text for key, text in labels.items()}
    assert told[str(served.pk)].endswith("· policy · serving")
    assert told[str(retired.pk)].endswith("· policy · retired")
    assert told[str(newest.pk)].endswith("· policy")


def test_snapshots_of_one_name_are_told_apart_by_when_they_were_asked_for(pages, project):
    for hour in (9, 10):
        made = factories.snapshot(project, name="Same")
        at = datetime(2026, 3, 1, hour, tzinfo=UTC)
        type(made).objects.filter(pk=made.pk).update(created_at=at)
    page = pages.get(address("runs-new", project) + "?kind=sft").text
    for hour in (9, 10):
        assert f"Same · 4 prompts, 6 pairs · 1 Mar 2026, {hour:02}:00" in page


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("kind", list(SPECS))
def test_every_preset_is_a_spec_that_can_be_queued(api, project, asked, kind, preset):
    spec = {"kind": kind, **PRESETS[preset].get(kind, {})}
    reward = factories.policy(project, kind="reward").pk if needs_reward_model(kind) else None
    assert queue(api, project, asked | {"spec": spec, "reward_model": reward}).status_code == 201


def test_a_run_is_queued_though_the_broker_is_away(
    api, project, asked, monkeypatch, django_capture_on_commit_callbacks
):
    def away(*_sent, **_facts):
        raise ConnectionRefusedError

    monkeypatch.setattr("annotation.core.jobs.current_app.send_task", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert queue(api, project, asked).status_code == 201
    assert TrainingRun.objects.get().status == "queued"


def test_an_unknown_kind_of_form_is_refused(pages, project):
    assert pages.get(address("runs-new", project), {"kind": "alchemy"}).status_code == 400


@pytest.mark.parametrize("status", ["queued", "running", "failed", "cancelled", "done"])
def test_the_page_of_a_run_reads_well_in_every_state(pages, project, status):
    now = timezone.now()
    run = factories.training_run(
        project,
        status=status,
        started_at=now,
        finished_at=now,
        error="It broke.",
        result={"metrics": {"accuracy": {"value": 0.7, "interval": [0.6, 0.8], "n": 40}}},
    )
    said(run, 3)
    RunEvent.objects.create(
        run=run, kind="sample", step=3, at=now, data={"response": "<script>x</script>"}
    )
    page = pages.get(address("runs-detail", project, run.pk)).content.decode()
    assert "0.6 to 0.8" in page
    assert "&lt;script&gt;" in page
    assert ('hx-trigger="every 2s"' in page) == (status in {"queued", "running"})


def test_the_samples_of_a_step_can_be_chosen(pages, project):
    run = factories.training_run(project)
    for step in (1, 2):
        RunEvent.objects.create(
            run=run, kind="sample", step=step, at=timezone.now(), data={"response": f"At {step}."}
        )
    page = pages.get(address("runs-samples", project, run.pk), {"step": "1"}).content.decode()
    assert "At 1." in page
    assert "At 2." not in page


def test_a_run_that_nobody_takes_is_explained(pages, project):
    old = timezone.now() - timedelta(minutes=5)
    factories.training_run(project, queued_at=old)
    assert (
        "No worker has taken this job" in pages.get(address("runs-list", project)).content.decode()
    )


def test_a_run_behind_another_is_explained(pages, project):
    now = timezone.now()
    factories.training_run(project, status="running", lease_until=now + timedelta(minutes=1))
    factories.training_run(project, queued_at=now - timedelta(minutes=5))
    assert "busy with another job" in pages.get(address("runs-list", project)).content.decode()


def test_the_list_costs_the_same_with_many_runs(pages, project, django_assert_max_num_queries):
    for _ in range(12):
        factories.training_run(project, status="done")
    with django_assert_max_num_queries(8):
        pages.get(address("runs-list", project))


def test_the_buttons_cancel_resume_and_clone(pages, project):
    run = factories.training_run(project)
    pages.post(address("runs-cancel", project, run.pk))
    pages.post(address("runs-resume", project, run.pk))
    pages.post(address("runs-clone", project, run.pk))
    assert [one.status for one in TrainingRun.objects.order_by("pk")] == ["queued", "queued"]


@pytest.mark.parametrize("role", [Role.LABELER, Role.ADMIN])
def test_only_engineers_see_runs(client, project, role):
    client.force_login(factories.member(project, role))
    assert client.get(address("runs-list", project)).status_code == 403


def test_a_button_is_no_link(pages, project):
    run = factories.training_run(project)
    answer = pages.get(address("runs-cancel", project, run.pk))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "press it there" in answer.text


def event(run, step):
    return RunEvent(run=run, kind="metrics", step=step, at=timezone.now(), data={"loss": 1 / step})


def said(run, step):
    one = event(run, step)
    one.save()
    return one


def test_the_table_of_curves_has_every_step_and_leaves_empty_what_was_not_told(pages, project):
    run = factories.training_run(project)
    at = timezone.now()
    RunEvent.objects.bulk_create(event(run, step) for step in range(1, 2001))
    data = {"loss": None, "accuracy": 0.5, "=cmd": 1}
    RunEvent.objects.create(run=run, kind="metrics", step=2001, at=at, data=data)
    answer = pages.get(reverse("runs-curves", args=[project.pk, run.pk]))
    head, *rows = answer.getvalue().decode().split("\r\n")[:-1]
    assert head == "step,at,loss,accuracy,'=cmd"
    assert len(rows) == 2001
    assert rows[0].split(",")[2:] == ["1.0", "", ""]
    assert rows[-1].split(",") == ["2001", at.isoformat(), "", "0.5", "1"]
    assert answer["Content-Disposition"] == f'attachment; filename="run-{run.pk}-curves.csv"'


def test_the_table_of_a_run_that_told_nothing_has_its_head_alone(pages, project):
    run = factories.training_run(project)
    answer = pages.get(reverse("runs-curves", args=[project.pk, run.pk]))
    assert answer.getvalue().decode() == "step,at\r\n"


def test_a_queued_run_tells_its_place_and_is_cancelled_before_it_started(pages, project):
    factories.training_run(project)
    run = factories.training_run(project, name="Second")
    detail, cancel = (address(name, project, run.pk) for name in ("runs-detail", "runs-cancel"))
    assert "It waits for a worker, number 2 in line." in pages.get(detail).text
    assert "Second was cancelled before it started." in pages.post(cancel, follow=True).text
    again = pages.post(cancel, follow=True)
    assert again.redirect_chain == [(detail, 302)]
    assert "Second is already cancelled; there is nothing to cancel." in again.text
