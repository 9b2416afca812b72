"""The climb to a likelihood's peak, where sums round and where no peak exists."""

import numpy as np
import pytest

from annotation.measures.newton import Curvature, maximize


def test_a_peak_is_found_though_the_likelihood_rounds_down_beside_it():
    """Each sum of thousands of terms is off by some last bits: here every later one is 5e-11 lower."""
    seen = []

    def curvature(at):
        seen.append(at)
        value = -1e4 * float(np.cosh(at[0] - 1)) - 5e-11 * len(seen)
        return Curvature(value, -1e4 * np.sinh(at - 1), -1e4 * np.cosh(at - 1)[:, None])

    peak = maximize(curvature, np.zeros(1))
    assert peak is not None
    assert peak.parameters == pytest.approx([1], abs=1e-6)
    assert len(seen) < 20


def test_a_likelihood_that_only_rises_has_no_peak():
    assert (
        maximize(lambda at: Curvature(float(at[0]), np.ones(1), np.zeros((1, 1))), np.zeros(1))
        is None
    )
