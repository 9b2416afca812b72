"""Agreement coefficients: sums worked by hand, and what must not change them."""

import warnings
from itertools import product

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from annotation.measures.agreement import Agreement, summary
from annotation.measures.coefficients import (
    FLEISS,
    Level,
    alpha_se,
    corrected_se,
    identity_weights,
)
from annotation.measures.statistic import normal_interval
from annotation.measures.table import PatternIndex, Patterns, RatingTable, Scale
from tests.unit.annotation.measures.builders import from_contingency, from_matrix

HAND = [["a", "a", "b", "b"], ["a", "b", "b", None], ["a", "b", "b", "b"]]
NAMES = ("1", "2", "3")


def columns_of(rows):
    items, labelers, labels = zip(*rows, strict=True)
    return RatingTable.from_columns(items, labelers, labels, NAMES)


@st.composite
def rows_of_judgments(draw, labelers=4, items=6):
    """Judgments of some labelers on some items: at most one a labeler and item."""
    cells = draw(
        st.lists(
            st.tuples(st.integers(0, items - 1), st.integers(0, labelers - 1)),
            min_size=4,
            max_size=24,
            unique=True,
        )
    )
    labels = draw(st.lists(st.integers(0, 2), min_size=len(cells), max_size=len(cells)))
    return [(item, labeler, label) for (item, labeler), label in zip(cells, labels, strict=True)]


def values(table):
    agreement = Agreement(table, bootstraps=10)
    return [
        agreement.percent().value,
        agreement.fleiss().value,
        agreement.gwet().value,
        agreement.brennan_prediger().value,
        *(agreement.alpha(level).value for level in Level),
    ]


def same(left, right):
    return [
        (a is None and b is None) or a == pytest.approx(b, abs=1e-9)
        for a, b in zip(left, right, strict=True)
    ]


def test_percent_agreement_of_a_hand_worked_table():
    """Items aaa, abb, bbb, bb: shares of agreeing pairs 1, 1/3, 1, 1; their mean is 10/12."""
    assert Agreement(from_matrix(HAND)).percent().value == pytest.approx(10 / 12)


def test_alpha_of_a_hand_worked_table():
    """Coincidences: aaa gives aa 3; abb gives ab 1, ba 1, bb 1; bbb gives bb 3; bb gives bb 2.

    Totals a 4, b 7, n 11. D_o = 2 / 11; D_e = 2 * 4 * 7 / (11 * 10); alpha = 1 - 20 / 56.
    """
    assert Agreement(from_matrix(HAND)).alpha(Level.NOMINAL).value == pytest.approx(1 - 20 / 56)


def test_ordinal_alpha_of_a_hand_worked_table():
    """Items (1, 2), (2, 3), (1, 1): totals 3, 2, 1; mid-ranks 1.5, 4, 5.5.

    Squared gaps: 12 -> 6.25, 23 -> 2.25, 13 -> 16. Observed: 2 * 6.25 + 2 * 2.25 = 17.
    Chance: 2 (3*2*6.25 + 2*1*2.25 + 3*1*16) = 180. alpha = 1 - (6 - 1) * 17 / 180.
    """
    table = from_matrix([[1, 2, 1], [2, 3, 1]])
    assert Agreement(table).alpha(Level.ORDINAL).value == pytest.approx(1 - 5 * 17 / 180)


def test_chance_corrected_kappas_of_a_hand_worked_table():
    """Shares: aaa a 1; abb a 1/3; bbb, bb a 0: pi_a = 1/3, pi_b = 2/3; p_a = 10/12.

    Fleiss p_e = 1/9 + 4/9 = 5/9. AC1 p_e = 2 (1/3 * 2/3) = 4/9. Brennan-Prediger p_e = 1/2.
    """
    agreement = Agreement(from_matrix(HAND))
    assert agreement.fleiss().value == pytest.approx((10 / 12 - 5 / 9) / (4 / 9))
    assert agreement.gwet().value == pytest.approx((10 / 12 - 4 / 9) / (5 / 9))
    assert agreement.brennan_prediger().value == pytest.approx((10 / 12 - 1 / 2) / (1 / 2))


