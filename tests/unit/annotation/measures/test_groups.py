"""Agreement within groups of items is that of the items alone."""

import numpy as np
import pytest

from annotation.measures.agreement import Agreement
from annotation.measures.coefficients import Level
from annotation.measures.groups import agreement_by_group
from annotation.measures.statistic import proportion, proportions
from annotation.measures.table import RatingTable

SCALE = ("worse", "same", "better")


def drawn(items=300, labelers=6, groups=3):
    rng = np.random.default_rng(1)
    item, labeler = (axis.ravel() for axis in np.mgrid[:items, :labelers])
    kept = rng.random(len(item)) < 0.5
    label = rng.integers(0, 3, items)[item]
    label = np.where(rng.random(len(item)) < 0.6, label, rng.integers(0, 3, len(item)))
    return item[kept], labeler[kept], label[kept], rng.integers(0, groups, items)


@pytest.mark.parametrize("group", [0, 1, 2])
def test_a_group_has_the_agreement_of_its_items_alone(group):
    items, labelers, labels, groups = drawn()
    whole = Agreement(RatingTable.from_columns(items, labelers, labels, SCALE))
    own = groups[items] == group
    alone = Agreement(RatingTable.from_columns(items[own], labelers[own], labels[own], SCALE))
    found = agreement_by_group(whole, groups, count=3)[group]
    assert found.items_shared == alone.items_shared
    assert found.alpha(Level.ORDINAL) == alone.alpha(Level.ORDINAL)
    assert found.percent_without(1) == alone.percent_without(1)


def test_a_group_without_items_has_no_agreement():
    items, labelers, labels, groups = drawn()
    whole = Agreement(RatingTable.from_columns(items, labelers, labels, SCALE))
    empty = agreement_by_group(whole, groups, count=4)[3]
    assert empty.percent().value is None
    assert empty.items_shared == 0


def test_shares_at_once_are_the_shares_one_by_one():
    hits, n = np.array([0, 3, 5.5, 7]), np.array([0, 10, 10, 7])
    expected = [
        proportion(h, n=m, nothing="-").as_json()
        for h, m in zip(hits.tolist(), n.tolist(), strict=True)
    ]
    assert proportions(hits, n, nothing="-") == expected
