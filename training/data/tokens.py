"""Token ids with their masks. Padding is told by the mask, never by an id: pad may equal eos.

Shapes: B rows, S tokens of the longest row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor


class PaddedRows(NamedTuple):
    """Rows of ids and their masks, True where a token counts."""

    ids_BS: Tensor
    mask_BS: Tensor


def pad_rows(rows: Sequence[Sequence[int]], *, pad_id: int, left: bool = False) -> PaddedRows:
    """Rows of unequal length as one tensor; ``left`` pads on the left, as generation needs."""
    longest = max(len(row) for row in rows)
    ids_BS = torch.full((len(rows), longest), pad_id)
    mask_BS = torch.zeros(len(rows), longest, dtype=torch.bool)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(len(row))
        ids_BS[number, place] = torch.tensor(row, dtype=torch.long)
        mask_BS[number, place] = True
    return PaddedRows(ids_BS, mask_BS)


@dataclass(slots=True)
class Tally:
    """What became of the records: used, cut, dropped, and why. Reported, never silent."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, number: int = 1) -> None:
        if number:
            self.counts[what] += number

    def as_dict(self) -> dict[str, int]:
        return dict(sorted(self.counts.items()))

    def sentence(self) -> str:
        """What was counted, for the person whose snapshot held too little."""
        words = [f"{name.replace('_', ' ')} {number}" for name, number in self.as_dict().items()]
        return (
            f"Of its records: {', '.join(words)}." if words else "It has no records of this kind."
        )


def counts_of(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    """What became of records, by what they were read for."""
    return {name: one.as_dict() for name, one in tallies.items()}
