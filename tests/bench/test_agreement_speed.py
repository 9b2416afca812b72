"""The bars of a million judgments, on one core."""

import sys
from collections.abc import Callable

import pytest
from threadpoolctl import threadpool_limits

from annotation.measures.table import RatingTable
from tests.bench.agreement import Line, alpha_line, davidson_line, dawid_skene_line, million


@pytest.fixture(scope="module")
def table() -> RatingTable:
    return million()


@pytest.mark.parametrize("line", [alpha_line, dawid_skene_line, lambda _: davidson_line()])
def test_a_million_judgments_stay_within_the_bar(
    table: RatingTable, line: Callable[[RatingTable], Line]
) -> None:
    with threadpool_limits(1):
        one = line(table)
    sys.stdout.write(f"{one.what}: {one.ours_ms:.0f} ms of CPU, bar {one.bar_ms} ms\n")
    assert one.bar_ms is not None
    assert one.ours_ms <= one.bar_ms
