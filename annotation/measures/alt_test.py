"""May a machine judge replace people? The alternative annotator test (Calderon, Reichart and Dror 2025, sec. 3)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from annotation.measures.consensus import vote_counts
from annotation.measures.statistic import FloatArray
from annotation.measures.table import RatingTable

ITEMS_MIN = 30  # a labeler with fewer shared items is not tested
WINS_NEEDED = 0.5
SMALLEST_ERROR = 1e-7  # in a t-test, where the differences do not vary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AltTest:
    """``winning_rate`` is the share of labelers whom the judge may replace; None where none could be tested."""

    winning_rate: float | None
    passes: bool
    labelers: npt.NDArray[np.int64]  # tested
    items: npt.NDArray[np.int64]  # of each, that the judge and another person labeled too
    p_values: FloatArray  # after Benjamini and Yekutieli
    advantage: FloatArray  # of the labeler over the judge, before the allowance
    half_widths: FloatArray  # of the t-interval of each advantage, 95 %; 0 without variation


def alt_test(
    people: RatingTable, judge: npt.ArrayLike, *, allowance: float = 0.15, level: float = 0.05
) -> AltTest:
    """Whether the judge agrees with the others as well as each labeler does, within an allowance.

    1. On each item of labeler j, the judge and j are scored by the share of the OTHER labelers who
       said the same. 2. d = 1[j >= judge] - 1[judge >= j]; H0: mean d >= allowance (what a person
       costs more is worth), by a t-test. 3. Rejected at a false discovery rate of ``level``.
    The judge's label is -1 where it gave none. The allowance is theirs for skilled crowds.
    """
    said = np.asarray(judge, dtype=np.int64)
    votes = vote_counts(people)
    theirs = said[people.items]
    others = votes.sum(axis=1)[people.items] - 1
    used = (theirs >= 0) & (others > 0)
    own = (votes[people.items, people.labels] - 1)[used]
    machine = (votes[people.items, np.maximum(theirs, 0)] - (theirs == people.labels))[used]
    gap = (own >= machine).astype(np.float64) - (machine >= own)
    n = np.bincount(people.labelers[used], minlength=people.labeler_count)
    tested = np.flatnonzero(n >= ITEMS_MIN)
    if len(tested) == 0:
        return AltTest(
            winning_rate=None,
            passes=False,
            labelers=tested,
            items=n[tested],
            p_values=np.zeros(0),
            advantage=np.zeros(0),
            half_widths=np.zeros(0),
        )
    mean, error = (each[tested] for each in _means(people.labelers[used], gap, n))
    freedom = n[tested] - 1
    p = stdtr(freedom, (mean - allowance) / np.maximum(error, SMALLEST_ERROR))
    adjusted = adjusted_dependent(p)
    rate = float((adjusted < level).mean())
    return AltTest(
        winning_rate=rate,
        passes=rate >= WINS_NEEDED,
        labelers=tested,
        items=n[tested],
        p_values=adjusted,
        advantage=mean,
        half_widths=stdtrit(freedom, 0.975) * error,
    )


def _means(
    labelers: npt.NDArray[np.integer], gap: FloatArray, n: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """The mean of each labeler and its standard error."""
    size = np.maximum(n, 2)
    mean = np.bincount(labelers, weights=gap, minlength=len(n)) / size
    square = np.bincount(labelers, weights=gap**2, minlength=len(n))
    variance = np.maximum(square - size * mean**2, 0.0) / (size - 1)
    return mean, np.sqrt(variance / size)


def adjusted_dependent(p_values: npt.ArrayLike) -> FloatArray:
    """Benjamini and Yekutieli (2001): the false discovery rate under any dependence."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    harmonic = (1 / np.arange(1, len(p) + 1)).sum()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(np.minimum(p[order] * len(p) * harmonic / ranks, 1.0))
    return adjusted
