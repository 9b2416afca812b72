import math

import pytest
import torch
from torch import nn

from training.functional.logprobs import target_logprobs, token_logprobs


def test_logprob_and_entropy_of_a_known_distribution():
    """Logits log 1, log 3: p = 1/4, 3/4; H = 1/4 log 4 + 3/4 log(4/3) = 0.56234."""
    logits = torch.tensor([[math.log(1.0), math.log(3.0)]])
    found = token_logprobs(logits, torch.tensor([1]), nn.Identity())
    assert found.logprob_R.item() == pytest.approx(math.log(0.75))
    assert found.entropy_R.item() == pytest.approx(0.562335, abs=1e-6)


def test_temperature_divides_the_logits():
    """Temperature 1/2 squares the odds: p = 1/10, 9/10."""
    logits = torch.tensor([[math.log(1.0), math.log(3.0)]])
    found = token_logprobs(logits, torch.tensor([1]), nn.Identity(), temperature=0.5)
    assert found.logprob_R.item() == pytest.approx(math.log(0.9))


def test_tiles_change_neither_values_nor_gradients():
    head = nn.Linear(5, 11, bias=False)
    targets = torch.randint(11, (7,))
    hidden = torch.randn(7, 5, requires_grad=True)
    whole = token_logprobs(hidden, targets, head, tile=100)
    whole_grads = torch.autograd.grad(whole.logprob_R.sum(), [hidden, head.weight])
    tiled = token_logprobs(hidden, targets, head, tile=3)
    tiled_grads = torch.autograd.grad(tiled.logprob_R.sum(), [hidden, head.weight])
    torch.testing.assert_close(tiled, whole)
    torch.testing.assert_close(tiled_grads, whole_grads)


def test_no_tokens_give_no_numbers():
    found = token_logprobs(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), nn.Identity())
    assert found.logprob_R.shape == (0,)


def test_without_entropy_the_numbers_are_the_same_bits():
    head = nn.Linear(5, 11, bias=False)
    hidden, targets = torch.randn(7, 5, requires_grad=True), torch.randint(11, (7,))
    found = target_logprobs(hidden, targets, head, temperature=0.7, tile=3)
    expected = token_logprobs(hidden, targets, head, temperature=0.7, tile=3).logprob_R
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(one.sum(), [hidden, head.weight]) for one in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert target_logprobs(hidden[:0], targets[:0], head).shape == (0,)
