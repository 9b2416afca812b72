"""A model whose padding token is its end token trains and scores as one that has a token of its own for it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from tests.unit.training.trainers.runs import CPU, metrics_of, train
from training.data.chat import PLAIN_TEMPLATE
from training.models.reward import load_reward_model, new_reward_model, save_reward_model
from training.models.tiny import END, PAD, tiny_tokenizer
from training.rollout.scoring import Limits, Scorer
from training.spec.base import RunSpec
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.records import Turn
from training.spec.rollouts import GrpoSpec, PpoSpec

ROLLOUTS = {"updates": 2, "rollouts_per_update": 8, "max_response_tokens": 8, "target_kl": 0.0}
KINDS: dict[str, tuple[type[RunSpec], dict[str, object]]] = {
    "sft": (SftSpec, {}),
    "reward_model": (RewardModelSpec, {}),
    "dpo": (DpoSpec, {}),
    "kto": (KtoSpec, {}),
    "ppo": (PpoSpec, ROLLOUTS),
    "grpo": (GrpoSpec, ROLLOUTS),
}


@pytest.fixture(scope="module")
def twin(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model once more; it pads with its end token, as SmolLM2 does."""
    folder = tmp_path_factory.mktemp("twin") / "model"
    shutil.copytree(tiny_folder, folder)
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"pad_token": END, "unk_token": PAD})
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    changed = json.dumps(config | {"pad_token_id": config["eos_token_id"]})
    (folder / "config.json").write_text(changed)
    return folder


@pytest.fixture(scope="module")
def judge(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    reward = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3)
    save_reward_model(reward, folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_to_the_same_numbers(
    twin: Path, tiny_folder: Path, snapshot: Path, judge: Path, tmp_path: Path, kind: str
) -> None:
    cls, settings = KINDS[kind]
    judged = {"reward_model": str(judge)} if "updates" in settings else {"max_steps": 3}
    spec = cls(
        model=str(tiny_folder),
        data=str(snapshot),
        learning_rate=1e-2,
        groups_per_step=4,
        **judged,
        **settings,
    )
    train(tmp_path / "apart", spec)
    train(tmp_path / "twin", replace(spec, model=str(twin)))
    assert metrics_of(tmp_path / "twin") == metrics_of(tmp_path / "apart")
    told = [one for one in logs_of(tmp_path / "twin") if "its end token for padding" in one]
    assert len(told) == (
        kind == "reward_model"
    )  # the others are read by their masks: nothing is repaired
    assert not any("padding got" in one for one in logs_of(tmp_path / "apart"))


def logs_of(folder: Path) -> list[str]:
    events = [json.loads(one) for one in (folder / "events.jsonl").read_text().splitlines()]
    return [one["data"]["message"] for one in events if one["kind"] == "log"]


@pytest.mark.parametrize(
    ("padding", "has"), [(END, "its end token for padding"), (None, "no padding token")]
)
def test_a_run_tells_that_its_reward_model_got_a_padding_token(
    tiny_folder: Path, snapshot: Path, judge: Path, tmp_path: Path, padding: str | None, has: str
) -> None:
    shutil.copytree(judge, tmp_path / "judge")
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"unk_token": PAD})
    tokenizer.pad_token = padding
    tokenizer.save_pretrained(tmp_path / "judge")
    spec = PpoSpec(
        model=str(tiny_folder),
        data=str(snapshot),
        groups_per_step=4,
        reward_model=str(tmp_path / "judge"),
        **{**ROLLOUTS, "updates": 1},
    )
    train(tmp_path / "run", spec)
    (told,) = [one for one in logs_of(tmp_path / "run") if "padding got" in one]
    assert told.startswith(f"{spec.reward_model}: The tokenizer has {has}")
    assert f"{PAD!r} of its own" in told


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As GPT-2: its end token is its only special one, the unknown one too, and it has none to pad with."""
    folder = tmp_path_factory.mktemp("lone")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(BPE(vocab={token: at for at, token in enumerate([END, *alphabet])}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, bos_token=END, unk_token=END
    ).save_pretrained(folder)
    sizes = {"vocab_size": len(alphabet) + 1, "n_embd": 16, "n_layer": 1, "n_head": 2}
    config = GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model", ["twin", "lone"])
def test_its_scores_are_those_of_transformers_in_a_padded_batch(
    request: pytest.FixtureRequest, snapshot: Path, tmp_path: Path, model: str
) -> None:
    """The longest row has no padding, the others end in some: each is read at its own end token."""
    source = str(request.getfixturevalue(model))
    train(tmp_path, RewardModelSpec(model=source, data=str(snapshot), max_steps=2))
    artifact = tmp_path / "artifact"
    texts = ["a", "a longer response", "more"]
    reward = load_reward_model(str(artifact), precision="float32", device=CPU)
    scorer = Scorer(reward=reward, limits=Limits(64, 64), budget=4096, offset=0.0)
    found = scorer.score([(Turn(role="user", content="Say"),)], [texts])[0]
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    assert tokenizer.pad_token != tokenizer.eos_token
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Say"}],
        chat_template=tokenizer.chat_template or PLAIN_TEMPLATE,
        tokenize=False,
        add_generation_prompt=True,
    )
    batch = tokenizer([prompt + text + END for text in texts], padding=True, return_tensors="pt")
    plain = AutoModelForSequenceClassification.from_pretrained(artifact)
    scores = plain(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    torch.testing.assert_close(scores.detach(), torch.tensor(found), atol=1e-5, rtol=0)
