"""Two processes, joined by gloo, equal one; the first of them alone writes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.trainers.runs import CPU, metrics_of, train
from tests.unit.training.two_processes import KILLED, KILLED_AT, two_processes
from training.models.reward import new_reward_model, save_reward_model
from training.runtime.checkpoint import saved_steps
from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.rollouts import GrpoSpec, PpoSpec
from training.spec.runs import spec_from_dict, spec_to_dict

pytestmark = pytest.mark.usefixtures("quick_asides")

ROLLOUTS = {
    "updates": 3,
    "groups_per_step": 5,
    "rollouts_per_update": 10,
    "max_response_tokens": 8,
    "trainable_layers": 1,
    "target_kl": 0.0,
    "eval_prompts": 2,
}
CHOICES: dict[str, tuple[type[RunSpec], dict[str, object]]] = {
    "sft": (SftSpec, {}),
    "reward_model": (RewardModelSpec, {"eval_every": 2}),
    "dpo": (DpoSpec, {}),
    "kto": (KtoSpec, {}),
    "ppo": (PpoSpec, ROLLOUTS | {"ptx_weight": 1.0}),
    "ppo without a value": (PpoSpec, ROLLOUTS | {"baseline": "leave_one_out", "minibatches": 5}),
    "grpo": (GrpoSpec, ROLLOUTS | {"lora_rank": 2, "eval_every": 2}),
    "dr_grpo": (GrpoSpec, ROLLOUTS | {"variant": "dr_grpo"}),
}
PARTS: dict[str, object] = {"sharding": "full", "tokens_per_forward": 32}
CHOICES |= {
    "sft in parts": (SftSpec, PARTS | {"eval_every": 2, "gradient_checkpointing": True}),
    "reward_model in parts": (RewardModelSpec, PARTS | {"lora_rank": 1, "heads": 2}),
    "dpo in parts": (DpoSpec, PARTS | {"trainable_layers": 1}),
    "kto in parts": (KtoSpec, PARTS | {"eval_every": 2}),
    "ppo in parts": (PpoSpec, ROLLOUTS | PARTS | {"ptx_weight": 1.0, "eval_every": 2}),
    "ppo whole in parts": (PpoSpec, ROLLOUTS | PARTS | {"trainable_layers": 0, "minibatches": 5}),
    "grpo in parts": (
        GrpoSpec,
        ROLLOUTS | PARTS | {"lora_rank": 2, "trainable_layers": 0, "gradient_checkpointing": True},
    ),
}
NOT_FOR_ALL = ("peft", "httpx", "accelerate", "scipy", "sklearn", "training.rollout.learner")
ENDED = "ended"  # by a guard, which the first process alone hears
DROPPING = "sft with dropout"  # drawn by each process for itself, so two are not one
IN_PARTS = [name for name in CHOICES if name.endswith("in parts")]
KILLED_SPEC = "ppo in parts"
DONE = "dpo"


STEPS = 3


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 prompts to train on, and two of each held-out split: what is measured is not looked at here."""
    folder = tmp_path_factory.mktemp("records")
    numbers = (*range(0, 28, 2), 1, 3, 5, 7)
    write_groups(folder, [judged_group(number) for number in numbers])
    return folder


@pytest.fixture(scope="module")
def specs(
    tiny_folder: Path, records: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, RunSpec]:
    """Five groups a step and an odd last batch: the two shares are never equal.

    Five minibatches of one prompt: one process has nothing of each.
    """
    reward = tmp_path_factory.mktemp("reward")
    save_reward_model(
        new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3), reward
    )
    common = {"model": str(tiny_folder), "data": str(records), "learning_rate": 1e-3}
    common |= {"groups_per_step": 5, "checkpoint_every": 2, "max_response_tokens": 16}
    judged = {"reward_model": str(reward)}
    return {
        name: cls(**common | (judged if "updates" in settings else {}) | settings)
        for name, (cls, settings) in CHOICES.items()
    }


class Places(NamedTuple):
    """The folders of the runs of two processes, and of those that two others took up again."""

    together: Path
    resumed: Path


@pytest.fixture(scope="module")
def places(specs: dict[str, RunSpec], tmp_path_factory: pytest.TempPathFactory) -> Places:
    """All runs of this file by two processes, of which one is killed in the last; then two others go on."""
    places = Places(*(tmp_path_factory.mktemp(name) for name in Places._fields))
    ended = replace(specs["dpo"], max_log_ratio=1e-6, stop_on="log_ratio")
    dropping = replace(specs["sft"], lora_rank=2, lora_dropout=0.3)
    others = {DROPPING: dropping, ENDED: ended, KILLED: specs[KILLED_SPEC]}
    for kind, spec in (specs | others).items():
        (places.together / kind).mkdir()
        (places.together / kind / "spec.json").write_text(json.dumps(spec_to_dict(spec)))
    runs = [places.together / kind for kind in (*specs, DROPPING, ENDED, KILLED)]
    assert two_processes("run", runs) == [1, -signal.SIGKILL]
    for kind in (*IN_PARTS, DROPPING):
        as_it_was(places.together / kind, places.resumed / kind)
    shutil.copytree(places.together / DONE, places.resumed / DONE)
    shutil.copytree(places.together / KILLED, places.resumed / KILLED)
    assert two_processes("resume", sorted(places.resumed.iterdir())) == [0, 0]
    return places


