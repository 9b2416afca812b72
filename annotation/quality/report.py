"""The agreement report: from columns to plain data. No database here, so that a filtered view costs no write."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotation.measures import bias, pairs
from annotation.measures.agreement import Agreement, percentile_interval
from annotation.measures.calibration import accuracy_ceiling
from annotation.measures.coefficients import Level, alpha, identity_weights
from annotation.measures.labelers import labeler_summaries
from annotation.measures.statistic import FloatArray, Statistic, missing, proportion
from annotation.quality.columns import STRENGTHS, TIE, PairColumns
from annotation.quality.funnel import OUTSIDE, Funnel, funnel_of
from annotation.quality.periods import Period, periods_of

Data = dict[str, Any]  # Any: JSON
MATRIX_LABELERS = 30
MATRIX_SHARED = 20  # a cell with fewer shared items is hidden
ENOUGH_ITEMS, ENOUGH_LABELERS = 30, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Who a labeler is."""

    name: str
    kind: str
    rule: str


def report_of(
    columns: PairColumns, *, lengths: Mapping[int, int], labelers: Mapping[int, Labeler]
) -> Data:
    """Everything the agreement page shows; ``lengths`` are characters by candidate id."""
    verdicts, strengths = Agreement(columns.verdict_table()), Agreement(columns.strength_table())
    sizes = np.bincount(columns.items, minlength=columns.item_count)
    table = _labeler_rows(columns, verdicts, labelers)
    return {
        "judgments": len(np.unique(columns.judgments)),
        "labelers_count": len(columns.labeler_ids),
        "comparisons": len(np.unique(columns.comparisons)),
        "pairs": columns.item_count,
        "pairs_shared": int((sizes > 1).sum()),
        "is_rough": int((sizes > 1).sum()) < ENOUGH_ITEMS
        or len(columns.labeler_ids) < ENOUGH_LABELERS,
        "statistics": _statistics(columns, verdicts, strengths, lengths),
        "ceiling": _ceiling(verdicts),
        "labelers": table["rows"],
        "funnel": table["funnel"],
        "matrix": _matrix(columns),
        "periods": [_period(one) for one in periods_of(columns)],
        "kinds": sorted({row["kind"] for row in table["rows"]}),
    }


def _statistics(
    columns: PairColumns, verdicts: Agreement, strengths: Agreement, lengths: Mapping[int, int]
) -> Data:
    ordinal = strengths.alpha(Level.ORDINAL)
    found = {
        "alpha_ordinal": ordinal,
        "alpha_nominal": verdicts.alpha(Level.NOMINAL),
        "percent_without_ties": verdicts.percent_without(TIE),
        "percent": verdicts.percent(),
        "gwet_ac1": verdicts.gwet(),
        "tie_rate": _share(columns.verdicts == TIE),
        "all_bad_rate": _share(columns.is_all_bad),
        "position_effect": position_effect(columns),
        "length_effect": _length_effect(columns, lengths),
    }
    return {
        **{name: explained(statistic).as_json() for name, statistic in found.items()},
        "alpha_over_items": _over_items(strengths),
    }


def explained(statistic: Statistic) -> Statistic:
    """The reason "no item has two ratings" in the words of this page."""
    if statistic.value is None and statistic.n == 0:
        reason = statistic.reason or ""
        if reason.startswith("There is nothing to compare"):
            return missing(
                "This needs at least 2 labelers on the same comparison: 0 comparisons so far. "
                "Raise the overlap in the project's settings."
            )
    return statistic


def _over_items(strengths: Agreement) -> list[float] | None:
    """The interval that resampling comparisons gives, beside the one over labelers."""
    if not strengths.moments.pairable:
        return None
    values: FloatArray = alpha(strengths.resampled, Level.ORDINAL, STRENGTHS)
    interval = percentile_interval(values)
    return None if interval is None else [interval.low, interval.high]


