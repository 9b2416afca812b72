"""TRL as an oracle: its loss on padded rows equals ours on prefix trees, on the same token ids."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from tests.unit.training.conftest import judged_group
from tests.unit.training.trainers.runs import CPU
from training.data.chat import Limits
from training.data.demonstrations import demonstration_groups
from training.data.forward import response_logprobs
from training.data.logratios import lengths_of
from training.data.packing import TokenGroup, pack_groups
from training.data.preferences import PairGroup, PairReader
from training.data.tokens import Tally
from training.functional.direct import kahneman_tversky_losses, mismatched_kl
from training.functional.grouped import against_the_others, grouped_policy_loss
from training.functional.policy import clipped_policy_loss
from training.functional.preference import bradley_terry_loss
from training.models.load import load_policy
from training.models.reward import new_reward_model, save_reward_model, score_tree
from training.rollout.actor_critic import TokenOutputs
from training.rollout.buffer import Part
from training.spec.preferences import DpoSpec
from training.spec.rollouts import GrpoSpec
from training.trainers.dpo import row_loss
from training.trainers.grpo import compared

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

GROUPS = [judged_group(number) for number in range(6)]
LIMITS = Limits(64, 64)
SINGLE = [((5, 6, 7), (9, 10, 1)), ((8, 5), (11, 12, 13, 1)), ((6, 6, 6, 7), (14, 1))]
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


def test_the_loss_of_single_responses_equals_trls(tiny_folder: Path, tmp_path: Path) -> None:
    """KTO on three responses, of which the second is bad; each is also read after the next one's prompt."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import KTOConfig, KTOTrainer

    policy = load_policy(str(tiny_folder), precision="float32", device=CPU)
    is_good = [True, False, True]
    own = [TokenGroup(prompt_id="", prompt=one, responses=(two,)) for one, two in SINGLE]
    foreign = [
        TokenGroup(prompt_id="", prompt=one, responses=(SINGLE[at - 1][1],))
        for at, (one, _) in enumerate(SINGLE)
    ]
    with torch.no_grad():
        before = [_response_sums(policy, groups) for groups in (own, foreign)]
        _move(policy.model, by=-0.05)
    rows = [
        {
            "prompt_ids": list(prompt),
            "completion_ids": list(response),
            "KL_completion_ids": list(SINGLE[at - 1][1]),
            "label": is_good[at],
        }
        for at, (prompt, response) in enumerate(SINGLE)
    ]
    models = [AutoModelForCausalLM.from_pretrained(tiny_folder) for _ in range(2)]
    _move(models[0], by=-0.05)
    trainer = KTOTrainer(
        model=models[0],
        ref_model=models[1],
        args=KTOConfig(str(tmp_path), beta=0.5, undesirable_weight=1.5, **QUIET),
        train_dataset=Dataset.from_list([{"prompt": "a", "completion": "b", "label": True}] * 4),
        processing_class=policy.tokenizer,
    )
    expected = trainer.compute_loss(trainer.model, trainer.data_collator(rows))

    own_N, foreign_N = (
        _response_sums(policy, groups) - one
        for groups, one in zip((own, foreign), before, strict=True)
    )
    point = mismatched_kl(foreign_N.detach())
    is_good_N = torch.tensor(is_good)
    losses_N = kahneman_tversky_losses(own_N, is_good_N, reference_point=point, beta=0.5)
    found = (losses_N * torch.where(is_good_N, 1.0, 1.5)).mean()
    assert point > 0
    assert abs(found.item() - expected.item()) < 1e-5


