"""Ties and rankings: sums worked by hand, gradients, and other programs' fits as oracles."""

import math
from itertools import permutations

import choix
import numpy as np
import pytest
import torch

from annotation.measures.ranking import PairCounts, TieModel, rank
from training.functional.preference import bradley_terry_loss
from training.functional.rankings import plackett_luce_loss
from training.functional.ties import (
    DAVIDSON,
    RAO_KUPPER,
    TIE_MODELS,
    Ties,
    free_number,
    starting_parameter,
    tie_log_probabilities,
    tie_parameter,
)


def free(parameter, model):
    return torch.tensor(free_number(parameter, model), dtype=torch.float64)


def probabilities(difference, parameter, model):
    x = torch.tensor([difference], dtype=torch.float64)
    return tie_log_probabilities(x, free(parameter, model), model).exp()[0].tolist()


def test_davidsons_odds_by_hand():
    """x = 2 ln 2, nu = 1.5: 2 : 1.5 : 0.5 of 4."""
    assert probabilities(2 * math.log(2), 1.5, DAVIDSON) == pytest.approx([0.5, 0.375, 0.125])


def test_rao_and_kuppers_probabilities_by_hand():
    """Strengths 4 and 1, theta 2: 4 / (4 + 2), 1 / (1 + 2 4), and the rest 1 - 2/3 - 1/9."""
    found = probabilities(math.log(4), 2.0, RAO_KUPPER)
    assert found == pytest.approx([2 / 3, 2 / 9, 1 / 9])


@pytest.mark.parametrize("model", TIE_MODELS)
def test_the_start_ties_equal_scores_as_often_as_people_do(model):
    parameter = starting_parameter(0.3, model)
    assert probabilities(0.0, parameter, model)[1] == pytest.approx(0.3)
    assert tie_parameter(free_number(parameter, model), model) == pytest.approx(parameter)


@pytest.mark.parametrize("model", TIE_MODELS)
def test_far_scores_keep_probabilities_finite(model):
    x = torch.tensor([800.0, -800.0])
    found = tie_log_probabilities(x, torch.tensor(-3.0), model)
    assert found.isfinite().all()
    assert found.exp().sum(-1).tolist() == pytest.approx([1.0, 1.0])


def test_a_tied_pair_costs_the_log_of_its_probability():
    """d = 0, nu = 2: P(tie) = 2/4; half a tie and half a win cost (ln 2 + ln 4) / 2."""
    pair = {
        "chosen_B": torch.tensor([1.0]),
        "rejected_B": torch.tensor([1.0]),
        "weight_B": torch.tensor([1.0]),
    }
    for share, worked in ((1.0, math.log(2)), (0.5, 1.5 * math.log(2)), (0.0, math.log(4))):
        ties = Ties(DAVIDSON, torch.tensor(math.log(2)), torch.tensor([share]))
        assert bradley_terry_loss(**pair, ties=ties).nll.item() == pytest.approx(worked)


def test_without_ties_davidson_at_zero_is_bradley_terry():
    chosen, rejected = torch.tensor([2.0, 0.3]), torch.tensor([1.0, 0.9])
    terms = {"weight_B": torch.tensor([0.5, 0.5]), "label_B": torch.tensor([0.7, 1.0])}
    ties = Ties(DAVIDSON, torch.tensor(-40.0), torch.zeros(2))
    plain = bradley_terry_loss(chosen, rejected, **terms)
    assert bradley_terry_loss(chosen, rejected, **terms, ties=ties).nll.item() == pytest.approx(
        plain.nll.item()
    )


@pytest.mark.parametrize("model", TIE_MODELS)
def test_the_gradient_with_ties_is_that_of_the_formula(model):
    chosen = torch.randn(4, dtype=torch.float64, requires_grad=True)
    rejected = torch.randn(4, dtype=torch.float64, requires_grad=True)
    number = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    shares = torch.rand(4, dtype=torch.float64)
    label = torch.rand(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda c, r, t: (
            bradley_terry_loss(
                c, r, weight_B=shares, label_B=label, ties=Ties(model, t, shares)
            ).loss
        ),
        (chosen, rejected, number),
    )


@pytest.mark.parametrize(
    ("model", "theirs"), [(DAVIDSON, TieModel.DAVIDSON), (RAO_KUPPER, TieModel.RAO_KUPPER)]
)
def test_the_least_loss_is_the_ranking_of_the_agreement_page(model, theirs):
    """Which is checked against R; three responses, counts of wins, ties, losses."""
    rows = torch.tensor([[0, 1, 7, 4, 3], [0, 2, 9, 3, 2], [1, 2, 5, 6, 4]])
    expected = rank(PairCounts.from_rows(rows.numpy()), candidate_count=3, ties=theirs)
    (first, second), counts = rows[:, :2].T, rows[:, 2:].double()
    scores = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    number = torch.zeros((), dtype=torch.float64, requires_grad=True)
    total_B, decided_B = counts.sum(1), counts[:, 0] + counts[:, 2]

    def loss():
        found = bradley_terry_loss(
            scores[first],
            scores[second],
            weight_B=total_B / total_B.sum(),
            label_B=counts[:, 0] / decided_B,
            ties=Ties(model, number, counts[:, 1] / total_B),
        ).loss
        optimizer.zero_grad()
        found.backward()
        return found

    optimizer = torch.optim.LBFGS([scores, number], max_iter=200, tolerance_grad=1e-12)
    optimizer.step(loss)
    found = (scores - scores.mean()).detach().numpy()
    assert found == pytest.approx(np.array(expected.strengths), abs=1e-5)
    assert tie_parameter(number.item(), model) == pytest.approx(expected.tie_parameter, abs=1e-5)


def test_a_ranking_by_hand():
    """Strengths 3, 2, 1: first 3/6, then 2/3; the mean of ln 2 and ln 1.5 is 0.54931."""
    found = plackett_luce_loss(torch.tensor([3.0, 2.0, 1.0]).log(), weight=1.0)
    assert found.nll.item() == pytest.approx((math.log(2) + math.log(1.5)) / 2)
    assert found.accuracy.item() == 1.0
    assert found.difference.item() == pytest.approx(2 * math.log(3) / 3)


def test_a_ranking_of_two_is_a_pair():
    two = torch.tensor([2.0, 1.0])
    pair = bradley_terry_loss(two[:1], two[1:], weight_B=torch.tensor([0.5]), centering=0.1)
    ranking = plackett_luce_loss(two, weight=0.5, centering=0.1)
    assert [one.item() for one in ranking] == pytest.approx([one.item() for one in pair])


def test_all_rankings_together_are_certain():
    scores = torch.tensor([0.3, -1.0, 0.8, 0.1])
    nll = [plackett_luce_loss(scores[list(one)], weight=3.0).nll for one in permutations(range(4))]
    assert torch.stack(nll).neg().exp().sum().item() == pytest.approx(1.0)


def test_the_likelihood_of_rankings_is_choixs():
    generator = np.random.default_rng(3)
    scores = generator.normal(size=5)
    for _ in range(5):
        order = generator.permutation(5)
        ours = plackett_luce_loss(torch.tensor(scores[order]), weight=4.0).nll.item()
        assert ours == pytest.approx(-choix.log_likelihood_rankings([order], scores))


def test_the_gradient_of_a_ranking_is_that_of_the_formula():
    scores = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda s: plackett_luce_loss(s, weight=0.7, centering=0.2).loss, (scores,)
    )
