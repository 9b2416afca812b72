"""`make bench-agreement`: a million judgments beside krippendorff, evalica, statsmodels and scikit-learn, in one run.

One core; CPU seconds of the process, the best of three; memory is what one call adds at its peak. Every
row that has a peer checks that both give the same number.
"""

import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import evalica
import krippendorff
import numpy as np
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa
from threadpoolctl import threadpool_limits

from annotation.measures.agreement import Agreement
from annotation.measures.coefficients import FLEISS, Level, alpha, corrected, identity_weights
from annotation.measures.consensus import LabelerModel, dawid_skene
from annotation.measures.live import LiveHistogram
from annotation.measures.moments import bootstrap_moments
from annotation.measures.pairs import cohen_values, cross_tables
from annotation.measures.ranking import PairCounts, TieModel, rank
from annotation.measures.table import RatingTable

JUDGMENTS, A_ITEM, LABELERS, CANDIDATES = 1_000_000, 4, 1000, 100
Work = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table; a peer's time is None where there is none to compare with."""

    what: str
    ours_ms: float
    memory_mb: float
    bar_ms: float | None = None
    peer: str = ""
    peer_ms: float | None = None
    peer_memory_mb: float | None = None
    same: str = ""


def cpu_ms(work: Work, *, times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000 * best


def peak_mb(work: Work) -> float:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def same(ours: float, theirs: float) -> str:
    """Raises where the two differ: a fast number that is wrong is no number."""
    if abs(ours - theirs) > 1e-6 * max(1.0, abs(theirs)):
        raise ValueError(f"We say {ours}, the peer says {theirs}.")
    return f"{ours:.6f}"


def million() -> RatingTable:
    random = np.random.default_rng(0)
    items = np.repeat(np.arange(JUDGMENTS // A_ITEM, dtype=np.int32), A_ITEM)
    steps = np.tile(np.arange(A_ITEM, dtype=np.int32), JUDGMENTS // A_ITEM)
    labelers = (items * 7 + steps * 241) % LABELERS
    truth = random.integers(0, 3, JUDGMENTS // A_ITEM)
    right = random.random(JUDGMENTS) < 0.75
    labels = np.where(right, truth[items], random.integers(0, 3, JUDGMENTS)).astype(np.int8)
    return RatingTable.from_columns(items, labelers, labels, ("1", "2", "3"))


def alpha_with_bootstraps(table: RatingTable) -> float:
    agreement = Agreement(table)
    replicates = bootstrap_moments(agreement.patterns, agreement.identity, replicates=1000, seed=0)
    alpha(replicates, Level.ORDINAL, table.scale)
    return float(alpha(agreement.moments, Level.ORDINAL, table.scale))


def alpha_line(table: RatingTable) -> Line:
    counts = np.bincount(table.items * 3 + table.labels, minlength=table.item_count * 3)
    counts = counts.reshape(-1, 3)

    def peer() -> float:
        return float(
            krippendorff.alpha(
                value_counts=counts, value_domain=[1, 2, 3], level_of_measurement="ordinal"
            )
        )

    def ours() -> float:
        return alpha_with_bootstraps(table)

    return Line(
        what="alpha (ordinal) and 1,000 bootstraps",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
        bar_ms=40,
        peer="krippendorff, one alpha of ready counts",
        peer_ms=cpu_ms(peer),
        peer_memory_mb=peak_mb(peer),
        same=same(ours(), peer()),
    )


def usual_krippendorff_line(table: RatingTable, *, items: int = 2_500) -> Line:
    """Its usual call takes labelers x items: of a hundredth of the items, the million needs 8 GB."""
    kept = table.items < items
    part = RatingTable.from_columns(
        table.items[kept], table.labelers[kept], table.labels[kept], table.scale
    )
    matrix = np.full((LABELERS, items), np.nan)
    matrix[part.labelers, part.items] = part.labels + 1

    def peer() -> float:
        return float(
            krippendorff.alpha(
                reliability_data=matrix, value_domain=[1, 2, 3], level_of_measurement="ordinal"
            )
        )

    def ours() -> float:
        return float(alpha(Agreement(part).moments, Level.ORDINAL, part.scale))

    return Line(
        what=f"alpha of {len(part.items):,} judgments",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
        peer="krippendorff, its usual call",
        peer_ms=cpu_ms(peer),
        peer_memory_mb=peak_mb(peer),
        same=same(ours(), peer()),
    )


def fleiss_line(table: RatingTable) -> Line:
    counts = np.bincount(table.items * 3 + table.labels, minlength=table.item_count * 3)
    counts = counts.reshape(-1, 3)

    def ours() -> float:
        agreement = Agreement(table)
        return float(corrected(agreement.moments, agreement.identity, FLEISS))

    def peer() -> float:
        return float(fleiss_kappa(counts))

    return Line(
        what="Fleiss' kappa",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
        peer="statsmodels, of ready counts",
        peer_ms=cpu_ms(peer),
        peer_memory_mb=peak_mb(peer),
        same=same(ours(), peer()),
    )


def without_each_line(table: RatingTable) -> Line:
    def ours() -> object:
        agreement = Agreement(table)
        return agreement.alpha_without_each_labeler(Level.ORDINAL)

    return Line(
        what=f"alpha without each of {LABELERS:,} labelers",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
    )


def pairs_line(table: RatingTable) -> Line:
    """Every two labelers who share items; scikit-learn is asked for the first hundred of them."""

    def ours() -> object:
        return cohen_values(cross_tables(table)[2], identity_weights(3))

    first, _, tables = cross_tables(table)
    kappas = cohen_values(tables, identity_weights(3))
    asked = np.argsort(-tables.sum(axis=(1, 2)), kind="stable")[:100]
    answers = []
    for at in asked.tolist():
        cells = tables[at].astype(int)
        rows, columns = np.nonzero(cells)
        times = cells[rows, columns]
        answers.append((np.repeat(rows, times), np.repeat(columns, times)))

    def peer() -> list[float]:
        return [cohen_kappa_score(a, b, labels=[0, 1, 2]) for a, b in answers]

    for at, value in zip(asked.tolist(), peer(), strict=True):
        same(float(kappas[at]), float(value))
    took = cpu_ms(peer, times=1) * len(first) / len(asked)
    return Line(
        what=f"Cohen's kappa of all {len(first):,} pairs of labelers",
        ours_ms=cpu_ms(ours, times=1),
        memory_mb=peak_mb(ours),
        peer="scikit-learn, from 100 pairs",
        peer_ms=took,
        same="100 equal",
    )


def dawid_skene_line(table: RatingTable) -> Line:
    def ours() -> object:
        return dawid_skene(table, model=LabelerModel.HIERARCHICAL, rounds=20)

    return Line(
        what="Dawid-Skene, hierarchical, 20 rounds",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
        bar_ms=1200,
    )


def verdicts() -> PairCounts:
    """About a million, on all pairs of the candidates."""
    random = np.random.default_rng(1)
    pairs = [(i, j) for i in range(CANDIDATES) for j in range(i + 1, CANDIDATES)]
    return PairCounts.from_rows(np.array([(i, j, *random.integers(20, 115, 3)) for i, j in pairs]))


def davidson_line() -> Line:
    counts = verdicts()

    def ours() -> object:
        return rank(counts, candidate_count=CANDIDATES)

    total = int((counts.wins + counts.ties + counts.losses).sum())
    return Line(
        what=f"Davidson with covariance, {total:,} verdicts",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
        bar_ms=30,
    )


def bradley_terry_line() -> Line:
    """The same verdicts without ties; evalica takes them one by one, and counts them first."""
    random = np.random.default_rng(2)
    first = random.integers(0, CANDIDATES, JUDGMENTS)
    second = (first + random.integers(1, CANDIDATES, JUDGMENTS)) % CANDIDATES
    won = random.random(JUDGMENTS) < 1 / (1 + np.exp(-(first - second) / 50))

    def ours() -> object:
        cells = first * CANDIDATES + second
        size = CANDIDATES * CANDIDATES
        wins, losses = (np.bincount(cells[kept], minlength=size) for kept in (won, ~won))
        met = np.flatnonzero(wins + losses)
        counts = PairCounts(
            first=met // CANDIDATES,
            second=met % CANDIDATES,
            wins=wins[met].astype(float),
            ties=np.zeros(len(met)),
            losses=losses[met].astype(float),
        )
        return rank(counts, candidate_count=CANDIDATES, ties=TieModel.NONE)

    names = [f"m{at:03}" for at in range(CANDIDATES)]
    xs, ys = [names[at] for at in first], [names[at] for at in second]
    winners = [evalica.Winner.X if one else evalica.Winner.Y for one in won]

    def peer() -> object:
        return evalica.bradley_terry(xs, ys, winners, tolerance=1e-10, limit=10_000)

    strengths = ours().strengths  # type: ignore[attr-defined]  # a Ranking
    scores = peer().scores  # type: ignore[attr-defined]  # evalica's result
    logs = np.log([scores[name] for name in names])
    worst = float(np.abs(logs - logs.mean() - strengths).max())
    if worst > 1e-3:
        raise ValueError(f"Strengths differ by {worst}.")
    return Line(
        what="Bradley-Terry with covariance, 1,000,000 verdicts",
        ours_ms=cpu_ms(ours),
        memory_mb=peak_mb(ours),
        peer="evalica, without covariance",
        peer_ms=cpu_ms(peer, times=1),
        same=f"within {worst:.0e}",
    )


def live_line() -> Line:
    """Each judgment takes its item away as it was and puts it back with one label more, at most four."""
    live = LiveHistogram(3)
    random = np.random.default_rng(3)
    items, labels = (
        random.integers(0, 25_000, 100_000).tolist(),
        random.integers(0, 3, 100_000).tolist(),
    )
    said: dict[int, list[tuple[int, int]]] = {item: [] for item in items}

    def ours() -> None:
        for item, label in zip(items, labels, strict=True):
            before = said[item]
            after = [*before[-3:], (len(before), label)]
            live.move(before=before, after=after)
            said[item] = after

    return Line(
        what="one judgment into a live histogram",
        ours_ms=cpu_ms(ours, times=1) / 1e5,
        memory_mb=0.0,
    )


def measure() -> list[Line]:
    table = million()
    with threadpool_limits(1):
        return [
            alpha_line(table),
            usual_krippendorff_line(table),
            fleiss_line(table),
            without_each_line(table),
            pairs_line(table),
            dawid_skene_line(table),
            davidson_line(),
            bradley_terry_line(),
            live_line(),
        ]


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def as_markdown(lines: list[Line]) -> str:
    head = "| what | ours, ms | bar, ms | memory, MB | beside | ms | memory, MB | same answer |"
    rows = [
        f"| {line.what} | {number(line.ours_ms)} | {number(line.bar_ms)} | {number(line.memory_mb)} "
        f"| {line.peer or '–'} | {number(line.peer_ms)} | {number(line.peer_memory_mb)} "
        f"| {line.same or '–'} |"
        for line in lines
    ]
    return "\n".join([head, "|---|---:|---:|---:|---|---:|---:|---|", *rows]) + "\n"


def main() -> None:
    lines = measure()
    sys.stdout.write(as_markdown(lines))
    if len(sys.argv) > 1:
        rows = [{name: getattr(line, name) for name in line.__slots__} for line in lines]
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=2))
    late = [line.what for line in lines if line.bar_ms and line.ours_ms > line.bar_ms]
    if late:
        sys.exit(f"Over the bar: {', '.join(late)}.")


if __name__ == "__main__":
    main()
