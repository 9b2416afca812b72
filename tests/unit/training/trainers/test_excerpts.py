"""Trainers that learn from records tell at every checkpoint what the policy answers by then."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit.training.trainers.conftest import RunOf
from tests.unit.training.trainers.runs import train
from training.data.records import groups_of
from training.models.load import load_policy
from training.models.lora import trainable_weights
from training.rollout.excerpts import Excerpts
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.base import RunSpec
from training.spec.preferences import DpoSpec, KtoSpec, SftSpec


@pytest.fixture(params=[SftSpec, DpoSpec, KtoSpec], ids=lambda cls: cls.kind)
def spec(request: pytest.FixtureRequest, tiny_folder: Path, snapshot: Path) -> RunSpec:
    return request.param(
        model=str(tiny_folder),
        data=str(snapshot),
        learning_rate=3e-3,
        groups_per_step=4,
        checkpoint_every=3,
        max_steps=5,
    )


def samples_of(folder: Path) -> dict[int, list[dict[str, str]]]:
    """The sample events by their step."""
    found = defaultdict(list)
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "sample":
            found[event["step"]].append(event["data"])
    return dict(found)


def test_two_held_out_prompts_are_answered_at_each_checkpoint(spec: RunSpec, run_of: RunOf) -> None:
    told = samples_of(run_of(spec))
    held_out = groups_of(spec.data, "test", "validation", at_most=2)
    assert list(told) == [3, 5]
    for samples in told.values():
        assert [one["prompt"] for one in samples] == [one.prompt[-1].content for one in held_out]
        assert all(set(one) == {"prompt", "response", "cut_short"} for one in samples)


def test_what_changes_between_two_checkpoints_is_the_policy_alone(
    spec: RunSpec, tmp_path: Path
) -> None:
    """With a rate of nearly nothing the answers of both checkpoints are the same."""
    train(tmp_path / "still", replace(spec, learning_rate=1e-9))
    still = samples_of(tmp_path / "still")
    assert still[3] == still[5]


@pytest.mark.parametrize("is_training", [True, False])
def test_they_leave_random_numbers_and_the_modes_of_the_model_alone(
    tiny_folder: Path, snapshot: Path, tmp_path: Path, is_training: bool
) -> None:
    spec = SftSpec(model=str(tiny_folder), data=str(snapshot), lora_rank=2, lora_dropout=0.1)
    policy = load_policy(spec.model, precision="float32", device=torch.device("cpu"))
    trainable_weights(policy.model, spec)
    policy.model.train(is_training)
    before, modes = torch.get_rng_state(), [one.training for one in policy.model.modules()]
    with Reporter(tmp_path, has_bar=False) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
        Excerpts(run, policy, spec).tell(step=1)
    assert torch.equal(before, torch.get_rng_state())
    assert [one.training for one in policy.model.modules()] == modes
    assert set(modes) == {is_training}
    assert len(samples_of(tmp_path)[1]) == 2
