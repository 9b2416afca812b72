"""QLoRA on bitsandbytes' CPU code: runs learn beside 4 bits, resume, are merged, and measured as they trained."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    MixtralConfig,
    MixtralForSequenceClassification,
)

from tests.unit.training.trainers.runs import CPU, StopAt, evaluate, metrics_of, train, train_until
from training.models import load
from training.models.load import load_policy, save_model
from training.models.reward import load_reward_model, new_reward_model, save_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.rollout.scoring import scorer_of
from training.spec.base import RunSpec
from training.spec.errors import ModelError
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.records import Turn
from training.spec.rollouts import GrpoSpec, PpoSpec, RolloutSpec

IDS = torch.tensor([[5, 6, 7, 8, 9, 1]])
STEPS = {"max_steps": 4, "checkpoint_every": 2}
UPDATES = {"updates": 2, "rollouts_per_update": 8, "max_response_tokens": 8, "eval_prompts": 2}
UPDATES |= {"checkpoint_every": 1, "target_kl": 0.0}
ALGORITHMS: dict[str, tuple[type[RunSpec], dict[str, Any]]] = {
    "sft": (SftSpec, STEPS),
    "reward_model": (RewardModelSpec, STEPS | {"heads": 2}),
    "reward_model, lowest layers": (RewardModelSpec, STEPS | {"layers": 1}),
    "dpo": (DpoSpec, STEPS | {"gradient_checkpointing": True}),
    "kto": (KtoSpec, STEPS),
    "ppo": (PpoSpec, UPDATES),
    "grpo": (GrpoSpec, UPDATES),
    "ppo, reward model too": (PpoSpec, UPDATES | {"reward_quantize": "nf4"}),
    "grpo, reward model too": (GrpoSpec, UPDATES | {"reward_quantize": "nf4"}),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`policy`, and `reward` on it: matrices of at least one block of 4 bits (64 weights)."""
    folder = tmp_path_factory.mktemp("models")
    tiny_llama(hidden_size=64).save_pretrained(folder / "policy")
    tiny_tokenizer().save_pretrained(folder / "policy")
    reward = new_reward_model(str(folder / "policy"), precision="float32", device=CPU, seed=3)
    save_reward_model(reward, folder / "reward")
    return folder


@pytest.fixture(params=ALGORITHMS.values(), ids=ALGORITHMS)
def spec(request: pytest.FixtureRequest, folders: Path, snapshot: Path) -> RunSpec:
    kind, settings = request.param
    reward = str(folders / "reward")
    judges = {"reward_model": reward, "held_out_reward_model": reward}
    judge = judges if "updates" in settings else {}
    made: RunSpec = kind(
        model=str(folders / "policy"),
        data=str(snapshot),
        quantize="nf4",
        lora_rank=4,
        learning_rate=1e-2,
        groups_per_step=4,
        precision="float32",
        **judge,
        **settings,
    )
    return made


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """How many bits each model was loaded in, and onto what, in order."""
    found: list[tuple[str, str]] = []
    plainly = load._load

    def heard(source: str, factory: Any, **named: Any) -> Any:
        found.append((named.get("quantize", "none"), str(named["device"])))
        return plainly(source, factory, **named)

    monkeypatch.setattr(load, "_load", heard)
    return found


def test_a_run_learns_beside_4_bits_and_publishes_the_base_with_the_adapter(
    spec: RunSpec, tmp_path: Path
) -> None:
    train(tmp_path, spec)
    artifact = tmp_path / "artifact"
    is_reward = isinstance(spec, RewardModelSpec)
    factory = AutoModelForSequenceClassification if is_reward else AutoModelForCausalLM
    base = load_file(f"{spec.model}/model.safetensors")
    found = load_file(artifact / "model.safetensors")
    prefix = "base_model.model."
    adapter = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    name = "model.layers.0.mlp.up_proj"
    down, up = (adapter[f"{prefix}{name}.lora_{side}.weight"] for side in "AB")
    scale = spec.lora_alpha / spec.lora_rank
    expected = base[f"{name}.weight"] + scale * up @ down
    torch.testing.assert_close(found[f"{name}.weight"], expected, atol=1e-6, rtol=1e-5)
    assert up.abs().max() > 0
    assert factory.from_pretrained(artifact)(IDS).logits.isfinite().all()
    assert (artifact / "adapter").exists() is not bool(getattr(spec, "layers", 0))


def test_it_is_measured_in_4_bits_as_it_trained(
    spec: RunSpec, tmp_path: Path, loaded: list[tuple[str, str]]
) -> None:
    train(tmp_path, spec)
    assert loaded[0] == ("nf4", "cpu")
    assert ("none", "cpu") in loaded[
        1:
    ]  # the base that is merged into, and reward models that score
    loaded.clear()
    assert evaluate(tmp_path, spec)
    is_rollout = isinstance(spec, PpoSpec | GrpoSpec)
    count = 1 if isinstance(spec, RewardModelSpec) else 2
    judge = [getattr(spec, "reward_quantize", "none")] * is_rollout
    assert sorted(bits for bits, _ in loaded) == sorted(["nf4"] * count + judge)


