"""What becomes of held-out records is counted as what becomes of those that are learned from: cut, left out, why."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.trainers.runs import evaluate, train
from training.data.records import groups_of
from training.spec.base import RunSpec
from training.spec.records import CandidateText, Group
from training.spec.runs import spec_from_dict

pytestmark = pytest.mark.usefixtures("quick_asides")
LONGEST = 8  # tokens of a response, each a byte


def alike(group: Group) -> Group:
    """Its responses differ behind the cut alone."""
    texts = [
        CandidateText(id=one.id, text=f"alike at first, then {one.text}")
        for one in group.candidates
    ]
    return replace(group, candidates=tuple(texts))


@pytest.fixture(scope="module")
def half_alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 prompts to train on, 8 to validate with, whose pairs are equal after the cut, and 8 of the test split."""
    folder = tmp_path_factory.mktemp("alike")
    groups = [judged_group(number) for number in range(32)]
    write_groups(folder, [alike(one) if one.split == "validation" else one for one in groups])
    return folder


def spec_of(kind: str, model: Path, data: Path, **more: object) -> RunSpec:
    fields = {"kind": kind, "model": str(model), "data": str(data), "trainable_layers": 1}
    return spec_from_dict(fields | {"groups_per_step": 4, "max_response_tokens": LONGEST} | more)


def logs_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The first log of each message."""
    told: dict[str, dict[str, Any]] = {}
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "log":
            facts = dict(event["data"])
            told.setdefault(facts.pop("message"), facts)
    return told


@pytest.mark.parametrize("kind", ["reward_model", "dpo", "kto"])
def test_pairs_that_are_equal_after_the_cut_are_counted(
    kind: str, tiny_folder: Path, half_alike: Path, tmp_path: Path
) -> None:
    """Of 16 held-out prompts with 2 pairs each the cut leaves 8; the result is measured on one step's 4 prompts."""
    spec = spec_of(kind, tiny_folder, half_alike, max_steps=1)
    train(tmp_path, spec)
    metrics = evaluate(tmp_path, spec)
    pairs = metrics["held_out_records"]["pairs"]
    assert (pairs["pairs_used"], pairs["pairs_equal_after_cut"]) == (8, 16)
    assert pairs["pairs_used"] == metrics["accuracy"]["n"]
    assert pairs["prompts_not_measured"] == 4
    assert pairs["responses_cut"] >= 12
    assert logs_of(tmp_path)["The held-out pairs are read."] == pairs
    if kind != "reward_model":
        responses = metrics["held_out_records"]["responses"]
        assert (responses["responses_used"], responses["prompts_not_measured"]) == (8, 12)
        assert metrics["held_out_records"]["answers"] == {"prompts_used": 4}


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto", "reward_model"])
def test_what_is_looked_at_while_it_trains_is_counted_in_the_log(
    kind: str, tiny_folder: Path, half_alike: Path, tmp_path: Path
) -> None:
    spec = spec_of(kind, tiny_folder, half_alike, max_steps=2, eval_every=1)
    train(tmp_path, spec)
    logs = logs_of(tmp_path)
    message = next(one for one in logs if one.endswith("to look at are read."))
    what = "responses_cut" if kind in {"sft", "kto"} else "pairs_equal_after_cut"
    assert logs[message][what] >= 8


def test_responses_that_are_cut_are_counted_for_the_loss(
    tiny_folder: Path, half_alike: Path, tmp_path: Path
) -> None:
    """A demonstration and the best candidate of each of 16; "Word 1." and its end are 8 tokens, as of 5 of them."""
    spec = spec_of("sft", tiny_folder, half_alike, max_steps=4, max_prompt_tokens=20)
    train(tmp_path, spec)
    told = evaluate(tmp_path, spec)["held_out_records"]
    assert told["responses"] == {"prompts_cut": 16, "responses_used": 32, "responses_cut": 27}
    assert told["answers"] == {"prompts_cut": 16, "prompts_used": 16}


def test_what_people_said_under_criteria_is_counted_too(
    tiny_folder: Path, half_alike: Path, tmp_path: Path
) -> None:
    marked = [
        replace(one, criterion_pairs=(replace(one.pairs[0], criterion="helpful"),))
        for split in ("train", "validation", "test")
        for one in groups_of(str(half_alike), split) * 2
    ]
    write_groups(tmp_path / "data", marked)
    spec = spec_of("reward_model", tiny_folder, tmp_path / "data", epochs=1)
    train(tmp_path / "run", spec)
    told = evaluate(tmp_path / "run", spec)["held_out_records"]["verdicts"]
    assert (told["pairs_used"], told["pairs_equal_after_cut"]) == (16, 16)


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_responses_that_the_reward_model_reads_in_part_are_counted(
    kind: str, tiny_folder: Path, half_alike: Path, tmp_path: Path
) -> None:
    teacher = spec_of("reward_model", tiny_folder, half_alike, max_steps=1, max_response_tokens=2)
    train(tmp_path / "reward", teacher)
    spec = spec_of(
        *(kind, tiny_folder, half_alike),
        reward_model=str(tmp_path / "reward" / "artifact"),
        updates=1,
        eval_prompts=4,
        eval_every=1,
    )
    train(tmp_path / "run", spec)
    events = [
        json.loads(one) for one in (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    ]
    (metrics,) = [one["data"] for one in events if one["kind"] == "metrics"]
    assert 0.5 < metrics["scored_in_part"] <= 1
    assert logs_of(tmp_path / "run")["The held-out prompts to look at are read."] == {
        "prompts_used": 4
    }
    told = evaluate(tmp_path / "run", spec)["held_out_records"]
    assert told["answers"]["prompts_used"] == 4
    assert told["answers"]["responses_scored_in_part"] >= 2
    assert told["responses"]["responses_used"] >= 4
