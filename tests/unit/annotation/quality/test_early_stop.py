"""What early stop would have done: the first verdicts of each comparison, and what came after them."""

from datetime import UTC, datetime

import pytest

from annotation.comparisons.selectors import PairRow
from annotation.quality.columns import PairColumns, columns_of
from annotation.quality.dryrun import EarlyStop, early_stop

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def columns(*comparisons: str) -> PairColumns:
    """One comparison of a pair a word: `<` and `>` say which is better, `=` a tie, `x` all bad; in that order."""
    return columns_of(
        _row(1000 * which + turn, which, (2 * which, 2 * which + 1), said)
        for which, verdicts in enumerate(comparisons)
        for turn, said in enumerate(verdicts)
    )


def _row(judgment: int, comparison: int, pair: tuple[int, int], said: str) -> PairRow:
    strength = {"<": -1, "«": -3, ">": 1, "=": 0, "x": 0}[said]
    return PairRow(
        judgment, comparison, 1, *pair, judgment, strength, said == "x", None, 0, NOW, None, "normal"
    )  # fmt: skip


def test_it_stops_where_the_first_verdicts_are_equal():
    """Of three with more than two labels, two begin alike: three labels of nine are saved."""
    found = early_stop(columns(">>>", ">>><", "><"), agreeing=2)
    assert found == EarlyStop(
        agreeing=2, comparisons=2, stopped=2, judgments=9, judgments_saved=3, overruled=0
    )


def test_a_dispute_among_the_first_goes_on_to_the_end():
    found = early_stop(columns("><>>", "=>==", "x>xx"), agreeing=2)
    assert (found.comparisons, found.stopped, found.judgments_saved) == (3, 0, 0)


def test_strength_makes_no_dispute():
    assert early_stop(columns("<«<"), agreeing=2).stopped == 1


@pytest.mark.parametrize(
    ("verdicts", "overruled"), [(">>>", 0), (">><", 0), (">><<", 1), (">><<<", 1)]
)
def test_it_tells_where_later_labels_would_have_said_otherwise(verdicts, overruled):
    assert early_stop(columns(verdicts), agreeing=2).overruled == overruled


def test_a_ranking_agrees_where_all_its_pairs_do():
    """Two labelers rank 1 > 2 > 3; one has the last two the other way round."""
    same, other = [(1, 2, ">"), (1, 3, ">"), (2, 3, ">")], [(1, 2, ">"), (1, 3, ">"), (2, 3, "<")]
    rankings = [same, same, other], [same, other, same]
    rows = [
        _row(10 * which + turn, which, (10 * which + a, 10 * which + b), said)
        for which, judgments in enumerate(rankings)
        for turn, pairs in enumerate(judgments)
        for a, b, said in pairs
    ]
    found = early_stop(columns_of(rows), agreeing=2)
    assert (found.comparisons, found.stopped, found.judgments, found.judgments_saved) == (
        2,
        1,
        6,
        1,
    )


def test_nothing_judged_stops_nothing():
    assert early_stop(columns(), agreeing=2).saved_share == 0
