"""Numbers on pages and charts: a minus is as wide as a digit, and a dash says that there is no number."""

import pytest
from django.template import Context, Template

from annotation.ui.charts import Stop, Whisker, intervals, line


@pytest.mark.parametrize(
    ("value", "written"), [(-0.456, "−0.46"), (0.456, "0.46"), (0, "0.00"), (None, "–")]
)
def test_a_figure_has_a_true_minus_and_a_dash_for_none(value, written):
    page = Template("{% load measured %}{{ value|figure:2 }}")
    assert page.render(Context({"value": value})) == written


def test_a_figure_is_a_dash_where_an_older_report_lacks_the_key():
    page = Template("{% load measured %}{{ report.lengths.mean|figure:0 }}")
    assert page.render(Context({"report": {"lengths": {}}})) == "–"


def test_points_have_a_true_minus():
    page = Template("{% load measured %}{{ value|points }}")
    assert page.render(Context({"value": -0.031})) == "−3.1"


def test_charts_write_numbers_with_a_true_minus():
    one = Whisker(name="base", value=-0.5, low=-0.9, high=-0.1)
    assert ">−0.50<" in intervals([one], label="x", description="y", middle=0)
    drawn = line([Stop(x=1, y=-0.25)], label="x", y_range=(-1, 1))
    assert ">−0.25<" in drawn
    assert ">−1.00<" in drawn
