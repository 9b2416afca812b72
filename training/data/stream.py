"""The order of the rows: a function of seed and position, so that a cursor is one number."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from training.spec.base import RunSpec

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Batches of row numbers, epoch after epoch, each epoch in its own seeded order.

    The batch of a step does not depend on the steps before it: resuming needs the step alone.
    """

    rows: int
    per_step: int
    seed: int
    epochs: float
    max_steps: int = 0

    @classmethod
    def of(cls, rows: int, spec: RunSpec) -> "Stream":
        return cls(
            rows=rows,
            per_step=spec.groups_per_step,
            seed=spec.seed,
            epochs=spec.epochs,
            max_steps=spec.max_steps,
        )

    @property
    def steps(self) -> int:
        """How many steps the epochs take; ``max_steps`` above 0 is a limit."""
        steps = max(1, math.ceil(self.epochs * self.rows / self.batch_size - 1e-9))
        return min(steps, self.max_steps) if self.max_steps else steps

    @property
    def batch_size(self) -> int:
        return min(self.per_step, self.rows)

    def batch(self, step: int) -> list[int]:
        """The rows of a step, counted from 0; the last batch of the run may be shorter."""
        last = max(self.batch_size, round(self.epochs * self.rows))
        first = step * self.batch_size
        return [
            self._row(at) for at in range(first, max(min(first + self.batch_size, last), first + 1))
        ]

    def passed(self, rows: Sequence[Row]) -> list[Row]:
        """Those of these rows that the steps come to, in the order given."""
        if self.steps * self.batch_size >= len(rows):
            return list(rows)
        return [
            rows[at] for at in sorted({at for step in range(self.steps) for at in self.batch(step)})
        ]

    def _row(self, at: int) -> int:
        return row_at(at, rows=self.rows, seed=self.seed)


def endless_batch(step: int, *, rows: int, size: int, seed: int) -> list[int]:
    """The ``size`` rows of a step, of epochs without end: where there are fewer, some come again in it."""
    return [row_at(at, rows=rows, seed=seed) for at in range(step * size, (step + 1) * size)]


def row_at(at: int, *, rows: int, seed: int) -> int:
    """The row at a place of the order, counted on over the epochs."""
    epoch, place = divmod(at, rows)
    return epoch_order(rows, seed=seed, epoch=epoch)[place]


@lru_cache(maxsize=2)
def epoch_order(rows: int, *, seed: int, epoch: int) -> tuple[int, ...]:
    """A permutation of the rows that belongs to this epoch."""
    order = list(range(rows))
    random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - an order, not a secret
    return tuple(order)
