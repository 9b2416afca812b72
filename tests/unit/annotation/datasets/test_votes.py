"""Votes and pairs: the sums worked by hand."""

from datetime import UTC, datetime

import pytest

from annotation.comparisons.selectors import PairRow
from annotation.datasets.query import SnapshotQuery
from annotation.datasets.votes import pairs_of, votes_of
from annotation.quality.adjudication import PairVerdict

NAMES = {1: "a1", 2: "b2", 3: "c3"}


def row(judgment, first, second, strength, *, is_all_bad=False):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return PairRow(
        judgment, 1, 1, first, second, judgment, strength, is_all_bad, None, 0, at, None, "normal"
    )


def only(rows, posteriors=None, adjudicated=None, **query):
    (pair,) = pairs_of(
        votes_of(rows), SnapshotQuery(**query), NAMES, posteriors or {}, adjudicated or {}
    )
    return pair


def test_the_margin_is_the_mean_strength_in_favor_of_the_chosen():
    """(3 + 2 - 1 + 0) / 4 = 1 for the first; votes 2, 1, 1; soft 2 / 3."""
    pair = only([row(1, 1, 2, 3), row(2, 1, 2, 2), row(3, 1, 2, -1), row(4, 1, 2, 0)])
    assert (pair.chosen, pair.rejected) == ("a1", "b2")
    assert (pair.votes_chosen, pair.votes_rejected, pair.votes_tied) == (2, 1, 1)
    assert pair.margin == 1.0
    assert pair.soft_label == pytest.approx(2 / 3, abs=1e-6)


def test_swapping_the_candidates_swaps_the_pair_and_nothing_else():
    rows = [row(1, 1, 2, -3), row(2, 1, 2, -2), row(3, 1, 2, 1), row(4, 1, 2, 0)]
    pair = only(rows)
    assert (pair.chosen, pair.rejected, pair.margin) == ("b2", "a1", 1.0)
    assert pair.soft_label == pytest.approx(2 / 3, abs=1e-6)


def test_as_many_votes_for_both_is_a_tie_in_the_order_of_ids():
    pair = only([row(1, 1, 2, 3), row(2, 1, 2, -1)])
    assert (pair.is_tie, pair.chosen, pair.soft_label, pair.margin) == (True, "a1", 0.5, 0.0)


def test_a_margin_never_speaks_against_the_chosen():
    """Two slight votes beat one strong one in number, not in strength: (1 + 1 - 3) / 3 < 0."""
    assert only([row(1, 1, 2, 1), row(2, 1, 2, 1), row(3, 1, 2, -3)]).margin == 0.0


def test_all_bad_is_half_a_win_for_nobody():
    pair = only([row(1, 1, 2, 1), row(2, 1, 2, 0, is_all_bad=True)])
    assert (pair.votes_chosen, pair.votes_rejected, pair.votes_tied) == (1, 0, 0)


def test_a_candidate_is_unacceptable_by_more_than_half_of_those_who_saw_it():
    rows = [
        row(1, 1, 2, 0, is_all_bad=True),
        row(2, 1, 2, 0, is_all_bad=True),
        row(3, 1, 2, 1),
        row(4, 2, 3, 1),
    ]
    assert votes_of(rows).unacceptable(min_judgments=1, adjudicated={}) == {1}


def test_posteriors_decide_under_dawid_skene_while_votes_stay():
    pair = only([row(1, 1, 2, 1), row(2, 1, 2, 1)], {(1, 2): (0.2, 0.2)}, aggregation="dawid_skene")
    assert (pair.chosen, pair.votes_chosen, pair.votes_rejected) == ("b2", 0, 2)
    assert pair.soft_label == pytest.approx(0.6 / 0.8)


def test_a_pair_with_too_few_judgments_is_left_out():
    assert (
        pairs_of(votes_of([row(1, 1, 2, 1)]), SnapshotQuery(min_judgments=2), NAMES, {}, {}) == ()
    )


def test_one_better_and_one_about_the_same_is_a_preference_but_no_majority():
    """Whoever decided chose the first; the margin is the mean of 2 and 0."""
    rows = [row(1, 1, 2, 2), row(2, 1, 2, 0)]
    pair = only(rows)
    assert (pair.is_tie, pair.chosen, pair.soft_label, pair.margin) == (False, "a1", 1.0, 1.0)
    assert (pair.votes_chosen, pair.votes_rejected, pair.votes_tied) == (1, 0, 1)
    assert only(rows, aggregation="majority").is_tie
    assert not only([*rows, row(3, 1, 2, 2)], aggregation="majority").is_tie


def test_more_that_find_both_the_same_than_one_better_is_a_tie():
    rows = [row(1, 1, 2, 2), row(2, 1, 2, 0), row(3, 1, 2, 0)]
    assert [only(rows, aggregation=one).is_tie for one in ("soft", "majority")] == [True, True]


def test_an_admins_verdict_leads_and_the_votes_stay():
    """Two votes for the first, but the admin found the second better by 2."""
    verdict = {(1, 2): PairVerdict(strength=-2, is_all_bad=False)}
    pair = only([row(1, 1, 2, 3), row(2, 1, 2, 1)], adjudicated=verdict)
    assert (pair.chosen, pair.votes_chosen, pair.votes_rejected) == ("b2", 0, 2)
    assert (pair.soft_label, pair.margin, pair.is_tie) == (1.0, 2.0, False)


def test_what_an_admin_finds_all_bad_is_no_pair_and_not_acceptable():
    verdict = {(1, 2): PairVerdict(strength=0, is_all_bad=True)}
    votes = votes_of([row(1, 1, 2, 3)])
    assert pairs_of(votes, SnapshotQuery(), NAMES, {}, verdict) == ()
    assert votes.unacceptable(min_judgments=1, adjudicated=verdict) == {1, 2}


def test_an_admin_can_rescue_what_most_found_bad():
    verdict = {(1, 2): PairVerdict(strength=1, is_all_bad=False)}
    rows = [row(1, 1, 2, 0, is_all_bad=True), row(2, 1, 2, 0, is_all_bad=True)]
    assert only(rows, adjudicated=verdict).chosen == "a1"
    assert votes_of(rows).unacceptable(min_judgments=1, adjudicated=verdict) == set()
