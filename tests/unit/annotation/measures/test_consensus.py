"""Majority and Dawid-Skene: worked sums, a likelihood that never falls, truth found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.measures.agreement import Agreement
from annotation.measures.consensus import (
    UNDECIDED,
    LabelerModel,
    dawid_skene,
    majority,
)
from annotation.measures.table import RatingTable
from tests.unit.annotation.measures.builders import from_matrix


def simulated(seed, *, items=400, accuracies=(0.9, 0.8, 0.55, 0.55)):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, items)
    said = [
        np.where(random.random(items) < accuracy, truth, (truth + random.integers(1, 3, items)) % 3)
        for accuracy in accuracies
    ]
    return truth, from_matrix([row.tolist() for row in said], scale=[0, 1, 2])


def test_a_majority_is_strict_and_a_tie_stays_undecided():
    """Items aab, ab, b: a by 2 to 1; 1 to 1 is a tie; b alone."""
    voted = majority(from_matrix([["a", "a", "b"], ["a", "b", None], ["b", None, None]]))
    assert voted.winners.tolist() == [0, UNDECIDED, 1]
    assert voted.tied.tolist() == [False, True, False]
    assert voted.shares[0].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_an_item_without_labels_is_undecided_and_no_tie():
    voted = majority(RatingTable.from_columns([0, 2], [0, 0], [0, 1], ("a", "b")))
    assert (voted.winners[1], bool(voted.tied[1])) == (UNDECIDED, False)


def test_the_first_round_of_dawid_skene_by_hand():
    """Items aa and ab of two labelers: vote shares (1, 0) and (1/2, 1/2); class shares 3/4, 1/4.

    Labeler 0 always said a: rows (1, 0), (1, 0). Labeler 1 said a, b: (1, 1/2) of 3/2 and (0, 1).
    E: item ab has 3/4 * 1 * 1/3 against 1/4 * 1 * 1, which is 1/2 each; item aa is a.
    """
    table = from_matrix([["a", "a"], ["a", "b"]])
    first = dawid_skene(table, model=LabelerModel.CONFUSION, rounds=1)
    assert first.class_shares == pytest.approx([3 / 4, 1 / 4])
    assert first.confusions[1] == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1]]))
    assert first.posteriors == pytest.approx(np.array([[1, 0], [1 / 2, 1 / 2]]))


@pytest.mark.parametrize("model", list(LabelerModel))
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=40
    )
)
@settings(max_examples=40, deadline=None)
def test_the_objective_of_em_never_falls(model, rows):
    items, people, labels = zip(*rows, strict=True)
    table = RatingTable.from_columns(items, people, labels, ("a", "tie", "b"))
    objectives = np.array(dawid_skene(table, model=model, rounds=60).objectives)
    assert (np.diff(objectives) >= -1e-9 * (1 + np.abs(objectives[1:]))).all()


@pytest.mark.parametrize("seed", range(5))
def test_hierarchical_dawid_skene_beats_majority_where_labelers_differ(seed):
    truth, table = simulated(seed)
    estimated = (dawid_skene(table).winners == truth).mean()
    assert estimated >= (majority(table).winners == truth).mean()


@pytest.mark.parametrize("share", [5, 20, 100])
@pytest.mark.parametrize("copies", [2, 3, 5])
@pytest.mark.parametrize("accuracies", [(0.4, 0.95), (0.6, 0.8), (0.34, 0.6)])
def test_hierarchical_dawid_skene_stays_near_majority_where_labelers_are_many(
    share, copies, accuracies
):
    """``share`` judgments a labeler, ``copies`` an item; a tied majority counts its chance."""
    random = np.random.default_rng(share + copies)
    people = max(copies, 600 * copies // share)
    accuracy = random.uniform(*accuracies, people)
    truth = random.integers(0, 3, 600)
    items = np.repeat(np.arange(600), copies)
    labelers = np.concatenate([random.choice(people, copies, replace=False) for _ in truth])
    wrong = (truth[items] + random.integers(1, 3, len(items))) % 3
    labels = np.where(random.random(len(items)) < accuracy[labelers], truth[items], wrong)
    table = RatingTable.from_columns(items, labelers, labels, ("a", "tie", "b"))
    shares = majority(table).shares
    leads = shares == shares.max(axis=1, keepdims=True)
    voted = (leads / leads.sum(axis=1, keepdims=True))[np.arange(600), truth].mean()
    assert (dawid_skene(table).winners == truth).mean() > voted - 0.025


def test_dawid_skene_finds_the_accuracies_of_labelers_again():
    _, table = simulated(7, items=3000)
    assert dawid_skene(table).labeler_accuracies == pytest.approx([0.9, 0.8, 0.55, 0.55], abs=0.05)


def test_posteriors_are_chances_even_for_an_item_without_labels():
    table = RatingTable.from_columns([0, 0, 2], [0, 1, 0], [0, 1, 1], ("a", "b"))
    posteriors = dawid_skene(table).posteriors
    assert posteriors.sum(axis=1) == pytest.approx(np.ones(3))


def test_a_labeler_is_compared_with_the_others_and_not_with_oneself():
    """HAND items aaa, aab, b-: labeler 2 agrees on the first, differs on the second."""
    table = from_matrix([["a", "a", "b"], ["a", "a", None], ["a", "b", None]])
    third = Agreement(table).labelers()[2]
    assert (third.agreement.value, third.agreement.n, third.items) == (0.5, 2, 2)


def test_a_labeler_without_company_has_a_reason_in_place_of_agreement():
    first, _ = Agreement(from_matrix([["a", None], [None, "b"]])).labelers()
    assert "No item of this labeler" in first.agreement.reason
    assert "no item has two ratings" in first.accuracy.reason


def test_nothing_to_aggregate_is_no_error():
    empty = RatingTable.from_columns([], [], [], ("a", "b"))
    assert dawid_skene(empty).posteriors.shape == (0, 2)
    assert Agreement(empty).labelers() == ()
