"""PPO and GRPO on a table: with V = 4 tokens and T = 3 steps the optimum is known in closed form.

The KL-regularized objective J(pi) = E r - beta KL(pi || ref) is largest at pi*(y) = ref(y) exp(r(y)
/ beta) / Z, where J* = beta log Z; and J* - J(pi) = beta KL(pi || pi*).
"""

from dataclasses import fields, replace
from itertools import product

import pytest
import torch
from torch import nn

from training.data.packing import TokenGroup
from training.functional.moments import Moments
from training.rollout.actor_critic import TokenOutputs
from training.rollout.buffer import Rollout
from training.rollout.learner import Learner
from training.rollout.recall import recall
from training.rollout.sampler import Sample
from training.spec.records import Group
from training.spec.rollouts import PpoSpec
from training.trainers import grpo
from training.trainers.ppo import improve, judge, normalized

V, T, BETA = 4, 3, 0.5
UPDATES, RESPONSES, PROMPTS = 80, 96, 4
ALL = torch.tensor(list(product(range(V), repeat=T)))
SPEC = PpoSpec(
    model="table",
    data="none",
    reward_model="table",
    updates=UPDATES,
    update_epochs=3,
    minibatches=PROMPTS,
    learning_rate=0.05,
    value_learning_rate=0.05,
    value_weight=1.0,
    kl_coefficient=BETA,
    adaptive_kl_target=0.0,
    target_kl=0.0,
    missing_eos_penalty=0.0,
    normalize_rewards=False,
    value_clip_range=10.0,
)


class Table(nn.Module):
    """A policy of free logits for every prefix: 1 + 4 + 16 states; values beside them."""

    def __init__(self, reference):
        super().__init__()
        self.logits = nn.Parameter(reference.clone())
        self.values = nn.Parameter(torch.zeros(len(reference)))
        self.reference = reference

    @property
    def device(self):
        return self.logits.device

    def lower(self, _pack):
        return None

    def outputs(self, pack, _lower_TD):
        return self._told(pack, self.logits)

    def reference_logprobs(self, pack, _lower_TD):
        return self._told(pack, self.reference).logprob_R

    def _told(self, pack, logits):
        tokens = pack.targets_R.view(-1, T)
        states = states_of(tokens).flatten()
        picked = logits.log_softmax(-1)[states]
        return TokenOutputs(
            picked.gather(1, tokens.flatten()[:, None])[:, 0],
            -(picked.exp() * picked).sum(-1),
            self.values[states],
        )


def states_of(tokens):
    """The number of the prefix before each token."""
    first, second, _ = tokens.unbind(-1)
    return torch.stack([torch.zeros_like(first), 1 + first, 1 + V + V * first + second], dim=-1)


def log_probability(logits):
    """Of all 64 responses."""
    picked = logits.log_softmax(-1)[states_of(ALL)]
    return picked.gather(-1, ALL[..., None])[..., 0].sum(-1).double()


def rollouts_of(table, rewards, generator):
    probabilities = log_probability(table.logits.detach()).exp()
    drawn = torch.multinomial(
        probabilities, RESPONSES * PROMPTS, replacement=True, generator=generator
    )
    return [rollout(places, rewards) for places in drawn.view(PROMPTS, RESPONSES)]


def rollout(places, rewards):
    responses = tuple(tuple(one) for one in ALL[places].tolist())
    return Rollout(
        record=Group(prompt_id="p", prompt=()),
        tokens=TokenGroup(prompt_id="p", prompt=(0,), responses=responses),
        samples=tuple(
            Sample(text="", token_ids=one, logprobs=(0.0,) * T, finished=True) for one in responses
        ),
        scores=tuple(rewards[places].tolist()),
        deviations=(0.0,) * len(responses),
    )


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(4)
    rewards = torch.randn(len(ALL), generator=generator)
    reference = 0.5 * torch.randn(1 + V + V * V, V, generator=generator)
    return rewards, reference


def trained_by(spec, problem):
    rewards, reference = problem
    table = Table(reference)
    learner = Learner({"logits": table.logits}, spec, value_head=_Head(table.values))
    generator = torch.Generator().manual_seed(5)
    for update in range(UPDATES):
        rollouts = rollouts_of(table, rewards, generator)
        parts = recall(table, rollouts, spec)
        _, scores_N = normalized(rollouts, Moments(), spec)
        batch = judge(parts, scores_N, [RESPONSES] * PROMPTS, beta=BETA, spec=spec)
        improve(table, batch.minibatches, learner, spec, update=update)
    return table


@pytest.fixture(scope="module")
def trained(problem):
    return trained_by(SPEC, problem)


class _Head(nn.Module):
    def __init__(self, values):
        super().__init__()
        self.values = values


def gaps(problem, table):
    """How far the table is from the optimum: in the objective, and in KL."""
    rewards, reference = problem
    log_reference = log_probability(reference)
    log_optimum = (log_reference + rewards.double() / BETA).log_softmax(-1)
    best = BETA * (log_reference + rewards.double() / BETA).logsumexp(-1)
    log_policy = log_probability(table.logits.detach())
    reached = (log_policy.exp() * (rewards - BETA * (log_policy - log_reference))).sum()
    divergence = (log_policy.exp() * (log_policy - log_optimum)).sum()
    return (best - reached).item(), divergence.item()


@pytest.mark.slow
def test_ppo_reaches_the_closed_form(problem, trained):
    gap, divergence = gaps(problem, trained)
    assert 0 <= gap < 1e-3
    assert divergence < 5e-3


def test_without_a_value_ppo_comes_near_it(problem):
    """Its advantages are noisier: every token has the whole reward of its response."""
    gap, divergence = gaps(problem, trained_by(replace(SPEC, baseline="leave_one_out"), problem))
    assert 0 <= gap < 5e-3
    assert divergence < 1e-2


@pytest.mark.parametrize("variant", ["grpo", "dr_grpo"])
def test_grpo_comes_near_the_best_reward(problem, variant):
    """Without a price of KL the best policy has the largest reward for sure."""
    rewards, reference = problem
    common = {
        one.name: getattr(SPEC, one.name)
        for one in fields(grpo.GrpoSpec)
        if hasattr(SPEC, one.name)
    }
    spec = grpo.GrpoSpec(
        **common | {"kl_coefficient": 0.0, "max_response_tokens": T}, variant=variant
    )
    table = Table(reference)
    learner = Learner({"logits": table.logits}, spec)
    generator = torch.Generator().manual_seed(5)
    for update in range(60):
        rollouts = rollouts_of(table, rewards, generator)
        lessons = grpo.compared(
            recall(table, rollouts, spec), grpo.advantages_of(rollouts, spec), spec
        )
        grpo.improve(table, lessons, learner, spec, update=update)
    reached = (log_probability(table.logits.detach()).exp() * rewards).sum()
    assert reached > 0.98 * rewards.max()


def test_the_start_was_far_from_it(problem):
    rewards, reference = problem
    log_reference = log_probability(reference)
    best = BETA * (log_reference + rewards.double() / BETA).logsumexp(-1)
    assert best - (log_reference.exp() * rewards).sum() > 0.5


def test_the_value_of_the_empty_prefix_is_the_regularized_return(problem, trained):
    rewards, reference = problem
    best = BETA * (log_probability(reference) + rewards.double() / BETA).logsumexp(-1)
    assert trained.values[0].item() == pytest.approx(best.item(), abs=0.05)
