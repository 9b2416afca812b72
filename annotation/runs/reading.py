"""Numbers of a run as people read them."""

from typing import Any, NamedTuple

from annotation.registry.results import Result, number_text, result_rows
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.pacing import Basis, Likeness
from annotation.runs.records import OF_RECORDS
from annotation.runs.selectors import Curves, Pace
from annotation.ui.minus import with_minus
from training.spec.durations import duration_text, rate_text
from training.spec.events import EventKind
from training.spec.headlines import HEADLINES, Headline
from training.spec.metrics import metric
from training.spec.naming import words_of
from training.spec.results import measure_title


class Latest(NamedTuple):
    """One metric in the table beside the charts."""

    title: str
    unit: str
    name: str  # as the API, the events and the docs have it
    first: str
    newest: str
    lowest: str
    highest: str


def metric_rows(curves: Curves, kind: str) -> list[Latest]:
    """First, newest, lowest and highest value of each metric."""
    rows = []
    for name, values in curves.series.items():
        known = [one for one in values if one is not None]
        if known:
            ends = (known[0], known[-1], min(known), max(known))
            one = metric(name, kind)
            rows.append(Latest(one.title, one.unit, name, *map(number_text, ends)))
    return rows


class Told(NamedTuple):
    """A headline in the list of runs: the number, what it is of, and where it may lie; a reason in its place."""

    number: str
    name: str
    detail: str
    reason: str


def headline_texts(headline: Headline) -> Told:
    """`+0.42`, `reward gain`, `1.03 → 1.45, 95 %: 0.31 to 0.53, n 24`."""
    if headline.value is None:
        return Told("–", headline.name, "", headline.reason)
    is_gain = headline.after is not None
    number = f"{headline.value:+.3g}" if is_gain else f"{headline.value:{_digits(headline)}}"
    parts = [_ends(headline), _spread(headline), f"n {headline.n:,}" if headline.n else ""]
    return Told(with_minus(number), headline.name, ", ".join(filter(None, parts)), "")


def _ends(headline: Headline) -> str:
    if headline.before is None:
        return ""
    before = with_minus(f"{headline.before:{_digits(headline)}}")
    if headline.after is None:
        return f"from {before}"
    return f"{before} → {with_minus(f'{headline.after:.3g}')}"


def _spread(headline: Headline) -> str:
    if headline.interval is None:
        return ""
    low, high = (with_minus(f"{end:.3g}") for end in headline.interval)
    return f"95 %: {low} to {high}"


def _digits(headline: Headline) -> str:
    """Losses before and after may be near each other."""
    return ".4g" if headline.is_better_low else ".3g"


def results_of(run: TrainingRun) -> list[Result]:
    """What it came to, the number that its kind is judged by first; what became of its records stands elsewhere."""
    metrics = run.result.get("metrics") or {}
    first = measure_title(HEADLINES[run.kind].key) if run.kind in HEADLINES else ""
    rows = result_rows({name: one for name, one in metrics.items() if name not in OF_RECORDS})
    return sorted(rows, key=lambda row: row.name != first)


def memory_text(megabytes: object) -> str:
    """`543 MB`; empty where the run told none."""
    if not isinstance(megabytes, (int, float)):
        return ""
    return f"{megabytes:,.0f} MB" if megabytes < 10_000 else f"{megabytes / 1000:,.1f} GB"


class Sample(NamedTuple):
    """One response that a run wrote, with its prompt and its numbers."""

    prompt: str
    response: str
    facts: list[tuple[str, str]]


def sample_of(data: dict[str, Any]) -> Sample:  # Any: JSON
    """A sample event as it is shown."""
    texts = ("prompt", "response")
    facts = [(words_of(name), number_text(one)) for name, one in data.items() if name not in texts]
    prompt, response = (str(data.get(name, "")) for name in texts)
    return Sample(prompt, response, facts)


NEARNESS = {
    Likeness.SAME: "with these settings over a model of this size",
    Likeness.SETTINGS: "over a model of this size with other settings: roughly",
    Likeness.MODEL: "over another model, scaled by size: roughly",
}


def basis_text(basis: Basis) -> str:
    """`at the pace of A and B, with these settings over a model of this size`; what was set otherwise."""
    names = [one.name for one in basis.runs]
    runs = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    told = [f"at the pace of {runs}, {NEARNESS[basis.likeness]}"]
    if basis.scaled_for:
        told.append(f"Scaled for: {'; '.join(basis.scaled_for)}")
    if basis.not_scaled_for:
        told.append(f"Not scaled for: {'; '.join(basis.not_scaled_for)}")
    return ". ".join(told)


def pace_text(pace: Pace, unit: str) -> str:
    """`0.5 steps/s, about 3 min left`; empty while the pace is unknown."""
    if pace.rate is None or pace.seconds_left is None:
        return ""
    return f"{rate_text(pace.rate, unit or 'steps')}, about {duration_text(pace.seconds_left)} left"


def took_text(run: TrainingRun) -> str:
    """` after 26 s`, or how long the last of several attempts took; empty while that is open."""
    if run.started_at is None or run.finished_at is None:
        return ""
    took = duration_text((run.finished_at - run.started_at).total_seconds())
    attempts = RunEvent.objects.filter(run=run, kind=EventKind.STARTED).count()
    return f" after {took}" if attempts < 2 else f"; the last of {attempts} attempts took {took}"
