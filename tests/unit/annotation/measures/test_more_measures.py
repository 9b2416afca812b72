"""Pairing, shrinkage, cycles, graded and several-way strengths, the alt-test: hand-worked, or beside an oracle."""

import math

import choix
import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from annotation.measures.agreement import Agreement
from annotation.measures.alt_test import adjusted_dependent, alt_test
from annotation.measures.coefficients import Level, alpha
from annotation.measures.consensus import dawid_skene, position_aware, posteriors_given
from annotation.measures.crowd_bt import crowd_bradley_terry
from annotation.measures.cycles import triads
from annotation.measures.evaluation import overoptimization_fit
from annotation.measures.moments import _distinct_clusters, clustered_bootstrap_moments
from annotation.measures.pairing import (
    entropy,
    items_for_width,
    label_information,
    new_item_information,
    pair_information,
    propensities,
)
from annotation.measures.plackett_luce import Choices, plackett_luce, plackett_luce_of_choices
from annotation.measures.ranking import PairCounts, rank
from annotation.measures.shrinkage import beta_prior, shrunken_shares
from annotation.measures.strength_scale import strength_scale
from annotation.measures.table import RatingTable


def test_a_label_of_a_coin_tells_nothing_and_of_a_sure_labeler_one_bit():
    even = np.array([[0.5, 0.5]])
    assert label_information(even, np.full((2, 2), 0.5))[0] == pytest.approx(0)
    assert label_information(even, np.eye(2))[0] == pytest.approx(1)


def test_the_information_of_a_label_by_hand():
    """p = (.5, .5), right 4 in 5: H(L) = 1, H(L | T) = H(.8) = .7219; 1 - .7219 = .2781 bits."""
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    assert label_information(np.array([[0.5, 0.5]]), confusion)[0] == pytest.approx(
        0.278072, abs=1e-6
    )
    assert new_item_information(np.array([0.5, 0.5]), confusion) == pytest.approx(
        0.278072, abs=1e-6
    )


def test_a_decided_item_tells_less_than_an_open_one():
    confusion = np.array([[0.8, 0.2], [0.2, 0.8]])
    told = label_information(np.array([[0.5, 0.5], [0.95, 0.05]]), confusion)
    assert told[1] < told[0]
    assert entropy(np.array([0.25] * 4)) == pytest.approx(2)


def test_the_pair_least_compared_tells_most():
    counts = PairCounts.from_rows([(0, 1, 50, 10, 50), (1, 2, 50, 10, 50), (0, 2, 2, 1, 2)])
    gains = pair_information(rank(counts, candidate_count=3))
    assert gains[0, 2] > gains[0, 1]
    assert np.allclose(gains, gains.T)
    assert not gains.diagonal().any()


def test_a_fifth_is_always_drawn_evenly():
    chances = propensities(np.array([0.0, 1.0, 3.0, 0.0]))
    assert chances == pytest.approx([0.05, 0.25, 0.65, 0.05])
    with pytest.raises(ValueError, match="20%"):
        propensities(np.ones(3), uniform=0.1)


def test_the_items_for_a_width_by_hand():
    """1.96^2 .75 .25 / .05^2 = 288.1, so 289 items with two labels each."""
    plan = items_for_width(agreement=0.75, half_width=0.05, labels_an_item=2)
    assert plan == (289, 578)
    with pytest.raises(ValueError, match="between 0 and 1"):
        items_for_width(agreement=1.0, half_width=0.05, labels_an_item=2)


def test_few_answers_are_drawn_to_the_common_share_and_many_stay():
    hits, n = np.array([3, 700, 800, 900, 600]), np.array([3, 1000, 1000, 1000, 1000])
    shrunk = shrunken_shares(hits, n)
    assert 0.75 < shrunk[0] < 0.85
    assert shrunk[3] == pytest.approx(0.9, abs=0.01)


def test_the_prior_of_shares_is_found_again():
    random = np.random.default_rng(0)
    n = random.integers(50, 300, 4000)
    hits = random.binomial(n, random.beta(8, 2, 4000))
    a, b = beta_prior(hits, n)
    assert (a / (a + b), a + b) == (pytest.approx(0.8, abs=0.01), pytest.approx(10, rel=0.1))


