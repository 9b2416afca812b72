"""The plots of the agreement page: the funnel of labelers, alpha over time, the labeler matrix."""

from dataclasses import dataclass
from datetime import date
from math import floor
from statistics import median
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from annotation.measures.funnel import LOOK, OUTSIDE, Funnel
from annotation.ui import charts
from annotation.ui.charts import Dot, Limit, Stop, Whisker
from annotation.ui.minus import with_minus
from annotation.ui.templatetags.measured import hundredths, percent

Data = dict[str, Any]  # Any: the report
SHADES = 5


def funnel_plot(data: Data) -> SafeString | None:
    """None where no labeler can be scored against others."""
    rows = [row for row in data["labelers"] if row["agreement"]["value"] is not None]
    if not rows or data["funnel"] is None:
        return None
    funnel = Funnel(mean=data["funnel"]["mean"], overdispersion=data["funnel"]["overdispersion"])
    dots = [
        Dot(
            x=row["agreement"]["n"],
            y=row["agreement"]["value"],
            name=row["name"],
            is_out=row["standing"] == "outside",
        )
        for row in rows
    ]
    usual = median(dot.x for dot in dots)
    lowest = min(funnel.limit(usual, OUTSIDE), *(dot.y for dot in dots))
    out = [dot.name for dot in dots if dot.is_out]
    told = f"{', '.join(out)} below the limits." if out else "All are within the limits."
    return charts.scatter(
        dots,
        label=f"Funnel plot: agreement of each labeler with the others by number of judgments. {told}",
        x_name="judgments that others made too",
        y_range=(min(max(floor(lowest * 5) / 5, 0.0), 0.8), 1.0),
        limits=[
            Limit(of=lambda n: funnel.limit(n, LOOK), name="95 %"),
            Limit(of=lambda n: funnel.limit(n, OUTSIDE), name="99.8 %", is_named_above=False),
            Limit(of=lambda n: funnel.limit(n, -LOOK), name="95 %", is_named_above=False),
            Limit(of=lambda n: funnel.limit(n, -OUTSIDE), name="99.8 %"),
        ],
        middle=funnel.mean,
    )


def alpha_plot(data: Data, marks: list[tuple[str, str]]) -> SafeString | None:
    """Alpha by day or week, with the moments at which guideline versions came."""
    valued = [one for one in data["periods"] if one["value"] is not None]
    if not valued:
        return None
    stops = [
        Stop(x=_day(one["start"]), y=one["value"], **_bounds(one["interval"])) for one in valued
    ]
    lowest = min([stop.y for stop in stops] + [stop.low for stop in stops if stop.low is not None])
    first, last = stops[0].x, stops[-1].x
    names: dict[float, list[str]] = {}
    for at, name in marks:
        if first <= _day(at) <= last:
            names.setdefault(_day(at), []).append(name)
    unit = valued[0]["unit"]
    return charts.line(
        stops,
        label=f"Alpha by {unit} with its interval; the newest is {stops[-1].y:.2f}",
        y_range=(min(0.0, round(lowest, 1)), 1.0),
        x_names=(valued[0]["start"], valued[-1]["start"] if last > first else ""),
        marks=[(day, ", ".join(those)) for day, those in names.items()],
    )


def fullest_period(data: Data) -> Data | None:
    """The period with the most pairs, for its reason where none can be drawn."""
    return max(data["periods"], key=lambda one: int(one["n"]), default=None)


def _bounds(interval: list[float] | None) -> dict[str, float]:
    return {} if interval is None else {"low": interval[0], "high": interval[1]}


def _day(text: str) -> float:
    return float(date.fromisoformat(text).toordinal())


def policies_plot(rows: list[Data]) -> SafeString | None:
    """Strengths with their intervals, the strongest first."""
    if len(rows) < 2:
        return None
    told = ", ".join(f"{row['name']} {row['strength']:.2f}" for row in rows[:12])
    return charts.intervals(
        [_whisker(row["name"], row["strength"], row["interval"]) for row in rows],
        label="Strength of each policy with its 95 % interval",
        description=f"Log strengths by Davidson's model, mean zero: {told}.",
        middle=0.0,
    )


def versions_plot(rows: list[Data]) -> SafeString | None:
    """Alpha under each version of the guideline with its interval."""
    valued = [row for row in rows if row["alpha_ordinal"]["value"] is not None]
    if not valued:
        return None
    shown = [
        _whisker(_version(row), row["alpha_ordinal"]["value"], row["alpha_ordinal"]["interval"])
        for row in valued
    ]
    told = ", ".join(f"{one.name} {one.value:.2f}" for one in shown)
    return charts.intervals(
        shown,
        label="Alpha under each version of the guideline with its 95 % interval",
        description=f"Krippendorff's alpha, ordinal, with labeler intervals: {told}.",
        middle=None,
    )


def _version(row: Data) -> str:
    return f"v{row['version']}" if row["version"] else "no guideline"


def _whisker(name: str, value: float, interval: list[float] | None) -> Whisker:
    low, high = interval or (value, value)
    return Whisker(name=name, value=value, low=low, high=high)


class Cell(NamedTuple):
    """One number of two labelers as it is shown, and the shade: by how many items they share."""

    value: str  # empty: there is none, and why
    ends: str
    n: int
    reason: str | None
    shade: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Names along both sides; above the diagonal the share of equal verdicts, below it kappa."""

    names: list[str]
    rows: list[tuple[str, list[Cell | None]]]


def matrix_of(data: Data) -> Matrix | None:
    """None where no two labelers share enough items."""
    cells = {frozenset((cell["first"], cell["second"])): cell for cell in data["matrix"]}
    if not cells:
        return None
    met = frozenset().union(*cells)
    people = [row for row in data["labelers"] if row["id"] in met]
    most = max(cell["shared"] for cell in cells.values())

    def cell_at(row: int, column: int) -> Cell | None:
        found = cells.get(frozenset((people[row]["id"], people[column]["id"])))
        if found is None:
            return None
        shade = max(1, round(SHADES * found["shared"] / most))
        return _share(found["agreement"], shade) if row < column else _kappa(found["kappa"], shade)

    places = range(len(people))
    rows = [(people[at]["name"], [cell_at(at, other) for other in places]) for at in places]
    return Matrix(names=[row["name"] for row in people], rows=rows)


def _share(one: Data, shade: int) -> Cell:
    low, high = one["interval"]
    ends = f"{hundredths(low)}–{hundredths(high)}"
    return Cell(percent(one["value"]), ends, one["n"], None, shade)


def _kappa(one: Data, shade: int) -> Cell:
    if one["value"] is None:
        return Cell("", "", one["n"], one["reason"], shade)
    value, *ends = (with_minus(f"{each:.2f}") for each in (one["value"], *(one["interval"] or ())))
    return Cell(value, " to ".join(ends), one["n"], one["reason"], shade)
