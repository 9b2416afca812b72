"""Groups of a snapshot by split, with a refusal of snapshots that nothing can be learned from."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from training.data.tokens import Tally
from training.spec.errors import DataError
from training.spec.records import FEWEST_ROWS, Group, read_groups

Row = TypeVar("Row")


def groups_of(folder: str, *splits: str, at_most: int = 0) -> list[Group]:
    """The groups of these splits in file order; ``at_most`` 0 takes all."""
    chosen = (group for group in read_groups(Path(folder)) if group.split in splits)
    return list(islice(chosen, at_most or None))


def spread(rows: Sequence[Row], at_most: int, tally: Tally) -> list[Row]:
    """At most so many of the rows, evenly over their order: of each split its share. 0 takes all.

    ``tally`` counts the others.
    """
    kept = min(at_most or len(rows), len(rows))
    tally.add("prompts_not_measured", len(rows) - kept)
    return [rows[place * len(rows) // kept] for place in range(kept)]


def read_some(
    groups: Sequence[Group],
    read: Callable[[Sequence[Group], Tally], Sequence[Row]],
    at_most: int,
    tally: Tally,
) -> list[Row]:
    """What ``read`` makes of groups, each alone, as `spread` takes it.

    ``tally`` counts what became of those that are taken, and of those of which nothing came.
    """
    found: list[tuple[Row, Tally]] = []
    for group in groups:
        own = Tally()
        rows = read([group], own)
        found.extend((row, own) for row in rows)
        if not rows:
            tally.counts.update(own.counts)
    taken = spread(found, at_most, tally)
    for _, own in taken:
        tally.counts.update(own.counts)
    return [row for row, _ in taken]


def refuse_too_few(found: int, *, what: str, advice: str) -> None:
    """Raise DataError unless there are enough rows to train on."""
    if found < FEWEST_ROWS:
        raise DataError(
            f"The snapshot has {found} {what} to train on; at least {FEWEST_ROWS} are needed. {advice}"
        )
