"""Every algorithm on a GPU in bfloat16: it learns, resumes with the same bits, and names its failures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.trainers.runs import StopAt, evaluate, metrics_of, train, train_until
from training.models.load import load_policy
from training.rollout import replay
from training.rollout.sampler import Knobs, LocalSampler
from training.runtime.device import named_failures, pick_device
from training.spec.base import RunSpec
from training.spec.errors import OutOfMemory
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.rollouts import GrpoSpec, PpoSpec

RECORDS = {"epochs": 2.0, "groups_per_step": 4, "learning_rate": 1e-3}
ROLLOUTS = {
    "updates": 4,
    "groups_per_step": 4,
    "rollouts_per_update": 8,
    "max_response_tokens": 8,
    "eval_prompts": 6,
    "target_kl": 0.0,
}
ALGORITHMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sft": (SftSpec, RECORDS),
    "reward model": (RewardModelSpec, RECORDS),
    "reward model, ensemble": (RewardModelSpec, RECORDS | {"heads": 3}),
    "dpo": (DpoSpec, RECORDS),
    "kto": (KtoSpec, RECORDS),
    "ppo": (PpoSpec, ROLLOUTS),
    "ppo without a value": (PpoSpec, ROLLOUTS | {"baseline": "leave_one_out"}),
    "grpo": (GrpoSpec, ROLLOUTS),
}
WEIGHTS = {
    "full": {},
    "top": {"trainable_layers": 2},
    "lora": {"lora_rank": 4, "trainable_layers": 0},
}


@pytest.fixture(params=ALGORITHMS.values(), ids=ALGORITHMS)
def spec(request: pytest.FixtureRequest, folders: Path) -> RunSpec:
    kind, settings = request.param
    judge = {"reward_model": str(folders / "reward")} if kind in {PpoSpec, GrpoSpec} else {}
    made: RunSpec = kind(
        model=str(folders / "policy"),
        data=str(folders / "data"),
        precision="bfloat16",
        checkpoint_every=1,
        warmup_share=0.0,
        **judge,
        **settings,
    )
    return made


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "artifact" / "model.safetensors")


@pytest.mark.parametrize("kernel", ["sdpa", "flex"])
@pytest.mark.parametrize("settings", WEIGHTS.values(), ids=WEIGHTS)
def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(
    spec: RunSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    kernel: str,
) -> None:
    monkeypatch.setenv("CONCORD_ATTENTION", kernel)
    spec = replace(spec, **settings)
    train(tmp_path / "whole", spec)
    module = "training.trainers." + ("ppo" if isinstance(spec, PpoSpec) else "grpo")
    is_rollout = isinstance(spec, PpoSpec | GrpoSpec)
    place = f"{module}:tell_update" if is_rollout else "training.runtime.optimize:Optimizer.step"
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, place, time=3), tmp_path / "parts", spec)
    torch.rand(7, device="cuda")
    train(tmp_path / "parts", spec)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
    assert dict(metrics_of(tmp_path / "parts")) == dict(metrics_of(tmp_path / "whole"))


def test_a_run_is_measured_on_the_gpu(spec: RunSpec, tmp_path: Path) -> None:
    spec = replace(spec, **({"updates": 1} if hasattr(spec, "updates") else {"max_steps": 1}))
    train(tmp_path, spec)
    assert evaluate(tmp_path, spec)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_replayed_steps_draw_what_steps_one_by_one_draw(
    folders: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    policy = load_policy(str(folders / "policy"), precision=precision, device=pick_device())
    prompts = [[5, 6, 7], [9, 8, 7, 6, 5, 4] * 20, [3], [5, 6, 7], [11, 12]]
    knobs = Knobs(n=8, temperature=1.0, top_p=0.9, max_tokens=64, seed=7)
    made = LocalSampler(policy.model, policy.tokenizer)
    monkeypatch.setenv("CONCORD_DECODING", "graph")
    captured: list[object] = []
    decoder = replay.ReplayedDecoder

    def told(*given: Any, **named: Any) -> object:
        captured.append(decoder(*given, **named))
        return captured[-1]

    monkeypatch.setattr(replay, "ReplayedDecoder", told)
    replayed = made.sample_tokens(prompts, knobs)
    assert captured
    monkeypatch.delenv("CONCORD_DECODING")
    stepped = made.sample_tokens(prompts, knobs)
    rows = [
        (mine, theirs)
        for pair in zip(replayed, stepped, strict=True)
        for mine, theirs in zip(*pair, strict=True)
    ]
    equal = [mine for mine, theirs in rows if mine.token_ids == theirs.token_ids]
    assert len({len(mine.token_ids) for mine, _ in rows}) > 3
    assert len(equal) >= (0.95 if precision == "float32" else 0.5) * len(rows)
    gaps = [abs(mine.logprobs[0] - theirs.logprobs[0]) for mine, theirs in rows]
    assert max(gaps) < (1e-4 if precision == "float32" else 0.1)


def test_too_little_memory_is_named() -> None:
    with pytest.raises(OutOfMemory, match="Lower tokens_per_forward"), named_failures():
        torch.empty(2**45, device="cuda")
