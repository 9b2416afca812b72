"""Cycles within a labeler: a > b > c > a among three pairs that the same labeler decided."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from annotation.measures.statistic import Statistic, proportion


class Triads(NamedTuple):
    """Triples with all three pairs decided by one labeler."""

    circular: npt.NDArray[np.int64]  # by labeler
    decided: npt.NDArray[np.int64]

    def share(self, labeler: int) -> Statistic:
        """Circular among decided triples: chance alone gives one in four."""
        return proportion(
            int(self.circular[labeler]),
            n=int(self.decided[labeler]),
            nothing="No three responses were compared with each other by this labeler.",
        )


def triads(
    labelers: npt.ArrayLike, winners: npt.ArrayLike, losers: npt.ArrayLike, *, labeler_count: int
) -> Triads:
    """Count them from decided verdicts (Kendall and Babington Smith 1940, for incomplete tournaments).

    With A the beats-matrix over (labeler, candidate), a path a > b > c closes to a cycle where
    c > a, and to a transitive triple where a > c: sums of (A A) with A' and with A.
    """
    who = np.asarray(labelers, dtype=np.int64)
    won, lost = np.asarray(winners, dtype=np.int64), np.asarray(losers, dtype=np.int64)
    wide = int(max(won.max(initial=0), lost.max(initial=0))) + 1
    nodes, codes = np.unique(
        np.concatenate([who * wide + won, who * wide + lost]), return_inverse=True
    )
    size, verdicts = len(nodes), len(who)
    beats = csr_matrix(
        (np.ones(verdicts), (codes[:verdicts], codes[verdicts:])), shape=(size, size)
    )
    beats.data[:] = 1.0
    paths = beats @ beats
    closed = np.asarray(paths.multiply(beats.T).sum(axis=1)).ravel()
    straight = np.asarray(paths.multiply(beats).sum(axis=1)).ravel()
    owner = nodes // wide
    circular = np.bincount(owner, weights=closed, minlength=labeler_count) / 3
    transitive = np.bincount(owner, weights=straight, minlength=labeler_count)
    whole = np.round(circular).astype(np.int64)
    return Triads(whole, whole + np.round(transitive).astype(np.int64))
