"""The truth as a model has it that is told which side was left: what position does to labelers and to verdicts."""

import numpy as np
import numpy.typing as npt

from annotation.measures.bias import ratio, ratio_sums
from annotation.measures.consensus import dawid_skene, position_aware
from annotation.measures.statistic import FloatArray, Statistic, missing, proportion
from annotation.measures.table import RatingTable
from annotation.quality import stored
from annotation.quality.judged import JudgedPairs
from annotation.quality.report import NO_PLACE, Data
from annotation.quality.truth import DECISIONS, NO_MODEL, TOLERANCE

FIRST, SECOND = DECISIONS.names.index("first"), DECISIONS.names.index("second")
TOO_MANY = "This is fitted to all judgments, and to at most {:,} that filters leave: narrow them."
NO_TWO_PLACED = "No item has two verdicts whose shown order is known: imported ones have none."
NAMES = (
    ("found_left", "The better response is chosen, where it stood left", "labelers"),
    ("found_right", "The same, where it stood right", "labelers"),
    ("changed", "Pairs whose most likely verdict changes", "pairs"),
)


def position_part(judged: JudgedPairs, *, at_most: int | None) -> list[Data]:
    """Three numbers of position-aware Dawid-Skene; ``at_most`` judged pairs are fitted, None for any."""
    found = _found(judged, at_most)
    return [
        {"key": key, "name": name, "of": of, **one.as_json()}
        for (key, name, of), one in zip(NAMES, found, strict=True)
    ]


def _found(judged: JudgedPairs, at_most: int | None) -> list[Statistic]:
    kept = (judged.left != stored.PLACE_UNKNOWN) & ~judged.is_all_bad
    if at_most is not None and len(judged) > at_most:
        return [missing(TOO_MANY.format(at_most))] * len(NAMES)
    if not _is_shared(judged, kept):
        return [missing(_lack(judged, kept))] * len(NAMES)
    table = RatingTable.from_columns(
        judged.items[kept], judged.labelers[kept], judged.verdicts[kept], DECISIONS
    )
    left = judged.left[kept]
    plain, aware = dawid_skene(table, tolerance=TOLERANCE), position_aware(table, left)
    is_labeled = np.bincount(table.items, minlength=table.item_count) > 0
    changed = int((plain.winners != aware.winners)[is_labeled].sum())
    return [
        _chosen(table, left == 1, aware.posteriors),
        _chosen(table, left == 0, aware.posteriors),
        proportion(changed, n=int(is_labeled.sum()), nothing=NO_MODEL),
    ]


def _is_shared(judged: JudgedPairs, kept: npt.NDArray[np.bool_]) -> bool:
    return bool(np.bincount(judged.items[kept], minlength=1).max() > 1)


def _lack(judged: JudgedPairs, placed: npt.NDArray[np.bool_]) -> str:
    """Why there is no model: no two verdicts on an item, or the shown order of too few of them."""
    if not _is_shared(judged, ~judged.is_all_bad):
        return NO_MODEL
    return NO_TWO_PLACED if placed.any() else NO_PLACE


def _chosen(
    table: RatingTable, first_here: npt.NDArray[np.bool_], posteriors: FloatArray
) -> Statistic:
    """How often who judged chose the response on one side, where it is the better; over labelers.

    ``first_here`` says of each row whether the first response stood on that side.
    """
    chance = posteriors[table.items]
    better = np.where(first_here, chance[:, FIRST], chance[:, SECOND])
    said = table.labels == np.where(first_here, FIRST, SECOND)
    people = table.labeler_count
    right = np.bincount(table.labelers, weights=better * said, minlength=people).astype(np.float64)
    seen = np.bincount(table.labelers, weights=better, minlength=people).astype(np.float64)
    return ratio(ratio_sums(right, seen), nothing=NO_MODEL)
