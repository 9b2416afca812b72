"""Charts: escaped, named, without inline style."""

from xml.etree import ElementTree

import pytest

from annotation.ui import charts
from annotation.ui.charts import Bar, Dot, Limit, Stop

HOSTILE = '"><script>alert(1)</script>'


def drawings():
    yield charts.bars([Bar(HOSTILE, 3), Bar("b", 0)], label=HOSTILE, unit=HOSTILE)
    yield charts.shares([Bar("train", 8), Bar("test", 2)], label=HOSTILE)
    dots = [Dot(x=10, y=0.5, name=HOSTILE, is_out=True), Dot(x=30, y=0.8, name="b")]
    yield charts.scatter(
        dots,
        label=HOSTILE,
        x_name="n",
        y_range=(0.4, 1),
        limits=[Limit(of=lambda n: n / 30, name=HOSTILE)],
        middle=0.7,
    )
    stops = [Stop(x=1, y=0.4, low=0.2, high=0.6), Stop(x=2, y=0.5)]
    yield charts.line(stops, label=HOSTILE, y_range=(0, 1), marks=[(1.5, HOSTILE)])
    yield charts.bars([], label="nothing")
    yield charts.line([], label="nothing", y_range=(0, 1))


@pytest.mark.parametrize("svg", list(drawings()))
def test_a_chart_is_well_formed_named_and_holds_no_script_or_style(svg):
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own output
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert "<script" not in svg
    assert "style=" not in svg


def test_the_height_of_a_bar_follows_its_count():
    svg = charts.bars([Bar("a", 4), Bar("b", 2)], label="x")
    heights = [float(one.get("height")) for one in ElementTree.fromstring(svg).iter("rect")]  # noqa: S314
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)


def limits_of(*limits):
    """The places of each drawn curve; the plot shows 40 to 100 % of up to 10 judgments."""
    dots = [Dot(x=10, y=0.5, name="a")]
    svg = charts.scatter(dots, label="a", x_name="n", y_range=(0.4, 1), limits=limits)
    curves = ElementTree.fromstring(svg).iter("polyline")  # noqa: S314 - our own output
    return [
        [tuple(map(float, place.split(","))) for place in one.get("points").split()]
        for one in curves
    ]


def test_a_limit_leaves_the_plot_where_it_crosses_its_edge_and_goes_to_its_right_end():
    """n / 10 crosses 40 % at n = 4 and 100 % at n = 10, of 10.5 on the axis: 52 + 522 * 4 / 10.5 = 250.9.

    The axis ends at 574, before the names of the limits.
    """
    (rising,) = limits_of(Limit(of=lambda n: n / 10, name="95 %"))
    assert rising[0] == (pytest.approx(250.9, abs=0.1), 236)
    assert rising[-1] == (pytest.approx(52 + 522 / 1.05, abs=0.1), 16)
    (flat,) = limits_of(Limit(of=lambda n: 0.7 + 0 * n, name="95 %"))
    assert flat[-1] == (574, 126)


def test_a_limit_is_not_drawn_along_the_edge_of_the_plot():
    (upper,) = limits_of(Limit(of=lambda n: 1.2 - n / 20, name="95 %"))
    assert [y for _, y in upper].count(16) == 1


def test_a_limit_outside_of_the_plot_is_not_drawn():
    assert limits_of(Limit(of=lambda n: 0.1 + 0 * n, name="95 %")) == []
