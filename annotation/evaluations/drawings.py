"""Drawings of an evaluation: the votes as they came, and reward against distance with people's word on it."""

from collections.abc import Sequence
from math import log

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from annotation.evaluations.evidence import Goodhart, Step
from annotation.ui import charts
from annotation.ui.chart_parts import Axis
from annotation.ui.charts import Stop
from annotation.ui.minus import with_minus

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 330, 52, 586, 16, 250
CURVE_POINTS = 60
NOTHING = mark_safe("")


def votes_as_they_came(path: Sequence[Step]) -> SafeString:
    """The win rate after each decided vote within its always-valid interval."""
    stops = [
        Stop(
            x=step.votes,
            y=step.statistic.value,
            low=step.statistic.interval.low if step.statistic.interval else None,
            high=step.statistic.interval.high if step.statistic.interval else None,
        )
        for step in path
        if step.statistic.value is not None
    ]
    if not stops:
        return NOTHING
    last = int(stops[-1].x)
    return charts.line(
        stops,
        label=f"Win rate of the policy over {last} decided votes, with its always-valid interval",
        y_range=(0.0, 1.0),
        x_names=(f"{int(stops[0].x)}", f"{last} decided votes"),
    )


def goodhart_plot(found: Goodhart) -> SafeString:
    """Reward of the run (dots) and its fitted curve by d = sqrt(KL); people's win rates by the right axis."""
    start = found.reached[0].reward
    far = max([one.distance for one in found.reached] + [one.distance for one in found.judged])
    curve = _curve(found, far * 1.05, start)
    rewards = [one.reward for one in found.reached] + [height for _, height in curve]
    margin = 0.08 * (max(rewards) - min(rewards) or 1.0)
    x = Axis(0.0, far * 1.05, LEFT, RIGHT)
    y = Axis(min(rewards) - margin, max(rewards) + margin, BOTTOM, TOP)
    label = "Reward by the reward model against the distance from the start, with what people said"
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}{}{}{}{}</svg>',
        *(WIDTH, HEIGHT, label),
        _axes(x, y),
        format_html(
            '<polyline class="limit" points="{}"/>',
            " ".join(f"{x.place(a)},{y.place(b)}" for a, b in curve),
        ),
        format_html_join(
            "",
            '<circle class="point" cx="{}" cy="{}" r="3.5"><title>{}</title></circle>',
            (
                (
                    *(x.place(one.distance), y.place(one.reward)),
                    f"distance {one.distance:.2f}, reward {one.reward:.3f}",
                )
                for one in found.reached
            ),
        ),
        _people(found, x),
        _legend(),
    )


def _curve(found: Goodhart, far: float, start: float) -> list[tuple[float, float]]:
    """R = d (a - b log d) over the reward at the first step."""
    if found.fit is None:
        return []
    steps = [far * at / CURVE_POINTS for at in range(1, CURVE_POINTS + 1)]
    return [(d, start + d * (found.fit.a - found.fit.b * log(d))) for d in steps]


def _people(found: Goodhart, x: Axis) -> SafeString:
    right = Axis(0.0, 1.0, BOTTOM, TOP)
    rows = []
    for one in found.judged:
        ends = one.win_rate.interval
        assert one.win_rate.value is not None and ends is not None  # noqa: S101, PT018
        at = x.place(one.distance)
        told = f"{one.name}: people prefer it in {one.win_rate.value:.0%} of {one.win_rate.n} votes"
        rows.append(
            (
                at,
                right.place(ends.low),
                at,
                right.place(ends.high),
                at,
                right.place(one.win_rate.value),
                told,
            )
        )
    drawn = format_html_join(
        "",
        '<line class="line third" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        '<circle class="point people" cx="{}" cy="{}" r="6"><title>{}</title></circle>',
        rows,
    )
    ticks = format_html_join(
        "",
        '<text x="{}" y="{}">{}</text>',
        ((RIGHT + 6, right.place(at) + 4, f"{at:.0%}") for at in (0.0, 0.5, 1.0)),
    )
    return format_html("{}{}", ticks, drawn)


def _axes(x: Axis, y: Axis) -> SafeString:
    values = [y.low + (y.high - y.low) * step / 4 for step in range(5)]
    grid = format_html_join(
        "",
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, y.place(v), RIGHT, y.place(v), LEFT - 6, y.place(v) + 4, with_minus(f"{v:.2f}"))
            for v in values
        ),
    )
    below = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (x.place(x.high * step / 4), BOTTOM + 18, f"{x.high * step / 4:.1f}")
            for step in range(5)
        ),
    )
    return format_html("{}{}", grid, below)


def _legend() -> SafeString:
    at = HEIGHT - 10
    return format_html(
        '<text x="{}" y="{}" text-anchor="middle">distance from the start: √KL, in √nats a response</text>'
        '<circle class="point" cx="{}" cy="{}" r="3.5"/><text x="{}" y="{}">reward, left axis</text>'
        '<circle class="point people" cx="{}" cy="{}" r="6"/><text x="{}" y="{}">people’s win rate, right axis</text>',
        *((LEFT + RIGHT) / 2, BOTTOM + 38),
        *(LEFT + 6, at - 4, LEFT + 16, at),
        *(LEFT + 190, at - 4, LEFT + 204, at),
    )
