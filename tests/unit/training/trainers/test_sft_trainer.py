from pathlib import Path

import pytest

from tests.unit.training.trainers.runs import evaluate, train
from training.spec.preferences import SftSpec


@pytest.fixture
def spec(tiny_folder: Path, snapshot: Path) -> SftSpec:
    return SftSpec(model=str(tiny_folder), data=str(snapshot), learning_rate=3e-3, epochs=2.0)


def test_the_held_out_loss_falls(spec: SftSpec, tmp_path: Path) -> None:
    train(tmp_path / "run", spec)
    found = evaluate(tmp_path / "run", spec)
    assert found["loss_after"]["interval"][1] < found["loss_before"]["interval"][0]


def test_demonstrations_alone_are_half_of_the_responses(spec: SftSpec, tmp_path: Path) -> None:
    found = train(tmp_path / "run", spec)
    assert found["records"]["responses_used"] == 48


def test_chosen_candidates_can_be_left_out(
    tiny_folder: Path, snapshot: Path, tmp_path: Path
) -> None:
    spec = SftSpec(model=str(tiny_folder), data=str(snapshot), include_chosen=False, max_steps=1)
    assert train(tmp_path / "run", spec)["records"]["responses_used"] == 24
