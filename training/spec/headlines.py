"""The one number that a run of each kind is judged by, out of all that its result holds."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Measure(NamedTuple):
    """Which of a result's metrics counts, and where its interval and its ends lie."""

    name: str
    key: str
    is_better_low: bool = False
    before: str = ""
    after: str = ""


ACCURACY = Measure("held-out accuracy", "accuracy")
LOSS = Measure("held-out loss", "loss_after", is_better_low=True, before="loss_before")
GAIN = Measure("reward gain", "reward_gain", before="reward_before", after="reward_after")
HEADLINES = {
    "reward_model": ACCURACY,
    "dpo": ACCURACY,
    "kto": ACCURACY,
    "sft": LOSS,
    "ppo": GAIN,
    "grpo": GAIN,
}


class Headline(NamedTuple):
    """What a run came to; ``value`` is None where ``reason`` says why."""

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    n: int | None = None
    before: float | None = None
    after: float | None = None
    is_better_low: bool = False
    reason: str = ""


def headline_in(metrics: Mapping[str, Any], measure: Measure) -> Headline:  # Any: JSON
    """The number out of a result's metrics, or why there is none."""
    told = _told(metrics, measure)
    value = _number(told.get("value"))
    return Headline(
        name=measure.name,
        value=value,
        interval=_interval(told.get("interval")),
        n=told.get("n"),
        before=_number(_value(metrics.get(measure.before))),
        after=_number(_value(metrics.get(measure.after))),
        is_better_low=measure.is_better_low,
        reason="" if value is not None else _reason(metrics, told),
    )


def headline_line(found: Headline) -> str:
    """`held-out accuracy 0.71 (95 %: 0.63 to 0.78, n 198)` for a terminal; the reason where there is no number."""
    if found.value is None:
        return f"{found.name}: {found.reason}"
    if found.after is not None:
        number = f"{found.value:+.3g}"
        ends = f"from {found.before:.3g} to {found.after:.3g}" if found.before is not None else ""
    else:
        number = f"{found.value:.4g}"
        ends = f"from {found.before:.4g}" if found.before is not None else ""
    spread = "95 %: {:.3g} to {:.3g}".format(*found.interval) if found.interval else ""
    told = ", ".join(filter(None, [ends, spread, f"n {found.n}" if found.n else ""]))
    return f"{found.name} {number}" + (f" ({told})" if told else "")


def _told(metrics: Mapping[str, Any], measure: Measure) -> Mapping[str, Any]:  # Any: JSON
    """Value, interval, n and reason; those of a gain stand beside it."""
    told = metrics.get(measure.key)
    if isinstance(told, dict):
        return told
    return {**metrics, "value": told}


def _value(told: Any) -> Any:  # Any: JSON
    return told.get("value") if isinstance(told, dict) else told


def _number(value: Any) -> float | None:  # Any: JSON
    return float(value) if isinstance(value, (int, float)) else None


def _interval(ends: Any) -> tuple[float, float] | None:  # Any: JSON
    match ends:
        case [float() | int() as low, float() | int() as high]:
            return float(low), float(high)
    return None


def _reason(metrics: Mapping[str, Any], told: Mapping[str, Any]) -> str:  # Any: JSON
    return str(told.get("reason") or metrics.get("reason") or "The run measured nothing.")
