"""The card of a reward model: reliability, slices, probes; each from pairs or scores that are known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.trainers.runs import evaluate, train
from training.evals.probes import PROBES, is_suspect, summaries
from training.evals.reward_card import card_facts, reliability
from training.evals.scored_pairs import ScoredPair
from training.functional.intervals import Measured
from training.spec.preferences import RewardModelSpec


def pair(difference: float, prompt: str, **facts: object) -> ScoredPair:
    return ScoredPair(prompt, "test", difference, 1.0, **facts)  # type: ignore[arg-type] # by name


def test_reliability_reads_each_pair_from_the_side_the_model_prefers() -> None:
    """Logit 2 is 0.88: once right, once wrong, so 0.5 is observed; logit 0 is 0.5, agreed with."""
    bins = reliability([pair(2.0, "a"), pair(-2.0, "b"), pair(0.0, "c")])
    assert [(one.n, one.observed) for one in bins] == [(1, 1.0), (2, 0.5)]
    assert bins[1].predicted == pytest.approx(0.880797, abs=1e-6)


def test_a_temperature_moves_the_confidence_and_not_what_was_observed() -> None:
    cooled = reliability([pair(2.0, "a"), pair(-2.0, "b")], temperature=4.0)
    assert [(one.low, one.observed) for one in cooled] == [(0.6, 0.5)]


def test_accuracy_is_told_by_strength_length_criterion_and_split() -> None:
    facts = card_facts(
        [
            pair(1.0, "a", strength=2.6, chosen_length=10, rejected_length=100),
            pair(-1.0, "b", strength=0.9, chosen_length=100, rejected_length=95),
            pair(1.0, "c", strength=1.2, chosen_length=100, rejected_length=60),
        ],
        temperature=None,
    )
    by_strength = {one["name"]: (one["value"], one["n"]) for one in facts["by_strength"]}
    assert by_strength == {"slightly better": (0.5, 2), "much better": (1.0, 1)}
    assert [one["name"] for one in facts["by_length"]] == [
        "preferred is less than half as long",
        "about equally long",
        "preferred is longer",
    ]
    assert [one["name"] for one in facts["by_criterion"]] == ["overall"]


def test_the_surest_contradictions_are_kept_by_name_the_surest_first() -> None:
    found = card_facts(
        [pair(-1.0, "a"), pair(-3.0, "b", chosen="x"), pair(2.0, "c")], temperature=None
    )
    assert [one["prompt"] for one in found["disagreements"]] == ["b", "a"]
    assert found["disagreements"][0]["chosen"] == "x"


def test_a_probe_that_pays_is_suspect_and_one_that_costs_as_it_should_is_not() -> None:
    """Unchanged scores 0 and 2 have deviation 1: flattery adds 1 to each, the other changes take 1."""
    changed = [1.0, *[-1.0] * len(PROBES)]
    rows = [[start, *(start + gain for gain in changed)] for start in (0.0, 2.0)]
    found = {one["name"]: one for one in summaries(rows)}
    assert (found["flattery"]["value"], found["flattery"]["is_suspect"]) == (1.0, True)
    assert (found["half"]["value"], found["half"]["is_suspect"]) == (-1.0, False)
    assert found["flattery"]["rises"] == 1.0


def test_a_change_that_must_cost_is_suspect_until_it_is_seen_to() -> None:
    assert is_suspect(Measured(-0.2, (-0.5, 0.1), 9), costs=True)
    assert not is_suspect(Measured(-0.2, (-0.5, 0.1), 9), costs=False)
    assert not is_suspect(Measured(None, None, 1, "One score."), costs=True)


def test_equal_scores_give_no_unit_to_tell_a_change_in() -> None:
    found = summaries([[1.0] * (len(PROBES) + 2)] * 3)
    assert {one["value"] for one in found} == {None}


def test_a_run_leaves_its_card_beside_the_weights(
    tiny_folder: Path, snapshot: Path, tmp_path: Path
) -> None:
    spec = RewardModelSpec(model=str(tiny_folder), data=str(snapshot), learning_rate=3e-3)
    train(tmp_path / "run", replace(spec, max_steps=2))
    found = evaluate(tmp_path / "run", spec)
    card = json.loads((tmp_path / "run" / "artifact" / "card.json").read_text())
    assert card["metrics"]["accuracy"]["n"] == found["accuracy"]["n"] == card["pairs"] == 48
    assert card["probes"]["n"] == 24
    assert card["probes"]["order"] < 1e-5
    lines = (tmp_path / "run" / "held_out.jsonl").read_text().splitlines()
    assert len(lines) == 48
    assert json.loads(lines[0]).keys() == {"prompt", "chosen", "rejected", "difference", "label"}
