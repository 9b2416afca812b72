"""The batch that PPO learns from, against a reference written a response and a token at a time."""

import random
from dataclasses import replace
from itertools import chain

import pytest
import torch

from training.data.packing import TokenGroup, pack_groups
from training.functional.moments import Moments
from training.rollout.actor_critic import TokenOutputs
from training.rollout.buffer import Part, Rollout, in_minibatches, shuffled
from training.rollout.sampler import Sample
from training.rollout.telling import disagreement, tell_update
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.records import Group
from training.spec.rollouts import PpoSpec
from training.trainers.ppo import judge, normalized

SPEC = PpoSpec(model="m", data="d", reward_model="r", gamma=0.9, gae_lambda=0.8)
GROUPS = [[(1, 2), (3,)], [(4, 5, 6)], [(7, 8, 9, 10), (11, 12)]]


def tokens(responses):
    return TokenGroup(prompt_id="p", prompt=(1, 2), responses=tuple(responses))


def rollout(scores, finished=True, responses=((1, 2),), deviations=None):
    one = Sample(text="", token_ids=(1,), logprobs=(0.0,), finished=finished)
    return Rollout(
        record=Group(prompt_id="p", prompt=()),
        tokens=tokens(responses),
        samples=(one,) * len(scores),
        scores=tuple(scores),
        deviations=tuple(deviations or (0.0 for _ in scores)),
    )


def test_a_conservative_reward_pays_for_the_disagreement_of_heads():
    """3 - 2 0.5 = 2 and 1 - 2 0 = 1; the raw scores stay."""
    judged = rollout((3.0, 1.0), deviations=(0.5, 0.0))
    assert judged.rewards(uncertainty_penalty=2.0) == [2.0, 1.0]
    assert judged.rewards(uncertainty_penalty=0.0) == [3.0, 1.0]
    assert disagreement([judged]) == 0.25


@pytest.fixture
def minibatches():
    """Two minibatches of two and of one part."""
    generator = torch.Generator().manual_seed(3)

    def part(groups):
        pack = pack_groups([tokens(one) for one in groups])
        size = len(pack.branch_R)
        policy, entropy, value, reference = torch.randn(4, size, generator=generator)
        return Part(pack, None, TokenOutputs(policy, entropy, value), reference, policy)

    return [[part(GROUPS[:1]), part(GROUPS[1:2])], [part(GROUPS[2:])]]


SCORES = torch.tensor([1.0, -1.0, 0.5, 2.0, 0.0])


def plain_reference(minibatches, beta):
    """Advantages (not yet whitened) and returns of every response, by loops over floats."""
    advantages, returns, at = [], [], 0
    for part in (one for minibatch in minibatches for one in minibatch):
        start = 0
        for length in part.lengths().tolist():
            stop = start + length
            logprob, reference, value = (
                one[start:stop].tolist()
                for one in (part.old.logprob_R, part.reference_R, part.old.value_R)
            )
            rewards = [-beta * (p - q) for p, q in zip(logprob, reference, strict=True)]
            rewards[-1] += SCORES[at].item()
            later, made = 0.0, []
            for t in reversed(range(length)):
                ahead = value[t + 1] if t + 1 < length else 0.0
                later = rewards[t] + 0.9 * ahead - value[t] + 0.9 * 0.8 * later
                made.insert(0, later)
            advantages.extend(made)
            returns.extend(a + v for a, v in zip(made, value, strict=True))
            start, at = stop, at + 1
    return torch.tensor(advantages), torch.tensor(returns)


def test_advantages_and_returns_equal_the_plain_reference(minibatches):
    made = judge(minibatches, SCORES, [2, 1, 2], beta=0.1, spec=SPEC)
    advantages, returns = plain_reference(minibatches, beta=0.1)
    whitened = (advantages - advantages.mean()) / advantages.std(correction=0)
    lessons = [one for minibatch in made.minibatches for one in minibatch]
    torch.testing.assert_close(torch.cat([one.advantage_R for one in lessons]), whitened)
    torch.testing.assert_close(torch.cat([one.return_R for one in lessons]), returns)
    assert [len(one) for one in made.minibatches] == [2, 1]


def test_the_batch_tells_its_kl_and_length_a_response(minibatches):
    made = judge(minibatches, SCORES, [2, 1, 2], beta=0.1, spec=SPEC)
    parts = [one for minibatch in minibatches for one in minibatch]
    total = sum((part.old.logprob_R - part.reference_R).sum() for part in parts)
    assert made.kl == pytest.approx(total.item() / 5, abs=1e-5)
    assert made.length == pytest.approx(12 / 5)


