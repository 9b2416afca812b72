"""A million judgments on one core: our times beside those of the krippendorff library.

Bars are three times those of the design, so that a busy machine does not fail them.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator

import krippendorff
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from annotation.measures.agreement import Agreement, summary
from annotation.measures.coefficients import Level, alpha
from annotation.measures.consensus import LabelerModel, dawid_skene
from annotation.measures.moments import bootstrap_moments
from annotation.measures.ranking import PairCounts, rank
from annotation.measures.table import RatingTable

JUDGMENTS, A_ITEM, LABELERS = 1_000_000, 4, 1000


@pytest.fixture(scope="module")
def table() -> RatingTable:
    random = np.random.default_rng(0)
    items = np.repeat(np.arange(JUDGMENTS // A_ITEM, dtype=np.int32), A_ITEM)
    steps = np.tile(np.arange(A_ITEM, dtype=np.int32), JUDGMENTS // A_ITEM)
    labelers = (items * 7 + steps * 241) % LABELERS
    truth = random.integers(0, 3, JUDGMENTS // A_ITEM)
    right = random.random(JUDGMENTS) < 0.75
    labels = np.where(right, truth[items], random.integers(0, 3, JUDGMENTS)).astype(np.int8)
    return RatingTable.from_columns(items, labelers, labels, ("a", "tie", "b"))


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def show(line: str) -> None:
    sys.stdout.write(line + "\n")


def milliseconds(work: Callable[[], object]) -> float:
    """The best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def alpha_with_bootstraps(table: RatingTable) -> float:
    agreement = Agreement(table)
    replicates = bootstrap_moments(agreement.patterns, agreement.identity, replicates=1000, seed=0)
    alpha(replicates, Level.ORDINAL, table.scale)
    return float(alpha(agreement.moments, Level.ORDINAL, table.scale))


def test_alpha_with_a_thousand_bootstraps_takes_tens_of_milliseconds(table: RatingTable) -> None:
    counts = np.bincount(table.items * 3 + table.labels, minlength=table.item_count * 3)
    peer = milliseconds(
        lambda: krippendorff.alpha(
            value_counts=counts.reshape(-1, 3), level_of_measurement="ordinal"
        )
    )
    ours = milliseconds(lambda: alpha_with_bootstraps(table))
    show(f"alpha and 1,000 bootstraps {ours:.0f} ms; krippendorff, one alpha {peer:.0f} ms")
    assert ours < 120


def test_the_whole_summary_with_all_labelers_takes_under_three_seconds(table: RatingTable) -> None:
    took = milliseconds(lambda: summary(table, level=Level.ORDINAL))
    show(f"summary with {LABELERS} labelers {took:.0f} ms")
    assert took < 3000


def test_twenty_rounds_of_dawid_skene_take_under_four_seconds(table: RatingTable) -> None:
    took = milliseconds(lambda: dawid_skene(table, model=LabelerModel.HIERARCHICAL, rounds=20))
    show(f"Dawid-Skene, 20 rounds {took:.0f} ms")
    assert took < 3600


def test_davidson_over_a_hundred_candidates_takes_tens_of_milliseconds() -> None:
    random = np.random.default_rng(1)
    pairs = [(i, j) for i in range(100) for j in range(i + 1, 100)]
    rows = np.array([(i, j, *random.integers(20, 100, 3)) for i, j in pairs])
    counts = PairCounts.from_rows(rows)
    took = milliseconds(lambda: rank(counts, candidate_count=100))
    show(f"Davidson with covariance, {rows[:, 2:].sum()} verdicts {took:.0f} ms")
    assert took < 150


def test_alpha_needs_no_array_of_items_times_labelers(table: RatingTable) -> None:
    tracemalloc.start()
    alpha_with_bootstraps(table)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    show(f"extra memory {peak:.0f} MB")
    assert peak < 200
