"""Shares of pairs in the table of labelers, as sure as the answers that the pairs come from."""

from types import SimpleNamespace

import numpy as np
import pytest

from annotation.quality.labeler_table import _of_answers


def test_pairs_of_one_ranking_are_one_answer():
    """Five rankings of four give 30 pairs; Wilson's interval of 3 of 5 is 0.231 to 0.882 (that of 18 of 30: 0.423 to
    0.754). Four answers to pairs stay four.
    """
    totals = SimpleNamespace(judgments=np.array([5, 4, 0]), pairs=np.array([30, 4, 0]))
    rankings, pairs, none = _of_answers(
        np.array([18, 2, 0]), np.array([30, 4, 0]), totals, nothing="Nothing."
    )
    assert (rankings["value"], rankings["n"]) == (0.6, 5)
    assert rankings["interval"] == pytest.approx([0.2307, 0.8824], abs=1e-4)
    assert (pairs["value"], pairs["n"]) == (0.5, 4)
    assert (none["value"], none["reason"]) == (None, "Nothing.")


def test_a_part_of_the_pairs_is_a_part_of_the_answers_at_least_one():
    totals = SimpleNamespace(judgments=np.array([10]), pairs=np.array([60]))
    (few,) = _of_answers(np.array([6]), np.array([6]), totals, nothing="Nothing.")
    assert (few["value"], few["n"]) == (1.0, 1)
