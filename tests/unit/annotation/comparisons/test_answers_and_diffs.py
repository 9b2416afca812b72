"""Ranks become tiers with strengths, and near-duplicates show where they differ."""

import pytest

from annotation.comparisons.forms import answer_from, tiers_from_ranks
from annotation.comparisons.selectors import tier_levels
from annotation.comparisons.worddiff import word_changes, word_diff
from annotation.core.errors import InvalidInput

ENDLESS = "9" * 5_000  # digits: more than `int` takes
UUID = "0b1c7e4e-8f54-4a35-9a0e-0c55f6f5b0d1"


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


@pytest.mark.parametrize(
    ("fields", "candidates", "sentence"),
    [
        ({"overall": f"{ENDLESS}:1"}, [5, 7], "Choose which response is better"),
        ({"overall": f"5:{ENDLESS}"}, [5, 7], "Choose which response is better"),
        ({"rank-5": "1", "rank-6": "2", "rank-7": ENDLESS}, [5, 6, 7], "a rank from 1 to 9"),
    ],
)
def test_a_posted_number_without_end_is_refused_with_a_sentence(fields, candidates, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        answer_from({"client_uuid": UUID, **fields}, candidates, scale="seven")


def test_a_posted_time_without_end_is_none():
    fields = {"client_uuid": UUID, "overall": "5:1", "active_ms": ENDLESS}
    assert answer_from(fields, [5, 7], scale="seven").active_ms == 0


def test_levels_add_the_strengths_up_from_the_worst_tier():
    """[[7], [5, 6], [8]] with strengths 2 and 1: 8 at 0, 5 and 6 at 1, 7 at 3."""
    assert tier_levels([[7], [5, 6], [8]], [2, 1]) == {8: 0, 5: 1, 6: 1, 7: 3}


def test_a_diff_marks_words_and_escapes_the_rest():
    left, right = word_diff("a <i>red</i> fox", "a <i>blue</i> fox") or ("", "")
    assert "&lt;i&gt;<mark>red</mark>&lt;/i&gt;" in left
    assert "<mark>blue</mark>" in right


def test_an_edit_tells_what_was_removed_from_what_was_added():
    before, after = word_changes("a <b>red</b> fox ran", "a <b>blue</b> fox") or ("", "")
    assert "&lt;b&gt;<del>red</del>&lt;/b&gt; fox<del> ran</del>" in before
    assert "&lt;b&gt;<ins>blue</ins>&lt;/b&gt; fox</pre>" in after


def test_texts_that_share_little_have_no_diff():
    assert word_diff("one two three", "quite other words here") is None


def test_texts_of_endless_length_have_no_diff():
    assert word_diff("a " * 20_001, "a " * 20_001) is None
