"""Which of two responses is named first means nothing: no coefficient of verdicts about pairs heeds it."""

import krippendorff
import numpy as np
import pytest

from annotation.measures import pairs
from annotation.measures.agreement import Agreement
from annotation.measures.coefficients import Level, identity_weights, ordinal_weights
from annotation.measures.table import RatingTable, Scale
from annotation.quality.columns import STRENGTHS, TIE, VERDICTS

ITEMS, LABELERS = 60, 5


def said(scale: Scale, *, share_of_first: float = 0.8) -> RatingTable:
    """Labelers who mostly prefer what is named first, as in a file that names one model first in every row."""
    random = np.random.default_rng(5)
    width = len(scale)
    side = np.where(random.random(ITEMS) < share_of_first, 0, 2 if width == 4 else 6)
    items, labelers = np.divmod(np.arange(ITEMS * LABELERS), LABELERS)
    noise = random.integers(0, width, size=len(items))
    labels = np.where(random.random(len(items)) < 0.6, side[items], noise)
    kept = random.random(len(items)) < 0.7
    return table_of(scale, items[kept], labelers[kept], labels[kept])


def table_of(scale: Scale, items, labelers, labels) -> RatingTable:
    return RatingTable(
        items=items,
        labelers=labelers,
        labels=labels,
        scale=scale,
        item_count=ITEMS,
        labeler_count=LABELERS,
    )


def flipped(table: RatingTable) -> RatingTable:
    """Every third item with its responses named the other way round."""
    mirror = np.array(table.scale.mirror)
    labels = np.where(table.items % 3 == 0, mirror[table.labels], table.labels)
    return table_of(table.scale, table.items, table.labelers, labels)


FIGURES = {
    "nominal": lambda one: one.alpha(Level.NOMINAL),
    "fleiss": lambda one: one.fleiss(),
    "ac1": lambda one: one.gwet(),
    "percent": lambda one: one.percent(),
    "over items": lambda one: one.alpha_over_items(Level.NOMINAL),
    "of the others": lambda one: one.alpha_of_the_others(Level.NOMINAL)[0],
}
OF_VERDICTS = {"without ties": lambda one: one.percent_without(TIE)}
OF_STRENGTHS = {
    "ordinal": lambda one: one.alpha(Level.ORDINAL),
    "interval": lambda one: one.alpha(Level.INTERVAL),
    "ac2": lambda one: one.gwet(ordinal_weights(len(one.scale))),
    "over items, ordinal": lambda one: one.alpha_over_items(Level.ORDINAL),
    "of the others, ordinal": lambda one: one.alpha_of_the_others(Level.ORDINAL)[2],
}


@pytest.mark.parametrize(
    ("scale", "figure"),
    [
        pytest.param(scale, figure, id=name)
        for scale, figures in (
            (VERDICTS, FIGURES | OF_VERDICTS),
            (STRENGTHS, FIGURES | OF_STRENGTHS),
        )
        for name, figure in figures.items()
    ],
)
def test_naming_the_responses_the_other_way_round_changes_nothing(scale, figure):
    table = said(scale)
    one, other = (figure(Agreement(each)) for each in (table, flipped(table)))
    numbers = [
        np.array(each if hasattr(each, "low") else (each.value, *each.interval), dtype=float)
        for each in (one, other)
    ]
    np.testing.assert_allclose(numbers[0], numbers[1], atol=1e-12)


def test_nor_does_it_change_kappa_of_two_labelers():
    table = said(VERDICTS)
    weights = identity_weights(len(VERDICTS))
    one, other = (
        pairs.cohen_values(pairs.cross_tables(each)[2], weights) for each in (table, flipped(table))
    )
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("level", [Level.NOMINAL, Level.ORDINAL])
def test_alpha_is_that_of_every_item_named_both_ways(level):
    """The library on twice the items, each way once: but for the small-sample term, n - 1 of n and 2n - 1 of 2n."""
    table = said(STRENGTHS)
    counts = np.zeros((2 * ITEMS, len(STRENGTHS)), dtype=int)
    np.add.at(counts, (table.items, table.labels), 1)
    mirror = np.array(STRENGTHS.mirror)
    np.add.at(counts, (ITEMS + table.items, mirror[table.labels]), 1)
    sizes = counts[:ITEMS].sum(axis=1)
    n = sizes[sizes > 1].sum()
    doubled = krippendorff.alpha(value_counts=counts, level_of_measurement=level.value)
    expected = 1 - (1 - doubled) * (n - 1) / (n - 0.5)
    assert Agreement(table).alpha(level).value == pytest.approx(expected, abs=1e-12)


def test_half_and_half_by_hand():
    """Four items, two labelers: first and first thrice, first and second once: 3/4 agree, 1/2 would by chance."""
    labels = np.array([0, 0, 0, 0, 0, 0, 0, 2])
    items, labelers = np.divmod(np.arange(8), 2)
    table = RatingTable(
        items=items,
        labelers=labelers,
        labels=labels,
        scale=VERDICTS,
        item_count=4,
        labeler_count=2,
    )
    assert Agreement(table).fleiss().value == pytest.approx((0.75 - 0.5) / 0.5)
