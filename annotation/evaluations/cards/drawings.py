"""Drawings of a card: the model beside people, and how far its confidence can be trusted."""

from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation.evaluations.cards.sections import Fact
from annotation.ui.chart_parts import Axis
from annotation.ui.charts import Whisker, intervals

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 400, 56, 440, 16, 340
DEGREES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def beside_people(metrics: dict[str, Any]) -> list[SafeString]:  # Any: JSON
    """Accuracy, the band that people leave room for, and the longer response; nothing without an interval."""
    named = (
        ("Reward model", metrics.get("accuracy")),
        ("Best possible", metrics.get("ceiling")),
        ("The longer wins", metrics.get("longer_wins")),
    )
    shown = [_whisker(name, fact) for name, fact in named if fact and fact.get("interval")]
    if not shown:
        return []
    return [
        intervals(
            shown,
            label="The reward model beside people and beside the longer response",
            description="Shares of held-out pairs with 95 % intervals; for the best possible, its band.",
            middle=0.5,
        )
    ]


def _whisker(name: str, fact: Fact) -> Whisker:
    low, high = fact["interval"]
    return Whisker(name=name, value=fact["value"], low=low, high=high)


def reliability_diagram(before: Sequence[Fact], after: Sequence[Fact]) -> list[SafeString]:
    """Confidence against agreement, both from one half to 1, before and after the temperature."""
    if not before:
        return []
    x, y = Axis(0.5, 1.0, LEFT, RIGHT), Axis(0.0, 1.0, BOTTOM, TOP)
    label = "Reliability: how often people agree, by how sure the model is"
    return [
        format_html(
            '<svg class="chart square" viewBox="0 0 {} {}" role="img"><title>{}</title>{}{}{}{}{}</svg>',
            WIDTH,
            HEIGHT,
            label,
            _grid(x, y),
            format_html(
                '<line class="limit" x1="{}" y1="{}" x2="{}" y2="{}"/>',
                *(x.place(0.5), y.place(0.5), x.place(1.0), y.place(1.0)),
            ),
            _series(before, x, y, "line second", "point hollow"),
            _series(after, x, y, "line", "point"),
            _names(),
        )
    ]


def _series(bins: Sequence[Fact], x: Axis, y: Axis, line: str, dot: str) -> SafeString:
    """A path through the bins; a dot is as large as its bin is full."""
    most = max(one["n"] for one in bins)
    places = [(x.place(one["predicted"]), y.place(one["observed"]), one) for one in bins]
    path = format_html(
        '<polyline class="{}" points="{}"/>', line, " ".join(f"{a},{b}" for a, b, _ in places)
    )
    dots = format_html_join(
        "",
        '<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>',
        (
            (
                *(dot, at, up, round(3 + 6 * (one["n"] / most) ** 0.5, 1)),
                f"{one['predicted']:.0%} sure, {one['observed']:.0%} agreed, {one['n']} pairs",
            )
            for at, up, one in places
        ),
    )
    return format_html("{}{}", path, dots)


def _grid(x: Axis, y: Axis) -> SafeString:
    across = format_html_join(
        "",
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, y.place(at), RIGHT, y.place(at), LEFT - 6, y.place(at) + 4, f"{at:.0%}")
            for at in (0.0, 0.25, 0.5, 0.75, 1.0)
        ),
    )
    below = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        ((x.place(at), BOTTOM + 18, f"{at:.0%}") for at in DEGREES),
    )
    return format_html("{}{}", across, below)


def _names() -> SafeString:
    return format_html(
        '<text x="{}" y="{}" text-anchor="middle">how sure the model is</text>'
        '<text x="{}" y="{}">people agree</text>'
        '<line class="line second" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="{}" y="{}">before the temperature</text>'
        '<line class="line" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="{}" y="{}">after</text>',
        *((LEFT + RIGHT) / 2, BOTTOM + 36),
        *(LEFT + 6, TOP + 18),  # below the line of 100 %
        *(LEFT, HEIGHT - 6, LEFT + 24, HEIGHT - 6, LEFT + 30, HEIGHT - 2),
        *(LEFT + 190, HEIGHT - 6, LEFT + 214, HEIGHT - 6, LEFT + 220, HEIGHT - 2),
    )
