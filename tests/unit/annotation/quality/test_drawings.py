"""Plots of agreement: what is named where."""

from annotation.quality.drawings import alpha_plot


def test_versions_of_one_day_have_one_name_in_the_plot():
    day = {"start": "2026-11-02", "value": 0.8, "interval": None, "unit": "day"}
    later = {**day, "start": "2026-11-04"}
    marks = [("2026-11-02", "v1"), ("2026-11-02", "v2"), ("2026-11-03", "v3"), ("2026-11-09", "v4")]
    svg = alpha_plot({"periods": [day, later]}, marks)
    assert [name for name in ("v1, v2", "v3", "v4") if f">{name}<" in svg] == ["v1, v2", "v3"]
