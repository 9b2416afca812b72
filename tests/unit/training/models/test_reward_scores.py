import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

from tests.unit.training.trainers.runs import CPU
from training.data.packing import TokenGroup, pack_groups
from training.models.load import LoadedModel
from training.models.reward import (
    deviation,
    head_count,
    load_reward_model,
    load_temperature,
    new_reward_model,
    save_reward_model,
    save_temperature,
    score_heads,
    score_tree,
)
from training.models.tiny import tiny_tokenizer
from training.spec.errors import ModelError

END = 1
RESPONSES = ((9, 10, END), (11, 12, 13, END), (14, END))
GROUP = TokenGroup(prompt_id="a", prompt=(5, 6, 7, 8), responses=RESPONSES)
OTHER = TokenGroup(prompt_id="b", prompt=(20, 21), responses=((22, 23, END),))


@pytest.fixture(scope="module", params=[1, 3], ids=["one head", "three heads"])
def reward(request: pytest.FixtureRequest, tiny_folder: Path) -> LoadedModel:
    return new_reward_model(
        str(tiny_folder), precision="float32", device=CPU, seed=3, heads=request.param
    )


def scores(reward: LoadedModel, *groups: TokenGroup) -> torch.Tensor:
    pack = pack_groups(groups)
    with torch.no_grad():
        return score_tree(reward, pack.tree, pack.last_N)


def test_a_score_does_not_change_with_its_neighbors(reward: LoadedModel) -> None:
    together = scores(reward, OTHER, GROUP, OTHER)[1:4]
    torch.testing.assert_close(together, scores(reward, GROUP), atol=1e-5, rtol=0)


def test_a_score_does_not_change_with_a_shared_beginning(reward: LoadedModel) -> None:
    groups = [replace(one, prompt=(*range(30, 50), *one.prompt)) for one in (OTHER, GROUP)]
    apart = torch.cat([scores(reward, one) for one in groups])
    torch.testing.assert_close(scores(reward, *groups), apart, atol=1e-5, rtol=0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_score_does_not_change_with_the_order(
    reward: LoadedModel, order: tuple[int, ...]
) -> None:
    shuffled = TokenGroup(
        prompt_id="a", prompt=GROUP.prompt, responses=tuple(RESPONSES[at] for at in order)
    )
    torch.testing.assert_close(
        scores(reward, shuffled), scores(reward, GROUP)[list(order)], atol=1e-5, rtol=0
    )


def test_a_score_alone_is_the_score_in_a_group(reward: LoadedModel) -> None:
    alone = [TokenGroup(prompt_id="a", prompt=GROUP.prompt, responses=(one,)) for one in RESPONSES]
    torch.testing.assert_close(scores(reward, *alone), scores(reward, GROUP), atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_transformers_gives_the_same_scores_whatever_the_padding(
    reward: LoadedModel, tmp_path: Path, side: str
) -> None:
    save_reward_model(reward, tmp_path)
    elsewhere = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    rows = [[*GROUP.prompt, *one] for one in RESPONSES]
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
    found = elsewhere(**batch).logits.squeeze(-1)
    assert elsewhere.config.num_labels == 1
    torch.testing.assert_close(found, scores(reward, GROUP), atol=1e-5, rtol=0)


def test_saved_scores_come_back_exactly(reward: LoadedModel, tmp_path: Path) -> None:
    save_reward_model(reward, tmp_path)
    again = load_reward_model(str(tmp_path), precision="auto", device=CPU)
    assert torch.equal(scores(again, GROUP), scores(reward, GROUP))


def test_every_head_comes_back_exactly(reward: LoadedModel, tmp_path: Path) -> None:
    save_reward_model(reward, tmp_path)
    again = load_reward_model(str(tmp_path), precision="auto", device=CPU)
    pack = pack_groups([GROUP])
    found = score_heads(again, pack.tree, pack.last_N)
    assert found.shape == (3, head_count(reward))
    assert torch.equal(found, score_heads(reward, pack.tree, pack.last_N))


def test_heads_start_apart(tiny_folder: Path) -> None:
    several = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3, heads=4)
    pack = pack_groups([GROUP])
    assert deviation(score_heads(several, pack.tree, pack.last_N)).min() > 0.01


def test_heads_disagree_by_their_standard_deviation() -> None:
    """1, 2, 3: sqrt((1 + 0 + 1) / 2) = 1; one head has nobody to disagree with."""
    assert deviation(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [1.0]
    assert deviation(torch.tensor([[5.0]])).tolist() == [0.0]


def test_the_head_keeps_float32_above_a_bfloat16_backbone(
    tiny_folder: Path, tmp_path: Path
) -> None:
    reward = new_reward_model(str(tiny_folder), precision="bfloat16", device=CPU, seed=3)
    save_reward_model(reward, tmp_path)
    again = load_reward_model(str(tmp_path), precision="bfloat16", device=CPU)
    assert again.model.score.weight.dtype == torch.float32
    assert torch.equal(scores(again, GROUP), scores(reward, GROUP))


def test_padding_equal_to_the_end_token_is_repaired(tiny_folder: Path, tmp_path: Path) -> None:
    """Else transformers would read the score one token early."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"pad_token": tokenizer.eos_token, "unk_token": "<|pad|>"})
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": END}))
    reward = new_reward_model(str(folder), precision="float32", device=CPU, seed=3)
    assert reward.tokenizer.pad_token == "<|pad|>"  # noqa: S105 - no password
    assert reward.model.config.pad_token_id == 0


def test_a_policy_is_no_reward_model(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="score"):
        load_reward_model(str(tiny_folder), precision="auto", device=CPU)


@pytest.mark.parametrize("heads", [1, 3])
def test_an_encoder_scores_prompt_and_response_as_one_row(tmp_path: Path, heads: int) -> None:
    config = BertConfig(
        vocab_size=259,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=0,
        num_labels=1,
    )
    BertModel(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    reward = new_reward_model(str(tmp_path), precision="float32", device=CPU, seed=3, heads=heads)
    save_reward_model(reward, tmp_path / "saved")
    elsewhere = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    rows = [torch.tensor([[*GROUP.prompt, *one]]) for one in RESPONSES]
    expected = torch.cat([elsewhere(row).logits.squeeze(-1) for row in rows])
    torch.testing.assert_close(scores(reward, GROUP), expected, atol=1e-5, rtol=0)


def test_the_temperature_lies_beside_the_weights(tmp_path: Path) -> None:
    assert load_temperature(tmp_path) == 1.0
    save_temperature(tmp_path, 1.7)
    assert load_temperature(tmp_path) == 1.7
