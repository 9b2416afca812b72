"""A round: started by one act, moved by the sweep part by part, paused, resumed, cancelled, ended by a verdict."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.batches import set_state
from annotation.comparisons.services.pairing import pair_candidates
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.services.requesting import request_snapshot
from annotation.evaluations.models import Evaluation
from annotation.evaluations.services import advance_evaluations
from annotation.generation.models import GenerationRun
from annotation.generation.selectors import wanted
from annotation.generation.services import Response, store_candidates
from annotation.projects.models import Role
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import serving
from annotation.registry.services import promote
from annotation.rounds import services
from annotation.rounds.models import Round
from annotation.rounds.plans import Plan
from annotation.rounds.selectors import parts_of, round_in
from annotation.rounds.services.advancing import advance, advance_all, has_verdict_of_people
from annotation.runs.models import RunEvent, TrainingRun
from deploy.env import Price
from tests import factories
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers.datasets import build_snapshot
from workers.generation import generate_candidates
from workers.housekeeping import sweep
from workers.training import execute_run

pytestmark = pytest.mark.django_db
GAIN = {"reward_gain": 0.4, "interval": [0.1, 0.7], "n": 12}


@pytest.fixture
def project():
    project = factories.project()
    for _ in range(3):
        factories.prompt(project)
    return project


@pytest.fixture
def engineer(project) -> User:
    return factories.member(project, Role.ENGINEER, username="eve")


@pytest.fixture
def policy(project, engineer) -> ModelVersion:
    version = factories.policy(project)
    return promote(version=version, actor=engineer)


def started(project, engineer, **plan) -> Round:
    return services.start_round(project=project, plan=Plan(**plan), actor=engineer)


def again(row: Round) -> Round:
    return round_in(row.project, row.number)


def answered(row: Round) -> Round:
    """As a gpu worker leaves it: two responses to each prompt, paired."""
    for prompt in row.project.prompts.all():
        texts = [Response(text=f"{prompt.pk} {row.number} {name}") for name in ("good", "bad")]
        store_candidates(run=row.generation, prompt=prompt, responses=texts)
        pair_candidates(project=row.project, prompt=prompt)
    GenerationRun.objects.filter(pk=row.generation_id).update(status="done")
    return again(row)


def labeled(row: Round) -> Round:
    """As people leave it: every place of its batch is filled."""
    for comparison in again(row).batch.comparisons.all():
        factories.judgment(comparison)
    again(row).batch.comparisons.update(judgments_counted=1, slots_taken=1, state="judged")
    return again(row)


def ended(run: TrainingRun, metrics: dict | None = None) -> None:
    """As a worker leaves a run that went well."""
    version = factories.policy(
        run.project, kind="reward" if run.kind == "reward_model" else "policy"
    )
    facts = {"status": "done", "model_version": version, "result": {"metrics": metrics or {}}}
    TrainingRun.objects.filter(pk=run.pk).update(**facts)


def at_training(project, engineer, **plan) -> Round:
    """A round whose snapshot is built, and the next step taken."""
    row = answered(started(project, engineer, **plan))
    advance(row.pk)
    labeled(row)
    advance(row.pk)
    snapshot = again(row).snapshot
    type(snapshot).objects.filter(pk=snapshot.pk).update(status="done", folder="/snapshot")
    advance(row.pk)
    return again(row)


def test_one_act_asks_the_serving_policy_and_numbers_the_round(project, engineer, policy):
    row = started(project, engineer, per_prompt=3)
    assert (row.number, row.stage, row.policy) == (1, "generate", policy)
    assert (row.generation.per_prompt, row.generation.progress_total) == (3, 3)


def test_each_part_begins_when_the_one_before_has_ended_and_is_made_once(project, engineer, policy):
    row = answered(started(project, engineer))
    assert [advance(row.pk), advance(row.pk)] == [True, False]
    assert again(row).stage == "label"
    assert again(row).batch.comparisons.count() == 3
    labeled(row)
    assert [advance(row.pk), advance(row.pk)] == [True, False]
    assert (again(row).stage, project.snapshots.count()) == ("snapshot", 1)


def test_reward_model_then_policy_then_a_verdict_that_promotes(project, engineer, policy):
    row = at_training(project, engineer, preset="demo")
    assert (row.stage, row.reward_run.kind, row.reward_run.spec["trainable_layers"]) == (
        *("reward", "reward_model"),
        4,
    )
    ended(row.reward_run)
    advance(row.pk)
    row = again(row)
    assert (row.policy_run.kind, row.policy_run.base_model) == ("ppo", policy)
    assert row.policy_run.reward_model == row.reward_run.model_version
    ended(row.policy_run, GAIN)
    while advance(row.pk):
        pass
    row = again(row)
    assert (row.state, row.verdict["is_better"]) == ("done", True)
    assert serving(project=project, kind="policy") == row.policy_run.model_version


def alarmed(run: TrainingRun, *, action: str, step: int = 7) -> None:
    """As a guard speaks up in a run."""
    data = {"name": "kl", "action": action, "message": "The policy is 40 nats from its reference."}
    RunEvent.objects.create(run=run, kind="guard", step=step, at=timezone.now(), data=data)


@pytest.mark.parametrize(
    ("action", "told"),
    [("stop", "a guard stopped it at step 7."), ("warn", "a guard warned at step 7.")],
)
def test_a_policy_that_a_guard_spoke_up_about_is_not_promoted_and_the_page_says_why(
    project, engineer, policy, client, action, told
):
    row = at_training(project, engineer)
    ended(row.reward_run)
    advance(row.pk)
    row = again(row)
    alarmed(row.policy_run, action=action, step=3)
    alarmed(row.policy_run, action=action)
    ended(row.policy_run, GAIN)
    while advance(row.pk):
        pass
    row = again(row)
    assert (row.verdict["is_better"], row.verdict["promoted"]) == (True, False)
    assert serving(project=project, kind="policy") == policy
    client.force_login(engineer)
    page = client.get(reverse("rounds-detail", args=[project.pk, row.number])).text
    assert "It was not promoted by itself, because guards spoke up" in page
    assert "answers better, by +0.400 (95 % interval +0.100 to +0.700" in page
    assert f"{told} The policy is 40 nats from its reference." in page
    assert "at step 3" not in page  # the newest of each guard
    services.promote_result(row=row, actor=engineer)
    assert serving(project=project, kind="policy") == row.policy_run.model_version


def test_a_reward_model_that_diverged_holds_its_policy_back_and_other_rounds_do_not(
    project, engineer, policy
):
    alarmed(factories.training_run(project), action="stop")  # of no round
    row = at_training(project, engineer)
    alarmed(row.reward_run, action="warn")
    ended(row.reward_run)
    advance(row.pk)
    ended(again(row).policy_run, GAIN)
    while advance(row.pk):
        pass
    found = again(row).verdict
    assert (found["promoted"], found["held_back"]) == (False, True)
    assert [one["run"] for one in found["alarms"]] == [row.reward_run_id]


def test_the_next_round_starts_from_the_policy_that_the_last_one_promoted(
    project, engineer, policy
):
    row = at_training(project, engineer, algorithm="dpo")
    ended(row.policy_run, {"accuracy": 0.6})
    while advance(row.pk):
        pass
    services.promote_result(row=again(row), actor=engineer)
    after = started(project, engineer)
    assert (after.number, after.policy) == (2, again(row).policy_run.model_version)
    assert after.generation.seed != again(row).generation.seed


def test_a_policy_that_is_not_measured_better_waits_for_a_person(project, engineer, policy):
    row = at_training(project, engineer, algorithm="dpo")
    assert row.reward_run is None
    assert row.stage == "policy"
    ended(row.policy_run)
    while advance(row.pk):
        pass
    assert again(row).verdict["promoted"] is False
    assert serving(project=project, kind="policy") == policy


def with_blind_votes(project, engineer, **plan) -> Round:
    """A round that waits for people: its policy and the one before have answered held-out prompts."""
    for number in range(40):
        factories.prompt(project, f"Held out {number}?")
    row = at_training(project, engineer, algorithm="dpo", blind_prompts=20, **plan)
    ended(row.policy_run)
    advance(row.pk)
    row = again(row)
    runs = (row.evaluation.generation, row.evaluation.baseline_generation)
    for run, text in zip(runs, ("after", "before"), strict=True):
        for prompt in wanted(run):
            said = [Response(text=f"{text} {prompt.pk}")]
            store_candidates(run=run, prompt=prompt, responses=said)
        GenerationRun.objects.filter(pk=run.pk).update(status="done")
    advance_evaluations()
    return again(row)


def votes_for_the_new(row: Round, count: int) -> None:
    ours, theirs = row.evaluation.generation_id, row.evaluation.baseline_generation_id
    for comparison in row.evaluation.batch.comparisons.order_by("pk")[:count]:
        by_run = dict(comparison.candidates.values_list("run", "pk"))
        factories.judgment(comparison, ranking=[[by_run[ours]], [by_run[theirs]]])
        Comparison.objects.filter(pk=comparison.pk).update(state="judged", judgments_counted=1)


def test_people_compare_the_new_policy_blind_with_the_one_before_and_have_the_word(
    project, engineer, policy
):
    row = with_blind_votes(project, engineer)
    assert (row.evaluation.policy, row.evaluation.baseline) == (
        row.policy_run.model_version,
        policy,
    )
    assert advance(row.pk) is False
    votes_for_the_new(row, row.evaluation.batch.comparisons.count())
    advance_evaluations()
    advance(row.pk)
    row = again(row)
    assert (row.state, row.verdict["is_better"]) == ("done", True)
    assert "People prefer its answers, in 100 % of" in row.verdict["sentence"]
    assert serving(project=project, kind="policy") == row.policy_run.model_version


def test_a_policy_that_people_prefer_is_not_said_to_have_earned_its_reward_otherwise(
    project, engineer, policy, client
):
    row = with_blind_votes(project, engineer)
    alarmed(row.policy_run, action="warn")
    votes_for_the_new(row, row.evaluation.batch.comparisons.count())
    advance_evaluations()
    advance(row.pk)
    client.force_login(engineer)
    page = client.get(reverse("rounds-detail", args=[project.pk, row.number])).text
    assert "because guards spoke up while it was trained. Read what they said" in page
    assert "earned by something else" not in page


def test_a_round_waits_for_blind_votes_no_longer_than_its_plan_says(project, engineer, policy):
    row = with_blind_votes(project, engineer, blind_days=2)
    Round.objects.filter(pk=row.pk).update(moved_at=timezone.now() - timedelta(days=1, hours=23))
    assert advance(row.pk) is False
    Round.objects.filter(pk=row.pk).update(moved_at=timezone.now() - timedelta(days=2, hours=1))
    assert advance(row.pk) is True
    row = again(row)
    assert (row.state, row.verdict["is_better"], row.evaluation.state) == ("done", None, "stopped")
    assert "Nobody had compared its answers blind" in row.verdict["sentence"]
    assert serving(project=project, kind="policy") == policy


def test_a_vote_that_ends_as_its_days_do_fails_no_round(project, engineer, policy):
    row = with_blind_votes(project, engineer, blind_days=2)
    row.moved_at -= timedelta(days=3)
    Evaluation.objects.update(state="decided")
    assert row.evaluation.state == "comparing"
    assert has_verdict_of_people(row)
    assert row.evaluation.state == "decided"


def test_votes_that_decide_nothing_promote_nothing_and_a_person_may_end_the_wait(
    project, engineer, policy, api
):
    row = with_blind_votes(project, engineer)
    votes_for_the_new(row, 2)
    api.force_authenticate(engineer)
    assert api.post(reverse("api-round-votes", args=[project.pk, 1])).status_code == 200
    advance(row.pk)
    row = again(row)
    assert (row.state, row.verdict["is_better"]) == ("done", None)
    assert "which decides nothing" in row.verdict["sentence"]
    assert api.post(reverse("api-round-votes", args=[project.pk, 1])).status_code == 409


def test_a_round_without_held_out_prompts_says_that_people_were_not_asked(
    project, engineer, policy
):
    row = at_training(project, engineer, algorithm="dpo", blind_prompts=20)
    query = {**row.snapshot.query, "train": 1.0, "validation": 0.0, "test": 0.0}
    whole = factories.snapshot(project, query=query)
    version = factories.policy(project, lineage={"snapshot": {"id": whole.pk}})
    TrainingRun.objects.filter(pk=row.policy_run_id).update(status="done", model_version=version)
    while advance(row.pk):
        pass
    row = again(row)
    assert (row.state, row.evaluation) == ("done", None)
    assert row.verdict["people"].startswith("People were not asked: Every prompt")
    assert parts_of(row)[-1].error == row.verdict["people"]


def test_pause_and_cancel_hold_the_blind_votes_too(project, engineer, policy):
    row = with_blind_votes(project, engineer)
    services.pause_round(row=row, actor=engineer)
    assert again(row).evaluation.batch.state == "paused"
    services.resume_round(row=again(row), actor=engineer)
    assert again(row).evaluation.batch.state == "open"
    services.cancel_round(row=again(row), actor=engineer)
    assert (again(row).evaluation.state, again(row).evaluation.batch.state) == (
        *("stopped", "closed"),
    )


def test_the_page_shows_the_votes_and_ends_them(project, engineer, policy, client):
    row = with_blind_votes(project, engineer)
    votes_for_the_new(row, 2)
    client.force_login(engineer)
    page = client.get(reverse("rounds-detail", args=[project.pk, row.number]))
    total = row.evaluation.batch.comparisons.count()
    assert f"2 of {total} blind votes" in page.text
    assert "End with the votes there are" in page.text
    assert reverse("evaluations-detail", args=[project.pk, row.evaluation_id]) in page.text


def test_one_round_at_a_time(project, engineer, policy):
    started(project, engineer)
    with pytest.raises(Conflict, match="Round 1 is running"):
        started(project, engineer)


def test_a_served_policy_is_refused_before_anything_is_asked(project, engineer):
    remote = factories.policy(project, backend="http", location="http://server/v1")
    with pytest.raises(InvalidInput, match="needs weights"):
        services.start_round(project=project, plan=Plan(), policy=remote, actor=engineer)
    assert not GenerationRun.objects.exists()


def test_a_failed_part_stops_the_round_with_its_reason_and_resume_goes_on(
    project, engineer, policy
):
    row = at_training(project, engineer)
    TrainingRun.objects.filter(pk=row.reward_run_id).update(status="failed", error="Out of memory.")
    advance_all()
    row = again(row)
    assert (row.state, row.error) == ("failed", "The reward model's run failed: Out of memory.")
    services.resume_round(row=row, actor=engineer)
    row = again(row)
    assert (row.state, row.error, row.reward_run.status) == ("running", "", "queued")


def test_a_step_that_cannot_be_taken_leaves_nothing_half_made(project, engineer, policy):
    row = started(project, engineer)
    GenerationRun.objects.filter(pk=row.generation_id).update(status="done")  # it brought nothing
    advance(row.pk)
    row = again(row)
    assert (row.state, row.stage, Batch.objects.count()) == ("failed", "generate", 0)
    assert "nothing new" in row.error


def test_a_paused_round_takes_no_step_and_asks_no_label(project, engineer, policy):
    row = answered(started(project, engineer))
    advance(row.pk)
    services.pause_round(row=labeled(row), actor=engineer)
    assert advance(row.pk) is False
    assert again(row).batch.state == "paused"
    services.resume_round(row=again(row), actor=engineer)
    assert again(row).batch.state == "open"
    assert advance(row.pk) is True


def test_a_cancelled_round_stops_its_part_and_lets_another_start(project, engineer, policy):
    row = started(project, engineer)
    services.cancel_round(row=row, actor=engineer)
    assert (again(row).state, again(row).generation.status) == ("cancelled", "cancelled")
    assert started(project, engineer).number == 2
    with pytest.raises(Conflict, match="is cancelled"):
        services.resume_round(row=again(row), actor=engineer)


def test_fewer_labels_are_enough_where_the_plan_or_a_person_says_so(project, engineer, policy):
    row = answered(started(project, engineer, label_share=0.3))
    advance(row.pk)
    one_label(row)
    assert advance(row.pk) is True
    services.cancel_round(row=again(row), actor=engineer)
    row = answered(started(project, engineer))
    advance(row.pk)
    assert advance(row.pk) is False
    one_label(row)
    services.take_labels(row=again(row), actor=engineer)
    assert advance(row.pk) is True


def test_its_snapshot_holds_out_what_the_newest_one_did(project, engineer, policy):
    splits = {"train": 0.6, "validation": 0.15, "test": 0.25, "seed": 5}
    built = request_snapshot(project=project, name="First", query=splits, actor=engineer)
    type(built).objects.filter(pk=built.pk).update(status="done")
    query = at_training(project, engineer).snapshot.query
    assert {name: query[name] for name in splits} == splits


def test_a_newest_snapshot_that_left_nothing_to_train_on_passes_its_shares_to_no_round(
    project, engineer, policy
):
    query = {"train": 0.0, "validation": 0.5, "test": 0.5, "seed": 5}
    factories.snapshot(project, query=query, rows=9)
    assert at_training(project, engineer).snapshot.query["train"] == 0.8


def test_a_round_that_would_find_nothing_to_train_on_does_not_start(
    project, engineer, policy, client, api
):
    factories.snapshot(project, query={"train": 0.05, "validation": 0.5, "test": 0.45, "seed": 5})
    client.force_login(engineer)
    page = client.get(reverse("rounds-new", args=[project.pk]))
    assert "About 0 prompts would be in the train split" in page.text
    form = Plan().as_json()
    sent = client.post(reverse("rounds-new", args=[project.pk]), {**form, "policy": policy.pk})
    assert sent.status_code == 422
    assert "About 0 of 3 prompts would be in the train split (it gets 5 %)" in sent.text
    api.force_authenticate(engineer)
    answer = api.post(reverse("api-round-list", args=[project.pk]), {}, format="json")
    assert "max_prompts" in answer.json()["error"]["fields"]
    assert not project.rounds.exists()


def stopped_at_its_snapshot(project, engineer) -> Round:
    """As a snapshot with nothing in its train split stops a round."""
    row = answered(started(project, engineer))
    advance(row.pk)
    labeled(row)
    advance(row.pk)
    empty = {"counts": {"preferences": 3, "edit_preferences": 0}}
    found = {"status": "done", "folder": "/s", "rows": 3, "manifest": empty}
    splits = {"train": 0, "validation": 1, "test": 2}
    project.snapshots.filter(pk=again(row).snapshot.pk).update(**found, splits=splits)
    advance(row.pk)
    return again(row)


def test_a_round_that_stopped_at_its_snapshot_builds_it_anew_with_the_shares_of_now(
    project, engineer, policy
):
    row = stopped_at_its_snapshot(project, engineer)
    assert (row.state, row.stage) == ("failed", "snapshot")
    old, shares = row.snapshot, {"train": 0.6, "validation": 0.2, "test": 0.2, "seed": 9}
    factories.snapshot(project, query=shares)
    services.resume_round(row=row, actor=engineer)
    row = again(row)
    assert (row.state, row.stage, row.snapshot.status) == ("running", "snapshot", "queued")
    assert row.snapshot != old
    assert {name: row.snapshot.query[name] for name in shares} == shares


def test_a_pause_builds_no_snapshot_anew(project, engineer, policy):
    row = answered(started(project, engineer))
    advance(row.pk)
    labeled(row)
    advance(row.pk)
    built = again(row).snapshot
    services.pause_round(row=again(row), actor=engineer)
    project.snapshots.filter(pk=built.pk).update(status="done")
    services.resume_round(row=again(row), actor=engineer)
    assert again(row).snapshot == built


def one_label(row):
    first = again(row).batch.comparisons.first()
    factories.judgment(first)
    again(row).batch.comparisons.filter(pk=first.pk).update(judgments_counted=1, slots_taken=1)


def test_a_round_without_any_label_does_not_go_on_and_the_page_offers_it_with_the_first(
    project, engineer, policy, client
):
    row = answered(started(project, engineer))
    advance(row.pk)
    with pytest.raises(Conflict, match=r"has brought 0 of [0-9]+ labels yet"):
        services.take_labels(row=again(row), actor=engineer)
    client.force_login(engineer)
    page = reverse("rounds-detail", args=[project.pk, row.number])
    assert 'value="labels"' not in client.get(page).text
    one_label(row)
    assert "Go on with the 1 label there is" in client.get(page).text
    act = reverse("rounds-act", args=[project.pk, row.number])
    total = again(row).batch.comparisons.count()
    assert (
        f"goes on with 1 of {total} labels."
        in client.post(act, {"act": "labels"}, follow=True).text
    )


def test_a_batch_closed_without_a_label_fails_its_round_until_it_is_open_again(
    project, engineer, policy
):
    row = answered(started(project, engineer))
    advance(row.pk)
    set_state(batch=again(row).batch, state="closed", actor=engineer)
    assert advance(row.pk) is True
    assert again(row).state == "failed"
    assert "closed before it brought a label" in again(row).error
    set_state(batch=again(row).batch, state="open", actor=engineer)
    services.resume_round(row=again(row), actor=engineer)
    assert advance(row.pk) is False
    labeled(row)
    assert advance(row.pk) is True


def test_the_parts_say_where_the_round_stands(project, engineer, policy):
    row = at_training(project, engineer)
    states = {part.stage: part.state for part in parts_of(row)}
    assert states == {
        **dict.fromkeys(("generate", "label", "snapshot"), "done"),
        "reward": "queued",
        "policy": "waiting",
        "evaluate": "waiting",
    }
    TrainingRun.objects.update(status="running")
    assert parts_of(again(row))[3].state == "running"


def test_the_page_says_what_a_part_waits_for_as_that_of_a_run_does(
    project, engineer, policy, client
):
    """The responses wait behind a run that trains and another that was queued before."""
    now = timezone.now()
    row = started(project, engineer)
    factories.training_run(
        factories.project(), status="running", lease_until=now + timedelta(minutes=1)
    )
    factories.training_run(factories.project(), queued_at=now - timedelta(minutes=9))
    client.force_login(engineer)
    address = reverse("rounds-detail", args=[project.pk, row.number])
    assert "It waits for a gpu worker." in client.get(address).text
    GenerationRun.objects.update(created_at=now - timedelta(minutes=5))
    page = client.get(address).text
    assert "busy with another job; this one is number 2 in line." in page
    assert '<span class="tag queued">queued</span>' in page
    assert "under way" not in page
    GenerationRun.objects.update(status="running")
    assert "in line" not in client.get(address).text


def test_the_page_starts_a_round_by_one_act_and_shows_it(project, engineer, policy, client):
    client.force_login(engineer)
    page = client.get(reverse("rounds-new", args=[project.pk]))
    form = page.context["form"]
    sent = {name: value for name in form.fields if (value := form[name].value()) is not None}
    sent["policy"] = policy.pk
    answer = client.post(reverse("rounds-new", args=[project.pk]), sent, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("rounds-detail", args=[project.pk, 1])
    assert reverse("generation-run", args=[project.pk, GenerationRun.objects.get().pk]) in (
        answer.text
    )
    assert "0 of 3 prompts" in answer.text
    assert "<dt>Improve it by</dt><dd>PPO, against a new reward model</dd>" in answer.text


def test_the_form_says_what_is_wrong_at_its_field_and_starts_nothing(
    project, engineer, policy, client
):
    client.force_login(engineer)
    sent = {**Plan().as_json(), "policy": policy.pk, "per_prompt": 99}
    answer = client.post(reverse("rounds-new", args=[project.pk]), sent)
    assert answer.status_code == 422
    assert "99 is not a number from 2 to 9." in answer.text
    assert not Round.objects.exists()


def test_the_estimate_counts_responses_and_labels(project, engineer, policy, api):
    api.force_authenticate(engineer)
    address = reverse("api-round-estimate", args=[project.pk])
    answer = api.post(address, {"per_prompt": 2, "max_prompts": 2}, format="json")
    found = answer.json()
    assert (found["prompts"], found["responses"], found["comparisons"]) == (2, 4, 2)
    assert found["policy_seconds"] is None


@pytest.mark.parametrize(
    ("algorithm", "blind_prompts", "is_warned"),
    [("dpo", 0, True), ("dpo", 5, False), ("ppo", 0, False)],
)
def test_the_form_says_beforehand_that_nothing_would_measure_the_new_policy(
    algorithm, blind_prompts, is_warned, project, engineer, policy, client
):
    client.force_login(engineer)
    sent = Plan(algorithm=algorithm, blind_prompts=blind_prompts).as_json() | {"policy": policy.pk}
    page = client.post(reverse("rounds-estimate", args=[project.pk]), sent).text
    assert ("never serves by itself" in page) is is_warned


def test_the_estimate_tells_the_machine_s_price_where_every_part_was_timed(
    project, engineer, policy, client, settings
):
    settings.CONCORD_PRICE_AN_HOUR = Price(10.0, "EUR")
    client.force_login(engineer)
    now = timezone.now()
    times = {"status": "done", "started_at": now - timedelta(hours=2), "finished_at": now}
    address = reverse("rounds-new", args=[project.pk])
    for kind in ("ppo", "reward_model"):
        factories.paced_run(project, kind, base_model=policy)
    assert "EUR" not in client.get(address).text
    GenerationRun.objects.create(project=project, policy=policy, per_prompt=1, **times)
    assert "EUR" not in client.get(address).text  # it made nothing, so it has no pace
    prompt = project.prompts.first()
    factories.candidate(prompt, run=GenerationRun.objects.get())
    found = client.get(address).context
    told = found["estimate"]
    assert told.generation_seconds == 2 * 3600 * told.responses
    trained = told.reward.seconds + told.policy.seconds
    assert found["cost"] == f"{(told.generation_seconds + trained) / 360:.2f} EUR"


def test_the_api_starts_reads_and_cancels_a_round(project, engineer, policy, api):
    api.force_authenticate(engineer)
    made = api.post(reverse("api-round-list", args=[project.pk]), {"per_prompt": 2}, format="json")
    assert (made.status_code, made.json()["parts"][0]["state"]) == (201, "queued")
    twice = api.post(reverse("api-round-list", args=[project.pk]), {}, format="json")
    assert twice.status_code == 409
    ended_ = api.post(reverse("api-round-cancel", args=[project.pk, 1]))
    assert ended_.json()["state"] == "cancelled"


@pytest.mark.slow
def test_a_round_of_tiny_models_goes_round_with_nothing_but_the_sweep(
    project, engineer, settings, tmp_path
):
    settings.CONCORD_VAR, settings.CONCORD_LEASE_SECONDS = tmp_path, 3600
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    for number in range(12):
        factories.prompt(project, f"Say {number}?")
    promote(version=factories.policy(project, location=str(tmp_path / "tiny")), actor=engineer)
    row = started(project, engineer, max_tokens=8, preset="demo", algorithm="dpo")
    generate_candidates(row.generation_id)
    sweep()
    labeled(row)
    sweep()
    build_snapshot(again(row).snapshot_id)
    sweep()
    execute_run(again(row).policy_run_id)
    assert again(row).policy_run.error == ""
    sweep()
    sweep()
    row = again(row)
    assert (row.state, row.policy_run.model_version.parent) == ("done", row.policy)
    assert json.loads((tmp_path / "runs" / str(row.policy_run_id) / "result.json").read_text())


def test_every_wrong_number_of_a_plan_is_told_at_its_field(project, engineer, policy, client):
    client.force_login(engineer)
    plan = Plan().as_json() | {
        "policy": policy.pk,
        "per_prompt": 1,
        "max_tokens": 0,
        "blind_days": 0,
    }
    page = client.post(reverse("rounds-new", args=[project.pk]), plan)
    assert page.context["form"].errors == {
        "per_prompt": ["1 is not a number from 2 to 9."],
        "max_tokens": ["0 is not a number from 1 to 100000."],
        "blind_days": ["0 is not a number from 1 to 365."],
    }
    assert not project.rounds.exists()