@pytest.mark.parametrize("kind", [PpoSpec, GrpoSpec])
def test_both_reward_models_score_in_4_bits_beside_a_policy_that_trains_whole(
    kind: type[RolloutSpec],
    folders: Path,
    snapshot: Path,
    tmp_path: Path,
    loaded: list[tuple[str, str]],
) -> None:
    reward = str(folders / "reward")
    spec = kind(
        model=str(folders / "policy"),
        data=str(snapshot),
        reward_model=reward,
        held_out_reward_model=reward,
        reward_quantize="nf4",
        groups_per_step=4,
        **UPDATES,
    )
    train(tmp_path, spec)
    assert sorted(bits for bits, _ in loaded) == ["nf4", "nf4", "none"]
    told = [numbers for _, numbers in metrics_of(tmp_path)]
    assert [one["held_out_reward"] for one in told] == pytest.approx(
        [one["reward"] for one in told]
    )


def test_scores_in_4_bits_are_near_whole_ones_and_not_those(folders: Path) -> None:
    whole, small = (
        scorer_of(source, load_reward_model(source, **how, quantize=bits), budget=512)
        for source, how in [(str(folders / "reward"), {"precision": "float32", "device": CPU})]
        for bits in ("none", "nf4")
    )
    prompts = [(Turn(role="user", content=text),) for text in ("Hello", "Name three trees")]
    answers = [["Hi.", "Good morning", "No", "A longer answer that says little"]] * 2
    apart = torch.tensor(whole.score(prompts, answers)) - torch.tensor(
        small.score(prompts, answers)
    )
    assert 0 < apart.abs().max() < 0.5


def test_experts_in_stacks_which_would_stay_whole_are_refused(tmp_path: Path) -> None:
    config = MixtralConfig(
        vocab_size=259,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
        num_labels=1,
        pad_token_id=0,
    )
    MixtralForSequenceClassification(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"^reward_quantize: .* 24,576 stay whole, in the stacks"):
        load_reward_model(str(tmp_path), precision="float32", device=CPU, quantize="nf4")


def test_a_stopped_run_goes_on_with_the_bits_of_one_that_never_stopped(
    spec: RunSpec, tmp_path: Path
) -> None:
    train(tmp_path / "whole", spec)
    is_rollout = isinstance(spec, PpoSpec | GrpoSpec)
    place = (
        "training.rollout.learner:Learner.step"
        if is_rollout
        else "training.runtime.optimize:Optimizer.step"
    )
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, place, time=3), tmp_path / "parts", spec)
    torch.rand(7)
    train(tmp_path / "parts", spec)
    whole, parts = (
        load_file(tmp_path / one / "artifact" / "model.safetensors") for one in ("whole", "parts")
    )
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
    assert dict(metrics_of(tmp_path / "parts")) == dict(metrics_of(tmp_path / "whole"))


def test_the_adapter_outlives_a_merge_for_which_memory_does_not_suffice(
    folders: Path, snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SftSpec(
        model=str(folders / "policy"), data=str(snapshot), quantize="nf4", lora_rank=4, max_steps=1
    )

    def refused(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("training.models.lora.Adapter.add_to", refused)
    with pytest.raises(MemoryError):
        train(tmp_path, spec)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == spec.model
    assert not (tmp_path / "artifact").exists()
    monkeypatch.undo()
    train(tmp_path, spec)
    assert (tmp_path / "artifact" / "adapter" / "adapter_model.safetensors").is_file()


def test_the_artifact_has_the_number_format_that_the_run_computed_in(
    folders: Path, snapshot: Path, tmp_path: Path
) -> None:
    """Whatever `auto` would choose for the processor that it is merged on."""
    place = tmp_path / "half"
    half = load_policy(str(folders / "policy"), precision="bfloat16", device=CPU)
    save_model(half, place)
    spec = SftSpec(model=str(place), data=str(snapshot), quantize="nf4", lora_rank=4, max_steps=1)
    train(tmp_path / "run", replace(spec, precision="bfloat16"))
    stored = load_file(tmp_path / "run" / "artifact" / "model.safetensors")
    assert {one.dtype for one in stored.values()} == {torch.bfloat16}


def test_a_published_reward_model_scores_near_the_one_that_trained(
    folders: Path, snapshot: Path, tmp_path: Path
) -> None:
    """They differ by the rounding to 4 bits alone."""
    spec = RewardModelSpec(
        model=str(folders / "policy"), data=str(snapshot), quantize="nf4", lora_rank=4, max_steps=4
    )
    train(tmp_path, spec)
    told = evaluate(tmp_path, spec)["accuracy"]["value"]
    plain = evaluate(tmp_path, replace(spec, quantize="none"))["accuracy"]["value"]
    assert told == pytest.approx(plain, abs=0.1)
    assert load_reward_model(str(tmp_path / "artifact"), precision="float32", device=CPU)
    assert load_policy(
        spec.model, precision="float32", device=CPU, quantize="nf4"
    ).model.is_quantized
