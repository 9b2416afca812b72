import pytest
import torch

from training.functional.advantages import explained_variance, generalized_advantages, whiten

LENGTHS = torch.tensor([3, 1, 5])
MASK = torch.arange(5) < LENGTHS[:, None]


def plain_loop(rewards, values, lengths, gamma, lam):
    """GAE as the paper writes it, a response and a token at a time."""
    advantages = torch.zeros_like(rewards)
    for row, length in enumerate(lengths.tolist()):
        later = 0.0
        for t in reversed(range(length)):
            ahead = values[row, t + 1] if t + 1 < length else 0.0
            later = rewards[row, t] + gamma * ahead - values[row, t] + gamma * lam * later
            advantages[row, t] = later
    return advantages


def test_the_advantages_of_two_tokens_by_hand():
    """Rewards (0, 1), values (.5, .4), gamma .9, lambda .5.

    delta_1 = 1 - .4 = .6; delta_0 = 0 + .9 * .4 - .5 = -.14;
    A_1 = .6; A_0 = -.14 + .45 * .6 = .13; returns (.63, 1).
    """
    made = generalized_advantages(
        torch.tensor([[0.0, 1.0]]),
        torch.tensor([[0.5, 0.4]]),
        torch.ones(1, 2, dtype=torch.bool),
        gamma=0.9,
        lam=0.5,
    )
    torch.testing.assert_close(made.advantages_NT, torch.tensor([[0.13, 0.6]]))
    torch.testing.assert_close(made.returns_NT, torch.tensor([[0.63, 1.0]]))


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 1.0), (0.99, 0.0), (0.0, 0.5)])
def test_the_matrix_equals_the_loop(gamma, lam):
    torch.manual_seed(0)
    rewards, values = torch.randn(3, 5), torch.randn(3, 5)
    made = generalized_advantages(rewards, values, MASK, gamma=gamma, lam=lam)
    loop = plain_loop(rewards, values, LENGTHS, gamma, lam)
    torch.testing.assert_close(made.advantages_NT, loop)
    torch.testing.assert_close(made.returns_NT, (loop + values).where(MASK, 0.0))


def test_what_stands_in_the_padding_does_not_matter():
    torch.manual_seed(0)
    rewards, values = torch.randn(3, 5), torch.randn(3, 5)
    spoiled = [one.where(MASK, torch.nan) for one in (rewards, values)]
    clean = generalized_advantages(rewards, values, MASK, gamma=1.0, lam=0.9)
    dirty = generalized_advantages(*spoiled, MASK, gamma=1.0, lam=0.9)
    torch.testing.assert_close(clean, dirty)


def test_whitening_counts_real_tokens_only():
    """(1, 2, 3) has mean 2 and variance 2/3; the 100 in the padding changes nothing."""
    values = torch.tensor([[1.0, 2.0], [3.0, 100.0]])
    mask = torch.tensor([[True, True], [True, False]])
    expected = torch.tensor([[-(1.5**0.5), 0.0], [1.5**0.5, 0.0]])
    torch.testing.assert_close(whiten(values, mask), expected)


def test_equal_advantages_whiten_to_zero():
    assert whiten(torch.full((2, 2), 3.0), torch.ones(2, 2, dtype=torch.bool)).abs().max() == 0


def test_explained_variance_by_hand():
    """Returns (0, 2), values (0, 1): errors (0, 1) vary by 1/4, returns by 1; 1 - 1/4."""
    made = explained_variance(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 2.0]))
    assert made.item() == pytest.approx(0.75)
    assert explained_variance(torch.ones(3), torch.ones(3)).item() == 0
