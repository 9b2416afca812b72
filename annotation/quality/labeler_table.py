"""The table of labelers, its funnel, and the matrix of each two of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from annotation.measures import pairs
from annotation.measures.coefficients import Level, identity_weights
from annotation.measures.funnel import OUTSIDE, funnel_of, standings
from annotation.measures.labelers import agreement_with_others, gold_accuracy
from annotation.measures.shrinkage import shrunken_shares
from annotation.measures.statistic import (
    FloatArray,
    Json,
    Statistic,
    missing,
    proportion,
    proportions,
)
from annotation.quality.figures import Measured
from annotation.quality.further import cycles_of
from annotation.quality.judged import JudgedPairs
from annotation.quality.report import Data, Labeler, is_little, labeler_json
from annotation.quality.stored import ALL_BAD_CODE, TIE_CODE
from annotation.quality.truth import NO_MODEL, KnownLabelers, labeler_accuracies

MATRIX_LABELERS = 30
MATRIX_SHARED = 20  # a cell with fewer shared items is hidden
FAST_SHARE = 0.2  # of the timed judgments; a flag only for who also lies below the limits
ALONE = "This labeler shares no item with another."
NO_MAJORITY = "No item of this labeler has other labels with a clear majority."
TOO_LITTLE = "This needs 30 pairs that two labelers judged, and 3 other labelers."
NOTHING = "This labeler judged nothing."
NOT_DECIDED = "No verdict is decided."
NO_DECISION = "There is no decisive verdict yet."
NO_UNEQUAL = "No verdict is between unequal lengths."
STRONG_CODES = (0, 6)  # of what is said: much better, either way
NO_GOLD = missing("No gold comparison was shown.")
NO_REPEAT = "Nothing was judged twice."
NO_TRIPLE = missing("No three responses were compared with each other by this labeler.")

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """What else is known of labelers by id: gold right and shown; repeats same, flipped, shown; how often they skip."""

    gold: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    repeats: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    skip_rates: Mapping[int, Statistic] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Totals:
    """One number a labeler, by code."""

    judgments: Counts
    pairs: Counts
    shared: Counts
    timed: Counts
    hours: FloatArray
    fast: Counts
    ties: Counts
    all_bad: Counts
    strong: Counts  # strength 3
    left: Counts
    placed: Counts  # decided, with the order known
    longer: Counts
    unequal: Counts  # decided between unequal lengths
    hits: Counts  # equal to the plurality of the others
    scored: Counts


def labelers_part(
    measured: Measured,
    *,
    labelers: Mapping[int, Labeler],
    known: KnownLabelers | None,
    tests: Tests,
) -> Data:
    """The rows of the table by number of judgments, and the funnel."""
    judged = measured.judged
    totals = _totals(measured)
    funnel = funnel_of(totals.hits.tolist(), totals.scored.tolist())
    words = standings(funnel, totals.hits.tolist(), totals.scored.tolist())
    shrunk = shrunken_shares(totals.hits, totals.scored)
    accuracies = None if known is None else labeler_accuracies(judged, known)
    columns = _columns(totals, accuracies, shrunk)
    without, cycles = _alpha_without(measured), cycles_of(judged)
    rows = [
        {
            "id": int(pk),
            **labeler_json(labelers, int(pk)),
            **{name: column[code] for name, column in columns.items()},
            **_tested(tests, int(pk)),
            "alpha_without": without[code].as_json(),
            "cycles": (NO_TRIPLE if cycles is None else cycles.share(code)).as_json(),
            "standing": words[code],
        }
        for code, pk in enumerate(judged.labeler_ids)
    ]
    for row in rows:
        row["is_fast_and_wrong"] = (
            row["standing"] in ("outside", "look") and (row["fast"]["value"] or 0) > FAST_SHARE
        )
    rows.sort(key=lambda row: (-row["judgments"], row["name"]))
    data = None if funnel is None else {**asdict(funnel), "z": OUTSIDE}
    return {"labelers": rows, "funnel": data}


def _alpha_without(measured: Measured) -> list[Statistic]:
    """Alpha of all the others, by the code of the labeler who is left out; hidden where it says nothing."""
    people, strengths = len(measured.judged.labeler_ids), measured.strengths
    if is_little(items=measured.items_shared, labelers=people - 1):
        return [missing(TOO_LITTLE)] * people
    values = strengths.alpha_of_the_others(Level.ORDINAL)
    found = [
        one if shares else missing(ALONE)
        for one, shares in zip(values, strengths.labelers_sharing, strict=True)
    ]
    return found + [missing(ALONE)] * (people - len(found))


def _totals(measured: Measured) -> _Totals:
    judged = measured.judged
    people = len(judged.labeler_ids)

    def count(mask: npt.NDArray[np.bool_]) -> Counts:
        return np.bincount(judged.labelers, weights=mask, minlength=people).astype(np.int64)

    opens, told = judged.opens_judgment, judged.told
    tenths = judged.rows["active"]  # of a second
    sizes = np.bincount(judged.items, minlength=judged.item_count)
    verdicts = measured.verdicts
    hits, scored = agreement_with_others(verdicts.patterns, verdicts.cells, labeler_count=people)
    return _Totals(
        judgments=count(opens),
        pairs=np.bincount(judged.labelers, minlength=people),
        shared=count((sizes > 1)[judged.items]),
        timed=count(opens & (tenths > 0)),
        hours=np.bincount(judged.labelers, weights=tenths * opens, minlength=people) / 36_000,
        fast=count(opens & judged.is_fast),
        ties=told.said(TIE_CODE),
        all_bad=told.said(ALL_BAD_CODE),
        strong=told.said(*STRONG_CODES),
        left=told.left,
        placed=told.placed,
        longer=told.longer,
        unequal=told.unequal,
        hits=hits.astype(np.int64),
        scored=scored.astype(np.int64),
    )


def _columns(
    totals: _Totals, accuracies: FloatArray | None, shrunk: FloatArray
) -> dict[str, list[Any]]:  # Any: JSON
    """What the rows show, a list a column by the code of the labeler."""
    nothing = missing(NO_MAJORITY).as_json()
    agreement = [
        nothing if shared and one["value"] is None else one
        for one, shared in zip(
            _of_answers(totals.hits, totals.scored, totals, nothing=ALONE),
            totals.shared,
            strict=True,
        )
    ]
    decided = totals.pairs - totals.ties - totals.all_bad
    shares = {
        "agreement": agreement,
        "accuracy": _accuracies(accuracies, totals.shared),
        "left": _of_answers(totals.left, totals.placed, totals, nothing=NO_DECISION),
        "longer": _of_answers(totals.longer, totals.unequal, totals, nothing=NO_UNEQUAL),
        "fast": proportions(totals.fast, totals.timed, nothing="The browser told no time."),
        "tie_rate": _of_answers(totals.ties, totals.pairs, totals, nothing=NOTHING),
        "all_bad_rate": _of_answers(totals.all_bad, totals.pairs, totals, nothing=NOTHING),
        "strong_rate": _of_answers(totals.strong, decided, totals, nothing=NOT_DECIDED),
    }
    worked = zip(totals.timed.tolist(), totals.hours.tolist(), strict=True)
    hours = [(round(spent, 3) if timed else None, timed, spent) for timed, spent in worked]
    return {
        "judgments": totals.judgments.tolist(),
        "shared": totals.shared.tolist(),
        "hours": [shown for shown, _, _ in hours],
        "per_hour": [round(timed / spent, 1) if spent > 0 else None for _, timed, spent in hours],
        "shrunken": [None if np.isnan(one) else one for one in shrunk.tolist()],
        **shares,
    }


def _of_answers(hits: Counts, pairs: Counts, totals: _Totals, *, nothing: str) -> list[Json]:
    """Shares of pairs, as sure as the answers that the pairs come from: those of one ranking were one decision.

    The design effect of whole clusters (Kish 1965): as if the pairs of a ranking all said the same.
    """
    answers = np.ceil(pairs * totals.judgments / np.maximum(totals.pairs, 1)).astype(np.int64)
    return proportions(hits * answers / np.maximum(pairs, 1), answers, nothing=nothing)


def _accuracies(accuracies: FloatArray | None, shared: Counts) -> list[Json]:
    if accuracies is None:
        return [missing(NO_MODEL).as_json()] * len(shared)
    n = np.where(np.isnan(accuracies), 0, shared)
    return proportions(np.nan_to_num(accuracies) * n, n, nothing=ALONE)


def _tested(tests: Tests, pk: int) -> Data:
    right, shown = tests.gold.get(pk, (0, 0))
    same, flipped, again = tests.repeats.get(pk, (0, 0, 0))
    gold = gold_accuracy(right, shown=shown) if shown else NO_GOLD
    return {
        "gold": {**gold.as_json(), "right": right},
        "repeats": proportion(same, n=again, nothing=NO_REPEAT).as_json(),
        "flips": proportion(flipped, n=again, nothing=NO_REPEAT).as_json(),
        "skip_rate": tests.skip_rates.get(pk, missing(NOTHING)).as_json(),
    }


def matrix_part(judged: JudgedPairs) -> list[Data]:
    """How each two of the busiest labelers agree, where they share enough: of all verdicts, and beyond chance."""
    people = len(judged.labeler_ids)
    busiest = np.argsort(-np.bincount(judged.labelers, minlength=people), kind="stable")
    is_busy = np.zeros(people, dtype=bool)
    is_busy[busiest[:MATRIX_LABELERS]] = True
    part = judged.where(is_busy[judged.labelers]) if people > MATRIX_LABELERS else judged
    if len(part) == 0:
        return []
    table = part.verdict_table()
    first, second, crossed = pairs.cross_tables(table)
    kept = crossed.sum(axis=(-2, -1)) >= MATRIX_SHARED
    first, second, crossed = first[kept], second[kept], crossed[kept]
    shared = crossed.sum(axis=(-2, -1)).astype(np.int64)
    equal = proportions(crossed.trace(axis1=-2, axis2=-1), shared, nothing=ALONE)
    kappas = pairs.cohens(crossed, identity_weights(len(table.scale)))
    ids = part.labeler_ids
    return [
        {
            "first": int(ids[a]),
            "second": int(ids[b]),
            "shared": agreement["n"],
            "agreement": agreement,
            "kappa": kappa.as_json(),
        }
        for a, b, agreement, kappa in zip(first, second, equal, kappas, strict=True)
    ]


def names_of(rows: list[dict[str, Any]]) -> dict[int, str]:  # Any: JSON
    return {row["id"]: row["name"] for row in rows}