def test_cohens_kappa_of_a_hand_worked_table():
    """[[4, 1], [2, 3]]: p_o = .7; p_e = .5 * .6 + .5 * .4 = .5; kappa = .4."""
    assert Agreement(from_contingency([[4, 1], [2, 3]])).cohen().value == pytest.approx(0.4)


def test_agreement_without_ties_counts_only_decided_pairs():
    """Items (a, a), (a, tie), (a, b): without ties two comparable items, one agrees."""
    table = from_matrix([["a", "a", "a"], ["a", "tie", "b"]], scale=["a", "tie", "b"])
    statistic = Agreement(table).percent_without(1)
    assert (statistic.value, statistic.n) == (0.5, 2)


@pytest.mark.parametrize("level", [Level.NOMINAL, Level.ORDINAL, Level.INTERVAL])
@given(rows=rows_of_judgments())
@settings(max_examples=40, deadline=None)
def test_alpha_equals_the_krippendorff_library(level, rows):
    table = columns_of(rows)
    matrix = np.full((table.labeler_count, table.item_count), np.nan)
    matrix[table.labelers, table.items] = table.labels
    ours = Agreement(table, bootstraps=10).alpha(level).value
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            theirs = krippendorff.alpha(matrix, level_of_measurement=level, value_domain=[0, 1, 2])
    except (ValueError, AssertionError):
        theirs = np.nan
    if ours is None:
        assert np.isnan(theirs) or len(set(table.labels)) == 1
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_fleiss_kappa_equals_statsmodels_where_every_item_has_as_many_labels():
    labels = np.random.default_rng(3).integers(0, 4, size=(5, 60))
    counts = np.apply_along_axis(np.bincount, 0, labels, minlength=4).T
    ours = Agreement(from_matrix(labels.tolist(), scale=[0, 1, 2, 3])).fleiss().value
    assert ours == pytest.approx(fleiss_kappa(counts), abs=1e-12)


@pytest.mark.parametrize(
    ("level", "weights"),
    [(Level.NOMINAL, None), (Level.ORDINAL, "linear"), (Level.INTERVAL, "quadratic")],
)
def test_cohens_kappa_equals_scikit_learn(level, weights):
    labels = np.random.default_rng(5).integers(0, 4, size=(2, 80))
    ours = Agreement(from_matrix(labels.tolist())).cohen(level).value
    assert ours == pytest.approx(cohen_kappa_score(*labels, weights=weights), abs=1e-12)


