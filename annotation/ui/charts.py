"""Charts as SVG strings, drawn on the server: escaped, with classes for color, a name for who cannot see them.

Every chart needs a table of the same numbers beside it; the page owns that table.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation.ui.chart_parts import (
    BOTTOM,
    EMPTY,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    axis_line,
    caption,
    ends_from_zero,
    middle_line,
    number_ticks,
    percent_ticks,
    placed,
    svg,
)
from annotation.ui.minus import with_minus

BAR_MAX = 72
NAMED_LEFT, ROW_HEIGHT, NAME_MAX = 170, 30, 24
LIMIT_STEPS = 60
ABOVE, BELOW = -1, 10  # the end of a line, for its name
NAME_ROOM = 46  # at the right of a scatter plot, for the names of its limits
LETTER = 6.2  # the width of a letter of the plots, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A point of a scatter plot; an outlier wears its name."""

    x: float
    y: float
    name: str
    is_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A curve over a scatter plot that wears its name at its right end."""

    of: Callable[[float], float]
    name: str
    is_named_above: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A point of a line with its interval, where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """A named value with its interval."""

    name: str
    value: float
    low: float
    high: float


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
    return svg(label, axis_line(), drawn, caption(unit))


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
    limits: Sequence[Limit] = (),
    middle: float | None = None,
) -> SafeString:
    """Points between limit curves (a funnel plot); ``y`` in shares, shown as percent.

    A curve leaves the plot where it crosses its edge; beyond it nothing is drawn.
    """
    most = max([dot.x for dot in dots] + [1.0])
    end = RIGHT - NAME_ROOM * bool(limits)
    x, y = Axis(0, most * 1.05, LEFT, end), Axis(*y_range, BOTTOM, TOP)
    curves = format_html_join(
        "",
        '<polyline class="limit" points="{}"/>',
        ((placed(places, x, y),) for one in limits if (places := _within(one, x, y))),
    )
    limit_names = format_html_join(
        "",
        '<text x="{}" y="{}">{}</text>',
        (
            (end + 5, y.place(one.of(x.high)) + (ABOVE if one.is_named_above else BELOW), one.name)
            for one in limits
            if y.low < one.of(x.high) < y.high
        ),
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
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        (_named(dot, x, y) for dot in dots if dot.is_out),
    )
    return svg(
        label,
        axis_line(),
        percent_ticks(y),
        middle_line(middle, y),
        curves,
        limit_names,
        points,
        names,
        caption(x_name),
        ends_from_zero(x, most),
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
    band = format_html('<polygon class="band" points="{}"/>', placed(outline, x, y))
    path = format_html(
        '<polyline class="line" points="{}"/>', placed([(s.x, s.y) for s in stops], x, y)
    )
    dots = format_html_join(
        "",
        '<circle class="point" cx="{}" cy="{}" r="3.5"/>',
        ((x.place(s.x), y.place(s.y)) for s in stops),
    )
    moments = format_html_join(
        "",
        '<line class="limit" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/><text x="{3}" y="{4}">{5}</text>',
        _moments(marks, x),
    )
    last = (
        format_html(
            '<text x="{}" y="{}">{}</text>',
            x.place(stops[-1].x) + 8,
            y.place(stops[-1].y) + 4,
            with_minus(f"{stops[-1].y:.2f}"),
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
    return svg(label, axis_line(), number_ticks(y), band, path, dots, moments, last, ends)


def walk(
    values: Sequence[float], *, label: str, top: tuple[float, str], bottom: tuple[float, str]
) -> SafeString:
    """A path from zero, step by step, between two named limits."""
    low = min([bottom[0], *values])
    high = max([top[0], *values])
    margin = 0.08 * (high - low)
    x, y = Axis(0, max(len(values), 1), LEFT, RIGHT), Axis(low - margin, high + margin, BOTTOM, TOP)
    places = list(enumerate([0.0, *values]))
    path = format_html('<polyline class="line" points="{}"/>', placed(places, x, y))
    dots = format_html_join(
        "",
        '<circle class="{}" cx="{}" cy="{}" r="3.5"/>',
        (
            ("point" if value > before else "point out", x.place(place), y.place(value))
            for (_, before), (place, value) in pairwise(places)
        ),
    )
    limits = format_html_join(
        "",
        '<line class="limit" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="{}" y="{}">{}</text>',
        (
            (LEFT, y.place(at), RIGHT, y.place(at), LEFT + 6, y.place(at) - 5, name)
            for at, name in (top, bottom)
        ),
    )
    ends = format_html(
        '<text x="{}" y="{}">0</text><text x="{}" y="{}" text-anchor="end">{}</text>',
        LEFT,
        BOTTOM + 18,
        RIGHT,
        BOTTOM + 18,
        len(values),
    )
    return svg(label, axis_line(), limits, path, dots, ends, caption("answers"))


def _within(limit: Limit, x: Axis, y: Axis) -> list[tuple[float, float]]:
    """The part of a curve that lies in the plot, to its very edge; the steps are the finer the nearer to zero."""
    steps = [x.high * (step / LIMIT_STEPS) ** 2 for step in range(1, LIMIT_STEPS + 1)]
    curve = [(at, limit.of(at)) for at in steps]
    found: list[tuple[float, float]] = []
    for start, end in pairwise(curve):
        found += [place for place in _cut(start, end, y) if place not in found[-1:]]
    return found


def _cut(
    start: tuple[float, float], end: tuple[float, float], y: Axis
) -> list[tuple[float, float]]:
    """The ends of what an axis shows of a straight line; empty where it shows nothing."""
    (x0, y0), (x1, y1) = start, end
    if y0 == y1:
        return [start, end] if y.low <= y0 <= y.high else []
    shares = sorted(((y.low - y0) / (y1 - y0), (y.high - y0) / (y1 - y0)))
    first, last = max(0.0, shares[0]), min(1.0, shares[1])
    return [(x0 + at * (x1 - x0), y0 + at * (y1 - y0)) for at in (first, last) if first <= last]


def _named(dot: Dot, x: Axis, y: Axis) -> tuple[float, float, str, str]:
    """The name of an outlier at its right, or at its left where the plot ends."""
    at, name = x.place(dot.x), f"{shortened(dot.name)}: {dot.y:.0%}"
    if at + 9 + LETTER * len(name) > RIGHT:
        return at - 9, y.place(dot.y) + 4, "end", name
    return at + 9, y.place(dot.y) + 4, "start", name


def _moments(
    marks: Iterable[tuple[float, str]], x: Axis
) -> list[tuple[float, int, int, float, int, str]]:
    """Where the lines and names of moments go: a name that would print over another goes a line down."""
    ends = [-1.0, -1.0, -1.0, -1.0]
    drawn = []
    for at, name in sorted(marks):
        start = x.place(at) + 5
        free = [row for row, end in enumerate(ends) if end < start]
        row = free[0] if free else -1
        if row >= 0:
            ends[row] = start + LETTER * len(name) + 6
        drawn.append(
            (x.place(at), TOP, BOTTOM, start, TOP + 10 + 13 * row, name if row >= 0 else "")
        )
    return drawn


def intervals(
    values: Sequence[Whisker], *, label: str, description: str, middle: float | None
) -> SafeString:
    """One row a value: a dot on its interval, name at the left, number at the right."""
    low = min([one.low for one in values] + ([] if middle is None else [middle]))
    high = max([one.high for one in values] + ([] if middle is None else [middle]))
    margin = 0.05 * (high - low or 1.0)
    x = Axis(low - margin, high + margin, NAMED_LEFT, RIGHT - 50)
    height = ROW_HEIGHT * len(values) + 12
    drawn = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="end">{}<title>{}</title></text>'
        '<line class="whisker" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        '<circle class="point" cx="{}" cy="{}" r="4.5"/><text x="{}" y="{}">{}</text>',
        (
            (
                NAMED_LEFT - 12,
                at * ROW_HEIGHT + 22,
                shortened(one.name),
                one.name,
                x.place(one.low),
                at * ROW_HEIGHT + 18,
                x.place(one.high),
                at * ROW_HEIGHT + 18,
                x.place(one.value),
                at * ROW_HEIGHT + 18,
                RIGHT - 36,
                at * ROW_HEIGHT + 22,
                with_minus(f"{one.value:+.2f}" if middle == 0 else f"{one.value:.2f}"),
            )
            for at, one in enumerate(values)
        ),
    )
    center = EMPTY
    if middle is not None:
        place = x.place(middle)
        center = format_html(
            '<line class="middle" x1="{}" y1="4" x2="{}" y2="{}"/>', place, place, height - 4
        )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title><desc>{}</desc>{}{}</svg>',
        WIDTH,
        height,
        label,
        description,
        center,
        drawn,
    )


def shortened(name: str) -> str:
    """A name that fits beside a plot; the whole one is its title."""
    return name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
