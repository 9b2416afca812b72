from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.trainers.runs import evaluate, metrics_of, train
from training.models.reward import load_temperature
from training.spec.errors import DataError
from training.spec.records import CandidateText, Group, Pair, Turn
from training.spec.runs import RewardModelSpec


@pytest.fixture
def spec(tiny_folder: Path, snapshot: Path) -> RewardModelSpec:
    return RewardModelSpec(
        model=str(tiny_folder), data=str(snapshot), learning_rate=3e-3, epochs=6.0
    )


def random_pair(number: int) -> Group:
    """Texts that say nothing of which is better: only memory can order them."""
    texts = [f"{number * seed % 9973:04}" for seed in (7919, 104729)]
    return Group(
        prompt_id=f"p{number:03}",
        prompt=(Turn(role="user", content="?"),),
        candidates=tuple(CandidateText(id=str(at), text=text) for at, text in enumerate(texts)),
        pairs=(Pair(chosen=str(number % 2), rejected=str(1 - number % 2)),),
    )


def test_sixty_four_memorized_pairs_are_ordered(spec: RewardModelSpec, tmp_path: Path) -> None:
    write_groups(tmp_path / "data", [random_pair(number) for number in range(1, 65)])
    settings = {"data": str(tmp_path / "data"), "epochs": 30.0, "groups_per_step": 16}
    train(tmp_path / "run", replace(spec, learning_rate=1e-2, **settings))
    last = [data["accuracy"] for _, data in metrics_of(tmp_path / "run")[-4:]]
    assert sum(last) / 4 > 0.95


def test_held_out_pairs_are_measured_beside_what_to_compare(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    """Votes 3:0 and 2:1 give A = (1 + 1/3) / 2 = 2/3, and a band up to (1 + sqrt(1/3)) / 2.

    Good and bad are of one length (half a win), meh is shorter (none): 1/4.
    """
    train(tmp_path / "run", spec)
    found = evaluate(tmp_path / "run", spec)
    assert found["accuracy"]["value"] > 0.9
    assert found["accuracy"]["n"] == 48
    assert found["ceiling"]["interval"] == pytest.approx((2 / 3, 0.788675), abs=1e-5)
    assert found["longer_wins"]["value"] == pytest.approx(0.25)
    assert found["temperature"] == load_temperature(tmp_path / "run" / "artifact")


def test_a_snapshot_of_ties_only_is_refused(spec: RewardModelSpec, tmp_path: Path) -> None:
    groups = [judged_group(4 * at) for at in range(10)]
    tied = [
        replace(group, pairs=tuple(replace(pair, is_tie=True) for pair in group.pairs))
        for group in groups
    ]
    write_groups(tmp_path / "data", tied)
    for ties in ("drop", "half"):
        with pytest.raises(DataError, match="0 decided pairs"):
            train(tmp_path / "run", replace(spec, data=str(tmp_path / "data"), ties=ties))


def test_candidates_in_several_pairs_are_computed_once(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    """Equal to a group of its own for every pair, where each pair has half the weight."""
    groups = [judged_group(4 * at) for at in range(8)]
    apart = [
        replace(group, prompt_id=f"{group.prompt_id}/{at}", pairs=(pair,))
        for group in groups
        for at, pair in enumerate(group.pairs)
    ]
    write_groups(tmp_path / "together", groups)
    write_groups(tmp_path / "apart", apart)
    one_step = replace(spec, max_steps=1, groups_per_step=64)
    train(tmp_path / "a", replace(one_step, data=str(tmp_path / "together")))
    train(tmp_path / "b", replace(one_step, data=str(tmp_path / "apart")))
    (_, a), (_, b) = metrics_of(tmp_path / "a")[0], metrics_of(tmp_path / "b")[0]
    assert a == pytest.approx(b, abs=1e-5)
