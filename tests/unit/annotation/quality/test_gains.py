"""The comparisons where one more judgment tells most: a part is sorted, in the order that sorting all gives."""

import numpy as np
import pytest

from annotation.quality.gains import Gains, foremost


@pytest.mark.parametrize("at_most", [1, 7, 50, 400, 500])
def test_the_foremost_are_the_head_of_a_full_sort(at_most):
    generator = np.random.default_rng(4)
    ids = generator.permutation(400) + 1_000
    bits = generator.integers(0, 6, size=400) / 8  # most are equal to others
    by_hand = sorted(range(400), key=lambda at: (-bits[at], -ids[at]))[:at_most]
    assert foremost(ids, bits, at_most=at_most).tolist() == by_hand


def test_a_comparison_without_judgments_tells_nothing():
    gains = Gains(np.array([7, 3]), np.array([0.5, 0.25]), 1.0)
    assert gains.of(np.array([3, 5, 7])).tolist() == [0.25, 0.0, 0.5]
