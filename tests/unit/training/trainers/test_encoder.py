"""An encoder under a reward model: trained, resumed and loaded elsewhere as a decoder is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from tests.unit.training.trainers.conftest import RunOf
from tests.unit.training.trainers.runs import (
    CPU,
    StopAt,
    evaluate,
    metrics_of,
    saved,
    train,
    train_until,
)
from training.data.records import groups_of
from training.models.reward import load_offset, load_reward_model
from training.rollout.scoring import Limits, Scorer
from training.spec.errors import ModelError, SpecError
from training.spec.preferences import RewardModelSpec

SMALL = {
    "vocab_size": 259,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "pad_token_id": 0,
}
SMALL_DISTILBERT = {
    "vocab_size": 259,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 64,
    "pad_token_id": 0,
}
BESIDE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
MARKS = {"bos_token_id": 1, "eos_token_id": 1, "cls_token_id": 1, "sep_token_id": 1}
WITHOUT_A_POOLER: dict[str, tuple[type[PreTrainedModel], PretrainedConfig]] = {
    "bert": (BertForMaskedLM, BertConfig(**SMALL)),
    "deberta-v2": (DebertaV2Model, DebertaV2Config(**SMALL, **BESIDE)),
    "distilbert": (DistilBertModel, DistilBertConfig(**SMALL_DISTILBERT)),
    "modernbert": (ModernBertModel, ModernBertConfig(**SMALL, **MARKS)),
}
FRESH = ("pooler", "pre_classifier", "head.")


@pytest.fixture(scope="module")
def spec(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> RewardModelSpec:
    folder = tmp_path_factory.mktemp("encoder")
    return RewardModelSpec(
        model=str(saved(BertModel, BertConfig(**SMALL), folder)),
        data=str(snapshot),
        learning_rate=3e-3,
        epochs=6.0,
        checkpoint_every=4,
        trainable_layers=1,
    )


def test_it_learns_to_order_pairs_and_says_why_rows_are_padded(
    spec: RewardModelSpec, run_of: RunOf
) -> None:
    run = run_of(spec)
    assert evaluate(run, spec)["accuracy"]["value"] > 0.9
    events = [json.loads(one) for one in (run / "events.jsonl").read_text().splitlines()]
    logs = [one["data"]["message"] for one in events if one["kind"] == "log"]
    assert "bert family is not a plain causal decoder. It runs as padded rows" in logs[0]


def test_only_the_top_layer_pooler_and_head_are_trained(
    spec: RewardModelSpec, run_of: RunOf
) -> None:
    before = load_file(f"{spec.model}/model.safetensors")
    after = load_file(run_of(spec) / "artifact" / "model.safetensors")
    same = {name for name, one in before.items() if torch.equal(one, after[f"bert.{name}"])}
    assert {name for name in before if "layer.0" in name or "embeddings." in name} <= same
    assert not {name for name in same if "layer.1" in name or name.startswith("pooler")}


def test_transformers_gives_its_scores_in_a_padded_batch(
    spec: RewardModelSpec, run_of: RunOf
) -> None:
    artifact = run_of(spec) / "artifact"
    assert_transformers_gives_its_scores(artifact, spec)
    assert load_offset(artifact) != 0


def assert_transformers_gives_its_scores(artifact: Path, spec: RewardModelSpec) -> None:
    reward = load_reward_model(str(artifact), precision="float32", device=CPU)
    scorer = Scorer(reward=reward, limits=Limits(512, 512), budget=4096, offset=0.0)
    groups = groups_of(spec.data, "test")[:4]
    texts = [[one.text for one in group.candidates] for group in groups]
    found = torch.tensor(scorer.score([group.prompt for group in groups], texts)).flatten()
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    chats = [
        [{"role": one.role, "content": one.content} for one in group.prompt] for group in groups
    ]
    rows = [
        tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        + text + tokenizer.eos_token
        for chat, each in zip(chats, texts, strict=True) for text in each
    ]  # fmt: skip
    batch = tokenizer(rows, padding=True, add_special_tokens=False, return_tensors="pt")
    plain = AutoModelForSequenceClassification.from_pretrained(artifact)
    scores = plain(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    torch.testing.assert_close(scores.detach(), found, atol=1e-5, rtol=0)


def test_in_bfloat16_its_head_is_the_one_that_was_stored(
    spec: RewardModelSpec, run_of: RunOf
) -> None:
    """Rounded to bfloat16 it would be another, and two scores in three would be equal."""
    artifact = run_of(spec) / "artifact"
    stored = load_file(artifact / "model.safetensors")
    reward = load_reward_model(str(artifact), precision="bfloat16", device=CPU)
    head = reward.model.classifier
    assert reward.model.dtype == torch.bfloat16
    assert not torch.equal(stored["classifier.weight"].bfloat16().float(), head.weight)
    assert torch.equal(head.weight, stored["classifier.weight"])
    assert torch.equal(head.bias, stored["classifier.bias"])
    scorer = Scorer(reward=reward, limits=Limits(512, 512), budget=4096)
    exact = replace(
        scorer, reward=load_reward_model(str(artifact), precision="float32", device=CPU)
    )
    (group,) = groups_of(spec.data, "test")[:1]
    texts = [[one.text for one in group.candidates]]
    found, told = scorer.score([group.prompt], texts)[0], exact.score([group.prompt], texts)[0]
    assert found == pytest.approx(told, abs=0.1)


def test_it_trains_in_bfloat16(spec: RewardModelSpec, tmp_path: Path) -> None:
    spec = replace(spec, precision="bfloat16", max_steps=2, gradient_checkpointing=True)
    train(tmp_path, spec)
    assert evaluate(tmp_path, spec)["accuracy"]["n"]


def test_a_resumed_run_equals_one_that_never_stopped(
    spec: RewardModelSpec, run_of: RunOf, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        train_until(
            StopAt(patch, "training.runtime.optimize:Optimizer.step", time=6), tmp_path, spec
        )
    torch.rand(7)
    train(tmp_path, spec)
    whole, parts = (
        load_file(run / "artifact" / "model.safetensors") for run in (run_of(spec), tmp_path)
    )
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
    assert metrics_of(tmp_path) == metrics_of(run_of(spec))


@pytest.mark.parametrize("family", WITHOUT_A_POOLER)
def test_what_lies_between_an_encoder_and_its_scores_may_be_missing(
    spec: RewardModelSpec, tmp_path: Path, family: str
) -> None:
    folder = saved(*WITHOUT_A_POOLER[family], tmp_path / "encoder")
    before = load_file(folder / "model.safetensors")
    assert not [name for name in before if name.startswith(FRESH) or "pooler" in name]
    run = tmp_path / "run"
    short = replace(spec, model=str(folder), max_steps=2, trainable_layers=1)
    train(run, short)
    assert evaluate(run, short)["accuracy"]["n"]
    after = load_file(run / "artifact" / "model.safetensors")
    assert [name for name in after if name.startswith(FRESH) or "pooler" in name]
    assert_transformers_gives_its_scores(run / "artifact", spec)


def test_an_encoder_that_lacks_a_layer_is_refused(spec: RewardModelSpec, tmp_path: Path) -> None:
    folder = saved(*WITHOUT_A_POOLER["deberta-v2"], tmp_path / "encoder")
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights.*layer\.1\.output"):
        train(tmp_path / "run", replace(spec, model=str(folder)))


def test_an_adapter_that_would_leave_a_pooler_random_is_refused(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    folder = saved(*WITHOUT_A_POOLER["deberta-v2"], tmp_path / "encoder")
    with pytest.raises(SpecError, match=r"pooler\.dense\.bias.*Set lora_rank to 0"):
        train(tmp_path / "run", replace(spec, model=str(folder), lora_rank=2))


def test_an_encoder_is_no_reward_model(spec: RewardModelSpec, tmp_path: Path) -> None:
    folder = saved(*WITHOUT_A_POOLER["deberta-v2"], tmp_path / "encoder")
    with pytest.raises(ModelError, match="has no head that scores"):
        load_reward_model(str(folder), precision="float32", device=CPU)


def test_a_family_whose_head_is_no_single_layer_is_refused(
    spec: RewardModelSpec, tmp_path: Path
) -> None:
    folder = saved(RobertaModel, RobertaConfig(**SMALL), tmp_path / "encoder")
    with pytest.raises(ModelError, match="no single linear score head"):
        train(tmp_path / "run", replace(spec, model=str(folder)))
