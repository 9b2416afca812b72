"""What every measure returns: a value with its interval, or no value and the reason why."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]  # Any: item codes may come as int32 or int64

Json = dict[str, float | int | str | list[float] | None]


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float

    def clipped(self, low: float, high: float) -> "Interval":
        return Interval(min(max(self.low, low), high), min(max(self.high, low), high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One number a person may act on. ``n`` is what it rests on (items, unless said otherwise).

    ``reason`` is a sentence: why there is no value or, beside a value, why there is no interval.
    """

    value: float | None
    interval: Interval | None
    n: int
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("A statistic without a value needs a reason; none was given.")
        if self.value is not None and not isfinite(self.value):
            raise ValueError(f"A statistic's value is a number or None; this one is {self.value}.")

    def as_json(self) -> Json:
        interval = None if self.interval is None else [self.interval.low, self.interval.high]
        return {"value": self.value, "interval": interval, "n": self.n, "reason": self.reason}


def missing(reason: str, *, n: int = 0) -> Statistic:
    """No value, and why."""
    return Statistic(value=None, interval=None, n=n, reason=reason)


def normal_quantile(confidence: float) -> float:
    """1.96 for 0.95: the two-sided quantile of the standard normal."""
    return float(ndtri(0.5 + confidence / 2))


def normal_interval(value: float, *, se: float, confidence: float = 0.95) -> Interval:
    half = normal_quantile(confidence) * se
    return Interval(value - half, value + half)


def wilson_interval(hits: float, *, n: float, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    if n <= 0:
        raise ValueError(f"A proportion needs at least one observation; n is {n}.")
    z = normal_quantile(confidence)
    share = hits / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(center - half, center + half).clipped(0.0, 1.0)


def proportion(hits: float, *, n: int, nothing: str) -> Statistic:
    """``hits`` of ``n`` with the Wilson interval; with ``n`` = 0 the reason is ``nothing``."""
    if n == 0:
        return missing(nothing)
    return Statistic(value=hits / n, interval=wilson_interval(hits, n=n), n=n)


def proportions(
    hits: npt.NDArray[Any],  # Any: whole numbers or expected ones
    n: IntArray,
    *,
    nothing: str,
) -> list[Json]:
    """`proportion` of each two of them, at once, as JSON."""
    z, many = normal_quantile(0.95), np.maximum(n, 1)
    share = hits / many
    center = (share + z * z / (2 * many)) / (1 + z * z / many)
    half = z / (1 + z * z / many) * np.sqrt(share * (1 - share) / many + z * z / (4 * many * many))
    low, high = np.clip(center - half, 0.0, 1.0), np.clip(center + half, 0.0, 1.0)
    rows = zip(share.tolist(), low.tolist(), high.tolist(), n.tolist(), strict=True)
    return [
        {"value": value, "interval": ends, "n": many, "reason": None}
        if many
        else missing(nothing).as_json()
        for value, *ends, many in rows
    ]