@given(rows=rows_of_judgments(), random=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_rows_and_the_codes_of_items_and_labelers_change_nothing(rows, random):
    items, labelers = list(range(6)), list(range(4))
    random.shuffle(items)
    random.shuffle(labelers)
    shuffled = [(items[item], labelers[labeler], label) for item, labeler, label in rows]
    random.shuffle(shuffled)
    assert all(same(values(columns_of(rows)), values(columns_of(shuffled))))


@given(rows=rows_of_judgments(), names=st.permutations([0, 1, 2]))
@settings(max_examples=40, deadline=None)
def test_the_names_of_labels_change_no_nominal_coefficient(rows, names):
    renamed = [(item, labeler, names[label]) for item, labeler, label in rows]
    assert all(same(values(columns_of(rows))[:5], values(columns_of(renamed))[:5]))


@given(rows=rows_of_judgments())
@settings(max_examples=40, deadline=None)
def test_reversing_the_scale_changes_no_ordinal_or_interval_alpha(rows):
    reverse = [(item, labeler, 2 - label) for item, labeler, label in rows]
    before, after = values(columns_of(rows)), values(columns_of(reverse))
    assert all(same(before[5:7], after[5:7]))


@given(rows=rows_of_judgments(), label=st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_an_item_with_one_label_changes_neither_percent_agreement_nor_alpha(rows, label):
    before, after = values(columns_of(rows)), values(columns_of([*rows, (6, 0, label)]))
    assert all(same([before[0], *before[4:]], [after[0], *after[4:]]))


@pytest.mark.parametrize("level", list(Level))
@given(rows=rows_of_judgments())
@settings(max_examples=40, deadline=None)
def test_alpha_without_a_labeler_equals_deleting_the_labelers_rows(level, rows):
    table = columns_of(rows)
    without = Agreement(table).alpha_without_each_labeler(level)
    for labeler in range(table.labeler_count):
        kept = table.labelers != labeler
        deleted = RatingTable.from_columns(
            table.items[kept], table.labelers[kept], table.labels[kept], NAMES
        )
        brute = Agreement(deleted).alpha(level).value
        assert without[labeler] == pytest.approx(
            np.nan if brute is None else brute, abs=1e-12, nan_ok=True
        )


@pytest.mark.parametrize("level", list(Level))
@given(rows=rows_of_judgments())
@settings(max_examples=40, deadline=None)
def test_the_error_of_alpha_without_a_labeler_equals_deleting_the_labelers_rows(level, rows):
    table = columns_of(rows)
    found = Agreement(table).alpha_of_the_others(level)
    for labeler in range(table.labeler_count):
        kept = table.labelers != labeler
        rest = RatingTable.from_columns(
            table.items[kept], table.labelers[kept], table.labels[kept], NAMES
        )
        agreement = Agreement(rest)
        se = alpha_se(agreement.patterns, level, agreement.scale)
        assert found[labeler].n == agreement.items_shared
        if found[labeler].interval is not None:
            value = found[labeler].value
            by_hand = normal_interval(value, se=se).clipped(-1.0, 1.0)
            assert found[labeler].interval == pytest.approx(by_hand, abs=1e-12)
        elif found[labeler].value is not None:
            assert se == pytest.approx(0.0, abs=1e-9, nan_ok=True) or np.isnan(se)


def test_long_scales_fall_back_to_sorting_with_the_same_patterns():
    random = np.random.default_rng(1)
    items, labels = np.repeat(np.arange(50), 12), random.integers(0, 3, 600)
    short = RatingTable.from_columns(items, np.tile(np.arange(12), 50), labels, NAMES)
    names = tuple(str(number) for number in range(40))
    long = RatingTable.from_columns(items, np.tile(np.arange(12), 50), labels, names)
    ours, theirs = PatternIndex(short), PatternIndex(long)
    assert sorted(map(tuple, ours.patterns.counts)) == sorted(
        tuple(row[:3]) for row in theirs.patterns.counts
    )
    assert Agreement(short).alpha(Level.ORDINAL).value == pytest.approx(
        Agreement(long).alpha(Level.ORDINAL).value
    )


def test_without_variation_alpha_has_no_value_and_says_why():
    statistic = Agreement(from_matrix([["a", "a"], ["a", "a"]])).alpha(Level.NOMINAL)
    assert statistic.value is None
    assert "no variation" in statistic.reason


def test_without_variation_there_is_no_standard_error_and_no_division_by_nothing():
    patterns = Patterns.from_counts([[0, 3, 0]] * 4)
    assert np.isnan(alpha_se(patterns, Level.ORDINAL, Scale(NAMES)))
    assert np.isnan(corrected_se(patterns, identity_weights(3), FLEISS))


def test_without_an_item_labeled_twice_there_is_nothing_to_compare():
    statistic = Agreement(from_matrix([["a", None], [None, "b"]])).percent()
    assert (statistic.value, statistic.n) == (None, 0)
    assert "no item has two ratings" in statistic.reason


def test_an_empty_table_has_a_reason_for_every_statistic():
    shown = summary(RatingTable.from_columns([], [], [], NAMES))
    assert shown.krippendorff_alpha.reason
    assert shown.cohen_kappa.reason


def test_interval_alpha_refuses_labels_that_are_no_numbers():
    statistic = Agreement(from_matrix([["a", "b"], ["b", "b"]])).alpha(Level.INTERVAL)
    assert "needs numbers" in statistic.reason


def test_cohens_kappa_refuses_a_third_labeler():
    assert "exactly two" in Agreement(from_matrix(HAND)).cohen().reason


def test_the_labeler_jackknife_is_wider_than_the_bootstrap_when_labelers_differ():
    random = np.random.default_rng(2)
    truth = random.integers(0, 3, 300)
    errors = [0.05, 0.05, 0.7]
    said = [
        np.where(random.random(300) < error, random.integers(0, 3, 300), truth) for error in errors
    ]
    three = Agreement(from_matrix([list(map(int, row)) for row in said]))
    two = Agreement(from_matrix([list(map(int, row)) for row in said[:2]]))
    jackknife, bootstrap = three.alpha(Level.NOMINAL).interval, two.alpha(Level.NOMINAL).interval
    assert jackknife.high - jackknife.low > 3 * (bootstrap.high - bootstrap.low)


def test_the_bootstrap_covers_its_own_value_and_repeats_with_its_seed():
    table = from_contingency([[30, 6], [4, 20]])
    first, second = Agreement(table).percent(), Agreement(table).percent()
    assert first == second
    assert first.interval.low < first.value < first.interval.high


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1], [0], [0, 0]), "differ in length"),
        (([0], [0], [5]), "outside the scale"),
        (([-1], [0], [0]), "negative code"),
        (([0.5], [0], [0]), "integer codes"),
    ],
)
def test_columns_that_are_no_codes_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        RatingTable.from_columns(*columns, NAMES)


