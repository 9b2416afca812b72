"""What the cells of the labelers' table say."""

import pytest

from annotation.quality.templatetags.shares import leaning


@pytest.mark.parametrize(
    ("interval", "n", "side"),
    [
        ([0.76, 0.88], 50, "left"),
        ([0.12, 0.3], 50, "right"),
        ([0.45, 0.6], 500, ""),
        ([0.76, 0.88], 49, ""),
        (None, 0, ""),
    ],
)
def test_whose_interval_excludes_an_even_share_leans_to_a_side(interval, n, side):
    assert leaning({"value": 0.8, "interval": interval, "n": n, "reason": ""}) == side
