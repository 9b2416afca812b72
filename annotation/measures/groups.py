"""Agreement within groups of items, such as those of a period or a version, from one pass over the ratings."""

import numpy as np
import numpy.typing as npt

from annotation.measures.agreement import Agreement, TalliedAgreement
from annotation.measures.live import Tally
from annotation.measures.statistic import IntArray
from annotation.measures.table import LabelerCells, RatingTable, labeler_cells


def patterns_by_group(
    agreement: Agreement, groups: IntArray, *, count: int
) -> npt.NDArray[np.int64]:
    """Groups x patterns: how many items of each group, a code from 0, show each pattern."""
    of_item = agreement.index.of_item
    kinds = len(agreement.patterns.items)
    has_one = of_item >= 0
    own = groups[: len(of_item)]
    if not has_one.all():
        own, of_item = own[has_one], of_item[has_one]
    keys = own.astype(np.int64) * kinds + of_item
    return np.bincount(keys, minlength=count * kinds).reshape(count, kinds)


def agreement_by_group(
    agreement: Agreement, groups: IntArray, *, count: int
) -> list[TalliedAgreement]:
    """What `Agreement` is of the items of each group alone."""
    table, people = agreement.table, agreement.table.labeler_count
    apart = RatingTable(
        items=table.items,
        labelers=groups[table.items].astype(np.int64) * people + table.labelers,
        labels=table.labels,
        scale=table.scale,
        item_count=table.item_count,
        labeler_count=count * people,
    )
    cells = labeler_cells(apart, agreement.index)
    bounds = np.searchsorted(cells.labelers, np.arange(count + 1) * people)
    shown = patterns_by_group(agreement, groups, count=count)
    return [
        TalliedAgreement(
            _tally(agreement, shown[group], cells, slice(*bounds[group : group + 2])),
            scale=table.scale,
        )
        for group in range(count)
    ]


def _tally(
    agreement: Agreement, items: npt.NDArray[np.int64], cells: LabelerCells, own: slice
) -> Tally:
    used = items > 0
    place = np.cumsum(used) - 1
    return Tally(
        vectors=agreement.patterns.counts[used].astype(np.int64),
        items=items[used],
        labelers=cells.labelers[own] % max(agreement.table.labeler_count, 1),
        patterns=place[cells.patterns[own]],
        labels=cells.labels[own],
        counts=cells.counts[own].astype(np.int64),
    )
