"""A head a criterion: fitted to verdicts under it on the model's own states, told beside the score, saved, read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.trainers.runs import CPU, evaluate, train
from training.data.chat import Limits
from training.evals import criteria
from training.evals.criteria import FEWEST
from training.models.reward import load_criteria, load_reward_model
from training.rollout.scoring import Scorer
from training.spec.preferences import RewardModelSpec
from training.spec.records import Group, Pair, Turn, group_from_dict, group_to_json


def with_criteria(number: int) -> Group:
    """Overall and under "helpful" good beats bad; under "concise" bad beats good."""
    group = judged_group(number)
    good, bad = f"{number}-good", f"{number}-bad"
    helpful = Pair(chosen=good, rejected=bad, criterion="helpful")
    concise = Pair(chosen=bad, rejected=good, criterion="concise")
    return replace(group, criterion_pairs=(concise, helpful))


def spec_for(model: Path, folder: Path, groups: list[Group]) -> RewardModelSpec:
    write_groups(folder / "data", groups)
    return RewardModelSpec(
        model=str(model), data=str(folder / "data"), max_response_tokens=16, precision="float32"
    )


@pytest.fixture(scope="module")
def trained(tiny_folder, tmp_path_factory):
    """The metrics of a run over criteria, where its model lies, and its spec."""
    folder = tmp_path_factory.mktemp("criteria")
    spec = spec_for(tiny_folder, folder, [with_criteria(number) for number in range(48)])
    train(folder / "run", spec)
    return evaluate(folder / "run", spec), folder / "run" / "artifact", spec


def test_each_head_sides_with_its_criterion_where_the_score_cannot_with_both(trained) -> None:
    metrics, _, _ = trained
    concise, helpful = metrics["criteria"]
    assert (concise["name"], helpful["name"]) == ("concise", "helpful")
    assert (concise["accuracy"]["value"], helpful["accuracy"]["value"]) == (1.0, 1.0)
    assert concise["score_accuracy"]["value"] + helpful["score_accuracy"]["value"] == pytest.approx(
        1
    )
    assert (concise["trained_on"], concise["accuracy"]["n"]) == (24, 24)


def test_no_head_is_fitted_to_more_pairs_than_memory_is_meant_for(trained, monkeypatch) -> None:
    """Of each criterion 24 pairs are in the training split and 24 held out."""
    _, artifact, spec = trained
    monkeypatch.setattr(criteria, "MOST", FEWEST + 1)
    concise, helpful = evaluate(artifact.parent, spec)["criteria"]
    assert (concise["trained_on"], helpful["trained_on"]) == (FEWEST + 1, FEWEST + 1)
    assert concise["accuracy"]["n"] == FEWEST + 1


def test_a_score_is_explained_by_what_the_heads_say(trained) -> None:
    _, artifact, _ = trained
    reward = load_reward_model(str(artifact), precision="float32", device=CPU)
    plain = Scorer(reward=reward, limits=Limits(64, 16), budget=512)
    telling = replace(plain, criteria=load_criteria(artifact))
    prompt = [Turn(role="user", content="Say word")]
    good, bad = telling.judge([prompt], [["very good 3", "quite bad 3"]])[0]
    assert good.criteria["helpful"] > bad.criteria["helpful"]
    assert good.criteria["concise"] < bad.criteria["concise"]
    assert [good.mean, bad.mean] == plain.score([prompt], [["very good 3", "quite bad 3"]])[0]


def test_without_verdicts_under_criteria_there_is_no_head(tiny_folder, tmp_path) -> None:
    """One verdict fewer than a head needs: 2 of 4 prompts are trained on."""
    groups = [judged_group(number) for number in range(48)]
    few = [with_criteria(number) for number in range(2 * (FEWEST - 1))]
    spec = spec_for(tiny_folder, tmp_path, [*few, *groups[len(few) :]])
    train(tmp_path / "run", spec)
    assert "criteria" not in evaluate(tmp_path / "run", spec)
    assert load_criteria(tmp_path / "run" / "artifact") is None


def test_records_without_criteria_have_the_bytes_they_had() -> None:
    assert "criterion_pairs" not in group_to_json(judged_group(1))
    group = with_criteria(1)
    assert group_from_dict(json.loads(group_to_json(group))) == group
