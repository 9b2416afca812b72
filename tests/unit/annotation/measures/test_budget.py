"""What labels buy, worked by hand."""

import pytest

from annotation.measures.budget import alpha_half_width, days_left, half_width, items_for


def test_a_hundred_items_at_one_half_are_known_to_under_ten_points():
    """z = 1.96: 1.96 / (1 + 0.0384) * sqrt(0.25 / 100 + 3.8416 / 40000) = 0.0962."""
    assert half_width(0.5, n=100).value == pytest.approx(0.0962, abs=1e-4)


def test_the_items_for_a_width_have_that_width_and_one_fewer_do_not():
    n = items_for(0.03)
    assert n == 1064  # 3.8415 / 0.0036 - 3.8415 = 1063.2
    assert half_width(0.5, n=n).value <= 0.03 < half_width(0.5, n=n - 1).value


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"0\.5"):
        items_for(0.5)


def test_alpha_is_twice_as_wide_as_the_agreement_where_half_is_chance():
    assert alpha_half_width(0.7, n=200).value == pytest.approx(2 * half_width(0.7, n=200).value)


def test_without_items_there_is_no_width_and_a_reason():
    assert half_width(0.7, n=0).value is None
    assert "nothing to measure" in alpha_half_width(0.7, n=0).reason


def test_days_left_come_with_the_interval_of_the_mean_day():
    """Days of 90, 100, 110: mean 100, sd 10, error 5.77, t(2) 4.303, margin 24.8; 1000 / 124.8 to 1000 / 75.2."""
    left = days_left(1000, per_day=[90, 100, 110])
    assert left.value == 10
    assert left.interval == pytest.approx((8.01, 13.31), abs=0.01)


def test_two_days_give_a_date_without_an_interval_and_idle_ones_none():
    assert days_left(100, per_day=[50, 50]).interval is None
    assert days_left(100, per_day=[50]).reason.endswith("for an interval; so far 1.")
    assert days_left(100, per_day=[0, 0, 0]).value is None
    assert days_left(100, per_day=[]).reason.startswith("No person has labeled here yet")
    assert "differ too much" in days_left(100, per_day=[0, 0, 100]).reason


def test_what_is_done_needs_no_days():
    assert days_left(0, per_day=[]).value == 0
