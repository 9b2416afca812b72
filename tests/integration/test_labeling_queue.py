"""Who gets which comparison: leases, breadth first, skips, expiry, and an empty queue that says why."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.db.models import F
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons import claims
from annotation.comparisons.models import Assignment, Comparison, Judgment, QueuePosition
from annotation.comparisons.services import judging, queue
from annotation.comparisons.stations import station_of
from annotation.core.errors import Conflict, InvalidInput, LeaseLost
from annotation.projects.models import Membership, Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return factories.project(overlap=1)


def comparisons(project: Project, count: int, **fields: Any) -> list[Comparison]:
    prompt = factories.prompt(project)
    return [factories.comparison(prompt, **fields) for _ in range(count)]


def lease(project: Project, labeler: User) -> Assignment:
    assignment = queue.lease_next_comparison(project=project, labeler=labeler)
    assert isinstance(assignment, Assignment), assignment
    return assignment


def why_empty(project: Project, labeler: User) -> str:
    empty = queue.lease_next_comparison(project=project, labeler=labeler)
    assert isinstance(empty, queue.EmptyQueue), empty
    assert len(empty.message) > 30
    return empty.reason


def judge(assignment: Assignment) -> Judgment:
    ids = assignment.comparison.candidate_ids
    ranking = [[one] for one in ids]
    return judging.submit_judgment(
        assignment=assignment, client_uuid=uuid4(), ranking=ranking, strengths=[1]
    )


def end_lease(assignment: Assignment) -> None:
    ended = timezone.now() - timedelta(seconds=1)
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=ended)


def test_a_claim_takes_a_place_and_records_the_order_shown(project, labeler):
    (comparison,) = comparisons(project, 1, size=4)
    assignment = lease(project, labeler)
    comparison.refresh_from_db()
    assert comparison.slots_taken == 1
    assert sorted(assignment.shown_order) == comparison.candidate_ids


def test_the_shown_order_is_drawn_anew_for_each_assignment(project):
    comparisons(project, 1, size=9, overlap=6)
    orders = {tuple(lease(project, factories.member(project)).shown_order) for _ in range(6)}
    assert len(orders) > 1


def test_a_reload_gives_the_same_lease_again(project, labeler):
    comparisons(project, 3)
    assert lease(project, labeler) == lease(project, labeler)
    assert Assignment.objects.count() == 1


def test_comparisons_are_served_breadth_first(project):
    first, second = comparisons(project, 2, overlap=2)
    order = [lease(project, factories.member(project)).comparison_id for _ in range(4)]
    assert order == [first.pk, second.pk, first.pk, second.pk]


def test_a_higher_priority_goes_first(project, labeler):
    comparisons(project, 2)
    (urgent,) = comparisons(project, 1, priority=5)
    assert lease(project, labeler).comparison == urgent


def test_a_full_comparison_is_with_others(project, labeler):
    comparisons(project, 1)
    lease(project, factories.member(project))
    assert why_empty(project, labeler) == "with_others"


@pytest.mark.parametrize("field", ["is_paused", "is_archived"])
def test_a_paused_project_serves_nobody_not_even_a_live_lease(project, labeler, field):
    comparisons(project, 1)
    lease(project, labeler)
    Project.objects.update(**{field: True})
    assert why_empty(project, labeler) == "paused"


def test_a_project_without_comparisons_says_so(project, labeler):
    assert why_empty(project, labeler) == "nothing_yet"


def test_a_project_that_is_done_says_so(project, labeler):
    comparisons(project, 1)
    judge(lease(project, labeler))
    assert why_empty(project, labeler) == "all_judged"


def test_nobody_gets_a_comparison_again_that_they_judged(project, labeler):
    comparisons(project, 1, overlap=2)
    judge(lease(project, labeler))
    assert why_empty(project, labeler) == "yours_done"


def test_a_skipped_comparison_goes_to_others_and_never_comes_back(project, labeler):
    (comparison,) = comparisons(project, 1)
    queue.skip_assignment(assignment=lease(project, labeler), reason="needs_expert")
    assert why_empty(project, labeler) == "yours_done"
    assert lease(project, factories.member(project)).comparison == comparison


def test_a_skip_needs_one_of_the_reasons(project, labeler):
    comparisons(project, 1)
    with pytest.raises(InvalidInput, match="needs_expert"):
        queue.skip_assignment(assignment=lease(project, labeler), reason="bored")


def test_a_judged_comparison_cannot_be_skipped(project, labeler):
    comparisons(project, 1)
    assignment = lease(project, labeler)
    judge(assignment)
    with pytest.raises(Conflict):
        queue.skip_assignment(assignment=assignment, reason="other")


def test_nobody_judges_a_candidate_they_wrote(project, labeler):
    (own,) = comparisons(project, 1)
    own.candidates.update(author=labeler)
    assert why_empty(project, labeler) == "yours_done"


def test_an_ended_lease_frees_its_place_for_the_next_who_asks(project, labeler):
    comparisons(project, 1)
    late = lease(project, labeler)
    end_lease(late)
    lease(project, factories.member(project))
    late.refresh_from_db()
    assert late.state == Assignment.State.EXPIRED


def test_who_let_a_lease_end_may_get_the_comparison_again_so_that_it_never_starves(
    project, labeler
):
    comparisons(project, 1)
    late = lease(project, labeler)
    end_lease(late)
    again = lease(project, labeler)
    assert (again.pk, again.shown_order) == (late.pk, late.shown_order)
    assert again.lease_until > timezone.now()


def test_the_sweeper_ends_leases_of_every_project_and_counts_them(project, labeler):
    comparisons(project, 1)
    other = factories.project()
    comparisons(other, 1)
    end_lease(lease(project, labeler))
    end_lease(lease(other, factories.member(other)))
    assert queue.expire_leases() == 2
    assert set(Comparison.objects.values_list("slots_taken", flat=True)) == {0}


def test_a_live_lease_can_be_extended(project, labeler):
    comparisons(project, 1)
    assignment = lease(project, labeler)
    soon = timezone.now() + timedelta(seconds=5)
    Assignment.objects.update(lease_until=soon)
    assert queue.extend_lease(assignment=assignment).lease_until > soon


def test_an_ended_lease_cannot_be_extended(project, labeler):
    comparisons(project, 1)
    assignment = lease(project, labeler)
    end_lease(assignment)
    with pytest.raises(LeaseLost):
        queue.extend_lease(assignment=assignment)


def test_a_lease_cannot_be_extended_for_ever(project, labeler):
    comparisons(project, 1)
    assignment = lease(project, labeler)
    assignment.leased_at -= timedelta(days=1)
    with pytest.raises(Conflict):
        queue.extend_lease(assignment=assignment)


def test_a_claim_costs_two_queries_and_an_empty_queue_three(
    project, labeler, django_assert_num_queries
):
    comparisons(project, 1)
    other = factories.member(project)
    with django_assert_num_queries(2):
        lease(project, labeler)
    with django_assert_num_queries(3):
        why_empty(project, other)


def test_what_lies_behind_a_long_row_of_skips_is_found_and_the_place_is_kept(
    project, labeler, monkeypatch
):
    monkeypatch.setattr(claims, "WINDOW", 5)
    rows = comparisons(project, 30)
    for _ in range(20):
        queue.skip_assignment(assignment=lease(project, labeler), reason="other")
    assert lease(project, labeler).comparison == rows[20]
    assert QueuePosition.objects.get().comparison_id == rows[20].pk


def test_an_exhausted_search_is_not_repeated_at_once(project, labeler):
    comparisons(project, 1, overlap=2)
    judge(lease(project, labeler))
    why_empty(project, labeler)
    first = QueuePosition.objects.get().searched_at
    why_empty(project, labeler)
    assert QueuePosition.objects.get().searched_at == first


@pytest.mark.parametrize(
    ("languages", "index"),
    [([], "comparisons_to_serve"), (["de-ch", "fr"], "to_serve_by_language")],
)
def test_the_claim_walks_the_index_of_what_may_be_served(project, labeler, languages, index):
    prompt = factories.prompt(project)
    Comparison.objects.bulk_create(
        Comparison(
            project=project, prompt=prompt, candidate_ids=[number, number + 1], language="de"
        )
        for number in range(3_000)
    )
    Membership.objects.update(languages=languages)
    a_claim = queue.claim_for(
        station_of(labeler=labeler, project_id=project.pk), ahead=2, held=[11]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE comparisons_comparison")
        statement = claims._asked(claims._CLAIM_NEAR, False, len(languages), 100)
        cursor.execute(f"EXPLAIN {statement}", claims._values(a_claim))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert plan.count(f"Scan using {index} on") == 2 * (1 + len(languages))
    assert "Seq Scan on comparisons_comparison" not in plan


def test_the_database_refuses_to_over_fill_a_comparison(project):
    (comparison,) = comparisons(project, 1)
    with pytest.raises(IntegrityError, match="a_comparison_is_never_over_filled"):
        Comparison.objects.filter(pk=comparison.pk).update(slots_taken=F("overlap") + 1)