def test_shares_that_differ_by_chance_alone_shrink_fully():
    random = np.random.default_rng(1)
    n = np.full(200, 50)
    shrunk = shrunken_shares(random.binomial(n, 0.7), n)
    assert shrunk.std() < 0.02
    assert np.isnan(shrunken_shares([0], [0])[0])


def test_a_cycle_and_a_straight_triple_are_told_apart():
    """Labeler 0: 0 > 1 > 2 > 0. Labeler 1: 0 > 1 > 2 and 0 > 2. Labeler 2 left one pair out."""
    rows = [(0, 0, 1), (0, 1, 2), (0, 2, 0), (1, 0, 1), (1, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 2)]
    who, won, lost = zip(*rows, strict=True)
    found = triads(who, won, lost, labeler_count=3)
    assert found.circular.tolist() == [1, 0, 0]
    assert found.decided.tolist() == [1, 1, 0]
    assert found.share(2).value is None


def test_random_verdicts_are_circular_one_time_in_four():
    random = np.random.default_rng(2)
    rows = [(0, *random.permutation([i, j])) for i in range(60) for j in range(i + 1, 60)]
    who, won, lost = zip(*rows, strict=True)
    assert triads(who, won, lost, labeler_count=1).share(0).value == pytest.approx(0.25, abs=0.02)


def test_plackett_luce_equals_choix():
    random = np.random.default_rng(3)
    rankings = [random.permutation(5)[: random.integers(2, 6)].tolist() for _ in range(80)]
    strengths, covariance = plackett_luce(rankings, candidate_count=5)
    assert strengths == pytest.approx(choix.opt_rankings(5, rankings), abs=1e-4)
    assert np.allclose(covariance.sum(axis=0), 0)


def test_plackett_luce_of_two_is_the_log_odds():
    strengths, _ = plackett_luce([[0, 1]] * 3 + [[1, 0]], candidate_count=2)
    assert strengths[0] - strengths[1] == pytest.approx(math.log(3))
    assert plackett_luce([[0, 1]], candidate_count=2) is None


def test_a_choice_may_be_among_several_of_one_policy():
    """a is chosen from {a, b, b} in three of five: e^a / (e^a + 2 e^b) = 3/5, so a - b = log 3."""
    chosen, rows = [0, 0, 0, 1, 1], np.repeat(np.arange(5), 3)
    choices = Choices.of(chosen, rows, np.tile([0, 1, 1], 5), 2)
    strengths, covariance = plackett_luce_of_choices(choices)
    assert strengths[0] - strengths[1] == pytest.approx(math.log(3))
    gap = np.array([1, -1])
    assert gap @ covariance @ gap == pytest.approx(1 / (5 * 0.6 * 0.4))


def test_labelers_who_choose_alike_widen_the_intervals_of_plackett_luce():
    """Six labelers, three always for a, three for b, ten times each: as if six had chosen once (and C / (C - 1))."""
    chosen = np.repeat([0, 0, 0, 1, 1, 1], 10)
    rows = np.repeat(np.arange(60), 2)
    choices = Choices.of(chosen, rows, np.tile([0, 1], 60), 2)
    _, plain = plackett_luce_of_choices(choices)
    _, clustered = plackett_luce_of_choices(choices, clusters=np.repeat(np.arange(6), 10))
    assert clustered[0, 0] / plain[0, 0] == pytest.approx(10 * 6 / 5)


