"""GRPO and PPO without a value: the same start, and the same bits after a stop."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.documented import explained
from tests.unit.training.trainers.runs import StopAt, evaluate, metrics_of, train, train_until
from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.rollout import guards
from training.rollout.explorer import Explorer
from training.rollout.scoring import load_held_out, load_scorer
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.errors import ModelError, SpecError
from training.spec.metrics import METRICS
from training.spec.rollouts import GrpoSpec, PpoSpec
from training.spec.runs import spec_from_dict, spec_to_dict

CPU = torch.device("cpu")
COMMON = {
    "updates": 4,
    "groups_per_step": 4,
    "rollouts_per_update": 8,
    "max_response_tokens": 8,
    "learning_rate": 3e-3,
    "trainable_layers": 2,
    "checkpoint_every": 1,
    "eval_prompts": 6,
    "warmup_share": 0.0,
    "target_kl": 0.0,
}
TOP = ("model.layers.2.", "model.layers.3.", "model.norm.")
CHOICES = {
    "grpo": (GrpoSpec, {}),
    "dr_grpo": (GrpoSpec, {"variant": "dr_grpo"}),
    "lora": (GrpoSpec, {"trainable_layers": 0, "lora_rank": 4}),
    "ppo without a value": (PpoSpec, {"baseline": "leave_one_out"}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_llama(layers=4).save_pretrained(folder / "policy")
    tiny_tokenizer().save_pretrained(folder / "policy")
    for name, heads in (("reward", 1), ("ensemble", 3)):
        reward = new_reward_model(
            str(folder / "policy"), precision="float32", device=CPU, seed=3, heads=heads
        )
        save_reward_model(reward, folder / name)
    return folder


@pytest.fixture(params=CHOICES.values(), ids=CHOICES)
def spec(request, folders, snapshot):
    cls, choice = request.param
    places = {"model": str(folders / "policy"), "reward_model": str(folders / "reward")}
    return cls(data=str(snapshot), **places, **(COMMON | choice))


def test_at_the_first_step_kl_is_zero_and_the_ratio_one(spec, tmp_path):
    train(tmp_path, replace(spec, updates=1, update_epochs=1, minibatches=1))
    [(_, numbers)] = metrics_of(tmp_path)
    assert (numbers["kl"], numbers["clip_fraction"]) == (0.0, 0.0)
    assert (numbers["ratio"], numbers["approximate_kl"]) == (1.0, 0.0)


def test_of_too_few_prompts_some_are_answered_several_times(spec, tmp_path, monkeypatch):
    """Ten prompts an update of the eight that are there: two come again, with responses of their own."""
    heard = []
    explored = Explorer.explored

    def listened(self, update):
        found = explored(self, update)
        heard.append(found.rollouts)
        return found

    monkeypatch.setattr(Explorer, "explored", listened)
    sizes = {"max_groups": 8, "groups_per_step": 10, "rollouts_per_update": 20}
    train(tmp_path, replace(spec, updates=1, **sizes))
    (rollouts,) = heard
    answers = {}
    for one in rollouts:
        answers.setdefault(one.tokens.prompt_id, []).append(one.tokens.responses)
    assert sorted(map(len, answers.values())) == [1] * 6 + [2] * 2
    assert {len(responses) for given in answers.values() for responses in given} == {2}
    first, second = max(answers.values(), key=len)
    assert first != second


def test_a_held_out_reward_model_watches_and_teaches_nothing(spec, run_of, tmp_path):
    """The judge itself as the watcher: equal scores; and the same steps as without one."""
    spec = replace(spec, updates=1)
    train(tmp_path, replace(spec, held_out_reward_model=spec.reward_model))
    [(_, alone)], [(_, watched)] = metrics_of(run_of(spec)), metrics_of(tmp_path)
    assert watched.pop("held_out_reward") == pytest.approx(alone["reward"], abs=1e-6)
    assert watched.pop("held_out_error") > 0
    assert watched == alone
    assert 0 < alone["distinct"] <= 1


def test_every_number_of_an_update_is_explained_and_has_a_title(spec, run_of):
    told = {name for _, data in metrics_of(run_of(spec)) for name in data}
    assert told - explained(spec.kind) == set()
    assert told - METRICS.keys() == set()


def test_a_look_at_held_out_prompts_changes_nothing_else(spec, run_of, tmp_path):
    """The first look is at the policy that the run began with, as the result measures it."""
    found = train(tmp_path, replace(spec, eval_every=2))
    told = dict(metrics_of(tmp_path))
    looks = {step: one.pop("eval_reward") for step, one in told.items() if "eval_reward" in one}
    assert list(looks) == [1, 2, 4]
    assert told == dict(metrics_of(run_of(spec)))
    whole, watched = (
        load_file(run / "artifact" / "model.safetensors") for run in (run_of(spec), tmp_path)
    )
    assert [name for name in whole if not torch.equal(whole[name], watched[name])] == []
    assert found["stop_reason"] == "all updates done"


def test_the_first_look_is_at_the_policy_that_the_run_began_with(spec, tmp_path):
    spec = replace(spec, updates=1, eval_every=1)
    train(tmp_path, spec)
    [(_, told)] = metrics_of(tmp_path)
    assert told["eval_reward"] == pytest.approx(evaluate(tmp_path, spec)["reward_before"], abs=1e-6)


def test_doubt_of_one_head_cannot_be_paid_for(spec, tmp_path):
    with pytest.raises(SpecError, match=r"uncertainty_penalty: 1 .* has one"):
        train(tmp_path, replace(spec, uncertainty_penalty=1.0))


def test_the_penalty_is_paid_where_heads_disagree_and_not_told_as_reward(spec, folders, tmp_path):
    """The same first batch: its raw scores are told, what is learned from them differs."""
    spec = replace(spec, updates=1, reward_model=str(folders / "ensemble"))
    told = []
    for penalty in (0.0, 5.0):
        train(tmp_path / str(penalty), replace(spec, uncertainty_penalty=penalty))
        told.append(metrics_of(tmp_path / str(penalty))[0][1])
    assert told[0]["disagreement"] > 0
    for name in ("reward", "disagreement"):
        assert told[0][name] == told[1][name]
    assert told[0]["grad_norm"] != told[1]["grad_norm"]


@pytest.mark.parametrize(("stop_on", "updates"), [("entropy", 1), ("length, distinct", 4)])
def test_a_guard_ends_a_run_only_where_stop_on_names_it(
    folders, snapshot, tmp_path, monkeypatch, stop_on, updates
):
    """Its floor is above the first update's entropy: it speaks at once."""
    monkeypatch.setattr(guards, "ENTROPY_FLOOR", 1.1)
    places = {"model": str(folders / "policy"), "reward_model": str(folders / "reward")}
    told = train(tmp_path, GrpoSpec(data=str(snapshot), stop_on=stop_on, **places, **COMMON))
    assert told["updates"] == updates
    assert told["stop_reason"].startswith("Entropy fell") is (stop_on == "entropy")
    assert (tmp_path / "artifact" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("teacher", "watcher", "stop_on", "count"),
    [
        ("reward", "", "disagreement", 1),
        ("reward", "", "length", 0),
        ("ensemble", "reward", "disagreement", 0),
    ],
)
def test_one_head_is_told_where_its_disagreement_shall_stop_the_run(
    folders, snapshot, tmp_path, teacher, watcher, stop_on, count
):
    places = {"model": str(folders / "policy"), "reward_model": str(folders / teacher)}
    places["held_out_reward_model"] = str(folders / watcher) if watcher else ""
    spec = GrpoSpec(data=str(snapshot), stop_on=stop_on, **places)
    with Reporter(tmp_path, has_bar=False) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
        load_scorer(run, spec, CPU)
        load_held_out(run, spec, CPU)
    assert (tmp_path / "events.jsonl").read_text().count("has one head") == count