def test_the_interval_of_a_share_stays_between_zero_and_one():
    interval = Agreement(from_matrix([[1, 3], [2, 3], [2, 3]])).percent().interval
    assert interval == (0.0, 1.0)


def test_two_labelers_who_never_differ_have_a_kappa_of_one_without_an_interval():
    kappa = Agreement(from_contingency([[4, 0], [0, 3]])).cohen()
    assert (kappa.value, kappa.interval) == (1.0, None)
    assert "no interval" in kappa.reason


def test_an_item_code_without_labels_is_no_item():
    """Codes 0 and 2 are labeled, 1 is not."""
    table = RatingTable.from_columns([0, 0, 2], [0, 1, 0], [0, 0, 1], NAMES)
    assert PatternIndex(table).patterns.items.sum() == 2


def test_a_labeler_who_shares_no_item_narrows_no_interval():
    shared = [
        (0, 0, 0),
        (0, 1, 0),
        (0, 2, 1),
        (1, 0, 1),
        (1, 1, 1),
        (1, 2, 1),
        (2, 0, 2),
        (2, 1, 0),
    ]
    before = Agreement(columns_of(shared)).alpha(Level.NOMINAL)
    after = Agreement(columns_of([*shared, (3, 3, 0), (4, 3, 1)])).alpha(Level.NOMINAL)
    assert after == before


def test_labels_that_end_where_two_are_equal_make_agreement_look_higher():
    """Every triple of two labels once: 2 of 8 agree in all couples, 6 in one of three: (2 + 6 / 3) / 8 = 1 / 2.

    Ended after two equal ones, 4 of 8 agree and 4 agree in one couple of three: (4 + 4 / 3) / 8 = 2 / 3.
    """
    triples = list(product(NAMES[:2], repeat=3))
    rows = [
        (item, labeler, label)
        for item, three in enumerate(triples)
        for labeler, label in enumerate(three)
    ]
    ended = [one for one in rows if one[1] < 2 or len({*triples[one[0]][:2]}) == 2]
    codes = [[(item, who, NAMES.index(said)) for item, who, said in one] for one in (rows, ended)]
    found = [Agreement(columns_of(one)).percent().value for one in codes]
    assert found == pytest.approx([1 / 2, 2 / 3])