def test_scores_lose_mean_and_deviation_and_the_missing_end_costs_one():
    """Scores (1, 3): mean 2, deviation 1; the response without an end pays the penalty of 1."""
    rollouts = [rollout([1.0]), rollout([3.0], finished=False)]
    moments, scores = normalized(rollouts, Moments(), SPEC)
    assert moments.seen == 2
    torch.testing.assert_close(scores, torch.tensor([-1.0, 0.0]))


def test_without_a_value_the_other_responses_to_the_prompt_are_the_baseline(minibatches):
    """Every token has its response's whole reward, KL's price included, less the others' mean."""
    made = judge(
        minibatches, SCORES, [2, 1, 2], beta=0.1, spec=replace(SPEC, baseline="leave_one_out")
    )
    rewards = []
    for part in (one for minibatch in minibatches for one in minibatch):
        price_R = 0.1 * (part.old.logprob_R - part.reference_R)
        rewards += [price_R[part.pack.branch_R == at].sum() for at in range(len(part.pack.last_N))]
    total = SCORES - torch.stack(rewards)
    apart = torch.stack(
        [total[at] - total[other] for at, other in ((0, 1), (1, 0), (2, 2), (3, 4), (4, 3))]
    )
    advantages = apart.repeat_interleave(torch.tensor([2, 1, 3, 4, 2]))
    whitened = (advantages - advantages.mean()) / advantages.std(correction=0)
    lessons = [one for minibatch in made.minibatches for one in minibatch]
    torch.testing.assert_close(torch.cat([one.advantage_R for one in lessons]), whitened)
    assert torch.cat([one.return_R for one in lessons]).eq(0).all()


def test_minibatches_share_the_prompts_evenly_and_keep_to_the_budget():
    rollouts = [rollout([0.0]) for _ in range(7)]
    made = in_minibatches(rollouts, minibatches=3, budget=8)
    assert [[len(row) for row in one] for one in made] == [[2], [2], [2, 1]]


def test_the_order_is_that_of_the_seed_alone():
    rollouts = [rollout([float(number)]) for number in range(9)]
    random.seed(1)
    first = shuffled(rollouts, seed="17/3")
    random.seed(2)
    assert shuffled(rollouts, seed="17/3") == first
    assert shuffled(rollouts, seed="17/4") != first


def test_a_token_is_weighed_by_its_likelihood_to_the_trainer_up_to_the_cap(minibatches):
    """exp(0.5) = 1.6487; exp(2) = 7.389 is beyond 2; of a token whose sampler told nothing nothing is known."""
    part = minibatches[1][0]
    apart = torch.zeros_like(part.old.logprob_R)
    apart[:3] = torch.tensor([0.5, 2.0, -1.0])
    sampled_R = part.old.logprob_R - apart
    sampled_R[3] = torch.nan
    found = part._replace(sampled_R=sampled_R).correction(2.0)
    assert found[:4].tolist() == pytest.approx([1.6487, 2.0, 0.3679, 1.0], abs=1e-4)
    assert found[4:].tolist() == pytest.approx([1.0] * len(found[4:]))


def test_without_a_cap_no_token_is_weighed(minibatches):
    assert minibatches[0][0].correction(0.0) == 1.0


def test_the_cap_reaches_the_advantages(minibatches):
    spec = PpoSpec(model="m", data="d", reward_model="r", importance_cap=2.0)
    doubled = [
        [part._replace(sampled_R=part.old.logprob_R - 5.0) for part in minibatch]
        for minibatch in minibatches
    ]
    plain, weighed = (
        judge(one, SCORES, [1] * len(SCORES), beta=0.1, spec=spec).minibatches
        for one in (minibatches, doubled)
    )
    for before, after in zip(chain(*plain), chain(*weighed), strict=True):
        torch.testing.assert_close(after.advantage_R, 2 * before.advantage_R)
        assert torch.equal(after.return_R, before.return_R)


@pytest.mark.parametrize(
    ("cap", "told", "logs"), [(2.0, {}, 1), (2.0, {"sampler_gap": 0.0}, 0), (0.0, {}, 0)]
)
def test_a_cap_that_finds_nothing_to_weigh_by_says_so_once(tmp_path, cap, told, logs):
    spec = PpoSpec(model="m", data="d", reward_model="r", importance_cap=cap)
    with Reporter(tmp_path) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
        for update in (1, 2):
            tell_update(run, [], told, update=update, spec=spec)
    text = (tmp_path / "events.jsonl").read_text()
    assert text.count("importance_cap 2 weighs nothing") == logs
