"""Agreement in time: by day or week, under each version of the guideline, and what a new version asks again."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from annotation.measures.agreement import NO_PAIR, NO_VARIATION, Agreement, Coefficients
from annotation.measures.coefficients import Level, alpha, alpha_se
from annotation.measures.groups import agreement_by_group, patterns_by_group
from annotation.measures.moments import moments_of
from annotation.measures.statistic import Statistic, missing, normal_interval
from annotation.measures.table import Patterns
from annotation.quality.columns import TIE
from annotation.quality.figures import Measured
from annotation.quality.judged import Codes, JudgedPairs
from annotation.quality.report import SHOWN_TARGET, Data, explained, is_little, shown_from
from annotation.quality.stored import Mask, StoredColumns

DAY, WEEK = 86_400, 7 * 86_400
DAYS_BY_DAY = 28
PERIODS_MAX = 60
VERSIONS_MAX = 12
MONDAY = 4 * DAY  # 1970-01-05, the first Monday


def periods_part(measured: Measured) -> list[Data]:
    """The newest periods that hold pairs, oldest first; weeks where the span is over four weeks.

    A pair belongs to the period of its last judgment. The interval is over comparisons: it shows
    how sure a change of the same labelers is.
    """
    judged = measured.judged
    if len(judged) == 0:
        return []
    last = np.zeros(judged.item_count, dtype=np.int64)
    given_at = judged.rows["given_at"].astype(np.int64)
    np.maximum.at(last, judged.items, given_at)
    by_day = last.max() - last.min() <= DAYS_BY_DAY * DAY
    seconds, offset = (DAY, 0) if by_day else (WEEK, MONDAY)
    period_of_item = (last - offset) // seconds
    first = max(int(period_of_item.min()), int(period_of_item.max()) - PERIODS_MAX + 1)
    codes = np.maximum(period_of_item - first + 1, 0)  # 0: too long ago
    shown = patterns_by_group(measured.strengths, codes, count=int(codes.max()) + 1)
    said = np.bincount(codes[judged.items[judged.opens_judgment]], minlength=len(shown))
    people = _labelers_in(judged, codes, height=len(shown))
    return [
        {
            "start": _date(first + code - 1, seconds, offset),
            "unit": "day" if by_day else "week",
            "judgments": int(said[code]),
            **_ordinal(measured.strengths, shown[code], labelers=int(people[code])).as_json(),
        }
        for code in range(1, len(shown))
        if said[code]
    ]


def _labelers_in(judged: JudgedPairs, codes: Codes, *, height: int) -> Codes:
    """How many labelers judged something in each period."""
    wide = len(judged.labeler_ids)
    cells = codes[judged.items] * wide + judged.labelers
    said = np.bincount(cells, minlength=height * wide).reshape(height, wide)
    return np.asarray((said > 0).sum(axis=1))


def _ordinal(strengths: Agreement, items: Codes, *, labelers: int) -> Statistic:
    """Alpha of some of the items, with the linearised interval over them; hidden where it says nothing."""
    used = items > 0
    if not used.any():
        return missing(NO_PAIR)
    patterns = Patterns(
        counts=strengths.patterns.counts[used], items=items[used].astype(np.float64)
    )
    n = int(patterns.items[patterns.sizes > 1].sum())
    if n == 0:
        return missing(NO_PAIR)
    if is_little(items=n, labelers=labelers):
        return missing(SHOWN_TARGET.format(n, labelers), n=n)
    value = float(alpha(moments_of(patterns, strengths.identity), Level.ORDINAL, strengths.scale))
    if np.isnan(value):
        return missing(NO_VARIATION, n=n)
    se = alpha_se(patterns, Level.ORDINAL, strengths.scale)
    if np.isnan(se) or se == 0:
        return Statistic(value=value, interval=None, n=n, reason="The items vary too little.")
    return Statistic(value=value, interval=normal_interval(value, se=se).clipped(-1.0, 1.0), n=n)


def _date(period: int, seconds: int, offset: int) -> str:
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=period * seconds + offset)
    return start.date().isoformat()


def versions_part(measured: Measured) -> list[Data]:
    """Agreement under each of the newest versions of the guideline, with labeler intervals."""
    judged, versions = measured.judged, len(measured.judged.guideline_ids)
    apart = [
        agreement_by_group(one, judged.item_guidelines, count=versions)
        for one in (measured.verdicts, measured.strengths)
    ]
    version_of = judged.item_guidelines[judged.items]
    people = _labelers_in(judged, judged.item_guidelines, height=versions)
    said = np.bincount(version_of[judged.opens_judgment], minlength=versions)
    found = [
        {
            "guideline_id": judged.guideline_ids[code],
            "judgments": int(said[code]),
            **_of_version(*both, labelers=int(people[code])),
        }
        for code, both in enumerate(zip(*apart, strict=True))
        if people[code]
    ]
    found.sort(key=lambda one: int(one["guideline_id"]))
    return found[-VERSIONS_MAX:]


def _of_version(verdicts: Coefficients, strengths: Coefficients, *, labelers: int) -> Data:
    items, lone = verdicts.items_shared, "No pair was judged twice under this version."
    found = {
        "alpha_ordinal": shown_from(strengths.alpha(Level.ORDINAL), items=items, labelers=labelers),
        "alpha_nominal": shown_from(verdicts.alpha(Level.NOMINAL), items=items, labelers=labelers),
        "percent_without_ties": verdicts.percent_without(TIE),
    }
    told = {name: explained(one, lone).as_json() for name, one in found.items()}
    return {"pairs_shared": items, **told}


def requeue_part(columns: StoredColumns, kept: Mask, *, newest: int | None) -> Data:
    """What of the kept rows the newest version of the guideline, an id, would ask again.

    A comparison's pairs, and a judgment's rows, follow each other: nothing is sorted.
    """
    known = columns.guideline_ids
    code = known.index(newest) if newest in known else -1
    pairs = columns.rows["pair"]
    is_known = np.zeros(len(columns.pairs), dtype=bool)
    is_known[pairs[kept & (columns.rows["guideline"] == code)]] = True
    old = kept & ~is_known[pairs]
    asked = np.zeros(len(columns.pairs), dtype=bool)
    asked[pairs[old]] = True
    return {
        "guideline_id": newest,
        "comparisons": runs(columns.pairs["comparison"][asked]),
        "judgments": runs(columns.judgments[old]),
    }


def runs(ids: npt.NDArray[np.int64]) -> int:
    """How many ids there are, where equal ones follow each other."""
    return int(len(ids) > 0) + int((ids[1:] != ids[:-1]).sum())