def _share(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> Statistic:  # Any: the shape
    return proportion(int(flags.sum()), n=len(flags), nothing="There is no judgment yet.")


def position_effect(columns: PairColumns) -> Statistic:
    """Share of decisive verdicts for what stood left, where the order shown is known."""
    decisive = (columns.strengths != 0) & (columns.shown_left >= 0)
    left = (columns.strengths > 0) == (columns.shown_left == 1)
    return bias.position_effect(int((left & decisive).sum()), decisive=int(decisive.sum()))


def _length_effect(columns: PairColumns, lengths: Mapping[int, int]) -> Statistic:
    """Share of decisive verdicts for the longer response."""
    decisive = columns.strengths != 0
    firsts, seconds = columns.first_ids[decisive], columns.second_ids[decisive]
    gaps = _lengths(firsts, lengths) - _lengths(seconds, lengths)
    return bias.longer_wins(gaps, columns.strengths[decisive] > 0)


def _lengths(
    ids: np.ndarray[Any, np.dtype[np.int64]], lengths: Mapping[int, int]
) -> np.ndarray[Any, np.dtype[np.int64]]:  # Any: the shape
    distinct, places = np.unique(ids, return_inverse=True)
    return np.array([lengths.get(int(one), 0) for one in distinct], dtype=np.int64)[places]


def _ceiling(verdicts: Agreement) -> list[float] | None:
    """The band of the best accuracy a reward model can have, from agreement without ties."""
    agreement = verdicts.percent_without(TIE).value
    band = None if agreement is None else accuracy_ceiling(agreement)
    return None if band is None else [band.low, band.high]


def _labeler_rows(
    columns: PairColumns, verdicts: Agreement, labelers: Mapping[int, Labeler]
) -> Data:
    table = verdicts.table
    summaries = labeler_summaries(table, patterns=verdicts.patterns, cells=verdicts.cells)
    hits = [round((one.agreement.value or 0) * one.agreement.n) for one in summaries]
    funnel = funnel_of(hits, [one.agreement.n for one in summaries])
    rows = []
    for one in summaries:
        own = columns.where(columns.labelers == one.labeler)
        pk = int(columns.labeler_ids[one.labeler])
        rows.append(
            {
                "id": pk,
                **asdict(labelers.get(pk, Labeler(name=f"labeler {pk}", kind="person", rule=""))),
                "agreement": one.agreement.as_json(),
                "accuracy": one.accuracy.as_json(),
                "standing": _standing(funnel, one.agreement),
                **_pace(own),
                "left": position_effect(own).as_json(),
                "tie_rate": float((own.verdicts == TIE).mean()),
                "all_bad_rate": float(own.is_all_bad.mean()),
            }
        )
    rows.sort(key=lambda row: -row["judgments"])
    return {"rows": rows, "funnel": _funnel_data(funnel)}


def _standing(funnel: Funnel | None, agreement: Statistic) -> str:
    if funnel is None or agreement.value is None:
        return "unknown"
    return funnel.standing(agreement.value, agreement.n)


def _funnel_data(funnel: Funnel | None) -> Data | None:
    return None if funnel is None else {**asdict(funnel), "z": OUTSIDE}


def _pace(own: PairColumns) -> Data:
    """Judgments, and the hours in which they were made where the browser told."""
    judgments, first = np.unique(own.judgments, return_index=True)
    hours = float(own.active_ms[first].sum()) / 3_600_000
    timed = int((own.active_ms[first] > 0).sum())
    return {
        "judgments": len(judgments),
        "hours": round(hours, 3),
        "per_hour": round(timed / hours, 1) if hours > 0 else None,
    }


def _matrix(columns: PairColumns) -> list[Data]:
    """How each two of the busiest labelers agree, where they share enough."""
    table = columns.verdict_table()
    busiest = np.argsort(-np.bincount(table.labelers, minlength=table.labeler_count))
    busiest = busiest[:MATRIX_LABELERS]
    first, second, crossed = pairs.cross_tables(
        columns.where(np.isin(columns.labelers, busiest)).verdict_table()
    )
    kappas = pairs.cohen_values(crossed, identity_weights(len(table.scale)))
    return [
        {
            "first": int(columns.labeler_ids[a]),
            "second": int(columns.labeler_ids[b]),
            "shared": int(cross.sum()),
            "agreement": float(np.trace(cross) / cross.sum()),
            "kappa": None if np.isnan(kappa) else float(kappa),
        }
        for a, b, cross, kappa in zip(first, second, crossed, kappas, strict=True)
        if cross.sum() >= MATRIX_SHARED
    ]


def _period(period: Period) -> Data:
    table = Agreement(period.columns.strength_table(), bootstraps=200)
    return {
        "start": period.start,
        "unit": period.unit,
        "judgments": len(np.unique(period.columns.judgments)),
        **explained(table.alpha(Level.ORDINAL)).as_json(),
    }
