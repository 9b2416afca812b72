"""What a run will cost before it starts: steps, memory, time by earlier runs, money by the site's price."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils import timezone

from annotation.projects.models import Role
from annotation.runs import estimates, looking, pacing
from annotation.runs.models import RunEvent
from annotation.runs.pacing import Likeness
from annotation.runs.reading import basis_text
from annotation.runs.serializers import RunEstimateSerializer
from annotation.runs.weights import weights_of
from deploy import env
from deploy.env import Price
from tests import factories
from training.models.tiny import tiny_llama

pytestmark = pytest.mark.django_db
SAME = Likeness.SAME
PPO = {"updates": 3, "rollouts_per_update": 8, "update_epochs": 1, "minibatches": 1}
REWARD = {"epochs": 2.0, "groups_per_step": 8, "max_steps": 0, "max_groups": 0}


@pytest.fixture
def engineer(project, client):
    client.force_login(factories.member(project, Role.ENGINEER, username="eve"))
    return client


@pytest.fixture
def model(project, tmp_path):
    """`model()` saves a tiny Llama as a policy of the project; ``dtype`` is what its config names."""

    def save(name="base", dtype="float32", **sizes):
        folder = tmp_path / name
        tiny_llama(**sizes).save_pretrained(folder)
        config = folder / "config.json"
        config.write_text(config.read_text().replace('"float32"', f'"{dtype}"'))
        return factories.policy(project, name=name, location=str(folder))

    return save


def told(run, steps, *, start, seconds=2):
    """An attempt that began at ``start`` and told of these steps, ``seconds`` apart."""
    RunEvent.objects.create(run=run, kind="started", step=steps[0] - 1, at=start)
    for place, step in enumerate(steps, start=1):
        moment = start + timedelta(seconds=seconds * place)
        RunEvent.objects.create(run=run, kind="metrics", step=step, at=moment, data={"loss": 1.0})


def done(project, base, spec=REWARD, **fields):
    run = factories.training_run(project, base_model=base, spec=spec, status="done", **fields)
    told(run, [1, 2, 3], start=timezone.now())
    return run


def of_reward(project, base, *, validation=0, **spec):
    """The estimate of a reward model over 20 prompts."""
    return estimates.estimate(
        kind="reward_model",
        spec={**REWARD, **spec},
        snapshot=factories.snapshot(project, splits={"train": 20, "validation": validation}),
        base_model=base,
        reward_model=None,
    )


def test_steps_follow_from_rows_and_settings():
    assert estimates.units_and_steps(REWARD, 20) == (40.0, 5)
    assert estimates.units_and_steps({**REWARD, "max_steps": 3}, 20) == (24.0, 3)
    ppo = {"updates": 10, "rollouts_per_update": 32, "update_epochs": 2, "minibatches": 4}
    assert estimates.units_and_steps(ppo, 20) == (320.0, 80)


def of_memory(kind, weights, spec, *, teacher=None, computes_half=False):
    return estimates.memory(
        kind, weights, spec, scorers=[teacher, None], computes_half=computes_half
    )


def test_memory_is_counted_from_the_weights_that_lie_there(model):
    """Weights, gradients and two moments of float32: 16 bytes a weight where all are trained."""
    weights = weights_of(model())
    count = sum(one.numel() for one in tiny_llama().parameters())
    assert weights.count == count
    assert of_memory("sft", weights, {}) == (16 * count, 4 * count)
    assert of_memory("sft", weights, {"precision": "bfloat16"}) == (18 * count, 2 * count)
    assert of_memory("grpo", weights, {}).training == 20 * count  # and the reference
    assert weights.trained({"trainable_layers": 1}) < count


def test_auto_takes_half_of_weights_that_are_stored_so_where_the_machine_computes_so(model):
    half, full = weights_of(model(dtype="bfloat16")), weights_of(model("full"))
    auto = {"precision": "auto"}
    assert of_memory("sft", half, auto, computes_half=True).measuring == 2 * half.count
    assert of_memory("sft", half, auto, computes_half=False).measuring == 4 * half.count
    assert of_memory("sft", full, auto, computes_half=True).measuring == 4 * full.count


def test_adapters_are_counted_by_the_sides_of_the_matrices_that_they_stand_beside(model):
    """Two layers of width 32, inner width 64, keys and values of 16: rank times (in + out) of seven matrices."""
    weights = weights_of(model())
    tiny = tiny_llama()
    sides = sum(sum(one.shape) for one in tiny.model.layers.parameters() if one.dim() == 2)
    assert weights.trained({"lora_rank": 3}) == 3 * sides
    one_layer = weights.trained({"lora_rank": 3, "trainable_layers": 1})
    assert one_layer == 3 * sides // len(tiny.model.layers)
    found = of_memory("sft", weights, {"lora_rank": 3}).training
    assert found == 4 * weights.count + 16 * 3 * sides


def test_four_bits_hold_the_matrices_of_the_layers_and_nothing_else(model):
    weights = weights_of(model())
    inside = sum(one.numel() for one in tiny_llama().model.layers.parameters() if one.dim() == 2)
    rest = weights.count - inside
    spec = {"quantize": "nf4", "lora_rank": 1, "precision": "bfloat16"}
    adapters = 16 * weights.trained(spec)
    held = round(2 * rest + 0.52 * inside)
    assert of_memory("sft", weights, spec) == (held + adapters, held)  # measured in 4 bits too
    assert of_memory("ppo", weights, spec).measuring == held


def test_a_reward_model_that_scores_is_counted_in_the_bits_that_it_is_held_in(model):
    weights = weights_of(model())
    inside = sum(one.numel() for one in tiny_llama().model.layers.parameters() if one.dim() == 2)
    whole = of_memory("grpo", weights, {"lora_rank": 1}, teacher=weights)
    spec = {"lora_rank": 1, "reward_quantize": "nf4"}
    small = of_memory("grpo", weights, spec, teacher=weights)
    saved = 4 * weights.count - round(4 * (weights.count - inside) + 0.52 * inside)
    assert (whole.training - small.training, whole.measuring - small.measuring) == (saved, saved)


def test_a_reward_model_of_the_lowest_layers_is_counted_without_the_others(model):
    weights = weights_of(model())
    kept = tiny_llama(layers=1)
    count = sum(one.numel() for one in kept.parameters())
    assert of_memory("reward_model", weights, {"layers": 1}) == (16 * count, 4 * count)


def test_one_policy_is_measured_beside_the_teacher_which_takes_no_more_than_training(model):
    weights = weights_of(model())
    found = of_memory("ppo", weights, {"lora_rank": 1}, teacher=weights)
    assert found.measuring == 2 * 4 * weights.count
    assert found.training == 2 * 4 * weights.count + 16 * weights.trained({"lora_rank": 1})
    assert found.measuring < found.training


def test_weights_that_are_not_there_or_are_no_weights_give_no_number(project, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 32)
    assert weights_of(factories.policy(project, location=str(tmp_path))) is None
    assert weights_of(factories.policy(project, location="owner/name")) is None


@pytest.mark.parametrize(
    "spoiled", [{"config.json": b"[]"}, {"model.safetensors": b"\x02" + bytes(7) + b"[]"}]
)
def test_files_that_hold_a_list_where_an_object_belongs_are_no_weights(model, spoiled):
    version = model()
    for name, content in spoiled.items():
        Path(version.location, name).write_bytes(content)
    assert weights_of(version) is None


def test_what_the_newest_run_told_of_its_machine_says_what_auto_comes_to(project, model):
    base = model(dtype="bfloat16")
    before = of_reward(project, base)
    assert any("No run has told yet" in one for one in before.why)
    factories.training_run(project, machine={"bfloat16": True})
    found = of_reward(project, base)
    assert not any("No run has told yet" in one for one in found.why)
    assert found.memory.measuring * 2 == before.memory.measuring


def test_time_is_taken_from_earlier_runs_of_the_kind_over_the_same_model(project):
    """2 s a step of 8 prompts is 0.25 s a prompt; 40 prompts are passed: 10 s."""
    base = factories.policy(project)
    before = of_reward(project, base)
    assert before.seconds is None
    assert any("No Reward model run has ended in this project" in one for one in before.why)
    done(project, base)
    found = of_reward(project, base)
    assert (found.seconds, len(found.basis.runs), found.basis.likeness) == (10.0, 1, SAME)
    assert (found.rows, found.steps) == (20, 5)


def test_the_night_between_two_attempts_is_nobody_s_time(project):
    base = factories.policy(project)
    run = factories.training_run(project, base_model=base, spec=REWARD, status="done")
    evening = timezone.now() - timedelta(hours=12)
    told(run, [1, 2, 3], start=evening)
    told(run, [4, 5, 6], start=evening + timedelta(hours=11))
    assert of_reward(project, base).seconds == 10.0


def test_loading_and_measuring_are_part_of_the_time(project):
    """The run took 34 s in all, 4 s of them from its first to its last step: 30 s come on top of 10."""
    base = factories.policy(project)
    done(project, base, result={"seconds": 34.0})
    assert of_reward(project, base).seconds == 40.0


def test_looks_at_held_out_prompts_are_part_of_the_time_that_they_are_asked_for(project):
    """5 steps of 8 prompts at 0.25 s: 10 s. Two looks at 24 prompts, forward alone: 2 * 24 / 3 * 0.25 = 4 s."""
    base = factories.policy(project)
    done(project, base)
    assert of_reward(project, base, validation=24).seconds == 10.0
    assert of_reward(project, base, validation=24, eval_every=2).seconds == pytest.approx(14.0)
    assert of_reward(project, base, validation=24, eval_every=2, max_groups=20).seconds == (
        pytest.approx(10.0 + 2 * 20 / 3 * 0.25)
    )


def test_looks_of_an_earlier_run_are_taken_out_of_its_pace(project):
    """4 s for 2 steps of 8 prompts and a look at 24 forward alone: 16 + 8 prompts' worth, 1/6 s each."""
    base = factories.policy(project)
    splits = {"train": 20, "validation": 24}
    snapshot = factories.snapshot(project, splits=splits)
    done(project, base, {**REWARD, "eval_every": 2}, snapshot=snapshot)
    assert of_reward(project, base).seconds == pytest.approx(40 / 6)


