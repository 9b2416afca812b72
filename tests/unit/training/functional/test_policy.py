import math

import pytest
import torch

from training.functional.kl import adapted_coefficient, kl_estimates
from training.functional.policy import clipped_policy_loss, clipped_value_loss

OLD = torch.zeros(4)
RATIOS = torch.tensor([1.5, 1.5, 0.5, 0.5])
ADVANTAGES = torch.tensor([1.0, -1.0, 1.0, -1.0])


def test_the_policy_loss_by_hand():
    """At eps .2: min(1.5, 1.2) = 1.2; min(-1.5, -1.2) = -1.5; min(.5, .8) = .5; min(-.5, -.8) = -.8.

    Minus their mean is -(1.2 - 1.5 + .5 - .8)/4 = .15; the first and the last were clipped.
    """
    made = clipped_policy_loss(RATIOS.log(), OLD, ADVANTAGES, clip_range=0.2, count=4)
    assert made.loss.item() == pytest.approx(0.15)
    assert made.clip_fraction.item() == 0.5
    assert made.ratio.item() == pytest.approx(1.0)


def test_clipped_tokens_have_no_gradient_and_the_others_minus_ratio_times_advantage():
    logprobs = RATIOS.log().requires_grad_()
    clipped_policy_loss(logprobs, OLD, ADVANTAGES, clip_range=0.2, count=4).loss.backward()
    torch.testing.assert_close(logprobs.grad, torch.tensor([0.0, 1.5, -0.5, 0.0]) / 4)


def test_at_the_old_policy_ratio_is_one_and_nothing_is_clipped():
    logprobs = torch.randn(50)
    made = clipped_policy_loss(logprobs, logprobs, torch.randn(50), clip_range=0.2, count=50)
    assert (made.ratio.item(), made.clip_fraction.item()) == (1.0, 0.0)
    assert made.approximate_kl.item() == 0.0


def test_parts_of_a_minibatch_add_up_to_the_whole():
    torch.manual_seed(0)
    new, old, advantages = torch.randn(3, 10).unbind()
    whole = clipped_policy_loss(new, old, advantages, clip_range=0.2, count=10)
    parts = [
        clipped_policy_loss(new[at], old[at], advantages[at], clip_range=0.2, count=10)
        for at in (slice(3), slice(3, 10))
    ]
    for all_at_once, first, second in zip(whole, *parts, strict=True):
        torch.testing.assert_close(all_at_once, first + second)


def test_the_policy_losss_gradient_agrees_with_differences():
    torch.manual_seed(1)
    new = torch.randn(12, dtype=torch.float64, requires_grad=True)
    old, advantages = torch.randn(2, 12, dtype=torch.float64).unbind()
    assert torch.autograd.gradcheck(
        lambda one: clipped_policy_loss(one, old, advantages, clip_range=0.2, count=12).loss, new
    )


def test_the_value_loss_by_hand():
    """Values (1, 0), old (0, 0), returns (2, 1), eps .2: the first is kept at .2, error 1.8.

    max(1, 3.24) = 3.24 and max(1, 1) = 1; half their mean is 1.06; one of two was clipped.
    """
    made = clipped_value_loss(
        torch.tensor([1.0, 0.0]), torch.zeros(2), torch.tensor([2.0, 1.0]), clip_range=0.2, count=2
    )
    assert made.loss.item() == pytest.approx(1.06)
    assert made.clip_fraction.item() == 0.5


def test_the_value_losss_gradient_agrees_with_differences():
    torch.manual_seed(2)
    values = torch.randn(12, dtype=torch.float64, requires_grad=True)
    old, returns = torch.randn(2, 12, dtype=torch.float64).unbind()
    assert torch.autograd.gradcheck(
        lambda one: clipped_value_loss(one, old, returns, clip_range=0.2, count=12).loss, values
    )


def test_the_estimators_by_hand():
    """Policy 1/2, reference 1/4: d = ln 2; k1 = .693, k2 = .240, k3 = 1/2 - 1 + ln 2 = .193."""
    pair = (torch.tensor(0.5).log(), torch.tensor(0.25).log())
    made = [kl_estimates(*pair, name).item() for name in ("k1", "k2", "k3")]
    assert made == pytest.approx([math.log(2), math.log(2) ** 2 / 2, math.log(2) - 0.5])


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_unbiased_estimators_average_to_the_kl(estimator):
    policy, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    kl = (policy * (policy / reference).log()).sum()
    estimates = kl_estimates(policy.log(), reference.log(), estimator)
    torch.testing.assert_close((policy * estimates).sum(), kl)


def test_an_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="k9"):
        kl_estimates(torch.zeros(1), torch.zeros(1), "k9")


@pytest.mark.parametrize(
    ("kl", "expected"),
    [(6.0, 0.1), (6.6, 0.1 * (1 + 0.1 * 64 / 1000)), (60.0, 0.1 * (1 + 0.2 * 64 / 1000))],
)
def test_the_price_of_kl_follows_the_error_clipped_to_a_fifth(kl, expected):
    made = adapted_coefficient(0.1, kl=kl, target=6.0, horizon=1000, responses=64)
    assert made == pytest.approx(expected)


def test_too_little_kl_lowers_its_price_and_no_target_keeps_it():
    assert adapted_coefficient(0.1, kl=0.0, target=6.0, horizon=100, responses=50) < 0.1
    assert adapted_coefficient(0.1, kl=9.0, target=0.0, horizon=100, responses=50) == 0.1
