"""Funnel limits: who lies further below the others than chance allows."""

import pytest

from annotation.quality.funnel import OUTSIDE, funnel_of


def test_the_mean_is_pooled_over_judgments():
    assert funnel_of([8, 1], [10, 2]).mean == pytest.approx(9 / 12)


def test_the_limit_is_the_binomial_one_for_few_labelers():
    """sqrt(.75 * .25 / 12) = .125, times 3.09 below .75."""
    assert funnel_of([8, 1], [10, 2]).limit(12, OUTSIDE) == pytest.approx(0.75 - 3.09 * 0.125)


def test_one_who_answers_at_random_among_careful_labelers_is_outside():
    funnel = funnel_of([180] * 9 + [100], [200] * 10)
    assert funnel.standing(0.5, 200) == "outside"
    assert funnel.standing(0.9, 200) == "steady"


def test_limits_widen_where_all_labelers_differ():
    alike = funnel_of([150] * 10, [200] * 10)
    apart = funnel_of([100, 200, 110, 190, 120, 180, 130, 170, 140, 160], [200] * 10)
    assert alike.overdispersion == 1.0
    assert apart.overdispersion > 5


def test_nobody_scored_gives_no_funnel():
    assert funnel_of([0], [0]) is None
