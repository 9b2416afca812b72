"""Charts as SVG strings, drawn on the server: escaped, with classes for color, a name for who cannot see them.

Every chart needs a table of the same numbers beside it; the page owns that table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 620, 16, 236
BAR_MAX = 72
EMPTY = mark_safe("")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point of a scatter plot; an outlier wears its name."""

    x: float
    y: float
    name: str
    is_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A point of a line with its interval, where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it counts and how many."""

    name: str
    count: float


def bars(values: Sequence[Bar], *, label: str, unit: str = "") -> SafeString:
    """A histogram; each bar wears its number."""
    top = max((bar.count for bar in values), default=0) or 1
    step = (RIGHT - LEFT) / max(len(values), 1)
    wide = min(step * 0.7, BAR_MAX)
    y = Axis(0, top, BOTTOM, TOP + 14)
    drawn = format_html_join(
        "",
        '<rect class="bar" x="{}" y="{}" width="{}" height="{}" rx="3"/>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text>'
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (
                round(LEFT + (index + 0.5) * step - wide / 2, 1),
                y.place(bar.count),
                round(wide, 1),
                round(BOTTOM - y.place(bar.count), 1),
                round(LEFT + (index + 0.5) * step, 1),
                y.place(bar.count) - 5,
                f"{bar.count:,g}",
                round(LEFT + (index + 0.5) * step, 1),
                BOTTOM + 18,
                bar.name,
            )
            for index, bar in enumerate(values)
        ),
    )
    return _svg(label, _axis_line(), drawn, _caption(unit))


def shares(values: Sequence[Bar], *, label: str) -> SafeString:
    """One bar cut into named parts, widths by their counts."""
    total = sum(bar.count for bar in values) or 1
    parts, edge = [], 0.0
    for index, bar in enumerate(values):
        width = 640 * bar.count / total
        parts.append((f"part part-{index + 1}", round(edge, 1), round(max(width - 2, 0), 1)))
        edge += width
    drawn = format_html_join(
        "", '<rect class="{}" x="{}" y="0" width="{}" height="14" rx="4"/>', parts
    )
    return format_html(
        '<svg class="chart shares" viewBox="0 0 640 14" role="img" aria-label="{}">{}</svg>',
        label,
        drawn,
    )


def scatter(
    dots: Sequence[Dot],
    *,
    label: str,
    x_name: str,
    y_range: tuple[float, float],
    limits: Sequence[Sequence[tuple[float, float]]] = (),
    middle: float | None = None,
) -> SafeString:
    """Points between limit curves (a funnel plot); ``y`` in shares, shown as percent."""
    x = Axis(0, max([dot.x for dot in dots] + [1.0]) * 1.05, LEFT, RIGHT)
    y = Axis(*y_range, BOTTOM, TOP)
    curves = format_html_join(
        "", '<polyline class="limit" points="{}"/>', ((_points(curve, x, y),) for curve in limits)
    )
    points = format_html_join(
        "",
        '<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>',
        (
            (
                "point out" if dot.is_out else "point",
                x.place(dot.x),
                y.place(dot.y),
                6 if dot.is_out else 5,
                dot.name,
            )
            for dot in dots
        ),
    )
    names = format_html_join(
        "",
        '<text x="{}" y="{}">{}</text>',
        (
            (x.place(dot.x) + 9, y.place(dot.y) + 4, f"{dot.name}: {dot.y:.0%}")
            for dot in dots
            if dot.is_out
        ),
    )
    return _svg(
        label,
        _axis_line(),
        _percent_ticks(y),
        _middle_line(middle, y),
        curves,
        points,
        names,
        _caption(x_name),
        _ends(x),
    )


def line(
    stops: Sequence[Stop],
    *,
    label: str,
    y_range: tuple[float, float],
    x_names: tuple[str, str] = ("", ""),
    marks: Iterable[tuple[float, str]] = (),
) -> SafeString:
    """A line with a band where intervals are known, and named moments."""
    places = [stop.x for stop in stops] or [0.0]
    x, y = Axis(min(places), max(places), LEFT, RIGHT - 30), Axis(*y_range, BOTTOM, TOP)
    banded = [(s.x, s.low, s.high) for s in stops if s.low is not None and s.high is not None]
    outline = [(at, high) for at, _, high in banded] + [
        (at, low) for at, low, _ in reversed(banded)
    ]
    band = format_html('<polygon class="band" points="{}"/>', _points(outline, x, y))
    path = format_html(
        '<polyline class="line" points="{}"/>', _points([(s.x, s.y) for s in stops], x, y)
    )
    dots = format_html_join(
        "",
        '<circle class="point" cx="{}" cy="{}" r="3.5"/>',
        ((x.place(s.x), y.place(s.y)) for s in stops),
    )
    moments = format_html_join(
        "",
        '<line class="limit" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/><text x="{3}" y="{4}">{5}</text>',
        ((x.place(at), TOP, BOTTOM, x.place(at) + 5, TOP + 10, name) for at, name in marks),
    )
    last = (
        format_html(
            '<text x="{}" y="{}">{}</text>',
            x.place(stops[-1].x) + 8,
            y.place(stops[-1].y) + 4,
            f"{stops[-1].y:.2f}",
        )
        if stops
        else EMPTY
    )
    ends = format_html(
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text>',
        LEFT,
        BOTTOM + 18,
        x_names[0],
        RIGHT - 30,
        BOTTOM + 18,
        x_names[1],
    )
    return _svg(label, _axis_line(), _number_ticks(y), band, path, dots, moments, last, ends)


def _svg(label: str, *parts: SafeString) -> SafeString:
    inner = format_html_join("", "{}", ((part,) for part in parts))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        WIDTH,
        HEIGHT,
        label,
        inner,
    )


def _points(places: Iterable[tuple[float, float]], x: Axis, y: Axis) -> str:
    return " ".join(f"{x.place(a)},{y.place(b)}" for a, b in places)


def _axis_line() -> SafeString:
    return format_html(
        '<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>', LEFT, BOTTOM, RIGHT, BOTTOM
    )


def _caption(text: str) -> SafeString:
    return format_html(
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (LEFT + RIGHT) / 2,
        HEIGHT - 8,
        text,
    )


def _ends(x: Axis) -> SafeString:
    return format_html(
        '<text x="{}" y="{}">0</text><text x="{}" y="{}" text-anchor="end">{}</text>',
        LEFT,
        BOTTOM + 18,
        RIGHT,
        BOTTOM + 18,
        f"{x.high / 1.05:,.0f}",
    )


def _middle_line(value: float | None, y: Axis) -> SafeString:
    if value is None:
        return EMPTY
    height = y.place(value)
    return format_html(
        '<line class="middle" x1="{}" y1="{}" x2="{}" y2="{}"/>', LEFT, height, RIGHT, height
    )


def _percent_ticks(y: Axis) -> SafeString:
    return _ticks(y, "{:.0%}")


def _number_ticks(y: Axis) -> SafeString:
    return _ticks(y, "{:.2f}")


def _ticks(y: Axis, form: str) -> SafeString:
    values = [y.low + (y.high - y.low) * step / 4 for step in range(5)]
    return format_html_join(
        "",
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, y.place(v), RIGHT, y.place(v), LEFT - 6, y.place(v) + 4, form.format(v))
            for v in values
        ),
    )
