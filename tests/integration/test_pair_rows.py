"""Judgments become pairs in candidate space: where a candidate stood on the screen changes nothing."""

from typing import Any

import pytest

from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import PairRow, pair_rows
from tests import factories

pytestmark = pytest.mark.django_db


def judge(comparison: Comparison, **fields: Any) -> Judgment:
    ids = comparison.candidate_ids
    defaults: dict[str, Any] = {
        "project": comparison.project,
        "comparison": comparison,
        "labeler": factories.user(),
        "ranking": [[one] for one in ids],
        "strengths": [1] * (len(ids) - 1),
        "shown_order": ids,
    }
    return Judgment.objects.create(**{**defaults, **fields})


def pairs(comparison: Comparison, **options: Any) -> list[PairRow]:
    return list(pair_rows(comparison.project, **options))


def without_the_screen(rows: list[PairRow]) -> list[PairRow]:
    return [row._replace(is_first_shown_left=None) for row in rows]


@pytest.fixture
def comparison() -> Comparison:
    return factories.comparison(factories.prompt(factories.project()), size=3)


def test_a_ranking_of_three_gives_three_pairs_whose_strengths_add_up_to_at_most_three(comparison):
    """b > a by 2, a > c by 2: b over c is 4 steps, shown as 3."""
    a, b, c = comparison.candidate_ids
    judge(comparison, ranking=[[b], [a], [c]], strengths=[2, 2])
    strengths = {(row.first_id, row.second_id): row.strength for row in pairs(comparison)}
    assert strengths == {(a, b): -2, (a, c): 2, (b, c): 3}


def test_candidates_of_one_tier_are_tied(comparison):
    a, b, c = comparison.candidate_ids
    judge(comparison, ranking=[[c], [b, a]], strengths=[1])
    strengths = {(row.first_id, row.second_id): row.strength for row in pairs(comparison)}
    assert strengths == {(a, b): 0, (a, c): -1, (b, c): -1}


def test_all_bad_is_marked_and_is_no_tie(comparison):
    judge(comparison, ranking=[], strengths=[], is_all_bad=True)
    assert {(row.strength, row.is_all_bad) for row in pairs(comparison)} == {(0, True)}


def test_permuting_the_shown_order_changes_nothing_but_the_screen_column(comparison):
    judgment = judge(comparison)
    before = pairs(comparison)
    Judgment.objects.update(shown_order=judgment.shown_order[::-1])
    after = pairs(comparison)
    assert without_the_screen(before) == without_the_screen(after)
    assert [row.is_first_shown_left for row in before] == [True, True, True]
    assert [row.is_first_shown_left for row in after] == [False, False, False]


def test_surplus_and_withdrawn_judgments_give_no_pairs(comparison):
    judge(comparison, is_counted=False)
    judge(comparison, withdrawn_at="2026-01-01T00:00Z")
    assert pairs(comparison) == []


def test_a_criterion_reads_its_own_ranking_and_skips_who_did_not_answer_it(comparison):
    a, b, c = comparison.candidate_ids
    answered = {"honest": {"ranking": [[c], [b], [a]], "strengths": [1, 1]}}
    judge(comparison, criteria=answered)
    judge(comparison)
    strengths = [row.strength for row in pairs(comparison, criterion="honest")]
    assert strengths == [-1, -2, -1]


def test_reading_can_go_on_after_the_last_judgment_seen(comparison):
    first, second = judge(comparison), judge(comparison)
    rows = pairs(comparison, after_judgment_id=first.pk)
    assert {row.judgment_id for row in rows} == {second.pk}
