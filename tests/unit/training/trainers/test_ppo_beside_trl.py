"""PPO's whole arithmetic beside TRL's (1.12, the last with PPO), written anew: a row a response, loops over tokens.

No line of TRL runs here: `written_anew` follows what its source says. Two things are granted, because
ours depart from TRL on purpose: responses have one length (in padding TRL pays the score a token after
the end), and advantages are whitened by the deviation of the batch itself (TRL divides by one token less).
"""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from tests.unit.training.trainers.runs import CPU
from training.data.packing import TokenGroup
from training.functional.moments import Moments
from training.models.load import load_policy
from training.rollout.actor_critic import ActorCritic
from training.rollout.buffer import Rollout
from training.rollout.recall import recall
from training.rollout.sampler import Sample
from training.spec.records import Group
from training.spec.rollouts import PpoSpec
from training.trainers.ppo import improve, judge, normalized

END, MOVED = 1, "model.layers.0.self_attn.q_proj.weight"
GROUPS = (
    ((5, 6, 7), ((9, 10, 11, END), (12, 13, 14, 15)), (0.7, -0.2)),
    ((8, 5), ((6, 20, 21, END), (30, 31, 32, END), (9, 9, 9, 9)), (1.5, -1.0, 0.1)),
)
SPEC = PpoSpec(
    model="m", data="d", reward_model="r", updates=1, update_epochs=1, minibatches=1, temperature=0.7,
    kl_coefficient=0.2, gamma=0.95, gae_lambda=0.9, clip_range=0.02, value_clip_range=0.01,
    value_weight=0.3, missing_eos_penalty=1.0, normalize_rewards=False, adaptive_kl_target=0.0,
    target_kl=0.0, trainable_layers=0, precision="float32",
)  # fmt: skip


class Step(NamedTuple):
    """The losses of one optimizer step, and the gradient of one matrix of the policy."""

    policy_loss: float
    value_loss: float
    gradient: Tensor


class Gradients:
    """A learner that takes no step."""

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self) -> float:
        return 0.0


def move(model: nn.Module, head: nn.Module | None, *, seed: int) -> None:
    """The policy as it is some steps later: the same ones for the same seed."""
    draw = torch.Generator().manual_seed(seed)
    weights = [model.get_parameter(MOVED), *([] if head is None else head.parameters())]
    with torch.no_grad():
        for one in weights:
            one.add_(torch.randn(one.shape, generator=draw), alpha=0.05)


def rollouts() -> list[Rollout]:
    return [
        Rollout(
            record=Group(prompt_id="", prompt=()),
            tokens=TokenGroup(prompt_id="", prompt=prompt, responses=responses),
            samples=tuple(
                Sample(text="", token_ids=one, logprobs=(0.0,) * 4, finished=one[-1] == END)
                for one in responses
            ),
            scores=scores,
            deviations=(0.0,) * len(scores),
        )
        for prompt, responses, scores in GROUPS
    ]


def ours(folder: str, spec: PpoSpec) -> tuple[Step, float, float]:
    """The step, and the shares of tokens at which the policy and the value were clipped."""
    policy = load_policy(folder, precision="float32", device=CPU)
    actor = ActorCritic(policy, spec, has_critic=True)
    move(policy.model, actor.value_head, seed=1)
    made = rollouts()
    parts = recall(actor, made, spec)
    _, scores_N = normalized(made, Moments(), spec)
    sizes = [len(one) for one in made]
    batch = judge(parts, scores_N, sizes, beta=spec.kl_coefficient, spec=spec)
    move(policy.model, actor.value_head, seed=2)
    [told] = improve(actor, batch.minibatches, Gradients(), spec, update=0)
    gradient = policy.model.get_parameter(MOVED).grad
    step = Step(told.policy_loss, told.value_loss, gradient)
    return step, told.clip_fraction, told.value_clip_fraction


def read(model, head, spec: PpoSpec) -> tuple[Tensor, Tensor]:
    """Log-prob and value [N, T] of every token, a response at a time."""
    logprobs, values = [], []
    for prompt, responses, _ in GROUPS:
        for one in responses:
            told = model(torch.tensor([[*prompt, *one]]), output_hidden_states=True)
            before = slice(len(prompt) - 1, -1)
            all_TV = (told.logits[0, before] / spec.temperature).log_softmax(-1)
            logprobs.append(all_TV[range(len(one)), one])
            values.append(head(told.hidden_states[-1][0, before])[:, 0])
    return torch.stack(logprobs), torch.stack(values)


def advantages_and_returns(logprobs, reference, values, spec: PpoSpec) -> tuple[Tensor, Tensor]:
    advantages = torch.zeros_like(values)
    ends = [
        (one[-1] == END, score)
        for _, rows, scores in GROUPS
        for one, score in zip(rows, scores, strict=True)
    ]
    for row, (ended, score) in enumerate(ends):
        apart = logprobs[row] - reference[row]
        kl = apart if spec.kl_estimator == "k1" else (-apart).exp() - 1 + apart
        rewards = (-spec.kl_coefficient * kl).tolist()
        rewards[-1] += score - (0.0 if ended else spec.missing_eos_penalty)
        later, ahead = 0.0, 0.0
        for t in reversed(range(len(rewards))):
            surprise = rewards[t] + spec.gamma * ahead - values[row, t].item()
            later = surprise + spec.gamma * spec.gae_lambda * later
            ahead = values[row, t].item()
            advantages[row, t] = later
    spread = advantages.flatten().var(correction=0)
    return (advantages - advantages.mean()) / (spread + 1e-8).sqrt(), advantages + values


def written_anew(folder: str, spec: PpoSpec) -> Step:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    head = nn.Linear(model.config.hidden_size, 1)
    head.weight.data.zero_()
    head.bias.data.zero_()
    with torch.no_grad():
        reference, _ = read(model, head, spec)
        move(model, head, seed=1)
        logprobs, values = read(model, head, spec)
    advantages, returns = advantages_and_returns(logprobs, reference, values, spec)
    move(model, head, seed=2)
    new, foreseen = read(model, head, spec)
    ratio = (new - logprobs).exp()
    kept = ratio.clamp(1 - spec.clip_range, 1 + spec.clip_range)
    policy_loss = torch.maximum(-advantages * ratio, -advantages * kept).mean()
    low, high = values - spec.value_clip_range, values + spec.value_clip_range
    near = torch.minimum(torch.maximum(foreseen, low), high)
    value_loss = torch.maximum((foreseen - returns) ** 2, (near - returns) ** 2).mean() / 2
    loss = policy_loss + spec.value_weight * value_loss
    (gradient,) = torch.autograd.grad(loss, model.get_parameter(MOVED))
    return Step(policy_loss.item(), value_loss.item(), gradient)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_an_update_has_the_losses_and_gradient_of_trls_arithmetic_written_anew(
    tiny_folder, estimator
):
    """KL in the reward, GAE, whitening, both clipped losses; some tokens clipped and some not."""
    spec = replace(SPEC, kl_estimator=estimator)
    found, clipped, value_clipped = ours(str(tiny_folder), spec)
    expected = written_anew(str(tiny_folder), spec)
    assert 0 < clipped < 1
    assert 0 < value_clipped < 1
    assert found.policy_loss == pytest.approx(expected.policy_loss, abs=1e-5)
    assert found.value_loss == pytest.approx(expected.value_loss, abs=1e-5)
    assert (found.gradient - expected.gradient).norm() < 1e-5 * expected.gradient.norm()