def test_a_run_of_few_steps_is_measured_on_no_more_prompts_than_they_take():
    held_out = looking.HeldOut(validation=24, test=20)
    few = {**REWARD, "max_steps": 2, "eval_every": 1, "eval_prompts": 32}
    assert looking.looked(few, held_out, steps=2) == pytest.approx(2 * 16 / 3)
    assert looking.answers(few, held_out) == 2 * 16


@pytest.mark.parametrize(
    ("steps", "looks"), [(range(1, 9), 0), (range(19, 27), 1), (range(20, 28), 0)]
)
def test_only_looks_between_the_steps_that_an_earlier_run_told_of_are_in_its_pace(
    project, steps, looks
):
    """14 s for 7 updates of 8 rollouts; a look, at 20 or before the first metrics, is 16 answers."""
    base = factories.policy(project)
    snapshot = factories.snapshot(project, splits={"train": 20, "test": 16})
    spec = {**PPO, "eval_every": 20, "eval_prompts": 16}
    run = factories.training_run(
        project, kind="ppo", base_model=base, spec=spec, status="done", snapshot=snapshot
    )
    told(run, steps, start=timezone.now())
    assert pacing.timed_of(run).a_unit == pytest.approx(14 / (7 * 8 + looks * 16))


def test_held_out_answers_are_part_of_the_time_by_those_of_an_earlier_run(project):
    """34 s, of them 4 between its steps and 12 for 2 * 8 answers: 18 s beside; 0.75 s an answer."""
    base = factories.policy(project)
    spec = {**REWARD, "eval_prompts": 8}
    run = done(project, base, spec, kind="dpo", result={"seconds": 34.0})
    for seconds in (8.0, 4.0):
        data = {"message": "", "answers": 8, "seconds": seconds}
        RunEvent.objects.create(run=run, kind="log", at=timezone.now(), data=data)

    def of_dpo(prompts):
        snapshot = factories.snapshot(project, splits={"train": 20, "test": 20})
        asked = {**spec, "eval_prompts": prompts}
        return estimates.estimate(
            kind="dpo", spec=asked, snapshot=snapshot, base_model=base, reward_model=None
        ).seconds

    assert of_dpo(8) == pytest.approx(10 + 18 + 12)
    assert of_dpo(0) == pytest.approx(10 + 18)
    assert of_dpo(64) == pytest.approx(10 + 18 + 2 * 20 * 0.75)  # there are 20


