"""TRL as an oracle: its loss on padded rows equals ours on prefix trees, on the same token ids."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import CPU, judged_group
from training.data.chat import Limits
from training.data.demonstrations import demonstration_groups
from training.data.forward import response_logprobs
from training.data.logratios import lengths_of
from training.data.packing import TokenGroup, pack_groups
from training.data.preferences import PairGroup, PairReader
from training.data.tokens import Tally
from training.functional.preference import bradley_terry_loss
from training.models.load import load_policy
from training.models.reward import new_reward_model, save_reward_model, score_tree
from training.spec.preferences import DpoSpec
from training.trainers.dpo import row_loss

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

GROUPS = [judged_group(number) for number in range(6)]
LIMITS = Limits(64, 64)
QUIET = {
    "per_device_train_batch_size": 4,
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "gradient_checkpointing": False,
}


def row(group: TokenGroup, at: int) -> list[int]:
    return [*group.prompt, *group.responses[at]]


def our_pair_loss(reward: Any, groups: list[PairGroup], **terms: Any) -> torch.Tensor:
    pack = pack_groups([group.tokens for group in groups])
    scores = score_tree(reward, pack.tree, pack.last_N)
    pairs = [
        (3 * at + pair.chosen, 3 * at + pair.rejected)
        for at, group in enumerate(groups)
        for pair in group.pairs
    ]
    chosen, rejected = zip(*pairs, strict=True)
    weight_B = torch.full((len(pairs),), 1 / len(pairs))
    return bradley_terry_loss(
        scores[list(chosen)], scores[list(rejected)], weight_B=weight_B, **terms
    ).loss


@pytest.mark.parametrize("has_margin", [False, True])
def test_the_reward_models_loss_and_gradient_equal_trls(
    tiny_folder: Path, tmp_path: Path, has_margin: bool
) -> None:
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    reward = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=1)
    save_reward_model(reward, tmp_path / "model")
    groups = PairReader(tokenizer=reward.tokenizer, limits=LIMITS).read(GROUPS, Tally())
    rows = [
        {
            "chosen_ids": row(group.tokens, pair.chosen),
            "rejected_ids": row(group.tokens, pair.rejected),
            **({"margin": 0.25 * pair.chosen} if has_margin else {}),
        }
        for group in groups
        for pair in group.pairs
    ]
    trainer = RewardTrainer(
        model=AutoModelForSequenceClassification.from_pretrained(tmp_path / "model"),
        args=RewardConfig(str(tmp_path), center_rewards_coefficient=0.01, **QUIET),
        train_dataset=Dataset.from_list(rows),
        processing_class=reward.tokenizer,
    )
    theirs = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    margin = torch.tensor([one["margin"] for one in rows]) if has_margin else None
    ours = our_pair_loss(reward, groups, centering=0.01, margin_B=margin)
    assert abs(ours.item() - theirs.item()) < 1e-5
    name = "model.layers.0.self_attn.q_proj.weight"
    (our_gradient,) = torch.autograd.grad(ours, reward.model.get_parameter(name))
    (their_gradient,) = torch.autograd.grad(theirs, trainer.model.get_parameter(name))
    torch.testing.assert_close(our_gradient, their_gradient, atol=1e-5, rtol=0)


def test_the_fine_tuning_loss_equals_trls(tiny_folder: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    policy = load_policy(str(tiny_folder), precision="float32", device=CPU)
    groups = demonstration_groups(
        policy.tokenizer, GROUPS, limits=LIMITS, includes_chosen=True, tally=Tally()
    )
    rows = [
        {
            "input_ids": row(group, at),
            "completion_mask": [0] * len(group.prompt) + [1] * len(response),
        }
        for group in groups
        for at, response in enumerate(group.responses)
    ]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_folder),
        args=SFTConfig(str(tmp_path), completion_only_loss=True, **QUIET),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )
    theirs = trainer.compute_loss(trainer.model, trainer.data_collator(list(trainer.train_dataset)))
    ours = -response_logprobs(policy, pack_groups(groups)).logprob_R.mean()
    assert abs(ours.item() - theirs.item()) < 1e-5


@pytest.mark.parametrize("loss", ["sigmoid", "robust", "ipo", "hinge"])
def test_the_direct_losses_equal_trls(tiny_folder: Path, tmp_path: Path, loss: str) -> None:
    """A policy beside its reference: one weight matrix is moved, so that log-ratios are not 0."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer

    policy = load_policy(str(tiny_folder), precision="float32", device=CPU)
    reader = PairReader(tokenizer=policy.tokenizer, limits=LIMITS, uses_soft_labels=False)
    groups = reader.read(GROUPS, Tally())
    tokens = [group.tokens for group in groups]
    with torch.no_grad():
        before = _response_sums(policy, tokens)
        _move(policy.model)
    rows = [
        {
            "prompt_ids": list(group.tokens.prompt),
            "chosen_ids": list(group.tokens.responses[pair.chosen]),
            "rejected_ids": list(group.tokens.responses[pair.rejected]),
        }
        for group in groups
        for pair in group.pairs
    ]
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    reference = AutoModelForCausalLM.from_pretrained(tiny_folder)
    _move(model)
    noise = 0.1 if loss == "robust" else 0.0
    trainer = DPOTrainer(
        model=model,
        ref_model=reference,
        args=DPOConfig(str(tmp_path), beta=0.5, loss_type=[loss], label_smoothing=noise, **QUIET),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=policy.tokenizer,
    )
    expected = trainer.compute_loss(trainer.model, trainer.data_collator(rows))

    ratio_N = _response_sums(policy, tokens) - before
    if loss == "ipo":
        ratio_N = ratio_N / lengths_of(pack_groups(tokens))
    spec = DpoSpec(model="m", data="d", beta=0.5, loss=loss, label_noise=0.1)
    total = sum(1.0 for group in groups for _ in group.pairs) / 2
    found = row_loss(ratio_N, groups, total, spec).loss
    assert abs(found.item() - expected.item()) < 1e-5


def _move(model: Any) -> None:
    weight = model.get_parameter("model.layers.0.mlp.down_proj.weight")
    generator = torch.Generator().manual_seed(1)
    weight.data += 0.05 * torch.randn(weight.shape, generator=generator)


def _response_sums(policy: Any, tokens: list[TokenGroup]) -> torch.Tensor:
    pack = pack_groups(tokens)
    logprob_R = response_logprobs(policy, pack).logprob_R
    return logprob_R.new_zeros(len(pack.last_N)).index_add(0, pack.branch_R, logprob_R)
