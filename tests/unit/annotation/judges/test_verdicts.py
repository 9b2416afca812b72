"""What the answers of a judge come to, in both orders of every pair."""

import pytest

from annotation.judges.models import Hearing
from annotation.judges.verdicts import Answer, conclude, orders_of

Outcome = Hearing.Outcome


def answers(said, repeats=1):
    """``said`` names the better candidate (0 tie, None unread) by the order in which they stood."""
    rows = []
    for (first, second), better in said.items():
        for repeat, one in enumerate(better if isinstance(better, list) else [better] * repeats):
            verdict = None if one is None else {first: "first", second: "second", 0: "tie"}[one]
            rows.append(Answer(first=first, second=second, repeat=repeat, verdict=verdict))
    return rows


def test_every_pair_is_asked_in_both_orders():
    assert orders_of([7, 3]) == [(3, 7), (7, 3)]
    assert len(orders_of([1, 2, 3, 4])) == 12


def test_the_same_in_both_orders_is_a_verdict():
    assert conclude([3, 7], answers({(3, 7): 7, (7, 3): 7})) == (Outcome.JUDGED, [[7], [3]])


def test_a_tie_in_both_orders_is_a_tie():
    assert conclude([3, 7], answers({(3, 7): 0, (7, 3): 0})) == (Outcome.JUDGED, [[3, 7]])


def test_who_always_chooses_the_first_has_no_verdict():
    assert conclude([3, 7], answers({(3, 7): 3, (7, 3): 7})) == (Outcome.SWAYED, [])


def test_a_tie_in_one_order_only_is_no_verdict():
    assert conclude([3, 7], answers({(3, 7): 0, (7, 3): 7})) == (Outcome.SWAYED, [])


@pytest.mark.parametrize("said", [{(3, 7): None, (7, 3): 7}, {(3, 7): None, (7, 3): None}])
def test_an_unread_answer_is_no_tie(said):
    assert conclude([3, 7], answers(said)) == (Outcome.UNPARSED, [])


def test_a_missing_order_or_a_failure_is_not_a_verdict():
    assert conclude([3, 7], answers({(3, 7): 7})) == (Outcome.FAILED, [])
    both = answers({(3, 7): 7, (7, 3): 7})
    assert conclude([3, 7], both, is_failed=True) == (Outcome.FAILED, [])


def test_repeats_need_more_than_half():
    """Two of three decide an order; one of three, with one unread, does not."""
    most = answers({(3, 7): [7, 7, 3], (7, 3): [7, 7, 7]})
    assert conclude([3, 7], most) == (Outcome.JUDGED, [[7], [3]])
    split = answers({(3, 7): [7, 3, None], (7, 3): [7, 7, 7]})
    assert conclude([3, 7], split) == (Outcome.UNPARSED, [])
    torn = answers({(3, 7): [7, 3], (7, 3): [7, 7]})
    assert conclude([3, 7], torn) == (Outcome.SWAYED, [])


def everywhere(better):
    return answers({order: better[tuple(sorted(order))] for order in orders_of([1, 2, 3])})


def test_pairs_that_agree_make_a_ranking():
    assert conclude([1, 2, 3], everywhere({(1, 2): 2, (1, 3): 3, (2, 3): 2})) == (
        Outcome.JUDGED,
        [[2], [3], [1]],
    )
    assert conclude([1, 2, 3], everywhere({(1, 2): 1, (1, 3): 1, (2, 3): 0})) == (
        Outcome.JUDGED,
        [[1], [2, 3]],
    )


def test_a_circle_is_no_ranking():
    assert conclude([1, 2, 3], everywhere({(1, 2): 1, (2, 3): 2, (1, 3): 3})) == (
        Outcome.CYCLIC,
        [],
    )


def test_a_tie_that_does_not_carry_over_is_no_ranking():
    """1 = 2 and 2 = 3, but 1 above 3."""
    assert conclude([1, 2, 3], everywhere({(1, 2): 0, (2, 3): 0, (1, 3): 1})) == (
        Outcome.CYCLIC,
        [],
    )
