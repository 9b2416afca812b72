"""The live histogram and a batch over the same judgments are one."""

from collections import defaultdict

import numpy as np
import pytest

from annotation.measures.agreement import Agreement, TalliedAgreement
from annotation.measures.coefficients import Level
from annotation.measures.live import LiveHistogram, tally_from, tally_of
from annotation.measures.table import RatingTable, Scale

SCALE = Scale(("a", "tie", "b", "bad"))


def edited(acts):
    """A live histogram after random edits, and the judgments that stand."""
    random = np.random.default_rng(9)
    live, judgments = LiveHistogram(len(SCALE)), defaultdict(dict)
    for item, labeler, label, act in zip(
        random.integers(0, 300, acts),
        random.integers(0, 8, acts),
        random.integers(0, 4, acts),
        random.random(acts),
        strict=True,
    ):
        of_item = judgments[item]
        before = list(of_item.items())
        of_item.pop(labeler, None)
        if act < 0.8:
            of_item[labeler] = int(label)
        live.move(before=before, after=list(of_item.items()))
    rows = [(item, who, what) for item, said in judgments.items() for who, what in said.items()]
    return live, RatingTable.from_columns(*np.array(rows, dtype=np.int64).T, SCALE)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_ten_thousand_random_edits_leave_the_same_figures_as_a_batch():
    live, table = edited(10_000)
    tally = tally_from(live.patterns, live).grouped((0, 1, 2, 3))
    assert same(tally, tally_of(table))
    batch, moved = Agreement(table), TalliedAgreement(tally, scale=SCALE)
    assert moved.alpha(Level.ORDINAL) == batch.alpha(Level.ORDINAL)
    assert moved.percent_without(1) == batch.percent_without(1)
    assert moved.gwet() == batch.gwet()


def test_labels_that_are_merged_or_left_out_count_as_if_they_had_been_given_so():
    _, table = edited(2_000)
    merged = np.array([0, 1, 0, -1])[table.labels]
    kept = merged >= 0
    fewer = RatingTable.from_columns(table.items[kept], table.labelers[kept], merged[kept], "xy")
    assert same(tally_of(table).grouped((0, 1, 0, -1)), tally_of(fewer))


def test_an_item_put_and_taken_away_leaves_nothing():
    live = LiveHistogram(3)
    live.put([(1, 0), (2, 2)])
    live.put([(1, 0), (2, 2)], -1)
    live.put([])
    assert not any(live.patterns.values())
    assert not any(live.cells.values())


@pytest.mark.parametrize("labels_an_item", [3, 30, 300])
def test_patterns_come_in_one_order_however_they_were_found(labels_an_item):
    """Addressed, numbered or sorted: 4, 31 and 301 to the power of eight."""
    random = np.random.default_rng(labels_an_item)
    items = np.repeat(np.arange(40), labels_an_item)
    labels = random.integers(0, 8, len(items))
    labelers = np.tile(np.arange(labels_an_item), 40)
    found = tally_of(RatingTable.from_columns(items, labelers, labels, "abcdefgh"))
    assert same(found, found.grouped(range(8)))
