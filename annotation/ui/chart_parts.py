"""What every chart is made of: the frame, axes, ticks and captions, as SVG strings."""

from collections.abc import Iterable
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation.ui.minus import with_minus

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 620, 16, 236
EMPTY = SafeString()


class Axis(NamedTuple):
    """One direction: the values at its two ends and where those lie."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        span = self.high - self.low
        share = 0.5 if span == 0 else (value - self.low) / span
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


def svg(label: str, *parts: SafeString) -> SafeString:
    inner = format_html_join("", "{}", ((part,) for part in parts))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>',
        WIDTH,
        HEIGHT,
        label,
        label,
        inner,
    )


def placed(places: Iterable[tuple[float, float]], x: Axis, y: Axis) -> str:
    return " ".join(f"{x.place(a)},{y.place(b)}" for a, b in places)


def axis_line() -> SafeString:
    return format_html(
        '<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>', LEFT, BOTTOM, RIGHT, BOTTOM
    )


def caption(text: str) -> SafeString:
    return format_html(
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (LEFT + RIGHT) / 2,
        HEIGHT - 8,
        text,
    )


def ends_from_zero(x: Axis, last: float) -> SafeString:
    """Zero, and the greatest value where it lies."""
    return format_html(
        '<text x="{}" y="{}">0</text><text x="{}" y="{}" text-anchor="middle">{}</text>',
        LEFT,
        BOTTOM + 18,
        x.place(last),
        BOTTOM + 18,
        f"{last:,.0f}",
    )


def middle_line(value: float | None, y: Axis) -> SafeString:
    if value is None:
        return EMPTY
    height = y.place(value)
    return format_html(
        '<line class="middle" x1="{}" y1="{}" x2="{}" y2="{}"/>', LEFT, height, RIGHT, height
    )


def percent_ticks(y: Axis) -> SafeString:
    return _ticks(y, "{:.0%}")


def number_ticks(y: Axis) -> SafeString:
    return _ticks(y, "{:.2f}")


def _ticks(y: Axis, form: str) -> SafeString:
    values = [y.low + (y.high - y.low) * step / 4 for step in range(5)]
    return format_html_join(
        "",
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (
                LEFT,
                y.place(v),
                RIGHT,
                y.place(v),
                LEFT - 6,
                y.place(v) + 4,
                with_minus(form.format(v)),
            )
            for v in values
        ),
    )