@pytest.mark.parametrize("variant", ["grpo", "dr_grpo"])
def test_the_loss_of_compared_responses_equals_trls(
    tiny_folder: Path, tmp_path: Path, variant: str
) -> None:
    """One weight was moved since the responses were sampled: far enough to be clipped.

    TRL's default, KL times the ratio, is not the papers' and switched off.
    """
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    policy = load_policy(str(tiny_folder), precision="float32", device=CPU)
    prompt, responses = (5, 6, 7), ((9, 10, 1), (11, 12, 13, 14, 1), (15, 1))
    advantages_N = torch.tensor([1.2, -0.7, -0.5])
    pack = pack_groups([TokenGroup(prompt_id="", prompt=prompt, responses=responses)])
    with torch.no_grad():
        old = response_logprobs(policy, pack)
        _move(policy.model)
    told = TokenOutputs(*old, torch.zeros_like(old.logprob_R))
    part = Part(pack, None, told, old.logprob_R, old.logprob_R)
    spec = GrpoSpec(
        model="m", data="d", reward_model="r", variant=variant, max_response_tokens=8,
        clip_range=0.05, clip_range_high=0.1, kl_coefficient=0.3,
    )  # fmt: skip
    [[lesson]] = compared([[part]], advantages_N, spec)
    found = grouped_policy_loss(
        response_logprobs(policy, pack).logprob_R,
        old.logprob_R,
        old.logprob_R,
        lesson.advantage_R,
        weight_R=lesson.weight_R,
        clip=(spec.clip_range, spec.clip_range_high),
        beta=spec.kl_coefficient,
        count=len(pack.targets_R),
    )
    assert found.clip_fraction > 0

    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    _move(model)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            str(tmp_path), loss_type=variant, beta=0.3, epsilon=0.05, epsilon_high=0.1,
            max_completion_length=8, num_generations=2, use_bias_correction_kl=False, **QUIET,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 4),
        processing_class=policy.tokenizer,
    )  # fmt: skip
    completions = [torch.tensor(one) for one in responses]
    mask_NT = pad_sequence([torch.ones_like(one) for one in completions], batch_first=True)
    by_row = pad_sequence(old.logprob_R.split([len(one) for one in responses]), batch_first=True)
    rows = {
        "prompt_ids": torch.tensor([prompt] * 3),
        "prompt_mask": torch.ones(3, 3, dtype=torch.long),
        "completion_ids": pad_sequence(completions, batch_first=True),
        "completion_mask": mask_NT,
        "advantages": advantages_N,
        "old_per_token_logps": by_row,
        "ref_per_token_logps": by_row,
        "num_items_in_batch": mask_NT.sum(),
    }
    expected = trainer._compute_loss(trainer.model.eval(), rows)
    assert abs(found.loss.item() - expected.item()) < 1e-5


def test_the_gradient_of_responses_beside_the_others_equals_trls(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """At the first step, where the ratio is 1: TRL's RLOO clips the ratio of a response, PPO's here that of a token.

    A mean over responses, as TRL takes it, is the sum over tokens by their number.
    """
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import RLOOConfig, RLOOTrainer

    policy = load_policy(str(tiny_folder), precision="float32", device=CPU)
    prompt, responses = (5, 6, 7), ((9, 10, 1), (11, 12, 13, 14, 1), (15, 1))
    advantages_N = against_the_others(torch.tensor([1.2, -0.7, 0.4]))
    pack = pack_groups([TokenGroup(prompt_id="", prompt=prompt, responses=responses)])
    weight = policy.model.get_parameter("model.layers.0.mlp.down_proj.weight")
    logprob_R = response_logprobs(policy, pack).logprob_R
    found = clipped_policy_loss(
        logprob_R, logprob_R.detach(), advantages_N[pack.branch_R], clip_range=0.2, count=3
    )

    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    trainer = RLOOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=RLOOConfig(str(tmp_path), max_completion_length=8, num_generations=2, **QUIET),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 4),
        processing_class=policy.tokenizer,
    )
    completions = [torch.tensor(one) for one in responses]
    sums_N = torch.zeros(3).index_add(0, pack.branch_R, logprob_R.detach())
    rows = {
        "prompt_ids": torch.tensor([prompt] * 3),
        "prompt_mask": torch.ones(3, 3, dtype=torch.long),
        "completion_ids": pad_sequence(completions, batch_first=True),
        "completion_mask": pad_sequence([torch.ones_like(one) for one in completions], batch_first=True),
        "advantages": advantages_N,
        "old_logps": sums_N,
    }  # fmt: skip
    expected = trainer._compute_loss(trainer.model.eval(), rows)
    theirs = trainer.model.get_parameter("model.layers.0.mlp.down_proj.weight")
    torch.testing.assert_close(
        torch.autograd.grad(found.loss, weight),
        torch.autograd.grad(expected, theirs),
        atol=1e-5,
        rtol=1e-4,
    )


def _move(model: Any, *, by: float = 0.05) -> None:
    weight = model.get_parameter("model.layers.0.mlp.down_proj.weight")
    generator = torch.Generator().manual_seed(1)
    weight.data += by * torch.randn(weight.shape, generator=generator)


def _response_sums(policy: Any, tokens: list[TokenGroup]) -> torch.Tensor:
    pack = pack_groups(tokens)
    logprob_R = response_logprobs(policy, pack).logprob_R
    return logprob_R.new_zeros(len(pack.last_N)).index_add(0, pack.branch_R, logprob_R)
