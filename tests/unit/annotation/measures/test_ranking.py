"""Strengths from verdicts: worked sums, peers, and what must not change them."""

import math

import choix
import numpy as np
import pytest

from annotation.measures.ranking import PairCounts, TieModel, rank

RANDOM = np.random.default_rng(11)
PAIRS = [(i, j) for i in range(5) for j in range(i + 1, 5)]
ROWS = np.array([(i, j, *RANDOM.integers(3, 20, 3)) for i, j in PAIRS])


def davidson(rows, **options):
    return rank(PairCounts.from_rows(rows), candidate_count=5, **options)


def test_two_candidates_differ_by_the_log_odds_of_their_wins():
    """6 wins to 2: theta_0 - theta_1 = log 3, standard error sqrt(1/6 + 1/2)."""
    counts = PairCounts.from_rows([(0, 1, 6, 0, 2)])
    ranked = rank(counts, candidate_count=2, ties=TieModel.NONE)
    assert ranked.contrast(0, 1) == pytest.approx((np.log(3), np.sqrt(1 / 6 + 1 / 2)))
    assert ranked.deviance == pytest.approx(0, abs=1e-8)


def test_the_tie_parameter_of_two_candidates_by_hand():
    """8 wins, 4 ties, 2 losses: e^x = 4, and nu = 4 / sqrt(8 * 2) = 1."""
    ranked = rank(PairCounts.from_rows([(0, 1, 8, 4, 2)]), candidate_count=2)
    assert ranked.contrast(0, 1)[0] == pytest.approx(np.log(4))
    assert ranked.tie_parameter == pytest.approx(1)


def test_bradley_terry_equals_choix():
    wins = [(i, j) for i, j, won, _, _ in ROWS for _ in range(won)]
    losses = [(j, i) for i, j, _, _, lost in ROWS for _ in range(lost)]
    theirs = choix.ilsr_pairwise(5, wins + losses)
    ours = davidson(ROWS * [1, 1, 1, 0, 1], ties=TieModel.NONE).strengths
    assert ours == pytest.approx(theirs - theirs.mean(), abs=1e-6)


@pytest.mark.parametrize("ties", [TieModel.DAVIDSON, TieModel.RAO_KUPPER])
def test_swapping_the_sides_changes_no_strength_and_turns_the_position_around(ties):
    swapped = ROWS[:, [1, 0, 4, 3, 2]]
    one = davidson(ROWS, ties=ties, with_position=True)
    other = davidson(swapped, ties=ties, with_position=True)
    assert one.strengths == pytest.approx(other.strengths, abs=1e-7)
    assert one.position == pytest.approx(-other.position, abs=1e-7)


def test_doubled_counts_halve_the_covariance():
    once, twice = davidson(ROWS), davidson(ROWS * [1, 1, 2, 2, 2])
    assert twice.strengths == pytest.approx(once.strengths, abs=1e-7)
    assert 2 * twice.covariance == pytest.approx(once.covariance, abs=1e-9)


@pytest.mark.parametrize("ties", list(TieModel))
def test_the_fit_is_a_peak_in_every_direction(ties):
    rows = ROWS * [1, 1, 1, 0, 1] if ties is TieModel.NONE else ROWS
    ranked = davidson(rows, ties=ties)
    assert ranked.deviance > 0
    assert np.linalg.eigvalsh(ranked.covariance).min() > -1e-12


def test_intervals_of_strengths_hold_the_truth_about_nineteen_times_in_twenty():
    random = np.random.default_rng(4)
    strengths = np.array([0.8, 0.3, 0.0, -0.4, -0.7])
    held = []
    for _ in range(60):
        rows = []
        for i, j in PAIRS:
            odds = np.exp([(strengths[i] - strengths[j]) / 2, 0, (strengths[j] - strengths[i]) / 2])
            rows.append((i, j, *random.multinomial(60, odds / odds.sum())))
        ranked = davidson(rows)
        held += [
            ranked.interval(c).low <= strengths[c] <= ranked.interval(c).high for c in range(5)
        ]
    assert 0.9 < np.mean(held) < 0.99


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(0, 1, 3, 0, 1), (2, 3, 2, 0, 2)], "never compared"),
        ([(0, 1, 3, 0, 0), (1, 2, 2, 0, 1), (2, 3, 1, 0, 1)], "won or lost every"),
        ([(0, 1, 1, 1, 1), (1, 2, 1, 1, 1), (2, 3, 1, 1, 1)], "takes no ties"),
    ],
)
def test_verdicts_without_a_finite_fit_are_refused_with_the_reason(rows, reason):
    ranked = rank(PairCounts.from_rows(rows), candidate_count=4, ties=TieModel.NONE)
    assert ranked.strengths is None
    assert ranked.interval(0) is None
    assert reason in ranked.reason


def test_a_position_that_always_wins_has_no_finite_effect():
    counts = PairCounts.from_rows([(0, 1, 9, 0, 0), (1, 0, 9, 0, 0)])
    ranked = rank(counts, candidate_count=2, ties=TieModel.NONE, with_position=True)
    assert "separates them fully" in ranked.reason


def test_clustered_intervals_widen_where_verdicts_of_a_labeler_are_alike():
    """Twenty labelers each give ten equal verdicts: 20 facts, not 200, so about sqrt(10) times as wide."""
    random = np.random.default_rng(0)
    won = random.random(20) < 0.6
    rows = [(0, 1, 10 * one, 0, 10 * (not one)) for one in won]
    counts = PairCounts.from_rows(rows)
    plain = rank(counts, candidate_count=2)
    clustered = rank(counts, candidate_count=2, clusters=np.arange(20))
    assert clustered.strengths == pytest.approx(plain.strengths)
    ratio = math.sqrt(clustered.covariance[0, 0] / plain.covariance[0, 0])
    assert ratio == pytest.approx(math.sqrt(10), rel=0.05)


def test_rank_intervals_part_the_clear_and_join_the_close():
    rows = [(0, 1, 500, 0, 500), (0, 2, 900, 0, 100), (1, 2, 900, 0, 100)]
    ranking = rank(PairCounts.from_rows(rows), candidate_count=3)
    assert ranking.rank_intervals() == [(1, 2), (1, 2), (3, 3)]
