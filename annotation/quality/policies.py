"""The ranking of policies: strengths by Davidson from every verdict between two sources of responses."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.bias import length_control_of_counts
from annotation.measures.pairing import pair_information, propensities
from annotation.measures.ranking import PairCounts, Ranking, rank
from annotation.measures.statistic import FloatArray
from annotation.quality.judged import JudgedPairs
from annotation.quality.report import Data

Two = tuple[str, str]  # sources, the lesser name first
Ints = npt.NDArray[np.int64]
POLICIES_MAX = 60  # fit a byte
GAPS_ADDRESSED = 1_000_000  # beyond, sort instead of address
NEXT_MAX = 20
_SIDES = ("first_source", "second_source")
LEFT_OUT = 3  # all bad: neither won
_STRAIGHT = np.array([0, 1, 2, LEFT_OUT], dtype=np.int8)  # by verdict: won, tied, lost
_TURNED = np.array([2, 1, 0, LEFT_OUT], dtype=np.int8)


def policies_part(judged: JudgedPairs, *, evenly: JudgedPairs) -> Data:
    """Each source with its strength, interval and rank interval; or the reason why there is none.

    ``evenly`` are those without what was drawn by what a verdict tells: how often a policy wins depends on whom it
    meets, so win rates are of these alone.
    """
    met, pairs = between(judged)
    if len(met) == 0:
        return _nothing("No comparison is between two named sources.")
    if len(met) > POLICIES_MAX:
        return _nothing(f"There are {len(met)} sources; {POLICIES_MAX} can be ranked at once.")
    counts, clusters = counted(judged, pairs, len(met))
    ranking = rank(counts, candidate_count=len(met), clusters=clusters)
    rows = _rows(judged, met, counts, ranking) if ranking.reason is None else []
    rows = [{**row, **rates} for row, rates in zip(rows, _win_rates(evenly, met), strict=False)]
    rows.sort(key=lambda row: -row["strength"])
    return {
        "rows": rows,
        "reason": ranking.reason,
        "verdicts": int((counts.wins + counts.ties + counts.losses).sum()),
        "tie_parameter": ranking.tie_parameter,
        "next": _next(judged, met, ranking) if rows else [],
    }


def _win_rates(judged: JudgedPairs, codes: list[int]) -> Iterator[Data]:
    """How often each source wins what is decided, as it is and as if responses were equally long."""
    size = len(judged.pairs)
    first_won = np.bincount(judged.pair_codes[judged.strengths > 0], minlength=size)
    second_won = np.bincount(judged.pair_codes[judged.strengths < 0], minlength=size)
    first, second = (judged.pairs[side] for side in _SIDES)
    met = np.flatnonzero((first != second) & (first_won + second_won > 0))
    first, second, first_won, second_won = (
        of_pair[met] for of_pair in (first, second, first_won, second_won)
    )
    gap = judged.pairs["first_length"][met].astype(np.int64) - judged.pairs["second_length"][met]
    place = np.full(
        len(judged.sources), len(codes), dtype=np.uint8
    )  # numpy sorts bytes by counting
    place[codes] = np.arange(len(codes))
    source = place[np.concatenate([first, second])]
    order = np.argsort(source, kind="stable")
    bounds = np.searchsorted(source[order], np.arange(len(codes) + 1))
    delta = np.concatenate([gap, -gap])[order]
    wins = np.concatenate([first_won, second_won])[order]
    losses = np.concatenate([second_won, first_won])[order]
    for own in (slice(*pair) for pair in pairwise(bounds.tolist())):
        gaps, won, decided = _by_gap(delta[own], wins[own], losses[own])
        found = length_control_of_counts(gaps.astype(np.float64), won, decided)
        yield {
            "win_rate": found.raw_win_rate.as_json(),
            "equal_length": found.win_rate.as_json(),
        }


def _by_gap(
    delta: npt.NDArray[np.int64], wins: npt.NDArray[np.int64], losses: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[Any]]:  # Any: as bincount has it
    """Each difference of lengths that was decided, with its wins and verdicts."""
    low = int(delta.min(initial=0))
    if int(delta.max(initial=0)) - low > GAPS_ADDRESSED:
        gaps, place = np.unique(delta, return_inverse=True)
    else:
        gaps, place = np.arange(low, int(delta.max(initial=0)) + 1), delta - low
    won = np.bincount(place, weights=wins, minlength=len(gaps))
    decided = np.bincount(place, weights=wins + losses, minlength=len(gaps))
    met = decided > 0
    return gaps[met], won[met], decided[met]


def _next(judged: JudgedPairs, codes: list[int], ranking: Ranking) -> list[Data]:
    """Which two sources one more verdict tells most of, and the chance to ask each: a fifth of it spread evenly."""
    rows, columns, gains = _gains(ranking, len(codes))
    chances = propensities(gains)
    order = np.argsort(-gains, kind="stable")[:NEXT_MAX].tolist()
    return [
        {
            "source": judged.sources[codes[rows[at]]],
            "against": judged.sources[codes[columns[at]]],
            "gain": float(gains[at]),
            "propensity": float(chances[at]),
        }
        for at in order
    ]


def _gains(ranking: Ranking, size: int) -> tuple[Ints, Ints, FloatArray]:
    """Places of each two sources, and what one more verdict between them tells."""
    rows, columns = np.triu_indices(size, k=1)
    return rows, columns, pair_information(ranking)[rows, columns]


def gains_between(judged: JudgedPairs) -> dict[Two, float]:
    """What one more verdict between each two ranked sources tells, in nats; empty where they cannot be ranked."""
    met, pairs = between(judged)
    if not 0 < len(met) <= POLICIES_MAX:
        return {}
    counts, clusters = counted(judged, pairs, len(met))
    ranking = rank(counts, candidate_count=len(met), clusters=clusters)
    if ranking.reason is not None:
        return {}
    names = [judged.sources[code] for code in met]
    found = zip(*_gains(ranking, len(met)), strict=True)
    return {_two(names[row], names[column]): float(gain) for row, column, gain in found}


def _two(one: str, other: str) -> Two:
    return (one, other) if one < other else (other, one)


def _nothing(reason: str) -> Data:
    return {"rows": [], "reason": reason, "verdicts": 0, "tie_parameter": None, "next": []}


class Between(NamedTuple):
    """For each pair of the project: its cell low * size + high of the sources, and whether they are turned."""

    cells: npt.NDArray[np.int32]  # -1 where a source is not named, or both are one
    turned: npt.NDArray[np.bool_]


def between(judged: JudgedPairs) -> tuple[list[int], Between]:
    """The sources that were compared with each other, and where each pair belongs."""
    first, second = (judged.pairs[side].astype(np.int64) for side in _SIDES)
    names = len(judged.sources)
    nameless = judged.sources.index("") if "" in judged.sources else -1
    used = (first != second) & (first != nameless) & (second != nameless)
    is_judged = np.zeros(len(used), dtype=bool)
    is_judged[judged.item_pairs] = True
    used &= is_judged
    met = np.flatnonzero(_is_met(first[used], names) | _is_met(second[used], names))
    code = np.zeros(len(judged.sources) + 1, dtype=np.int32)
    code[met] = np.arange(len(met))
    low, high = np.minimum(code[first], code[second]), np.maximum(code[first], code[second])
    cells = np.where(used, low * len(met) + high, -1).astype(np.int32)
    return met.tolist(), Between(cells, code[first] > code[second])


def _is_met(codes: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(size, dtype=bool)
    found[codes] = True
    return found


def counted(
    judged: JudgedPairs, pairs: Between, size: int
) -> tuple[PairCounts, npt.NDArray[np.int64]]:
    """Wins, ties and losses of each labeler on each two sources."""
    people, wide = len(judged.labeler_ids), size * size
    cell_of_row = pairs.cells[judged.pair_codes]
    kind = np.where(
        pairs.turned[judged.pair_codes], _TURNED[judged.verdicts], _STRAIGHT[judged.verdicts]
    )
    used = (cell_of_row >= 0) & (kind < LEFT_OUT)
    keys = (judged.labelers[used].astype(np.int64) * wide + cell_of_row[used]) * 3 + kind[used]
    table = np.bincount(keys, minlength=people * wide * 3).reshape(-1, 3)
    filled = np.flatnonzero(table.any(axis=1))
    won, tied, lost = table[filled].astype(np.float64).T
    counts = PairCounts(
        first=filled % wide // size,
        second=filled % size,
        wins=won,
        ties=tied,
        losses=lost,
    )
    return counts, filled // wide


def _rows(
    judged: JudgedPairs, codes: list[int], counts: PairCounts, ranking: Ranking
) -> list[Data]:
    strengths, ranks = ranking.strengths, ranking.rank_intervals()
    if strengths is None:
        return []
    size = len(codes)
    wins = np.bincount(counts.first, weights=counts.wins, minlength=size)
    wins += np.bincount(counts.second, weights=counts.losses, minlength=size)
    lost = np.bincount(counts.first, weights=counts.losses, minlength=size)
    lost += np.bincount(counts.second, weights=counts.wins, minlength=size)
    ties = np.bincount(counts.first, weights=counts.ties, minlength=size)
    ties += np.bincount(counts.second, weights=counts.ties, minlength=size)
    return [
        {
            "source": judged.sources[code],
            "strength": float(strengths[at]),
            "interval": ranking.interval(at),
            "rank": list(ranks[at]),
            "wins": int(wins[at]),
            "ties": int(ties[at]),
            "losses": int(lost[at]),
        }
        for at, code in enumerate(codes)
    ]
