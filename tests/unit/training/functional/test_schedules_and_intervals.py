from dataclasses import fields

import pytest

from training.functional.intervals import cluster_bootstrap, mean_of_clusters, wilson_interval
from training.functional.schedules import FALLS, rate_factor
from training.spec.preferences import SftSpec


def rates(fall, *, warmup_share=0.2):
    return [rate_factor(step, total=10, warmup_share=warmup_share, fall=fall) for step in range(11)]


def test_the_rate_rises_then_falls_to_nothing():
    """10 steps, 20 % warm-up: 1/2, 1, then 1 - k/8 for k = 0..7, and 0 at the end."""
    assert rates("linear") == pytest.approx([0.5, 1, *(1 - k / 8 for k in range(9))])


def test_the_cosine_falls_slowly_then_fast_then_slowly():
    """After 2 of 8 steps (1 + cos 45 degrees) / 2 = 0.8536, half in the middle, 0 at the end."""
    found = rates("cosine")
    assert found[:3] == pytest.approx([0.5, 1, 1])
    assert (found[4], found[6], found[10]) == pytest.approx((0.8536, 0.5, 0), abs=1e-4)


def test_a_constant_rate_stays_after_its_rise():
    assert rates("constant") == [0.5, *[1.0] * 10]


@pytest.mark.parametrize("fall", FALLS)
def test_a_run_without_warmup_begins_at_the_peak(fall):
    assert rates(fall, warmup_share=0.0)[0] == 1.0


def test_a_spec_has_these_schedules_to_choose_from():
    (field,) = [one for one in fields(SftSpec) if one.name == "schedule"]
    assert set(field.metadata["choices"]) == set(FALLS)


def test_wilson_interval_of_eight_in_ten():
    """p = 0.8, n = 10, z = 1.96: (0.8 + 0.19207) / 1.38415 +- 0.22658 = 0.4902 to 0.9433."""
    assert wilson_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_clusters_widen_the_interval():
    """Four values in two equal clusters know less than four values of their own."""
    together = cluster_bootstrap([[1.0] * 10, [0.0] * 10, [1.0] * 10])
    apart = cluster_bootstrap([[value] for value in [1.0] * 20 + [0.0] * 10])
    assert together[1] - together[0] > apart[1] - apart[0]


def test_an_empty_mean_says_why():
    assert mean_of_clusters([], why_empty="Nothing to see.").reason == "Nothing to see."