def test_a_resumed_run_equals_one_that_never_stopped(spec, run_of, tmp_path):
    place = f"training.trainers.{spec.kind}:tell_update"
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, place, time=3), tmp_path / "parts", spec)
    torch.rand(5)
    train(tmp_path / "parts", spec)
    whole, parts = (
        load_file(run / "artifact" / "model.safetensors")
        for run in (run_of(spec), tmp_path / "parts")
    )
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
    assert dict(metrics_of(run_of(spec))) == dict(metrics_of(tmp_path / "parts"))


def test_what_is_to_be_trained_changes_and_nothing_else(spec, run_of):
    """The two top layers and the last norm; with LoRA the matrices of every layer and no norm."""
    before = load_file(f"{spec.model}/model.safetensors")
    after = load_file(run_of(spec) / "artifact" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    expected = {
        name
        for name in before
        if (name.endswith("_proj.weight") if spec.lora_rank else name.startswith(TOP))
    }
    assert changed == expected


def test_no_value_head_is_learned_or_saved(spec, run_of):
    run = run_of(replace(spec, updates=1))
    assert not (run / "artifact" / "value_head.safetensors").exists()
    state = load_file(run / "checkpoints" / "1" / "state.safetensors")
    assert not [name for name in state if name.startswith("value.")]


def test_parts_of_a_minibatch_give_the_numbers_of_the_whole(spec, tmp_path):
    spec = replace(spec, updates=1, update_epochs=1)
    train(tmp_path / "whole", spec)
    train(tmp_path / "parts", replace(spec, tokens_per_forward=16))
    (_, whole), (_, parts) = metrics_of(tmp_path / "whole")[0], metrics_of(tmp_path / "parts")[0]
    assert parts == pytest.approx(whole, abs=1e-5)


def test_one_response_a_prompt_is_refused(spec):
    row = spec_to_dict(replace(spec, rollouts_per_update=4))
    with pytest.raises(SpecError, match="at least two"):
        spec_from_dict(row)


def test_a_checkpoint_of_another_kind_is_refused(spec, run_of, tmp_path):
    shutil.copytree(run_of(spec), tmp_path, dirs_exist_ok=True)
    path = tmp_path / "checkpoints" / "4" / "state.json"
    path.write_text(path.read_text().replace('"updates"', '"other"'))
    with pytest.raises(ModelError, match="is not one of"):
        train(tmp_path, spec)
