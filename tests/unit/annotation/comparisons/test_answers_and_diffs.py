"""Ranks become tiers with strengths, and near-duplicates show where they differ."""

import pytest

from annotation.comparisons.forms import tiers_from_ranks
from annotation.comparisons.selectors import tier_levels
from annotation.comparisons.worddiff import word_diff


@pytest.mark.parametrize(
    ("ranks", "ranking", "strengths"),
    [
        ({7: 1, 5: 2, 6: 3}, [[7], [5], [6]], [1, 1]),
        ({7: 2, 5: 1, 6: 2}, [[5], [6, 7]], [1]),
        ({7: 1, 5: 3, 6: 9}, [[7], [5], [6]], [2, 3]),
        ({7: 4, 5: 4, 6: 4}, [[5, 6, 7]], []),
    ],
)
def test_equal_ranks_tie_and_a_gap_is_the_strength_up_to_three(ranks, ranking, strengths):
    assert tiers_from_ranks(ranks) == (ranking, strengths)


def test_levels_add_the_strengths_up_from_the_worst_tier():
    """[[7], [5, 6], [8]] with strengths 2 and 1: 8 at 0, 5 and 6 at 1, 7 at 3."""
    assert tier_levels([[7], [5, 6], [8]], [2, 1]) == {8: 0, 5: 1, 6: 1, 7: 3}


def test_a_diff_marks_words_and_escapes_the_rest():
    left, right = word_diff("a <i>red</i> fox", "a <i>blue</i> fox") or ("", "")
    assert "&lt;i&gt;<mark>red</mark>&lt;/i&gt;" in left
    assert "<mark>blue</mark>" in right


def test_texts_that_share_little_have_no_diff():
    assert word_diff("one two three", "quite other words here") is None


def test_texts_of_endless_length_have_no_diff():
    assert word_diff("a " * 20_001, "a " * 20_001) is None
