"""Charts: escaped, named, without inline style."""

from xml.etree import ElementTree

import pytest

from annotation.ui import charts
from annotation.ui.charts import Bar, Dot, Stop

HOSTILE = '"><script>alert(1)</script>'


def drawings():
    yield charts.bars([Bar(HOSTILE, 3), Bar("b", 0)], label=HOSTILE, unit=HOSTILE)
    yield charts.shares([Bar("train", 8), Bar("test", 2)], label=HOSTILE)
    dots = [Dot(x=10, y=0.5, name=HOSTILE, is_out=True), Dot(x=30, y=0.8, name="b")]
    yield charts.scatter(
        dots, label=HOSTILE, x_name="n", y_range=(0.4, 1), limits=[[(1, 0.2), (9, 0.6)]], middle=0.7
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


def test_what_a_limit_has_outside_of_the_chart_is_not_drawn_along_its_edge():
    dots = [Dot(x=10, y=0.5, name="a")]
    svg = charts.scatter(
        dots, label="a", x_name="n", y_range=(0.4, 1), limits=[[(1, 0.2), (5, 0.5), (9, 0.6)]]
    )
    (curve,) = ElementTree.fromstring(svg).iter("polyline")  # noqa: S314 - our own output
    assert len(curve.get("points").split()) == 2