def test_a_first_run_over_a_model_goes_by_others_scaled_by_the_work_of_a_token(project, model):
    small = model("small")
    large = model("large", hidden_size=64)
    done(project, small)
    factor = weights_of(large).count / weights_of(small).count
    found = of_reward(project, large)
    assert found.basis.likeness is Likeness.MODEL
    assert found.seconds == pytest.approx(10.0 * factor)
    frozen = of_reward(project, small, trainable_layers=1)
    assert frozen.seconds < 10.0
    assert frozen.basis.likeness is SAME  # the earlier run does not say how many layers it trained


def test_runs_with_the_same_settings_speak_before_newer_ones_with_others(project):
    """Of 512 tokens a response 2 s a step, of 48 tokens 0.2 s: an estimate of 512 goes by the first alone."""
    base = factories.policy(project)
    long = done(project, base, {**REWARD, "max_response_tokens": 512})
    short = factories.training_run(
        project, base_model=base, spec={**REWARD, "max_response_tokens": 48}, status="done"
    )
    told(short, [1, 2, 3], start=timezone.now(), seconds=0.2)
    found = of_reward(project, base, max_response_tokens=512)
    assert (found.seconds, found.basis.runs) == (10.0, ((long.pk, long.name),))
    assert basis_text(found.basis) == (
        f"at the pace of {long.name}, with these settings over a model of this size"
    )


