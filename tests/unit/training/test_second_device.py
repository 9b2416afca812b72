"""Every algorithm on a device that is not the CPU: none mixes tensors of the two (`second_device.py`)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.second_device import OnSecond, second_device
from tests.unit.training.trainers.runs import CPU, evaluate, metrics_of, train
from training.models.reward import new_reward_model, save_reward_model
from training.runtime.run import Run
from training.spec.base import RunSpec
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.rollouts import GrpoSpec, PpoSpec

STEPS = {"max_steps": 1, "max_response_tokens": 16}  # no response of the records is cut
ANSWERS = STEPS | {"eval_prompts": 2}
UPDATES = {
    "updates": 1,
    "rollouts_per_update": 8,
    "max_response_tokens": 4,
    "eval_prompts": 2,
    "trainable_layers": 1,
    "target_kl": 0.0,
}
ALGORITHMS: dict[str, tuple[type[RunSpec], dict[str, Any]]] = {
    "sft": (SftSpec, ANSWERS),
    "reward_model": (RewardModelSpec, STEPS | {"heads": 2, "ties": "davidson"}),
    "dpo": (DpoSpec, ANSWERS | {"lora_rank": 2}),
    "kto": (KtoSpec, ANSWERS | {"trainable_layers": 1}),
    "ppo": (PpoSpec, UPDATES | {"ptx_weight": 1.0}),
    "ppo without a value": (PpoSpec, UPDATES | {"baseline": "leave_one_out"}),
    "grpo": (GrpoSpec, UPDATES),
}
PLACES = (
    *(f"training.trainers.{name}" for name in ("sft", "reward_model", "dpo", "kto", "ppo", "grpo")),
    *(f"training.evals.{name}" for name in ("heldout_loss", "reward_accuracy", "reward_gain")),
    "training.evals.preference_accuracy",
)


@contextmanager
def on_second_device() -> Iterator[None]:
    """Inside, runs compute on the second device, and publish nothing."""
    with second_device() as device, pytest.MonkeyPatch.context() as patch:
        for place in PLACES:
            patch.setattr(import_module(place), "pick_device", lambda: device)
        patch.setattr(Run, "publish", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def reward(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    made = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3, heads=2)
    save_reward_model(made, folder)
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight prompts to train on, four held out."""
    folder = tmp_path_factory.mktemp("records")
    write_groups(folder, [judged_group(number) for number in (*range(0, 16, 2), 1, 3, 5, 7)])
    return folder


@pytest.fixture(params=ALGORITHMS.values(), ids=ALGORITHMS)
def spec(request: pytest.FixtureRequest, tiny_folder: Path, records: Path, reward: Path) -> RunSpec:
    kind, settings = request.param
    judge = {"reward_model": str(reward)} if "updates" in settings else {}
    common = {"model": str(tiny_folder), "data": str(records), "learning_rate": 1e-3}
    made: RunSpec = kind(**common, **judge, **settings, groups_per_step=4, precision="float32")
    return made


def test_a_run_trains_goes_on_and_is_measured_there_with_the_numbers_of_the_cpu(
    spec: RunSpec, tmp_path: Path, quick_asides: None
) -> None:
    train(tmp_path / "cpu", spec)
    with on_second_device():
        train(tmp_path / "there", spec)
        train(tmp_path / "there", spec)  # all done: it restores its checkpoint
        assert evaluate(tmp_path / "cpu", spec)
    ((_, told),) = metrics_of(tmp_path / "cpu")
    ((_, found),) = metrics_of(tmp_path / "there")
    assert found == pytest.approx(told, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda here, there: here + there,
        lambda here, there: here @ there,
        lambda here, there: there[here.long()],
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.where(here > 0, there, 0.0),
    ],
    ids=["added", "multiplied", "picked", "joined", "chosen"],
)
def test_tensors_of_two_devices_do_not_mix(mixed: Callable[..., Any]) -> None:
    with second_device() as device, pytest.raises(RuntimeError, match="are on cpu, the others on"):
        mixed(torch.ones(3, device=device), torch.ones(3))


def test_what_a_gpu_takes_from_the_cpu_is_taken() -> None:
    with second_device() as device:
        here = torch.ones(3, device=device)
        assert isinstance(here * torch.tensor(2.0), OnSecond)
        assert isinstance(here[torch.tensor([0, 2])], OnSecond)
        here.copy_(torch.zeros(3))
        assert here.cpu().tolist() == [0.0, 0.0, 0.0]
