"""What a run leaves behind, as others read it: adapters by peft, the zero of scores, why rows were padded."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
)

from tests.unit.training.models.test_families import SMALL
from tests.unit.training.trainers.runs import CPU, train
from training.data.records import groups_of
from training.models.reward import load_offset, load_reward_model
from training.models.tiny import tiny_tokenizer
from training.rollout.scoring import Limits, Scorer
from training.spec.base import RunSpec
from training.spec.preferences import DpoSpec, RewardModelSpec, SftSpec

# peft asks transformers by a name that is going away.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

IDS = torch.tensor([[5, 6, 7, 8, 9, 1]])


@pytest.fixture
def common(tiny_folder: Path, snapshot: Path) -> dict[str, Any]:
    return {
        "model": str(tiny_folder),
        "data": str(snapshot),
        "learning_rate": 1e-2,
        "max_steps": 2,
        "groups_per_step": 4,
    }


@pytest.mark.parametrize("kind", [SftSpec, DpoSpec])
def test_peft_puts_a_policys_adapter_onto_its_base(
    kind: type[RunSpec], common: dict[str, Any], tmp_path: Path
) -> None:
    train(tmp_path / "run", kind(**common, lora_rank=2))
    artifact = tmp_path / "run" / "artifact"
    base = AutoModelForCausalLM.from_pretrained(common["model"])
    before = base(IDS).logits
    adapted = PeftModel.from_pretrained(base, artifact / "adapter").eval()(IDS).logits
    merged = AutoModelForCausalLM.from_pretrained(artifact)(IDS).logits
    torch.testing.assert_close(adapted, merged, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(adapted, before, atol=1e-4)


@pytest.mark.parametrize("heads", [1, 3])
def test_peft_puts_a_reward_models_adapter_and_head_onto_its_base(
    common: dict[str, Any], tmp_path: Path, heads: int
) -> None:
    train(tmp_path / "run", RewardModelSpec(**common, lora_rank=2, heads=heads))
    artifact = tmp_path / "run" / "artifact"
    base = AutoModelForSequenceClassification.from_pretrained(common["model"], num_labels=1)
    adapted = PeftModel.from_pretrained(base, artifact / "adapter").eval()(IDS).logits
    merged = AutoModelForSequenceClassification.from_pretrained(artifact)(IDS).logits
    torch.testing.assert_close(adapted, merged, atol=1e-5, rtol=1e-5)


def test_an_adapter_of_the_lowest_layers_is_not_left_for_a_base_of_more(
    common: dict[str, Any], tmp_path: Path
) -> None:
    """Put onto all layers it would give other scores than the artifact."""
    train(tmp_path / "run", RewardModelSpec(**common, lora_rank=2, layers=1))
    assert (tmp_path / "run" / "artifact" / "model.safetensors").is_file()
    assert not (tmp_path / "run" / "artifact" / "adapter").exists()


def test_full_weights_leave_no_adapter(common: dict[str, Any], tmp_path: Path) -> None:
    train(tmp_path / "run", SftSpec(**common))
    assert not (tmp_path / "run" / "artifact" / "adapter").exists()


@pytest.mark.parametrize("heads", [1, 3])
def test_training_responses_score_zero_on_average(
    common: dict[str, Any], tmp_path: Path, heads: int
) -> None:
    """All 24 prompts of the train split are the reference; plain scores are higher by the offset."""
    told = train(tmp_path / "run", RewardModelSpec(**common, heads=heads, centering=0.0))
    artifact = tmp_path / "run" / "artifact"
    offset = load_offset(artifact)
    reward = load_reward_model(str(artifact), precision="float32", device=CPU)
    scorer = Scorer(reward=reward, limits=Limits(512, 512), budget=4096, offset=offset)
    groups = groups_of(common["data"], "train")
    scores = scorer.score(
        [one.prompt for one in groups], [[each.text for each in one.candidates] for one in groups]
    )
    flat = [score for group in scores for score in group]
    assert sum(flat) / len(flat) == pytest.approx(0, abs=1e-5)
    assert abs(offset) > 1e-3
    assert told["offset"] == offset
    plain = replace(scorer, offset=0.0).score([groups[0].prompt], [["very good"]])[0][0]
    shifted = scorer.score([groups[0].prompt], [["very good"]])[0][0]
    assert plain - shifted == pytest.approx(offset, abs=1e-6)


def test_a_family_without_trees_says_in_its_events_why_it_is_padded(
    common: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "mistral"
    MistralForCausalLM(MistralConfig(**SMALL, sliding_window=4)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    train(tmp_path / "run", SftSpec(**common | {"model": str(folder), "max_steps": 1}))
    events = [
        json.loads(one) for one in (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    ]
    logs = [one["data"]["message"] for one in events if one["kind"] == "log"]
    assert "sliding or linear attention layers. It runs as padded rows" in logs[0]
