"""Position, length, calibration, entry exams and sequences: worked sums and edges."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from annotation.measures import bias, calibration, evaluation, labelers, sequential
from annotation.measures.statistic import Statistic, wilson_interval


def test_the_wilson_interval_of_three_in_four_by_hand():
    """z = 2 would give center (3/4 + 4/8) / (1 + 1) = .625; with z = 1.96 it is .6276."""
    z = 1.959964
    center = (0.75 + z**2 / 8) / (1 + z**2 / 4)
    half = z / (1 + z**2 / 4) * np.sqrt(0.75 * 0.25 / 4 + z**2 / 64)
    assert wilson_interval(3, n=4) == pytest.approx((center - half, center + half), abs=1e-6)


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (3, 4), (50, 100), (64, 100)])
def test_the_binomial_test_equals_scipy(hits, n):
    assert bias.even_chance_p_value(hits, n=n) == pytest.approx(binomtest(hits, n).pvalue)


def test_the_longer_response_wins_two_of_three_unequal_pairs():
    """Differences 5, -2, 7, 0: the longer won, won, lost; the equal pair says nothing."""
    statistic = bias.longer_wins([5, -2, 7, 0], [True, False, False, True])
    assert (statistic.value, statistic.n) == (pytest.approx(2 / 3), 3)


def test_length_control_equals_statsmodels():
    random = np.random.default_rng(8)
    delta = random.normal(0, 100, 300)
    won = random.random(300) < 1 / (1 + np.exp(-0.3 - 0.01 * delta))
    design = sm.add_constant(np.tanh(delta / delta.std(ddof=1)))
    theirs = sm.GLM(won.astype(float), design, family=sm.families.Binomial()).fit()
    ours = bias.length_control(delta, won)
    assert [ours.intercept, ours.length_effect.value] == pytest.approx(theirs.params, abs=1e-6)


@pytest.mark.parametrize(
    ("delta", "won", "reason"),
    [([], [], "equal"), ([3, 3], [1, 0], "equal"), ([-2, -1, 1, 2], [0, 0, 1, 1], "fully")],
)
def test_a_length_effect_without_a_finite_size_says_why(delta, won, reason):
    controlled = bias.length_control(delta, won)
    assert controlled.win_rate.value is None
    assert reason in controlled.length_effect.reason


def test_calibration_error_of_two_bins_by_hand():
    """Bin .9: predicted .9, observed .5, n 2; bin .1: predicted .1, observed 0, n 2: .2 + .05."""
    error = calibration.expected_calibration_error([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0])
    assert error == pytest.approx(0.25)


def test_the_last_bin_holds_certainty():
    only = calibration.reliability([1.0, 1.0], [1, 0])
    assert (only[0].low, only[0].high, only[0].observed) == (0.9, 1.0, 0.5)


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [([], [], "one outcome a prediction"), ([0.5], [1, 0], "one outcome"), ([1.2], [1], "from 0")],
)
def test_predictions_that_are_no_chances_are_refused(p, y, message):
    with pytest.raises(ValueError, match=message):
        calibration.brier(p, y)


def test_the_ceiling_needs_agreement_above_one_half():
    assert calibration.accuracy_ceiling(0.4) is None
    assert calibration.accuracy_ceiling(1.0) == (1.0, 1.0)


def test_adjusted_p_values_equal_statsmodels():
    p_values = np.random.default_rng(1).random(40) ** 2
    theirs = multipletests(p_values, method="fdr_bh")[1]
    assert labelers.adjusted_p_values(p_values) == pytest.approx(theirs)


def test_an_exam_may_stay_undecided():
    assert labelers.EntryExam().decide([True, False, True]) is None


def test_gold_accuracy_is_the_mean_of_its_posterior():
    """Nine of ten with a flat prior: Beta(10, 2), mean 10 / 12."""
    statistic = labelers.gold_accuracy(9, shown=10)
    assert statistic.value == pytest.approx(10 / 12)
    assert statistic.interval.low < 0.9 < statistic.interval.high


def test_the_confidence_sequence_errs_below_its_promise_under_continuous_peeking():
    """300 fair matches looked at after each of 200 votes; at most 5 % may ever exclude 0.5."""
    random = np.random.default_rng(6)
    excluded = 0
    for votes in random.random((300, 200)) < 0.5:
        wins = votes.cumsum()
        evidence = [
            sequential.win_rate_evidence(0.5, wins=won, votes=seen, best_at=100)
            for seen, won in enumerate(wins, start=1)
        ]
        excluded += max(evidence) >= np.log(1 / 0.05)
    assert excluded / 300 <= 0.05


@pytest.mark.parametrize(("wins", "votes"), [(0, 1), (1, 1), (0, 500), (500, 500), (3, 7)])
def test_the_confidence_sequence_holds_the_observed_rate(wins, votes):
    low, high = sequential.win_rate_sequence(wins, votes)
    assert 0 <= low <= wins / votes <= high <= 1


def test_prediction_powered_rate_ignores_a_judge_without_variation():
    """lambda = 0 leaves the mean of the people, 3/4."""
    corrected = evaluation.prediction_powered_rate([1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1])
    assert (corrected.judge_weight, corrected.statistic.value) == (0, 0.75)


def test_repetition_is_what_distinct_and_self_bleu_see():
    """a a b has 2 of 3 different tokens; two equal texts give a self-BLEU of 1."""
    assert evaluation.distinct(["a a b"], size=1) == pytest.approx(2 / 3)
    assert evaluation.self_bleu(["a b c d e", "a b c d e"]) == pytest.approx(1)
    assert evaluation.self_bleu(["alone"]) is None
    assert evaluation.distinct([], size=2) is None


def test_a_statistic_is_a_number_or_has_a_reason():
    with pytest.raises(ValueError, match="needs a reason"):
        Statistic(value=None, interval=None, n=0)
    with pytest.raises(ValueError, match="number or None"):
        Statistic(value=float("nan"), interval=None, n=0)


def test_items_that_all_say_the_same_are_no_certainty():
    """Three items of three: Wilson's lower bound is 3 / (3 + 1.96^2) = .44, not 1."""
    found = bias.ratio(
        bias.ratio_sums(np.array([2.0, 2.0, 4.0]), np.array([2.0, 2.0, 4.0])), nothing="-"
    )
    assert (found.value, found.interval.high) == (1.0, 1.0)
    assert found.interval.low == pytest.approx(3 / (3 + 1.959964**2))


def test_a_ratio_of_two_items_by_hand():
    """(1 + 2) / (2 + 2) = .75; residuals -.5 and .5; se = sqrt(.5 * 2) / 4 = .25."""
    found = bias.ratio(bias.ratio_sums(np.array([1.0, 2.0]), np.array([2.0, 2.0])), nothing="-")
    assert found.value == pytest.approx(0.75)
    assert found.interval.low == pytest.approx(0.75 - 1.959964 * 0.25)
    empty = bias.ratio_sums(np.zeros(2), np.zeros(2))
    assert bias.ratio(empty, nothing="Nothing.").reason == "Nothing."
