"""Every algorithm, killed as by `kill -9` in the middle of a step, goes on with the bits of a run that nobody killed.

Each run is a process of its own: forked from this one, which has loaded torch and computes on one thread
(`tests/environment.py`): a fork has no other thread, and would wait for it for ever.
"""

import json
import os
import signal
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.trainers.runs import CPU, StopAt, metrics_of
from training.__main__ import main
from training.models.reward import new_reward_model, save_reward_model
from training.runtime.checkpoint import saved_steps
from training.spec.base import RunSpec
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.rollouts import GrpoSpec, PpoSpec
from training.spec.runs import spec_to_dict

UPDATE_STEP = "training.rollout.learner:Learner.step"
STEP = "training.runtime.optimize:Optimizer.step"
DRAFT = "training.runtime.checkpoint:publish_folder"
ROLLOUTS = {
    "updates": 4,
    "update_epochs": 1,
    "minibatches": 2,
    "groups_per_step": 4,
    "rollouts_per_update": 8,
    "max_response_tokens": 8,
    "trainable_layers": 1,
    "target_kl": 0.0,
    "eval_prompts": 2,
}
CHOICES: dict[str, tuple[type[RunSpec], dict[str, Any]]] = {
    "sft": (SftSpec, {"eval_every": 2, "schedule": "cosine"}),
    "reward_model": (RewardModelSpec, {"heads": 2, "lora_rank": 2, "lora_dropout": 0.1}),
    "dpo": (DpoSpec, {"lora_rank": 2}),
    "ipo": (DpoSpec, {"loss": "ipo"}),
    "kto": (KtoSpec, {}),
    "ppo": (PpoSpec, ROLLOUTS | {"ptx_weight": 1.0}),
    "ppo without a value": (PpoSpec, ROLLOUTS | {"baseline": "leave_one_out"}),
    "grpo": (GrpoSpec, ROLLOUTS | {"lora_rank": 2, "trainable_layers": 0, "eval_every": 2}),
    "dr_grpo": (GrpoSpec, ROLLOUTS | {"variant": "dr_grpo", "gradient_checkpointing": True}),
}


class Moment(NamedTuple):
    """Where the process is killed: as it comes to a function for the nth time."""

    place: str
    time: int


# Of those that learn from records, and of those that learn from rollouts.
MOMENTS = {
    "within a step": (Moment(STEP, 4), Moment(UPDATE_STEP, 6)),
    "with a checkpoint written and not yet named": (Moment(DRAFT, 2), Moment(DRAFT, 2)),
}


class KillAt(StopAt):
    """Ends this process as `kill -9` does: nothing is flushed, no handler runs."""

    def ask(self, _reason: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def reward(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    made = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3, heads=2)
    save_reward_model(made, folder)
    return folder


@pytest.fixture
def new_run(tiny_folder: Path, snapshot: Path, reward: Path, tmp_path: Path):
    """The folder of a run of an algorithm that has not begun."""

    def make(name: str, folder: str) -> Path:
        cls, settings = CHOICES[name]
        common = {"model": str(tiny_folder), "data": str(snapshot), "learning_rate": 3e-3}
        common |= {"groups_per_step": 4, "checkpoint_every": 2, "precision": "float32"}
        common |= {"max_response_tokens": 16}  # no response of the snapshot is cut
        judged = {"reward_model": str(reward)} if "updates" in settings else {}
        (tmp_path / folder).mkdir()
        row = spec_to_dict(cls(**common | judged | settings))
        (tmp_path / folder / "spec.json").write_text(json.dumps(row))
        return tmp_path / folder

    return make


def in_a_process(act: str, folder: Path, moment: Moment | None = None) -> int | None:
    """How the process of a command ended: its exit code, or minus the signal."""
    process = get_context("fork").Process(target=_act, args=(act, folder, moment))
    process.start()
    process.join()
    return process.exitcode


def _act(act: str, folder: Path, moment: Moment | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if moment:
            KillAt(patch, moment.place, time=moment.time)
        sys.exit(main([act, str(folder)]))


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("name", CHOICES)
def test_a_killed_run_is_resumed_bit_for_bit(new_run, name, moment):
    at = moment["updates" in CHOICES[name][1]]
    whole, killed = new_run(name, "whole"), new_run(name, "killed")
    assert in_a_process("run", whole) == 0
    assert in_a_process("run", killed, at) == -signal.SIGKILL
    assert saved_steps(killed / "checkpoints")
    assert not (killed / "artifact").exists()
    assert in_a_process("resume", killed) == 0
    last = saved_steps(whole / "checkpoints")[-1]
    for file in ("artifact/model.safetensors", f"checkpoints/{last}/state.safetensors"):
        tensors, found = load_file(whole / file), load_file(killed / file)
        assert tensors.keys() == found.keys()
        assert [one for one in tensors if not torch.equal(tensors[one], found[one])] == []
    facts = [
        (run / "checkpoints" / str(last) / "state.json").read_text() for run in (whole, killed)
    ]
    assert facts[0] == facts[1]
    assert dict(metrics_of(killed)) == dict(metrics_of(whole))
