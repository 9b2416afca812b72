import pytest
import torch

from training.functional.moments import Moments, with_batch


def test_batches_add_up_to_the_whole():
    """(1, 2) and then (6): mean 3, squares 4 + 1 + 9 = 14, deviation sqrt(14 / 3)."""
    made = with_batch(with_batch(Moments(), torch.tensor([1.0, 2.0])), torch.tensor([6.0]))
    assert made == pytest.approx((3.0, 3.0, 14.0))
    assert made.deviation == pytest.approx((14 / 3) ** 0.5)


def test_nothing_and_equal_numbers_divide_by_one():
    assert Moments().deviation == 1.0
    assert with_batch(Moments(), torch.ones(4)).deviation == 1.0
