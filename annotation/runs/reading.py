"""Numbers of a run as people read them."""

from typing import Any, NamedTuple

from annotation.runs.models import TrainingRun
from annotation.runs.selectors import Curves, Pace


class Latest(NamedTuple):
    """One metric in the table beside the charts."""

    name: str
    first: str
    newest: str
    lowest: str
    highest: str


def metric_rows(curves: Curves) -> list[Latest]:
    """First, newest, lowest and highest value of each metric."""
    rows = []
    for name, values in curves.series.items():
        known = [one for one in values if one is not None]
        if known:
            ends = (known[0], known[-1], min(known), max(known))
            rows.append(Latest(words(name), *map(number_text, ends)))
    return rows


class Result(NamedTuple):
    """One line of the table of results."""

    name: str
    value: str
    interval: str
    n: str
    reason: str


def result_rows(metrics: dict[str, Any], prefix: str = "") -> list[Result]:  # Any: JSON
    """The metrics of a result, nested names joined; `{value, interval, n, reason}` is one line."""
    rows = []
    told = {f"{row.name} {when}" for row in change_rows(metrics) for when in ("before", "after")}
    for key, value in with_gain(metrics).items():
        if words(key) in told:
            continue  # in the table of what changed
        name = f"{prefix}{words(key)}"
        if isinstance(value, dict) and "value" in value:
            rows.append(measured(name, value))
        elif isinstance(value, dict):
            rows.extend(result_rows(value, f"{name}: "))
        elif isinstance(value, list):
            rows.append(Result(name, " to ".join(map(number_text, value[:4])), "", "", ""))
        else:
            rows.append(Result(name, number_text(value), "", "", ""))
    return sorted(rows, key=lambda row: not row.interval)


def with_gain(metrics: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """PPO's interval and count are those of its gain in held-out reward: one statistic."""
    if not {"reward_gain", "interval", "n"} <= metrics.keys():
        return metrics
    gain = {
        "value": metrics["reward_gain"],
        "interval": metrics["interval"],
        "n": metrics["n"],
    }
    return {
        "reward_gain": gain,
        **{key: one for key, one in metrics.items() if key not in {"reward_gain", "interval", "n"}},
    }


class Change(NamedTuple):
    """A measure of the same prompts before and after training, and what it changed by."""

    name: str
    before: str
    after: str
    change: str


def change_rows(metrics: dict[str, Any]) -> list[Change]:  # Any: JSON
    """Each pair `X_before`, `X_after` of a result: reward, length."""
    rows = []
    for name in (key.removesuffix("_before") for key in metrics if key.endswith("_before")):
        before, after = metrics[f"{name}_before"], metrics.get(f"{name}_after")
        if _is_number(before) and _is_number(after):
            change = f"{after - before:+.4g}"
            rows.append(Change(words(name), number_text(before), number_text(after), change))
    return rows


def _is_number(value: Any) -> bool:  # Any: JSON
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Sample(NamedTuple):
    """One response that a run wrote, with its prompt and its numbers."""

    prompt: str
    response: str
    facts: list[tuple[str, str]]


def sample_of(data: dict[str, Any]) -> Sample:  # Any: JSON
    """A sample event as it is shown."""
    texts = ("prompt", "response")
    facts = [(words(name), number_text(one)) for name, one in data.items() if name not in texts]
    prompt, response = (str(data.get(name, "")) for name in texts)
    return Sample(prompt, response, facts)


def measured(name: str, one: dict[str, Any]) -> Result:  # Any: JSON
    """A statistic with its interval and count, or the reason why there is none."""
    ends = one.get("interval")
    interval = ""
    if isinstance(ends, list) and len(ends) == 2:
        interval = f"{number_text(ends[0])} to {number_text(ends[1])}"
    n = "" if one.get("n") is None else number_text(one["n"])
    reason = str(one.get("reason") or "")
    return Result(name, number_text(one["value"]), interval, n, reason)


def number_text(value: Any) -> str:  # Any: JSON
    """Four digits that matter; a dash where there is no number."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def words(name: str) -> str:
    """`reward_before` as words."""
    return name.replace("_", " ")


def pace_text(pace: Pace, unit: str) -> str:
    """`0.5 steps/s, about 3 min left`; empty while the pace is unknown."""
    if pace.rate is None or pace.seconds_left is None:
        return ""
    unit = unit or "steps"
    slow = pace.rate < 0.1
    rate = f"{1 / pace.rate:.0f} s a step" if slow else f"{pace.rate:.2g} {unit}/s"
    return f"{rate}, about {duration_text(pace.seconds_left)} left"


def took_text(run: TrainingRun) -> str:
    """How long the last attempt of a run took; empty while that is open."""
    if run.started_at is None or run.finished_at is None:
        return ""
    return duration_text((run.finished_at - run.started_at).total_seconds())


def duration_text(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
