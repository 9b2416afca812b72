"""Direct losses: sums worked by hand, and the closed form that DPO must find."""

import math
from itertools import product

import pytest
import torch

from training.functional.direct import (
    direct_preference_losses,
    kahneman_tversky_losses,
    mismatched_kl,
)


def softplus(x):
    return math.log1p(math.exp(x))


def one(loss, **terms):
    """Log-ratios 3 and 1, beta 0.5: d = 2, beta d = 1."""
    made = direct_preference_losses(
        torch.tensor([3.0]), torch.tensor([1.0]), loss=loss, beta=0.5, **terms
    )
    return made.item()


@pytest.mark.parametrize(
    ("loss", "terms", "worked"),
    [
        ("sigmoid", {}, softplus(-1)),  # 0.31326
        ("sigmoid", {"label_B": torch.tensor([0.75])}, 0.75 * softplus(-1) + 0.25 * softplus(1)),
        ("conservative", {"label_noise": 0.1}, 0.9 * softplus(-1) + 0.1 * softplus(1)),  # 0.41326
        ("robust", {"label_noise": 0.1}, (0.9 * softplus(-1) - 0.1 * softplus(1)) / 0.8),  # 0.18826
        ("ipo", {}, (2 - 1) ** 2),
        ("hinge", {}, 0.0),
    ],
)
def test_a_loss_equals_its_sum_by_hand(loss, terms, worked):
    assert one(loss, **terms) == pytest.approx(worked, abs=1e-6)


def test_the_hinge_pays_for_a_lost_pair():
    """beta d = -1: 1 + 1."""
    made = direct_preference_losses(
        torch.tensor([1.0]), torch.tensor([3.0]), loss="hinge", beta=0.5
    )
    assert made.item() == 2.0


def test_the_robust_loss_is_unbiased_under_flips():
    """Of pairs flipped with chance e, its expectation is the sigmoid loss of the right order."""
    chosen, rejected = torch.tensor([0.7]), torch.tensor([-0.4])
    robust = {"loss": "robust", "beta": 0.5, "label_noise": 0.2}
    expected = 0.8 * direct_preference_losses(chosen, rejected, **robust)
    expected += 0.2 * direct_preference_losses(rejected, chosen, **robust)
    plain = direct_preference_losses(chosen, rejected, loss="sigmoid", beta=0.5)
    assert expected.item() == pytest.approx(plain.item(), abs=1e-6)


@pytest.mark.parametrize("loss", ["sigmoid", "conservative", "robust", "ipo", "hinge"])
def test_the_gradient_is_right(loss):
    chosen = torch.randn(5, dtype=torch.float64, requires_grad=True)
    rejected = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, b: direct_preference_losses(a, b, loss=loss, beta=0.3, label_noise=0.1),
        (chosen, rejected),
    )


def test_the_gradient_of_kto_is_right():
    is_good = torch.tensor([True, False, True, False, True])
    logratio = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda one: kahneman_tversky_losses(
            one, is_good, reference_point=torch.tensor(0.2), beta=0.3
        ),
        (logratio,),
    )


def test_population_dpo_finds_the_closed_form():
    """With labels sigmoid(r_i - r_j) on all pairs, pi is proportional to ref exp(r / beta)."""
    beta, generator = 0.5, torch.Generator().manual_seed(3)
    reward, reference = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    pairs = torch.tensor(list(product(range(16), repeat=2)))
    label = torch.sigmoid(reward[pairs[:, 0]] - reward[pairs[:, 1]])
    logits = reference.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits],
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        ratio = logits.log_softmax(-1) - reference.log_softmax(-1)
        losses = direct_preference_losses(
            ratio[pairs[:, 0]], ratio[pairs[:, 1]], loss="sigmoid", beta=beta, label_B=label
        )
        losses.mean().backward()
        return losses.mean()

    optimizer.step(closure)
    optimum = (reference.log_softmax(-1) + reward / beta).log_softmax(-1)
    found = logits.detach().log_softmax(-1)
    assert (found.exp() * (found - optimum)).sum().item() < 1e-6


def test_kto_pays_for_good_below_and_bad_above_the_reference_point():
    """beta 0.5, z = 1: good at 3 gains 1, bad at 3 loses 1, good at 1 is even."""
    losses = kahneman_tversky_losses(
        torch.tensor([3.0, 3.0, 1.0]),
        torch.tensor([True, False, True]),
        reference_point=torch.tensor(1.0),
        beta=0.5,
    )
    up = 1 / (1 + math.exp(-1))
    assert losses.tolist() == pytest.approx([1 - up, up, 0.5], abs=1e-6)


def test_the_reference_point_is_a_kl_without_a_gradient():
    assert mismatched_kl(torch.tensor([2.0, 4.0], requires_grad=True)).requires_grad is False
    assert mismatched_kl(torch.tensor([2.0, 4.0])).item() == 3.0
    assert mismatched_kl(torch.tensor([-2.0, 1.0])).item() == 0.0