def verdicts(seed, top, candidates=4, many=600):
    random = np.random.default_rng(seed)
    first = random.integers(0, candidates, many)
    second = (first + random.integers(1, candidates, many)) % candidates
    scale = np.arange(-top, top + 1)
    x = 0.6 * (first - second)
    logits = x[:, None] * scale / 2 - 0.4 * np.abs(scale)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = (random.random(many)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    return first, second, scale[drawn]


def test_with_three_grades_the_strength_scale_is_davidsons_model():
    first, second, grades = verdicts(4, top=1)
    rows = [(i, j, g == 1, g == 0, g == -1) for i, j, g in zip(first, second, grades, strict=True)]
    davidson = rank(PairCounts.from_rows(np.array(rows, dtype=float)), candidate_count=4)
    graded = strength_scale(first, second, grades, candidate_count=4, top=1)
    assert graded.strengths == pytest.approx(davidson.strengths, abs=1e-6)
    assert -graded.steps[0] == pytest.approx(math.log(davidson.tie_parameter), abs=1e-6)
    assert graded.covariance == pytest.approx(davidson.covariance, abs=1e-6)


def test_grades_tell_more_than_signs():
    first, second, grades = verdicts(5, top=3)
    graded = strength_scale(first, second, grades, candidate_count=4, top=3)
    signs = strength_scale(first, second, np.sign(grades), candidate_count=4, top=1)
    precision = [
        (one.strengths[3] - one.strengths[0])
        / math.sqrt(one.covariance[0, 0] + one.covariance[3, 3])
        for one in (graded, signs)
    ]
    assert precision[0] > precision[1]


def test_a_covariate_takes_its_effect_out_of_the_strengths():
    """Position pushes the first by 1: the fit names it, and strengths stay."""
    random = np.random.default_rng(6)
    first = random.integers(0, 3, 4000)
    second = (first + random.integers(1, 3, 4000)) % 3
    shown = random.choice([-1.0, 1.0], 4000)
    chance = 1 / (1 + np.exp(-(0.5 * (first - second) + shown)))
    grades = np.where(random.random(4000) < chance, 1, -1)
    ties = random.random(4000) < 0.1
    grades[ties] = 0
    fit = strength_scale(first, second, grades, candidate_count=3, top=1, covariates=shown[:, None])
    low, high = fit.effect_interval(0)
    assert low < 1 < high
    assert fit.strengths == pytest.approx([-0.5, 0, 0.5], abs=0.12)


def test_crowd_bt_finds_the_order_and_who_answers_the_wrong_way_round():
    random = np.random.default_rng(7)
    rows = []
    for labeler in range(6):
        for _ in range(120):
            i, j = random.choice(6, 2, replace=False)
            better = (i, j) if random.random() < 1 / (1 + math.exp(-(i - j))) else (j, i)
            rows.append((labeler, *(better[::-1] if labeler == 5 else better)))
    who, won, lost = zip(*rows, strict=True)
    fit = crowd_bradley_terry(who, won, lost, candidate_count=6, labeler_count=6)
    assert np.argsort(fit.strengths).tolist() == [0, 1, 2, 3, 4, 5]
    assert fit.reliability[:5].min() > 0.8
    assert fit.reliability[5] < 0.3


def world(seed, people=6, items=400, accuracy=0.75):
    """Every labeler on every item, three labels."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, items)
    said = np.where(
        random.random((people, items)) < accuracy, truth, random.integers(0, 3, (people, items))
    )
    columns = np.tile(np.arange(items), people), np.repeat(np.arange(people), items), said.ravel()
    return truth, RatingTable.from_columns(*columns, ("a", "tie", "b"))


def test_a_judge_as_good_as_people_passes_and_a_coin_fails():
    truth, people = world(8)
    random = np.random.default_rng(9)
    good = np.where(random.random(400) < 0.8, truth, random.integers(0, 3, 400))
    assert alt_test(people, good).winning_rate == 1.0
    coin = alt_test(people, random.integers(0, 3, 400))
    assert (coin.winning_rate, coin.passes) == (0.0, False)
    assert alt_test(people, np.full(400, -1)).winning_rate is None


def test_the_advantage_of_a_person_over_the_judge_has_a_t_interval_worked_by_hand():
    """Two people always say 0. The third says 0 on 30 of 40 items, the judge on 24: where the third alone does (12)
    d is 1, where the judge alone does (6) it is -1. Mean 6 / 40 = 0.15; variance (18 - 40 * 0.15^2) / 39 = 0.438462;
    half width 2.022691 * sqrt(0.438462 / 40) = 0.211771.
    """
    third = np.repeat([0, 0, 1, 1], [18, 12, 6, 4])
    judge = np.repeat([0, 1, 0, 1], [18, 12, 6, 4])
    said = np.concatenate([third, np.zeros(80, dtype=int)])
    columns = np.tile(np.arange(40), 3), np.repeat(np.arange(3), 40), said
    found = alt_test(RatingTable.from_columns(*columns, ("a", "b")), judge)
    assert found.items.tolist() == [40, 40, 40]
    assert (found.advantage[0], found.half_widths[0]) == pytest.approx((0.15, 0.211771), abs=1e-6)


def test_an_advantage_that_does_not_vary_has_no_width():
    said = np.zeros(120, dtype=int)
    columns = np.tile(np.arange(40), 3), np.repeat(np.arange(3), 40), said
    found = alt_test(RatingTable.from_columns(*columns, ("a", "b")), np.ones(40, dtype=int))
    assert (found.advantage.tolist(), found.half_widths.tolist()) == ([1.0] * 3, [0.0] * 3)


def test_dependent_p_values_equal_statsmodels():
    p = np.random.default_rng(10).random(40) ** 3
    assert adjusted_dependent(p) == pytest.approx(multipletests(p, method="fdr_by")[1])


@pytest.mark.parametrize("is_policy_gradient", [False, True])
def test_the_turning_point_of_overoptimization_is_found_again(is_policy_gradient):
    d = np.linspace(0.5, 8, 20)
    reward = d * (1.2 - 0.15 * (np.log(d) if is_policy_gradient else d))
    fit = overoptimization_fit(d, reward, is_policy_gradient=is_policy_gradient)
    assert (fit.a, fit.b) == (pytest.approx(1.2), pytest.approx(0.15))
    best = d[np.argmax(reward)] if not is_policy_gradient else math.exp(1.2 / 0.15 - 1)
    assert fit.peak.distance == pytest.approx(best, rel=0.06)
    assert overoptimization_fit([1, 2], [1, 2], is_policy_gradient=False) is None
    assert overoptimization_fit(d, 2 * d, is_policy_gradient=False).peak is None or fit.b > 0


def test_told_which_side_was_left_the_leaning_cancels_out():
    """All labelers choose the left response in four of ten cases whatever is true."""
    random = np.random.default_rng(11)
    items, people = 1500, 5
    truth = random.integers(0, 2, items)
    item = np.repeat(np.arange(items), people)
    labeler = np.tile(np.arange(people), items)
    side = random.integers(0, 2, items * people)
    leaning = random.random(items * people) < 0.4
    right = random.random(items * people) < 0.75
    honest = np.where(right, truth[item], 1 - truth[item])
    said = np.where(leaning, 1 - side, honest)
    table = RatingTable.from_columns(item, labeler, said, ("first", "second"))
    plain = (dawid_skene(table).winners == truth).mean()
    aware = (position_aware(table, side).winners == truth).mean()
    assert aware > plain + 0.01


def test_prompts_drawn_whole_give_a_wider_interval_where_their_items_are_alike():
    random = np.random.default_rng(12)
    prompts, each = 60, 6
    hard = np.repeat(random.random(prompts) < 0.5, each)
    items = prompts * each
    truth = random.integers(0, 2, items)
    said = [
        np.where(hard & (random.random(items) < 0.9), random.integers(0, 2, items), truth)
        for _ in range(3)
    ]
    table = RatingTable.from_columns(
        np.tile(np.arange(items), 3),
        np.repeat(np.arange(3), items),
        np.concatenate(said),
        ("a", "b"),
    )
    agreement = Agreement(table)
    drawn = clustered_bootstrap_moments(
        agreement.patterns,
        agreement.index.of_item,
        np.repeat(np.arange(prompts), each),
        agreement.identity,
        replicates=400,
        seed=0,
    )
    clustered = alpha(drawn, Level.NOMINAL, table.scale).std()
    plain = alpha(agreement.resampled, Level.NOMINAL, table.scale).std()
    assert clustered > 1.3 * plain


def test_clusters_with_the_same_items_are_drawn_together():
    """Of 300 clusters 200 hold (0, 0), 100 hold (0, 1): the mean draw is two thirds of them."""
    of_item = np.array([0, 0] * 200 + [0, 1] * 100)
    shown, chances = _distinct_clusters(of_item, np.repeat(np.arange(300), 2), 2)
    found = sorted(zip(shown.toarray().tolist(), chances.tolist(), strict=True))
    assert found == [([1.0, 1.0], pytest.approx(1 / 3)), ([2.0, 0.0], pytest.approx(2 / 3))]


def test_no_judgment_has_no_posterior():
    empty = RatingTable.from_columns([], [], [], ("first", "second"))
    found = posteriors_given(empty, np.array([0.5, 0.5]), np.zeros((0, 2, 2)))
    assert found.shape == (0, 2)
