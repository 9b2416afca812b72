"""Models with positions for fewer tokens than the limits allow: what is longer is cut, and counted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaConfig,
    RobertaForCausalLM,
)

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.trainers.runs import CPU, evaluate, saved, train
from training.data.chat import Encoded, fitted
from training.models.load import load_policy
from training.models.reward import load_reward_model
from training.rollout.scoring import scorer_of
from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.records import Turn
from training.spec.runs import spec_from_dict

POSITIONS = 48


@pytest.fixture(scope="module")
def long_prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of about a hundred tokens, a byte each."""
    folder = tmp_path_factory.mktemp("long")
    prompt = (Turn(role="user", content="Tell me " + "more " * 20),)
    write_groups(folder, [replace(judged_group(number), prompt=prompt) for number in range(32)])
    return folder


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = GPT2Config(vocab_size=259, n_positions=POSITIONS, n_embd=16, n_layer=1, n_head=2)
    return saved(GPT2LMHeadModel, config, tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = BertConfig(
        vocab_size=259,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=POSITIONS,
        pad_token_id=0,
    )
    return saved(BertModel, config, tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder whose positions begin after that of the padding token, 0: it has one more than it takes tokens."""
    config = RobertaConfig(
        vocab_size=259,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=POSITIONS + 1,
        pad_token_id=0,
        is_decoder=True,
    )
    return saved(RobertaForCausalLM, config, tmp_path_factory.mktemp("roberta"))


def spec_of(kind: str, model: Path, data: Path, **more: object) -> RunSpec:
    steps = {"updates": 1} if kind in {"ppo", "grpo"} else {"max_steps": 1}
    return spec_from_dict(
        {
            "kind": kind,
            "model": str(model),
            "data": str(data),
            "trainable_layers": 1,
            **steps,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("kind", "family"),
    [(kind, "decoder") for kind in ("sft", "dpo", "kto", "reward_model")]
    + [("reward_model", "encoder")],
)
def test_prompts_that_do_not_fit_are_cut_and_counted(
    kind: str, family: str, long_prompts: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec = spec_of(kind, request.getfixturevalue(family), long_prompts)
    records = train(tmp_path / "run", spec)["records"]
    assert records["prompts_cut"] == 16
    assert "responses_cut" not in records
    assert evaluate(tmp_path / "run", spec)


def test_a_family_that_counts_positions_from_its_padding_takes_as_many_tokens_as_is_said(
    roberta: Path,
) -> None:
    loaded = load_policy(str(roberta), precision="float32", device=CPU)
    assert loaded.positions == POSITIONS
    tokens = torch.full((1, POSITIONS), 7)
    assert loaded.model(tokens).logits.shape[1] == POSITIONS
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        loaded.model(torch.full((1, POSITIONS + 1), 7))


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_a_policy_leaves_room_for_its_response(
    kind: str, decoder: Path, long_prompts: Path, tmp_path: Path
) -> None:
    teacher = spec_of("reward_model", decoder, long_prompts)
    train(tmp_path / "reward", teacher)
    reward = tmp_path / "reward" / "artifact"
    spec = spec_of(
        *(kind, decoder, long_prompts),
        reward_model=str(reward),
        max_response_tokens=16,
        eval_prompts=4,
    )
    told = train(tmp_path / "run", spec)
    assert told["records"] == {"prompts_cut": 16, "prompts_used": 16}
    assert evaluate(tmp_path / "run", spec)["kl"] is not None
    logs = [json.loads(one) for one in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    read = [one["data"] for one in logs if "held-out prompts" in str(one["data"].get("message"))]
    assert read[0]["prompts_cut"] == 4
    with pytest.raises(SpecError, match="reads 48 tokens of prompt and response together"):
        train(tmp_path / "none", replace(spec, max_response_tokens=POSITIONS))


def test_the_prompt_is_cut_first_and_keeps_a_quarter() -> None:
    """Of 12 and 5 tokens 16 fit: one token goes; with a response of 20 the prompt keeps 4, the response 12."""
    prompt, short = Encoded(tuple(range(12)), 0), Encoded(tuple(range(5)), 0)
    assert fitted(prompt, [short], 17) == (prompt, [short])
    assert fitted(prompt, [short], 0) == (prompt, [short])
    cut, answers = fitted(prompt, [short], 16)
    assert (cut, answers) == (Encoded(tuple(range(1, 12)), 1), [short])
    cut, answers = fitted(prompt, [Encoded(tuple(range(20)), 3), short], 16)
    assert cut == Encoded((8, 9, 10, 11), 8)
    assert answers == [Encoded(tuple(range(12)), 11), short]


def test_a_score_does_not_depend_on_a_longer_response_beside_it(
    encoder: Path, long_prompts: Path, tmp_path: Path
) -> None:
    train(tmp_path / "reward", spec_of("reward_model", encoder, long_prompts))
    place = str(tmp_path / "reward" / "artifact")
    scorer = scorer_of(
        place, load_reward_model(place, precision="float32", device=CPU), budget=4096
    )
    prompt = (Turn(role="user", content="Tell me " + "more " * 20),)
    short, long = "Yes.", "It is long. " * 3
    [[alone]] = scorer.judge([prompt], [[short]])
    [[beside, other]] = scorer.judge([prompt], [[short, long]])
    [[last]] = scorer.judge([prompt], [[long]])
    assert (beside.mean, other.mean) == pytest.approx((alone.mean, last.mean), abs=1e-6)
    assert beside.is_truncated