def test_where_none_had_the_settings_the_estimate_says_what_was_set_otherwise(project):
    base = factories.policy(project)
    names = [done(project, base, {**REWARD, "max_response_tokens": 48}).name for _ in range(2)]
    found = of_reward(project, base, max_response_tokens=512)
    assert basis_text(found.basis) == (
        f"at the pace of {names[1]} and {names[0]}, over a model of this size with other settings: roughly. "
        "Not scaled for: max response tokens 48 there, 512 here"
    )
    pace = RunEstimateSerializer.facts(found)["pace"]
    assert (pace["likeness"], pace["scaled_for"]) == ("settings", ())
    assert pace["not_scaled_for"] == ("max response tokens 48 there, 512 here",)


def test_no_limit_of_layers_reads_as_all_of_them(project, model):
    base = model()
    done(project, base, {**REWARD, "layers": 1, "trainable_layers": 1})
    found = of_reward(project, base, layers=0, trainable_layers=0)
    assert found.basis.scaled_for == (
        "trainable layers 1 there, all here",
        "layers 1 there, all here",
    )


def rollouts(project, base, *, limit, length, ended):
    """Three updates of 8 responses, 2 s apart: 0.25 s a response."""
    spec = {**PPO, "max_response_tokens": limit}
    run = factories.training_run(project, kind="ppo", base_model=base, spec=spec, status="done")
    told(run, [1, 2, 3], start=timezone.now())
    data = {"length": length, "eos_share": ended}
    RunEvent.objects.filter(run=run, kind="metrics").update(data=data)


def of_rollouts(project, base, limit):
    """Seconds of ten updates, 80 responses, and the basis."""
    spec = {**PPO, "max_response_tokens": limit, "updates": 10}
    found = pacing.seconds_of("ppo", spec, units=80.0, base_model=base, weights=None)
    return found.seconds, found


def test_responses_that_were_cut_are_taken_to_reach_a_higher_limit(project):
    """Mean 40 tokens, half of them cut at 48: with 64 they are 40 + 0.5 * 16 = 48, and 20 s become 24."""
    base = factories.policy(project)
    rollouts(project, base, limit=48, length=40.0, ended=0.5)
    seconds, basis = of_rollouts(project, base, 64)
    assert seconds == pytest.approx(24.0)
    assert basis.scaled_for == (
        "max response tokens 48 there, 64 here (50 % of its responses were cut)",
    )


def test_responses_that_all_ended_are_as_long_under_a_higher_limit(project):
    base = factories.policy(project)
    rollouts(project, base, limit=48, length=40.0, ended=1.0)
    assert of_rollouts(project, base, 512)[0] == pytest.approx(20.0)


def test_a_lower_limit_cuts_what_is_longer_on_average(project):
    """Mean 40 tokens under a limit of 10: at most a quarter; under one of 44: as long as before."""
    base = factories.policy(project)
    rollouts(project, base, limit=48, length=40.0, ended=0.5)
    assert of_rollouts(project, base, 10)[0] == pytest.approx(5.0)
    assert of_rollouts(project, base, 44)[0] == pytest.approx(20.0)


