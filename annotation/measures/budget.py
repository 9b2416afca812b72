"""What labels buy: the width of an interval before the first label is given, and when the last one comes.

Widths here are those of chance alone. Where labelers differ, the labeler jackknife of the finished data is wider.
"""

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from scipy.special import stdtrit

from annotation.measures.statistic import (
    Interval,
    Statistic,
    missing,
    normal_quantile,
    wilson_interval,
)

FEWEST_DAYS = 3  # fewer say nothing of how days differ


def half_width(share: float, *, n: int, confidence: float = 0.95) -> Statistic:
    """Half the Wilson interval around an expected ``share`` of ``n`` independent items."""
    if n < 1:
        return missing("No items are planned, so there is nothing to measure.")
    low, high = wilson_interval(share * n, n=n, confidence=confidence)
    return Statistic(value=(high - low) / 2, interval=None, n=n, reason="A width has no interval.")


def items_for(width: float, *, confidence: float = 0.95) -> int:
    """Items whose Wilson interval around one half has at most this half-width: z² / (4 w²) - z², rounded up."""
    if not 0 < width < 0.5:
        raise ValueError(f"A half-width lies between 0 and 0.5; this one is {width}.")
    z = normal_quantile(confidence)
    return max(1, ceil(z * z / (4 * width * width) - z * z))


def alpha_half_width(agreement: float, *, n: int, chance: float = 0.5) -> Statistic:
    """Half-width of alpha = (p_a - p_e) / (1 - p_e) with ``chance`` p_e held fixed: that of p_a over 1 - p_e."""
    width = half_width(agreement, n=n)
    if width.value is None:
        return width
    return Statistic(value=width.value / (1 - chance), interval=None, n=n, reason=width.reason)


def days_left(remaining: float, *, per_day: Sequence[int]) -> Statistic:
    """Days until ``remaining`` are done at the mean rate of the last days, with Student's interval of that mean.

    ``n`` is the number of days. The days themselves vary more than labels do, so they are the sample.
    """
    days, rate = len(per_day), float(np.mean(per_day)) if per_day else 0.0
    if remaining <= 0:
        return Statistic(value=0.0, interval=Interval(0.0, 0.0), n=days)
    if not per_day:
        return missing("No person has labeled here yet, so there is no pace to go by.")
    if rate == 0:
        return missing(
            "No person has labeled in the last days, so there is no pace to go by.", n=days
        )
    value = remaining / rate
    if days < FEWEST_DAYS:
        reason = f"{FEWEST_DAYS} days of labeling are needed for an interval; so far {days}."
        return Statistic(value=value, interval=None, n=days, reason=reason)
    error = float(np.std(per_day, ddof=1)) / sqrt(days)
    margin = float(stdtrit(days - 1, 0.975)) * error
    if margin >= rate:
        reason = "The days differ too much for an interval."
        return Statistic(value=value, interval=None, n=days, reason=reason)
    interval = Interval(remaining / (rate + margin), remaining / (rate - margin))
    return Statistic(value=value, interval=interval, n=days)
