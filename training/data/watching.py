"""Held-out rows that a run looks at while it trains."""

from collections.abc import Callable
from typing import TypeVar

from training.data.tokens import Tally
from training.runtime.run import Run

Row = TypeVar("Row")


def watched(read: Callable[[Tally], list[Row]], run: Run, what: str) -> list[Row]:
    """The rows; what became of their records is counted, and told in the run's log."""
    tally = Tally()
    rows = read(tally)
    run.reporter.log(f"The held-out {what} to look at are read.", **tally.as_dict())
    return rows