def as_it_was(run: Path, copy: Path) -> None:
    """A copy of a run without its last checkpoint and all that came after."""
    step = str(saved_steps(run / "checkpoints")[-2])
    shutil.copytree(run / "checkpoints" / step, copy / "checkpoints" / step)
    shutil.copy(run / "spec.json", copy)


@pytest.fixture(scope="module")
def together(places: Places) -> Path:
    return places.together


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHOICES)
def test_two_processes_equal_one(
    together: Path, specs: dict[str, RunSpec], tmp_path: Path, kind: str
) -> None:
    train(tmp_path / "alone", specs[kind])
    alone, both = metrics_of(tmp_path / "alone"), metrics_of(together / kind)
    assert [step for step, _ in both] == [*range(1, STEPS + 1)]
    for (_, one), (_, two) in zip(alone, both, strict=True):
        assert two == pytest.approx(one, abs=2e-5, rel=1e-4)
    weights = [
        load_file(folder / "artifact" / "model.safetensors")
        for folder in (tmp_path / "alone", together / kind)
    ]
    torch.testing.assert_close(*weights, atol=2e-5, rtol=0)


@pytest.mark.parametrize("kind", CHOICES)
def test_the_first_process_alone_writes(together: Path, kind: str) -> None:
    events = [
        json.loads(one) for one in (together / kind / "events.jsonl").read_text().splitlines()
    ]
    counted = [one["kind"] for one in events]
    assert (counted.count("started"), counted.count("finished")) == (1, 1)
    assert saved_steps(together / kind / "checkpoints")[-1] == STEPS
    assert json.loads((together / kind / "result.json").read_text())["status"] == "done"


@pytest.mark.parametrize("kind", [*IN_PARTS, DROPPING])
def test_a_run_is_resumed_bit_for_bit_by_two_other_processes(places: Places, kind: str) -> None:
    assert_equal_bits(places.together / kind, places.resumed / kind, step=STEPS)


def test_a_run_of_which_a_process_was_killed_is_resumed_bit_for_bit(places: Places) -> None:
    assert saved_steps(places.together / KILLED / "checkpoints") == [KILLED_AT]
    assert not (places.together / KILLED / "artifact").exists()
    whole, parts = places.together / KILLED_SPEC, places.resumed / KILLED
    assert_equal_bits(whole, parts, step=STEPS)
    assert dict(metrics_of(parts)) == dict(metrics_of(whole))


def test_a_guard_ends_the_training_of_both(together: Path) -> None:
    """Before the first step no response has moved; after it all have."""
    assert [step for step, _ in metrics_of(together / ENDED)] == [1, 2]
    told = json.loads((together / ENDED / "result.json").read_text())
    assert (told["status"], told["metrics"]["steps"]) == ("done", 2)
    assert "beyond max_log_ratio 1e-06" in told["metrics"]["stop_reason"]


def assert_equal_bits(whole: Path, parts: Path, *, step: int) -> None:
    """Weights, masters, moments; and the facts beside them: cursor, price of KL, normalizer."""
    kept = f"checkpoints/{step}"
    for name in ("artifact/model.safetensors", f"{kept}/state.safetensors"):
        tensors, found = load_file(whole / name), load_file(parts / name)
        assert tensors.keys() == found.keys()
        assert [one for one in tensors if not torch.equal(tensors[one], found[one])] == []
    facts = [json.loads((run / kept / "state.json").read_text()) for run in (whole, parts)]
    assert facts[0] == facts[1]


def test_a_sharded_checkpoint_is_resumed_by_one_process(
    together: Path, specs: dict[str, RunSpec], tmp_path: Path
) -> None:
    as_it_was(together / "sft in parts", tmp_path / "run")
    train(tmp_path / "run", specs["sft in parts"])
    weights = [
        load_file(folder / "artifact" / "model.safetensors")
        for folder in (tmp_path / "run", together / "sft in parts")
    ]
    torch.testing.assert_close(*weights, atol=2e-5, rtol=0)


def test_four_bits_are_not_sharded() -> None:
    row = {"kind": "sft", "model": "m", "data": "d", "quantize": "nf4", "lora_rank": 2}
    with pytest.raises(SpecError, match="sharding: weights in 4 bits"):
        spec_from_dict(row | {"sharding": "full"})


def test_what_is_done_is_left_alone(places: Places) -> None:
    for name in ("events.jsonl", "result.json"):
        was, is_now = ((place / DONE / name).read_text() for place in places)
        assert is_now == was


def test_the_command_of_the_docs_runs_and_loads_no_more_than_it_needs(
    specs: dict[str, RunSpec], tmp_path: Path
) -> None:
    """`torchrun -m training`, which joins and leaves by itself."""
    spec = replace(specs["sft"], max_steps=1)
    (tmp_path / "spec.json").write_text(json.dumps(spec_to_dict(spec)))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", "training", "run", str(tmp_path)],
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "result.json").read_text())["metrics"]["steps"] == 1
    assert [step for step, _ in metrics_of(tmp_path)] == [1]
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"transformers", "training.data.demonstrations"} <= loaded
    assert loaded.isdisjoint(NOT_FOR_ALL)
