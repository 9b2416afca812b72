"""The metrics of a result as people read them: one line a statistic, and what changed from before to after."""

from typing import Any, NamedTuple

from annotation.ui.minus import with_minus
from training.spec.results import TIMES, measure_title, place_of


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
    told = {f"{name}_{when}" for name in changed_names(metrics) for when in ("before", "after")}
    for key, value in sorted(with_gain(metrics).items(), key=lambda item: place_of(item[0])):
        if key in told or (key.endswith("reason") and not value):
            continue  # in the table of what changed, or nothing to say
        name = f"{prefix}{measure_title(key)}"
        if isinstance(value, dict) and "value" in value:
            rows.append(measured(name, value))
        elif isinstance(value, dict):
            rows.extend(result_rows(value, f"{name}: "))
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            for one in value:
                facts = {inner: told for inner, told in one.items() if inner != "name"}
                rows.extend(result_rows(facts, f"{name} {one.get('name', '')}: "))
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
    for name in changed_names(metrics):
        before, after = metrics[f"{name}_before"], metrics[f"{name}_after"]
        change = with_minus(f"{after - before:+.4g}")
        rows.append(Change(measure_title(name), number_text(before), number_text(after), change))
    return rows


def changed_names(metrics: dict[str, Any]) -> list[str]:  # Any: JSON
    """Measures that are numbers both before and after training."""
    names = sorted(
        (key.removesuffix("_before") for key in metrics if key.endswith("_before")), key=place_of
    )
    return [
        name
        for name in names
        if name not in TIMES
        and _is_number(metrics[f"{name}_before"])
        and _is_number(metrics.get(f"{name}_after"))
    ]


def _is_number(value: Any) -> bool:  # Any: JSON
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
        return with_minus(f"{value:.4g}")
    return with_minus(f"{value:,}") if isinstance(value, int) else str(value)
