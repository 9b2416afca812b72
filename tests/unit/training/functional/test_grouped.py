"""Advantages among the responses to one prompt, and the loss of GRPO, worked by hand."""

import math

import pytest
import torch

from training.functional.grouped import (
    against_the_group,
    against_the_others,
    grouped_policy_loss,
)


def test_each_is_compared_with_the_mean_of_the_others():
    """Of (1, 2, 6) the first has (2 + 6) / 2 beside it: -3; so -1.5 and 4.5."""
    assert against_the_others(torch.tensor([1.0, 2.0, 6.0])).tolist() == [-3.0, -1.5, 4.5]
    assert against_the_others(torch.tensor([9.0])).tolist() == [0.0]


def test_a_group_loses_its_mean_and_by_choice_its_deviation():
    """(1, 2, 6): mean 3, variance (4 + 1 + 9) / 2 = 7."""
    group = torch.tensor([1.0, 2.0, 6.0])
    assert against_the_group(group, is_scaled=False).tolist() == [-2.0, -1.0, 3.0]
    scaled = against_the_group(group, is_scaled=True)
    assert scaled.tolist() == pytest.approx([one / math.sqrt(7) for one in (-2, -1, 3)], abs=1e-4)


@pytest.mark.parametrize("rewards", [[5.0, 5.0, 5.0], [2.0]])
def test_responses_that_score_alike_teach_nothing(rewards):
    assert against_the_group(torch.tensor(rewards), is_scaled=True).abs().max() == 0


def test_the_loss_of_two_tokens_by_hand():
    """Token 1: ratio 2, A = 1, clipped to 1.2: -1.2. Token 2: ratio 1/2, A = -1: clip gives 0.8.

    KL of token 2 to a reference as likely as before: k3 = 2 - 1 + log(1/2) = 0.30685.
    """
    old = torch.tensor([-2.0, -1.0])
    new = old + torch.tensor([math.log(2), -math.log(2)])
    made = grouped_policy_loss(
        new,
        old,
        torch.stack([new[0], old[1]]),
        torch.tensor([1.0, -1.0]),
        weight_R=torch.tensor([0.25, 0.5]),
        clip=(0.2, 0.2),
        beta=0.1,
        count=2.0,
    )
    assert made.loss.item() == pytest.approx(0.25 * -1.2 + 0.5 * (0.8 + 0.1 * 0.306853), abs=1e-5)
    assert made.clip_fraction.item() == 1.0
    assert made.reference_kl.item() == pytest.approx(0.306853 / 2, abs=1e-5)
    assert made.ratio.item() == pytest.approx((2 + 0.5) / 2)


def test_the_upper_clip_may_be_wider():
    logprob = torch.tensor([math.log(1.25)])
    zero = torch.zeros(1)
    made = grouped_policy_loss(
        logprob,
        zero,
        logprob,
        torch.ones(1),
        weight_R=torch.ones(1),
        clip=(0.2, 0.28),
        beta=0.0,
        count=1.0,
    )
    assert made.loss.item() == pytest.approx(-1.25)


def test_the_losss_gradient_agrees_with_differences():
    """With KL to a reference, and two of six tokens clipped; none is at an edge of the clip."""
    old = torch.tensor([-1.0, -2.0, -0.5, -1.5, -3.0, -0.7], dtype=torch.float64)
    moved = torch.tensor([0.05, -0.1, 0.4, -0.5, 0.1, 0.0], dtype=torch.float64)
    advantages = torch.tensor([1.0, -1.0, 2.0, -0.5, -1.0, 0.3], dtype=torch.float64)
    new = (old + moved).requires_grad_()

    def loss(logprobs):
        return grouped_policy_loss(
            logprobs,
            old,
            old - 0.2,
            advantages,
            weight_R=torch.tensor([0.5, 0.5, 0.25, 0.25, 0.25, 0.25], dtype=torch.float64),
            clip=(0.2, 0.3),
            beta=0.1,
            count=6,
        )

    assert loss(new).clip_fraction == pytest.approx(2 / 6)
    assert torch.autograd.gradcheck(lambda one: loss(one).loss, (new,))
