"""What the labels of a pair amount to: posteriors by hierarchical Dawid-Skene, fitted once and used many times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from annotation.measures.consensus import (
    Consensus,
    dawid_skene,
    posteriors_given,
    shrunken_confusions,
)
from annotation.measures.statistic import FloatArray
from annotation.measures.table import RatingTable, Scale
from annotation.quality.columns import PairColumns

if TYPE_CHECKING:
    from annotation.quality.judged import JudgedPairs

NO_MODEL = "The truth cannot be estimated: no item has two ratings."
TOLERANCE = 1e-7  # of the log-likelihood: posteriors stand still to three digits long before
DECISIONS = Scale(("first", "tie", "second"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownLabelers:
    """A fitted model of the labelers: enough to judge any item, without a new fit."""

    class_shares: FloatArray  # first, tie, second
    labeler_ids: npt.NDArray[np.int64]  # in order
    confusions: FloatArray  # labelers x true x said
    judgments: int  # it was fitted to

    def for_labelers(self, ids: npt.NDArray[np.int64]) -> FloatArray:
        """Their confusion matrices; the mean of all for a labeler not met before."""
        pooled = self.confusions.mean(axis=0)
        places = np.searchsorted(self.labeler_ids, ids)
        places = np.minimum(places, len(self.labeler_ids) - 1)
        met = self.labeler_ids[places] == ids
        return np.where(met[:, None, None], self.confusions[places], pooled)


def known_labelers(judged: "JudgedPairs") -> KnownLabelers | None:
    """Fit the model; None where no item has two decisions."""
    table = judged.decision_table()
    if table.item_count == 0 or np.bincount(table.items).max() < 2:
        return None
    found = dawid_skene(table, tolerance=TOLERANCE)
    ids = judged.labeler_ids[: table.labeler_count]
    return KnownLabelers(
        class_shares=found.class_shares,
        labeler_ids=ids,
        confusions=found.confusions,
        judgments=len(judged),
    )


def item_posteriors(judged: "JudgedPairs", known: KnownLabelers) -> FloatArray:
    """Items x (first, tie, second): one expectation step under the fitted model."""
    table = judged.decision_table()
    confusions = known.for_labelers(judged.labeler_ids[: table.labeler_count])
    found = posteriors_given(table, known.class_shares, confusions)
    if len(found) < judged.item_count:  # the last items are all bad
        rest = np.tile(known.class_shares, (judged.item_count - len(found), 1))
        found = np.concatenate([found, rest])
    return found


def labeler_accuracies(judged: "JudgedPairs", known: KnownLabelers) -> FloatArray:
    """The chance that each labeler says the truth on these items: sum_k p_k pi_kk."""
    table = judged.decision_table()
    confusions = known.for_labelers(judged.labeler_ids[: table.labeler_count])
    posteriors = posteriors_given(table, known.class_shares, confusions)
    if not len(posteriors):  # the filters leave nothing
        return np.full(len(judged.labeler_ids), np.nan)
    shares = posteriors.mean(axis=0)
    own = shrunken_confusions(table, posteriors)
    accuracies = np.full(len(judged.labeler_ids), np.nan)
    accuracies[: len(own)] = np.einsum("k,gkk->g", shares, own)
    return accuracies


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
