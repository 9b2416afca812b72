import math

import pytest
import torch

from training.functional.preference import bradley_terry_loss, strength_margin

WHOLE = torch.tensor([1.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_the_loss_of_one_pair_is_the_log_of_its_odds():
    """chosen 2, rejected 1: -log sigmoid(1) = log(1 + e^-1) = 0.31326."""
    found = bradley_terry_loss(torch.tensor([2.0]), torch.tensor([1.0]), weight_B=WHOLE)
    assert found.loss.item() == pytest.approx(0.313262, abs=1e-6)
    assert found.accuracy.item() == 1.0


def test_a_soft_label_weighs_both_sides():
    """d = 1, p = 2/3: 2/3 log(1 + e^-1) + 1/3 log(1 + e) = 0.20884 + 0.43775 = 0.64660."""
    found = bradley_terry_loss(
        torch.tensor([2.0]), torch.tensor([1.0]), weight_B=WHOLE, label_B=torch.tensor([2 / 3])
    )
    assert found.loss.item() == pytest.approx(2 / 3 * softplus(-1) + 1 / 3 * softplus(1))


def test_a_margin_is_taken_from_the_difference():
    """d = 1 - 2/3 = 1/3 for strength 2 of 3: log(1 + e^(-1/3)) = 0.54037."""
    found = bradley_terry_loss(
        torch.tensor([2.0]),
        torch.tensor([1.0]),
        weight_B=WHOLE,
        margin_B=strength_margin(torch.tensor([2.0])),
    )
    assert found.loss.item() == pytest.approx(softplus(-1 / 3))


def test_label_smoothing_flips_its_share():
    """d = 1, e = 0.1: 0.9 log(1 + e^-1) + 0.1 log(1 + e) = 0.28194 + 0.13133 = 0.41326."""
    found = bradley_terry_loss(
        torch.tensor([2.0]), torch.tensor([1.0]), weight_B=WHOLE, label_smoothing=0.1
    )
    assert found.loss.item() == pytest.approx(0.413262, abs=1e-6)


def test_centering_adds_the_squared_sum_of_scores():
    """0.31326 + 0.01 (2 + 1)^2 = 0.40326."""
    found = bradley_terry_loss(
        torch.tensor([2.0]), torch.tensor([1.0]), weight_B=WHOLE, centering=0.01
    )
    assert found.loss.item() == pytest.approx(0.403262, abs=1e-6)
    assert found.nll.item() == pytest.approx(0.313262, abs=1e-6)


def test_weights_share_the_loss_among_pairs():
    """Pairs with d = 1 and d = 0, weights 3/4 and 1/4: 3/4 0.31326 + 1/4 0.69315 = 0.40823."""
    found = bradley_terry_loss(
        torch.tensor([2.0, 1.0]), torch.tensor([1.0, 1.0]), weight_B=torch.tensor([0.75, 0.25])
    )
    assert found.loss.item() == pytest.approx(0.75 * softplus(-1) + 0.25 * math.log(2))
    assert found.accuracy.item() == pytest.approx(0.75 + 0.25 / 2)


def test_a_hopeless_pair_has_a_finite_loss_and_gradient():
    chosen = torch.tensor([-500.0], requires_grad=True)
    bradley_terry_loss(chosen, torch.tensor([500.0]), weight_B=WHOLE).loss.backward()
    assert chosen.grad is not None
    assert chosen.grad.item() == pytest.approx(-1.0)


def test_the_gradient_is_that_of_the_formula():
    chosen = torch.randn(4, dtype=torch.float64, requires_grad=True)
    rejected = torch.randn(4, dtype=torch.float64, requires_grad=True)
    extra = {
        "weight_B": torch.rand(4, dtype=torch.float64),
        "label_B": torch.rand(4, dtype=torch.float64),
        "margin_B": torch.rand(4, dtype=torch.float64),
    }
    assert torch.autograd.gradcheck(
        lambda c, r: bradley_terry_loss(c, r, centering=0.3, label_smoothing=0.1, **extra).loss,
        (chosen, rejected),
    )


def test_known_rewards_are_recovered_from_simulated_votes():
    """400 votes on each of the 45 pairs of ten responses.

    A vote tells p (1 - p), at most 1/4, of a difference, so no deviation is below 1 / sqrt(9 * 400 / 4) =
    0.033; with these rewards (p (1 - p) near 0.19) it is 0.038: 0.16 is four of them.
    """
    generator = torch.Generator().manual_seed(3)
    rewards = torch.randn(10, dtype=torch.float64, generator=generator)
    first, second = torch.combinations(torch.arange(10)).unbind(1)
    chance_B = torch.sigmoid(rewards[first] - rewards[second])
    share_B = (torch.rand(400, 45, dtype=torch.float64, generator=generator) < chance_B).double()
    scores = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=100, tolerance_grad=1e-10)

    def loss():
        optimizer.zero_grad()
        found = bradley_terry_loss(
            scores[first],
            scores[second],
            weight_B=torch.full((45,), 1 / 45, dtype=torch.float64),
            label_B=share_B.mean(0),
        ).loss
        found.backward()
        return found

    optimizer.step(loss)
    found = (scores - scores.mean()).detach()
    assert found == pytest.approx(rewards - rewards.mean(), abs=0.16)
