"""Two to five runs over each other: the settings in which they differ, their curves, their results."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation.core.errors import InvalidInput
from annotation.core.text import is_key
from annotation.projects.models import Project
from annotation.registry.results import change_rows, number_text, result_rows
from annotation.runs.charts import is_zero, titled
from annotation.runs.models import TrainingRun
from annotation.runs.selectors import Curves, curves_of, rank, runs_of
from annotation.ui.chart_parts import Axis
from annotation.ui.minus import with_minus
from training.spec.metrics import LOSSES, Metric, metric
from training.spec.naming import title_of
from training.spec.runs import SPECS

FEWEST, MOST = 2, 5
NOTHING = Curves([], {})
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 190, 68, 352, 14, 154


class Row(NamedTuple):
    """One line of a table: what it is of, and a value for each run."""

    name: str
    values: list[str]


class Differences(NamedTuple):
    """What went in where it is not the same for all, and the settings that not all of their kinds have."""

    shared: list[Row]
    of_some: list[Row]


class Overlay(NamedTuple):
    """One metric of all runs in one drawing, and their newest values."""

    name: str
    metric: Metric
    svg: SafeString
    newest: list[str]
    is_zero: bool


def runs_in(project: Project, keys: Sequence[str]) -> list[TrainingRun]:
    """The runs that a request names, in that order. Raises InvalidInput."""
    numbers = [int(key) for key in dict.fromkeys(keys) if is_key(key)]
    if not FEWEST <= len(numbers) <= MOST:
        raise InvalidInput.at("run", f"Choose {FEWEST} to {MOST} runs, not {len(numbers)}.")
    found = {run.pk: run for run in runs_of(project).filter(pk__in=numbers)}
    if missing := [key for key in numbers if key not in found]:
        raise InvalidInput.at("run", f"There is no run {missing[0]} in {project.name}.")
    return [found[key] for key in numbers]


def differences(runs: Sequence[TrainingRun]) -> Differences:
    """Records, models and settings that differ, these in the order of their form."""
    facts = [
        {
            "snapshot": run.snapshot.name,
            "starts from": str(run.base_model),
            "reward model": str(run.reward_model) if run.reward_model else None,
            "held-out reward model": str(run.held_out_reward_model)
            if run.held_out_reward_model
            else None,
            "sampled on": str(run.sampler) if run.sampler else None,
            "kind": run.title,
            **{
                one.name: run.spec[one.name]
                for one in fields(SPECS[run.kind])
                if one.name in run.spec
            },
        }
        for run in runs
    ]
    found = Differences([], [])
    for name in dict.fromkeys(name for one in facts for name in one):
        values = [one.get(name) for one in facts]
        if any(value != values[0] for value in values):
            home = found.shared if all(name in one for one in facts) else found.of_some
            home.append(Row(title_of(name), [number_text(value) for value in values]))
    return found


def results(runs: Sequence[TrainingRun]) -> list[Row]:
    """Every measure that some run ended with."""
    told = [_told(run.result.get("metrics", {})) for run in runs]
    names = list(dict.fromkeys(name for one in told for name in one))
    return [Row(name, [one.get(name, "–") for one in told]) for name in names]


def _told(metrics: dict[str, Any]) -> dict[str, str]:  # Any: JSON
    """What changed from before to after first, then each measure with its interval."""
    changed = {row.name: f"{row.before} → {row.after}" for row in change_rows(metrics)}
    measured = {
        row.name: " ".join(filter(None, [row.value, row.interval and f"({row.interval})"]))
        for row in result_rows(metrics)
    }
    return changed | measured


def overlays(runs: Sequence[TrainingRun]) -> list[Overlay]:
    """One drawing a metric that at least one run has, what people look at first coming first.

    Where a metric means another thing to each kind of run, as losses do, each has a drawing of its own.
    """
    curves = [curves_of(run) for run in runs]
    names = sorted({name for one in curves for name in one.series}, key=rank)
    kinds = {run.kind for run in runs}
    found = []
    for name in names:
        meanings = [_meaning(name, run.kind, is_told=len(kinds) > 1) for run in runs]
        having = [one for one, each in zip(meanings, curves, strict=True) if name in each.series]
        for meant in dict.fromkeys(having):
            drawn = [
                each if one == meant else NOTHING
                for one, each in zip(meanings, curves, strict=True)
            ]
            found.append(_overlay(name, meant, runs, drawn))
    return found


def _meaning(name: str, kind: str, *, is_told: bool) -> Metric:
    """What a metric is to a kind of run; ``is_told``: a loss says whose it is."""
    meant = metric(name, kind)
    if name not in LOSSES or not is_told:
        return meant
    return meant._replace(title=f"{meant.title}: {SPECS[kind].title}")


def _overlay(
    name: str, meant: Metric, runs: Sequence[TrainingRun], curves: Sequence[Curves]
) -> Overlay:
    lines = [_points(name, one) for one in curves]
    values = [value for line in lines for _, value in line] or [0.0]
    steps = [step for line in lines for step, _ in line] or [0, 1]
    x, y = Axis(min(steps), max(steps), LEFT, RIGHT), Axis(min(values), max(values), BOTTOM, TOP)
    drawn = format_html_join(
        "",
        '<polyline class="line run-{}" points="{}"><title>{}</title></polyline>',
        (
            (number, " ".join(f"{x.place(a)},{y.place(b)}" for a, b in line), run.name)
            for number, (run, line) in enumerate(zip(runs, lines, strict=True), start=1)
        ),
    )
    heights = [y.low] if y.low == y.high else [y.low, (y.low + y.high) / 2, y.high]
    ticks = format_html_join(
        "",
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, y.place(at), RIGHT, y.place(at), LEFT - 6, y.place(at) + 4, text)
            for at, text in zip(heights, texts_apart(heights), strict=True)
        ),
    )
    label = f"{titled(meant)} of {', '.join(run.name for run in runs)}, by step"
    svg = format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>{}{}'
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">step {}</text></svg>',
        *(WIDTH, HEIGHT, label, ticks, drawn),
        *(LEFT, BOTTOM + 20, min(steps), RIGHT, BOTTOM + 20, max(steps)),
    )
    newest = [number_text(line[-1][1]) if line else "–" for line in lines]
    return Overlay(
        name, meant, svg, newest, is_zero([[value for _, value in line] for line in lines])
    )


def texts_apart(values: Sequence[float]) -> list[str]:
    """Numbers in so many digits that no two that differ read the same."""
    texts: list[str] = []
    for digits in range(3, 10):
        texts = [with_minus(f"{value:.{digits}g}") for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _points(name: str, curves: Curves) -> list[tuple[int, float]]:
    values = curves.series.get(name, [])
    return [
        (step, value)
        for step, value in zip(curves.steps, values, strict=False)
        if value is not None
    ]
