from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.trainers.runs import StopAt, evaluate, metrics_of, train, train_until
from training.data.bootstrap import bootstrap_weights
from training.models.reward import load_temperature, load_ties
from training.spec.errors import DataError, SpecError
from training.spec.preferences import RewardModelSpec
from training.spec.records import CandidateText, Group, Pair, Turn


@pytest.fixture
def spec(tiny_folder: Path, snapshot: Path) -> RewardModelSpec:
    return RewardModelSpec(
        model=str(tiny_folder), data=str(snapshot), learning_rate=3e-3, epochs=3.0
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
    settings = {"data": str(tmp_path / "data"), "epochs": 15.0, "groups_per_step": 16}
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
    assert a == pytest.approx(b, abs=1e-5, rel=1e-5)


def test_the_share_of_ties_is_learned_and_kept_beside_the_temperature(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    """'good' always beats 'bad', and ties with 'meh': ties cost scores their distance."""
    groups = [judged_group(number) for number in range(48)]
    tied = [
        replace(
            group,
            pairs=(
                group.pairs[0],
                replace(
                    group.pairs[1], chosen=group.pairs[0].chosen, rejected=group.pairs[1].chosen,
                    is_tie=True, votes_chosen=0, votes_rejected=0, votes_tied=3,
                ),
            ),
        )
        for group in groups
    ]  # fmt: skip
    write_groups(tmp_path / "data", tied)
    spec = replace(spec, data=str(tmp_path / "data"), ties="davidson", epochs=16.0)
    train(tmp_path / "run", spec)
    found = evaluate(tmp_path / "run", spec)
    assert found["tie_share"] == 0.5
    assert found["tie_share_predicted"] == pytest.approx(0.5, abs=0.15)
    assert found["accuracy"]["value"] > 0.9
    learned = load_ties(tmp_path / "run" / "artifact")
    assert learned is not None
    assert learned.name == "davidson"
    assert learned.parameter > 2.5
    assert learned.parameter == metrics_of(tmp_path / "run")[-1][1]["tie_parameter"]
    assert load_temperature(tmp_path / "run" / "artifact") == found["temperature"]


def test_rankings_are_learned_from_and_counted(spec: RewardModelSpec, tmp_path: Path) -> None:
    """good > meh > bad on every prompt but one, where meh and good were not compared."""
    groups = [judged_group(4 * at) for at in range(10)]
    ranked = [
        replace(
            group,
            pairs=(
                *group.pairs,
                Pair(chosen=group.pairs[0].chosen, rejected=group.pairs[1].chosen),
            ),
        )
        for group in groups[1:]
    ]
    write_groups(tmp_path / "data", [groups[0], *ranked])
    settings = {"data": str(tmp_path / "data"), "epochs": 30.0, "objective": "plackett_luce"}
    told = train(tmp_path / "run", replace(spec, **settings))
    assert told["records"]["prompts_ranked"] == 9
    assert told["records"]["prompts_without_a_ranking"] == 1
    first, last = metrics_of(tmp_path / "run")[0][1], metrics_of(tmp_path / "run")[-1][1]
    assert last["nll"] < first["nll"] / 2
    assert last["accuracy"] == 1.0


@pytest.mark.parametrize("settings", [{"ties": "davidson"}, {"heads": 3}])
def test_a_resumed_run_with_ties_or_heads_equals_one_that_never_stopped(
    spec: RewardModelSpec, tmp_path: Path, settings: dict[str, str]
) -> None:
    spec = replace(spec, epochs=1.0, checkpoint_every=1, **settings)
    train(tmp_path / "whole", spec)
    with pytest.MonkeyPatch.context() as patch:
        train_until(
            StopAt(patch, "training.trainers.reward_model:row_loss", time=3),
            tmp_path / "parts",
            spec,
        )
    train(tmp_path / "parts", spec)
    assert metrics_of(tmp_path / "parts") == metrics_of(tmp_path / "whole")


def test_heads_learn_from_their_own_weights_of_prompts(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    told = {}
    for heads in (1, 3):
        train(tmp_path / str(heads), replace(spec, heads=heads))
        told[heads] = metrics_of(tmp_path / str(heads))[-1][1]
        assert told[heads]["accuracy"] > 0.9
    assert told[1]["disagreement"] == 0
    assert told[3]["disagreement"] > 0.01


def test_held_out_pairs_count_alike_for_every_head(
    spec: RewardModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no head draws any prompt there is nothing to learn from; what is held out is measured all the same."""
    monkeypatch.setattr(
        "training.trainers.reward_model.bootstrap_weights", lambda _name, spec: [0.0] * spec.heads
    )
    train(tmp_path, replace(spec, heads=2, max_steps=1, eval_every=1))
    told = metrics_of(tmp_path)[-1][1]
    assert told["loss"] == 0
    assert told["held_out_loss"] > 0.01


def test_bootstrap_weights_are_those_of_the_prompt_and_one_in_the_mean(
    spec: RewardModelSpec,
) -> None:
    """2,000 prompts by 2 heads: the mean of exponential draws is 1 +- 3 / sqrt(4000) = 0.05."""
    spec = replace(spec, heads=2)
    assert bootstrap_weights("p1", spec) == bootstrap_weights("p1", spec)
    drawn = [one for at in range(2000) for one in bootstrap_weights(f"p{at}", spec)]
    assert sum(drawn) / len(drawn) == pytest.approx(1.0, abs=0.05)
    assert len(set(drawn)) == len(drawn)


def test_a_fitted_head_orders_pairs_from_the_first_step(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    first = {}
    for start in ("fitted", "random"):
        settings = {"head_start": start, "max_steps": 1, "groups_per_step": 64}
        train(tmp_path / start, replace(spec, **settings))
        first[start] = metrics_of(tmp_path / start)[0][1]
    assert first["fitted"]["accuracy"] > 0.9
    assert first["fitted"]["nll"] < 0.6 < first["random"]["nll"]


def test_a_model_of_the_lowest_layers_is_a_plain_classifier(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    train(tmp_path / "run", replace(spec, layers=1))
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "artifact")
    assert plain.config.num_hidden_layers == len(plain.model.layers) == 1
    assert evaluate(tmp_path / "run", spec)["accuracy"]["value"] > 0.9


def test_more_layers_than_there_are_are_refused(spec: RewardModelSpec, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="layers: 99 of the backbone's 2 cannot be kept"):
        train(tmp_path / "run", replace(spec, layers=99))
