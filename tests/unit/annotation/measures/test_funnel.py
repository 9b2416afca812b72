"""Funnel limits: who lies further below the others than chance allows."""

import numpy as np
import pytest

from annotation.measures.funnel import OUTSIDE, funnel_of, standings


def test_the_mean_is_pooled_over_judgments():
    assert funnel_of([8, 1], [10, 2]).mean == pytest.approx(9 / 12)


def test_the_limit_is_the_binomial_one_for_few_labelers():
    """sqrt(.75 * .25 / 12) = .125, times 3.09 below .75."""
    assert funnel_of([8, 1], [10, 2]).limit(12, OUTSIDE) == pytest.approx(0.75 - 3.09 * 0.125)


def test_one_who_answers_at_random_among_careful_labelers_is_outside():
    hits, scored = [180] * 9 + [100], [200] * 10
    assert standings(funnel_of(hits, scored), hits, scored) == ["steady"] * 9 + ["outside"]


def test_of_a_thousand_alike_labelers_hardly_any_is_named():
    """99.8 % limits alone would name one by chance; over 20 worlds, at most one here."""
    random = np.random.default_rng(3)
    named = 0
    for _ in range(20):
        scored = random.integers(20, 400, 1000)
        hits = random.binomial(scored, 0.75)
        words = standings(funnel_of(list(hits), list(scored)), list(hits), list(scored))
        named += words.count("outside")
    assert named <= 2


def test_who_shares_nothing_stands_nowhere():
    assert standings(funnel_of([3, 0], [4, 0]), [3, 0], [4, 0])[1] == "unknown"


def test_limits_widen_where_all_labelers_differ():
    alike = funnel_of([150] * 10, [200] * 10)
    apart = funnel_of([100, 200, 110, 190, 120, 180, 130, 170, 140, 160], [200] * 10)
    assert alike.overdispersion == 1.0
    assert apart.overdispersion > 5


def test_nobody_scored_gives_no_funnel():
    assert funnel_of([0], [0]) is None
