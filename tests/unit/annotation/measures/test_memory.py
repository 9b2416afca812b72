"""A million judgments are counted without an array of items times labelers (250 million cells)."""

import pytest

from annotation.measures.consensus import LabelerModel, dawid_skene
from annotation.measures.ranking import rank
from tests.bench.agreement import CANDIDATES, alpha_with_bootstraps, million, peak_mb, verdicts

MOST_MB = 200


@pytest.mark.parametrize(
    "work",
    [
        alpha_with_bootstraps,
        lambda table: dawid_skene(table, model=LabelerModel.HIERARCHICAL, rounds=1),
        lambda _: rank(verdicts(), candidate_count=CANDIDATES),
    ],
    ids=["alpha and its bootstraps", "Dawid-Skene", "Davidson"],
)
def test_a_million_judgments_stay_under_a_memory_limit(work) -> None:
    table = million()
    assert peak_mb(lambda: work(table)) < MOST_MB
