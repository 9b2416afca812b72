"""Time in days or weeks: a pair belongs to the period of its last judgment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from annotation.quality.columns import PairColumns

DAY, WEEK = 86_400, 7 * 86_400
DAYS_BY_DAY = 28
PERIODS_MAX = 60
MONDAY = 4 * DAY  # 1970-01-05, the first Monday


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Period:
    """The judgments of the pairs that were finished in it."""

    start: str  # ISO date, UTC
    unit: str
    columns: PairColumns


def periods_of(columns: PairColumns) -> Iterator[Period]:
    """The newest periods that hold pairs, oldest first; weeks where the span is over four weeks."""
    if len(columns) == 0:
        return
    last = np.zeros(columns.item_count, dtype=np.int64)
    np.maximum.at(last, columns.items, columns.given_at)
    ended = last[columns.items]
    by_day = ended.max() - ended.min() <= DAYS_BY_DAY * DAY
    seconds, offset = (DAY, 0) if by_day else (WEEK, MONDAY)
    codes = (ended - offset) // seconds
    for code in np.unique(codes)[-PERIODS_MAX:]:
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(code) * seconds + offset)
        yield Period(
            start=start.date().isoformat(),
            unit="day" if by_day else "week",
            columns=columns.where(codes == code),
        )