def test_records_that_the_limit_cut_are_read_further(project):
    """8 of 2 * 20 responses were cut at 48: of 96 tokens they are 1 + 0.2 * 48 / 48 = 1.2 times as long."""
    base = factories.policy(project)
    result = {"metrics": {"records": {"pairs_used": 20, "responses_cut": 8}}}
    done(project, base, {**REWARD, "max_response_tokens": 48}, result=result)
    assert of_reward(project, base, max_response_tokens=96).seconds == pytest.approx(12.0)
    shorter = of_reward(project, base, max_response_tokens=24)
    assert shorter.seconds == 10.0
    assert shorter.basis.not_scaled_for == ("max response tokens 48 there, 24 here",)


def test_a_model_that_a_round_trained_is_of_the_size_of_that_it_began_with(project, model):
    done(project, model("first"))
    assert of_reward(project, model("second")).basis.likeness is SAME


def test_runs_of_other_projects_and_of_models_that_are_not_here_say_nothing(project, model):
    done(factories.project(), factories.policy(factories.project()))
    done(project, factories.policy(project, location="owner/name"))
    assert of_reward(project, model()).seconds is None


def test_money_is_told_where_the_site_has_a_price_and_the_time_is_known(settings):
    assert estimates.price_text(5400) == ""
    settings.CONCORD_PRICE_AN_HOUR = Price(2.5, "EUR")
    assert estimates.price_text(5400) == "3.75 EUR"
    assert estimates.price_text(None) == ""


@pytest.mark.parametrize(
    ("value", "price"),
    [("", None), ("2.50 EUR", Price(2.5, "EUR")), (" 3 USD ", Price(3.0, "USD"))],
)
def test_the_site_s_price_is_an_amount_with_its_currency(monkeypatch, value, price):
    monkeypatch.setenv("CONCORD_PRICE_AN_HOUR", value)
    assert env.price("CONCORD_PRICE_AN_HOUR") == price


@pytest.mark.parametrize("value", ["2.50", "EUR 2", "-1 EUR", "two EUR", "2,50 EUR"])
def test_a_price_that_cannot_be_read_fails_loudly(monkeypatch, value):
    monkeypatch.setenv("CONCORD_PRICE_AN_HOUR", value)
    with pytest.raises(ImproperlyConfigured, match="write an amount and the three letters"):
        env.price("CONCORD_PRICE_AN_HOUR")


def test_the_form_shows_the_estimate_and_moves_it(project, engineer, settings):
    settings.CONCORD_PRICE_AN_HOUR = Price(36.0, "EUR")
    snapshot = factories.snapshot(project, splits={"train": 80})
    done(project, factories.policy(project), snapshot=snapshot)
    page = engineer.get(reverse("runs-new", args=[project.pk]), {"kind": "reward_model"})
    assert "over 80 prompts of the training split" in page.text
    assert "0.24 EUR" in page.text  # 96 prompts, 0.25 s each
    form = page.context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    sent |= {"epochs": 4}
    sent = {name: value for name, value in sent.items() if value is not False}
    address = reverse("runs-estimate", args=[project.pk]) + "?kind=reward_model"
    assert page.context["estimate"].steps == 3  # 80 prompts, 32 a step
    assert engineer.post(address, sent).context["estimate"].steps == 10
    assert engineer.post(address, {**sent, "epochs": "x"}).context["estimate"] is None


def test_the_api_estimates_what_it_would_queue_and_queues_nothing(project, api):
    api.force_authenticate(factories.member(project, Role.ENGINEER))
    base = factories.policy(project)
    snapshot = factories.snapshot(project, splits={"train": 20})
    asked = {"base_model": base.pk, "snapshot": snapshot.pk}
    address = reverse("api-run-estimate", args=[project.pk])
    spec = {"kind": "reward_model", "epochs": 2, "groups_per_step": 8}
    found = api.post(address, {**asked, "spec": spec}, format="json")
    assert (found.status_code, found.json()["steps"], found.json()["seconds"]) == (200, 5, None)
    assert found.json()["cost"] == ""
    assert not project.runs.exists()
    wrong = api.post(address, {**asked, "spec": {**spec, "epochs": -1}}, format="json")
    assert wrong.status_code == 400
    stranger = factories.policy(factories.project())
    assert (
        api.post(
            address, {**asked, "spec": spec, "base_model": stranger.pk}, format="json"
        ).status_code
        == 400
    )


def test_sizes_read_as_people_say_them():
    assert [estimates.size_text(one) for one in (None, 12, 2_160_000_000)] == [
        "–",
        "12 B",
        "2.16 GB",
    ]
