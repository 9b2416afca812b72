import json
import math
import shutil
import weakref
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.documented import explained
from tests.unit.training.trainers.runs import StopAt, evaluate, metrics_of, train, train_until
from training.__main__ import main
from training.evals import reward_gain
from training.execution import read_spec
from training.models.load import load_policy, save_model
from training.models.reward import new_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.rollout import sampler
from training.spec.errors import Cancelled, Diverged, ModelError
from training.spec.metrics import METRICS
from training.spec.rollouts import PpoSpec
from training.spec.runs import spec_to_dict

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A policy of four layers and a random reward model."""
    folder = tmp_path_factory.mktemp("models")
    tiny_llama(layers=4).save_pretrained(folder / "policy")
    tiny_tokenizer().save_pretrained(folder / "policy")
    reward = new_reward_model(str(folder / "policy"), precision="float32", device=CPU, seed=3)
    save_model(reward, folder / "reward")
    return folder


@pytest.fixture
def spec(folders, snapshot):
    return PpoSpec(
        model=str(folders / "policy"),
        reward_model=str(folders / "reward"),
        data=str(snapshot),
        updates=4,
        groups_per_step=4,
        rollouts_per_update=8,
        max_response_tokens=8,
        learning_rate=3e-3,
        trainable_layers=2,
        checkpoint_every=1,
        eval_prompts=6,
        warmup_share=0.0,
        target_kl=0.0,
    )


def checkpoint(folder, step):
    return load_file(folder / "checkpoints" / str(step) / "state.safetensors")


def facts(folder, step):
    return json.loads((folder / "checkpoints" / str(step) / "state.json").read_text())


def events(folder, kind):
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [one for one in lines if one["kind"] == kind]


@pytest.mark.parametrize("choice", [{"trainable_layers": 2}, {"lora_rank": 4}, {}])
def test_at_the_first_step_kl_is_zero_and_the_ratio_one(spec, tmp_path, choice):
    spec = replace(spec, trainable_layers=0, updates=1, update_epochs=1, minibatches=1)
    train(tmp_path, replace(spec, **choice))
    [(_, numbers)] = metrics_of(tmp_path)
    assert (numbers["kl"], numbers["reference_gap"]) == (0.0, 0.0)
    assert (numbers["ratio"], numbers["approximate_kl"], numbers["clip_fraction"]) == (
        1.0,
        0.0,
        0.0,
    )


@pytest.mark.parametrize("choice", [{}, {"trainable_layers": 0, "lora_rank": 4}])
def test_a_resumed_run_equals_one_that_never_stopped(spec, run_of, tmp_path, choice):
    spec = replace(spec, **choice)
    whole = run_of(spec)
    with pytest.MonkeyPatch.context() as patch:
        train_until(
            StopAt(patch, "training.trainers.ppo:tell_update", time=3), tmp_path / "parts", spec
        )
    assert not (tmp_path / "parts" / "checkpoints" / "4").exists()
    assert_equal_once_resumed(spec, whole, tmp_path / "parts")


def test_a_stored_run_with_passes_over_rows_is_resumed(spec, tmp_path):
    spec = replace(spec, updates=2, eval_prompts=2)
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, "training.trainers.ppo:tell_update", time=1), tmp_path, spec)
    stored = spec_to_dict(spec) | {"epochs": 2.0, "max_steps": 7}
    (tmp_path / "spec.json").write_text(json.dumps(stored))
    assert read_spec(tmp_path) == spec
    assert main(["resume", str(tmp_path)]) == 0
    assert [step for step, _ in metrics_of(tmp_path)] == [1, 2]


PLACES = {  # and after how many updates a checkpoint is due
    "between two tokens": ("training.rollout.sampler:pick_tokens", 11, 3),
    "between two rows of scores": ("training.rollout.scoring:score_heads", 5, 1),
    "recalling": ("training.rollout.recall:_part", 6, 1),
    "between two minibatches": ("training.rollout.learner:Learner.step", 3, 3),
}


@pytest.mark.parametrize(("place", "time", "every"), PLACES.values(), ids=PLACES)
def test_a_stop_in_the_middle_of_an_update_ends_it_there(
    spec, run_of, tmp_path, place, time, every
):
    spec = replace(spec, tokens_per_forward=64, checkpoint_every=every, update_epochs=1)
    whole = run_of(spec)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, place, time=time)
        train_until(stop, tmp_path / "parts", spec)
    assert stop.came == time
    assert len(metrics_of(tmp_path / "parts")) == 1
    assert_equal_once_resumed(spec, whole, tmp_path / "parts")


def assert_equal_once_resumed(spec, whole, resumed):
    train(resumed, spec)
    tensors, found = checkpoint(whole, 4), checkpoint(resumed, 4)
    assert tensors.keys() == found.keys()
    assert all(torch.equal(tensors[name], found[name]) for name in tensors)
    assert facts(whole, 4) == facts(resumed, 4)
    assert dict(metrics_of(whole)) == dict(metrics_of(resumed))
    weights = [load_file(folder / "artifact/model.safetensors") for folder in (whole, resumed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("place", "time"),
    [("training.rollout.sampler:pick_tokens", 3), ("training.rollout.scoring:score_heads", 2)],
)
def test_a_stop_is_heard_within_the_measurement_of_the_gain(spec, tmp_path, place, time):
    spec = replace(spec, tokens_per_forward=64, updates=1)
    train(tmp_path, spec)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, place, time=time)
        with pytest.raises(Cancelled):
            evaluate(tmp_path, spec, stop)
    assert stop.came == time


def test_every_number_of_an_update_is_explained_and_has_a_title(spec, run_of):
    told = {name for _, data in metrics_of(run_of(spec)) for name in data}
    assert told - explained(spec.kind) == set()
    assert told - METRICS.keys() == set()


def test_a_checkpoint_holds_value_head_price_of_kl_and_normalizer(spec, run_of):
    kept = facts(run_of(spec), 4)["facts"]
    assert kept["moments"][0] == 32  # four updates of eight scores
    assert kept["beta"] != spec.kl_coefficient
    assert "value.master.linear.weight" in checkpoint(run_of(spec), 4)


def test_only_the_chosen_layers_change_and_the_value_head_is_saved(spec, run_of):
    artifact = run_of(spec) / "artifact"
    before = load_file(f"{spec.model}/model.safetensors")
    after = load_file(artifact / "model.safetensors")
    changed = {name.split(".")[2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"2", "3", "weight"}  # the two top layers and the last norm
    head = load_file(artifact / "value_head.safetensors")
    assert head["linear.weight"].abs().max() > 0


def test_a_run_begins_with_the_value_head_that_an_earlier_one_left(spec, run_of, tmp_path):
    """Its first values foresee something; those of a head at zero nothing at all."""
    place = str(run_of(spec) / "artifact")
    left = load_file(f"{place}/value_head.safetensors")
    later = replace(spec, model=place, updates=1, value_learning_rate=1e-9)
    train(tmp_path / "zero", later)
    train(tmp_path / "policy", replace(later, value_start="policy"))
    zero, policy = (
        load_file(tmp_path / name / "artifact" / "value_head.safetensors")["linear.weight"]
        for name in ("zero", "policy")
    )
    assert zero.abs().max() < 1e-6
    torch.testing.assert_close(policy, left["linear.weight"], atol=1e-6, rtol=0)
    variances = [
        metrics_of(tmp_path / name)[0][1]["explained_variance"] for name in ("zero", "policy")
    ]
    assert variances[0] == 0 != variances[1]


def test_a_policy_without_a_value_head_has_none_to_begin_with(spec, tmp_path):
    with pytest.raises(ModelError, match=r"value_start: .* has no value_head.safetensors"):
        train(tmp_path, replace(spec, value_start="policy"))


def test_the_artifact_of_lora_is_a_plain_model(spec, run_of):
    run = run_of(replace(spec, trainable_layers=0, lora_rank=4))
    policy = load_policy(str(run / "artifact"), precision="float32", device=CPU)
    assert not [name for name, _ in policy.model.named_parameters() if "lora" in name]


def test_a_policy_that_moved_far_ends_its_update(spec, tmp_path):
    train(tmp_path, replace(spec, target_kl=1e-4, update_epochs=5, learning_rate=0.02))
    steps = [numbers["optimizer_steps"] for _, numbers in metrics_of(tmp_path)]
    assert steps[0] < 10


def test_too_much_kl_stops_the_run_and_says_why(spec, tmp_path):
    told = train(tmp_path, replace(spec, max_kl=1e-3, learning_rate=0.02))
    assert told["updates"] < 4
    assert "beyond max_kl 0.001" in told["stop_reason"]
    assert [one["data"]["action"] for one in events(tmp_path, "guard")][-1] == "stop"
    assert (tmp_path / "artifact" / "model.safetensors").is_file()


def test_a_stopped_run_is_not_taken_up_again_by_resume(spec, tmp_path):
    spec = replace(spec, max_kl=1e-3, learning_rate=0.02)
    told = train(tmp_path, spec)
    shutil.rmtree(tmp_path / "artifact")
    assert train(tmp_path, spec) == told


def test_every_update_tells_its_numbers_and_shows_samples(spec, run_of):
    run = run_of(spec)
    wanted = {"reward", "kl", "beta", "entropy", "clip_fraction", "value_loss", "length"}
    assert [step for step, _ in metrics_of(run)] == [1, 2, 3, 4]
    assert wanted | {"explained_variance", "eos_share"} <= metrics_of(run)[0][1].keys()
    assert {"prompt", "response", "reward"} == events(run, "sample")[0]["data"].keys()


def test_the_gain_is_measured_on_heldout_prompts_with_an_interval(spec, run_of, tmp_path):
    shutil.copytree(run_of(spec), tmp_path, dirs_exist_ok=True)
    told = evaluate(tmp_path, spec)
    low, high = told["interval"]
    assert low <= told["reward_after"] - told["reward_before"] <= high
    assert told["n"] == 6
    assert told["kl"] > 0
    assert evaluate(tmp_path, spec) == told


def test_a_run_that_measures_nothing_says_that_it_was_told_so(spec, tmp_path):
    assert evaluate(tmp_path, replace(spec, eval_prompts=0)) == {
        "reason": "Nothing was measured: eval_prompts is 0."
    }


@pytest.mark.parametrize("choice", [{}, {"trainable_layers": 0, "lora_rank": 4}])
def test_layers_computed_again_give_the_same_bits(spec, run_of, tmp_path, choice):
    spec = replace(spec, **choice)
    train(tmp_path, replace(spec, gradient_checkpointing=True))
    assert metrics_of(tmp_path) == metrics_of(run_of(spec))


def test_the_sampler_and_the_trainer_differ_by_rounding(spec, run_of):
    assert all(0 <= told["sampler_gap"] < 1e-5 for _, told in metrics_of(run_of(spec)))


def test_responses_are_sampled_some_at_a_time(spec, run_of, tmp_path, monkeypatch):
    """Two a prompt: of three at once two are to one prompt, and a third would be to the next."""
    alive = []
    plainly = sampler._forward

    def heard(model, ids, *others):
        if ids.shape[1] == 1:
            alive.append(len(ids))
        return plainly(model, ids, *others)

    monkeypatch.setattr(sampler, "_forward", heard)
    spec = replace(spec, updates=1)
    train(tmp_path, replace(spec, rows_at_once=3))
    assert max(alive) == 2
    assert evaluate(tmp_path, replace(spec, rows_at_once=5))["n"] == 6
    assert max(alive) == 4


def test_one_policy_at_a_time_is_in_memory_while_the_gain_is_measured(
    spec, run_of, tmp_path, monkeypatch
):
    """As while it trained: what fitted then fits now."""
    shutil.copytree(run_of(spec), tmp_path / "run")
    made, alive = [], []

    def counted(load):
        def loaded(*arguments):
            alive.append(sum(one() is not None for one in made))
            policy = load(*arguments)
            made.append(weakref.ref(policy.model))
            return policy

        return loaded

    for name in ("starting_policy", "trained_policy"):
        monkeypatch.setattr(reward_gain, name, counted(getattr(reward_gain, name)))
    evaluate(tmp_path / "run", spec)
    assert alive == [0, 0]


def test_an_unchanged_policy_gains_nothing(spec, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copytree(spec.model, tmp_path / "run" / "artifact")
    told = evaluate(tmp_path / "run", spec)
    assert (told["reward_gain"], told["interval"], told["kl"]) == (0.0, (0.0, 0.0), 0.0)


def test_a_policy_is_no_reward_model(spec, tmp_path):
    with pytest.raises(ModelError, match="score"):
        train(tmp_path, replace(spec, reward_model=spec.model))


def test_damaged_scores_are_named_and_publish_nothing(spec, folders, tmp_path):
    shutil.copytree(folders / "reward", tmp_path / "reward")
    weights = load_file(tmp_path / "reward" / "model.safetensors")
    weights["score.weight"][0, 0] = torch.nan
    save_file(weights, tmp_path / "reward" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Diverged, match="score that is not finite"):
        train(tmp_path / "run", replace(spec, reward_model=str(tmp_path / "reward")))
    assert not (tmp_path / "run" / "artifact").exists()


def test_a_checkpoint_of_another_kind_is_refused(spec, run_of, tmp_path):
    shutil.copytree(run_of(spec), tmp_path, dirs_exist_ok=True)
    path = tmp_path / "checkpoints" / "4" / "state.json"
    path.write_text(json.dumps({"step": 4, "facts": {}}))
    with pytest.raises(ModelError, match="not one of PPO"):
        train(tmp_path, spec)


def test_what_people_wrote_is_imitated_beside_the_reward(spec, run_of, tmp_path):
    """PPO-ptx: with a large weight the likelihood of the demonstrations rises; without, nothing is told."""
    train(tmp_path, replace(spec, ptx_weight=20.0))
    losses = [numbers["ptx_loss"] for _, numbers in metrics_of(tmp_path)]
    assert losses[-1] < losses[0] - 0.1
    assert {numbers["ptx_loss"] for _, numbers in metrics_of(run_of(spec))} == {0.0}


def test_the_imitated_loss_is_that_of_fine_tuning_and_of_any_budget(spec, tmp_path):
    """Before the first step it is the starting policy's loss: near ln 259 for random weights."""
    spec = replace(spec, ptx_weight=1.0, updates=1, update_epochs=1, minibatches=1)
    train(tmp_path / "whole", spec)
    train(tmp_path / "parts", replace(spec, tokens_per_forward=16))
    (_, whole), (_, parts) = metrics_of(tmp_path / "whole")[0], metrics_of(tmp_path / "parts")[0]
    assert whole["ptx_loss"] == pytest.approx(math.log(259), abs=0.5)
    assert parts == pytest.approx(whole, abs=1e-4)


def test_a_resumed_run_imitates_what_it_would_have(spec, run_of, tmp_path):
    spec = replace(spec, ptx_weight=1.0)
    whole = run_of(spec)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, "training.trainers.ppo:tell_update", time=2)
        train_until(stop, tmp_path / "parts", spec)
    torch.rand(3)
    assert_equal_once_resumed(spec, whole, tmp_path / "parts")
