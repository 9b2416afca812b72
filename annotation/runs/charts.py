"""Which numbers of a run are drawn in one chart, under which title, and what they tell of."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from annotation.runs.selectors import Curves
from training.spec.metrics import Metric, Tells, metric

Values = Sequence[float | None]


class Line(NamedTuple):
    """One metric in a chart; ``title`` tells it from the others there."""

    name: str
    title: str


class Chart(NamedTuple):
    """A title with its unit, and the lines below it; a chart of zeros alone is folded away."""

    title: str
    unit: str
    tells: Tells
    lines: list[Line]
    is_zero: bool


def charts_of(curves: Curves, kind: str) -> list[Chart]:
    """The charts of a run of this kind, in the order of its curves."""
    found = {name: metric(name, kind) for name in curves.series}
    return [
        _chart(one, _lines(name, found), curves)
        for name, one in found.items()
        if one.beside not in found
    ]


def _lines(name: str, found: dict[str, Metric]) -> list[Line]:
    beside = [other for other, one in found.items() if one.beside == name]
    return [Line(each, found[each].line or found[each].title) for each in (name, *beside)]


def _chart(one: Metric, lines: list[Line], curves: Curves) -> Chart:
    drawn = [curves.series[line.name] for line in lines]
    return Chart(one.title, one.unit, one.tells, lines, is_zero(drawn))


def is_zero(lines: Iterable[Values]) -> bool:
    """Whether some line has values, and none ever leaves zero."""
    known = [value for values in lines for value in values if value is not None]
    return bool(known) and not any(known)


def titled(one: Metric | Chart) -> str:
    """`KL to the reference (nats a response)`."""
    return f"{one.title} ({one.unit})" if one.unit else one.title
