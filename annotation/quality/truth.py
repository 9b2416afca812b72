"""What the labels of a pair amount to: posteriors by hierarchical Dawid-Skene."""

import numpy as np

from annotation.measures.consensus import Consensus, dawid_skene
from annotation.measures.table import RatingTable, Scale
from annotation.quality.columns import PairColumns

TOLERANCE = 1e-7  # of the log-likelihood: posteriors stand still to three digits long before
DECISIONS = Scale(("first", "tie", "second"))


def decision_table(columns: PairColumns) -> RatingTable:
    """First, tie or second; "all bad" is no vote for any of them."""
    kept = ~columns.is_all_bad
    codes = 1 - np.sign(columns.strengths[kept])
    return RatingTable.from_columns(columns.items[kept], columns.labelers[kept], codes, DECISIONS)


def consensus_of(columns: PairColumns) -> Consensus:
    return dawid_skene(decision_table(columns), tolerance=TOLERANCE)


def pair_posteriors(columns: PairColumns) -> dict[tuple[int, int], tuple[float, float]]:
    """For each judged pair of candidate ids: the probability that the first is better, and of a tie."""
    if columns.is_all_bad.all():
        return {}
    posteriors = consensus_of(columns).posteriors
    items, places = np.unique(columns.items[~columns.is_all_bad], return_index=True)
    first = columns.first_ids[~columns.is_all_bad][places]
    second = columns.second_ids[~columns.is_all_bad][places]
    return {
        (int(a), int(b)): (float(posteriors[item, 0]), float(posteriors[item, 1]))
        for item, a, b in zip(items, first, second, strict=True)
    }
