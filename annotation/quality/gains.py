"""What one more judgment tells of each comparison, and the comparisons where it tells most."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.pairing import label_information, new_item_information
from annotation.measures.statistic import FloatArray
from annotation.quality.judged import JudgedPairs
from annotation.quality.report import Data
from annotation.quality.truth import KnownLabelers, item_posteriors

SHOWN = 10  # comparisons a page
PAGES_MAX = 100
LISTED = SHOWN * PAGES_MAX  # comparisons on all pages
DIGITS = 6  # of the bits that are kept
Ids = npt.NDArray[np.int64]


class Gains(NamedTuple):
    """Bits that one more judgment tells of each comparison: the most of its pairs."""

    comparisons: Ids  # in the order of their pairs
    bits: FloatArray  # zeros without a model of the labelers
    new: float | None  # what the first judgment of a new item tells; None without a model

    def of(self, ids: Ids) -> FloatArray:
        """Those of some comparisons; 0 for one without judgments that count."""
        told = dict(zip(self.comparisons.tolist(), self.bits.tolist(), strict=True))
        return np.array([told.get(pk, 0.0) for pk in ids.tolist()], dtype=np.float64)


def gains_of(judged: JudgedPairs, known: KnownLabelers | None) -> Gains:
    """The pairs of a comparison have codes in a row, so its items follow each other: nothing is sorted."""
    ids = judged.pairs["comparison"][judged.item_pairs]
    opens = np.ones(len(ids), dtype=bool)
    opens[1:] = ids[1:] != ids[:-1]
    starts = np.flatnonzero(opens)
    if known is None or len(judged) == 0:
        return Gains(ids[starts], np.zeros(len(starts)), None)
    usual = known.confusions.mean(axis=0)
    bits = label_information(item_posteriors(judged, known), usual)
    most = np.maximum.reduceat(bits, starts)
    return Gains(ids[starts], most, new_item_information(known.class_shares, usual))


def items_part(judged: JudgedPairs, known: KnownLabelers | None) -> Data:
    """The comparisons that the pages of the items tab may show, the one first that tells most, then the newest."""
    gains = gains_of(judged, known)
    places = foremost(gains.comparisons, gains.bits, at_most=LISTED)
    shown = gains.bits[places].round(DIGITS).tolist()
    return {
        "first": [list(one) for one in zip(gains.comparisons[places].tolist(), shown, strict=True)],
        "total": len(gains.comparisons),
        "new_bits": gains.new,
    }


def foremost(ids: Ids, bits: FloatArray, *, at_most: int) -> Ids:
    """Places of the comparisons with the most bits, equal ones newest first; sorts these alone."""
    places = np.arange(len(ids))
    if len(ids) > at_most:
        least = np.partition(bits, len(bits) - at_most)[len(bits) - at_most]
        above, level = np.flatnonzero(bits > least), np.flatnonzero(bits == least)
        newest = level[np.argsort(-ids[level], kind="stable")][: at_most - len(above)]
        places = np.concatenate([above, newest])
    return np.asarray(places[np.lexsort((-ids[places], -bits[places]))])
