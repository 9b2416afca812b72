"""The start of a score head: a ridge-penalized logistic regression on differences of states."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from training.functional import probe
from training.functional.probe import fit_direction


def world(pairs: int, *, noise: float, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences [B, 6] on very different scales, and which is better by the first two of them."""
    draw = torch.Generator().manual_seed(seed)
    x_BD = torch.randn(pairs, 6, generator=draw)
    logit_B = 2 * x_BD[:, 0] - x_BD[:, 1]
    better_B = torch.rand(pairs, generator=draw) < torch.sigmoid(logit_B / noise)
    return x_BD * torch.tensor([1.0, 50.0, 0.01, 1.0, 1.0, 1.0]), better_B.double()


def one_each(count: int) -> dict[str, torch.Tensor]:
    return {"weight_B": torch.ones(count), "cluster_B": torch.arange(count)}


def test_the_direction_is_that_of_scikit_learn(monkeypatch):
    """Its C is of the summed loss and half the squared weights: C = 1 / (2 penalty B)."""
    monkeypatch.setattr(probe, "PENALTIES", (0.1,))
    x_BD, y_B = world(300, noise=1.0)
    scale_D = x_BD.double().square().mean(0).sqrt().numpy()
    peer = LogisticRegression(C=1 / (2 * 0.1 * 300), fit_intercept=False, tol=1e-10, max_iter=1000)
    peer.fit(x_BD.numpy() / scale_D, y_B.numpy())
    found_D = fit_direction(x_BD, y_B, **one_each(300)).numpy()
    assert found_D * scale_D == pytest.approx(peer.coef_[0], abs=1e-6)


def test_a_pair_read_the_other_way_round_says_the_same():
    x_BD, y_B = world(200, noise=1.0)
    turned = torch.arange(200) % 3 == 0
    sign_B = torch.where(turned, -1.0, 1.0)
    other_B = torch.where(turned, 1 - y_B, y_B)
    straight_D = fit_direction(x_BD, y_B, **one_each(200))
    assert torch.allclose(
        straight_D, fit_direction(x_BD * sign_B[:, None], other_B, **one_each(200)), atol=1e-8
    )


def test_a_weight_counts_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(probe, "PENALTIES", (0.1,))
    x_BD, y_B = world(60, noise=1.0)
    weight_B = torch.ones(60)
    weight_B[:20] = 2.0
    often = torch.cat([x_BD, x_BD[:20]]), torch.cat([y_B, y_B[:20]])
    found_D = fit_direction(x_BD, y_B, weight_B=weight_B, cluster_B=torch.arange(60))
    assert torch.allclose(found_D, fit_direction(*often, **one_each(80)), atol=1e-6)


def test_noise_is_shrunk_further_than_a_signal():
    scale_D = torch.tensor([1.0, 50.0, 0.01, 1.0, 1.0, 1.0])
    signal_D = fit_direction(*world(400, noise=0.2), **one_each(400)) * scale_D
    noise_D = fit_direction(*world(400, noise=1e6), **one_each(400)) * scale_D
    assert signal_D[0] / signal_D[1] == pytest.approx(-2, rel=0.2)
    assert noise_D.norm() < signal_D.norm() / 20


def test_pairs_of_one_prompt_are_left_out_together():
    """Copies of a pair in other folds would let the weakest penalty look best: it learns them by heart."""
    x_BD = torch.randn(40, 60, generator=torch.Generator().manual_seed(1))
    y_B = torch.from_numpy(np.random.default_rng(2).integers(0, 2, 40)).double()
    copies = x_BD.repeat(5, 1), y_B.repeat(5)
    honest_D = fit_direction(
        *copies, weight_B=torch.ones(200), cluster_B=torch.arange(40).repeat(5)
    )
    fooled_D = fit_direction(*copies, weight_B=torch.ones(200), cluster_B=torch.arange(200) // 8)
    assert honest_D.norm() < fooled_D.norm() / 2


def test_few_prompts_take_the_strongest_penalty(monkeypatch):
    x_BD, y_B = world(4, noise=0.1)
    found_D = fit_direction(x_BD, y_B, **one_each(4))
    monkeypatch.setattr(probe, "PENALTIES", probe.PENALTIES[:1])
    assert torch.equal(found_D, fit_direction(x_BD, y_B, **one_each(4)))
