"""The time of an answer: what was kept without a connection keeps its time, and no client claims more than passed."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Assignment, Judgment, QueuePosition
from annotation.comparisons.services import judging, queue
from annotation.comparisons.stations import station_of
from annotation.projects.models import Project
from tests import factories
from tests.waiting import beside

MINUTE = 60_000  # milliseconds


@pytest.fixture
def project() -> Project:
    return factories.project(overlap=1)


def leased(project: Project, labeler: User, count: int, *, minutes_ago: float) -> list[Assignment]:
    """So many leases of one labeler, all begun so long ago."""
    for _ in range(count):
        factories.comparison(factories.prompt(project))
    station = station_of(labeler=labeler, project_id=project.pk)
    served = queue.serve(station=station, ahead=count - 1)
    begun_at = timezone.now() - timedelta(minutes=minutes_ago)
    Assignment.objects.update(leased_at=begun_at, created_at=begun_at)
    return [one.assignment for one in served.leases]


def judge(assignment: Assignment, **answer: Any) -> Judgment:
    first, second = assignment.comparison.candidate_ids
    defaults = {"client_uuid": uuid4(), "ranking": [[first], [second]], "strengths": [2]}
    return judging.submit_judgment(assignment=assignment, **{**defaults, **answer})


@pytest.mark.django_db
def test_answers_that_waited_for_the_connection_keep_their_time(project, labeler):
    rows = leased(project, labeler, 3, minutes_ago=10)
    ages = (6, 4, 1)
    given = [
        judge(row, active_ms=MINUTE, age_ms=age * MINUTE)
        for row, age in zip(rows, ages, strict=True)
    ]
    assert [one.active_ms for one in given] == [MINUTE] * 3
    assert [round(one.elapsed_ms / MINUTE) for one in given] == [4, 2, 3]


@pytest.mark.django_db
def test_what_is_stored_is_what_is_told(project, labeler):
    (row,) = leased(project, labeler, 1, minutes_ago=10)
    told = judge(row, active_ms=20 * MINUTE, age_ms=6 * MINUTE)
    stored = Judgment.objects.get()
    assert (told.active_ms, told.elapsed_ms) == (stored.active_ms, stored.elapsed_ms)
    assert 4 * MINUTE <= stored.active_ms == stored.elapsed_ms < 5 * MINUTE


@pytest.mark.django_db
@pytest.mark.parametrize("ages", [(0, 0, 0), (6, 4, 1), (1, 4, 6), (9, 9, 9), (10**12, 0, 10**30)])
def test_no_client_claims_more_time_than_passed(project, labeler, ages):
    rows = leased(project, labeler, 3, minutes_ago=10)
    for row, age in zip(rows, ages, strict=True):
        judge(row, active_ms=10**9, age_ms=age * MINUTE)
    spent = sum(Judgment.objects.values_list("active_ms", flat=True))
    passed = timezone.now() - min(one.leased_at for one in Assignment.objects.all())
    assert spent <= passed / timedelta(milliseconds=1)


@pytest.mark.django_db
def test_an_age_below_nothing_is_none(project, labeler):
    (row,) = leased(project, labeler, 1, minutes_ago=1)
    assert judge(row, age_ms=-5 * MINUTE).elapsed_ms < 2 * MINUTE
    assert QueuePosition.objects.get().answered_at <= timezone.now()


@pytest.mark.django_db
def test_a_skip_and_an_undo_that_waited_leave_the_time_of_the_answers_around_them(project, labeler):
    first, skipped, last = leased(project, labeler, 3, minutes_ago=10)
    begun = judge(first, active_ms=MINUTE, age_ms=8 * MINUTE)
    judging.undo_judgment(judgment=begun)
    again = judge(first, active_ms=MINUTE, age_ms=7 * MINUTE)
    queue.skip_assignment(assignment=skipped, reason="other", age_ms=5 * MINUTE)
    after = judge(last, active_ms=3 * MINUTE, age_ms=2 * MINUTE)
    assert round(again.elapsed_ms / MINUTE) == 1
    assert (after.active_ms, round(after.elapsed_ms / MINUTE)) == (3 * MINUTE, 3)


@pytest.mark.django_db
def test_an_answer_given_under_a_lease_that_ended_keeps_its_time_when_it_is_leased_again(
    project, labeler
):
    (row,) = leased(project, labeler, 1, minutes_ago=30)
    Assignment.objects.update(state="expired", leased_at=timezone.now())
    Assignment.objects.update(state="leased", lease_until=timezone.now() + timedelta(minutes=5))
    assert judge(row, active_ms=2 * MINUTE, age_ms=25 * MINUTE).active_ms == 2 * MINUTE


@pytest.mark.django_db
def test_an_answer_of_yesterday_does_not_count_for_today(project, labeler):
    (row,) = leased(project, labeler, 1, minutes_ago=3 * 24 * 60)
    judge(row, age_ms=2 * 24 * 60 * MINUTE)
    station = station_of(labeler=labeler, project_id=project.pk)
    assert timezone.now() - station.done.answered_at > timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_two_answers_at_once_do_not_both_claim_the_same_time(project, labeler):
    """The second has read where its time begins before the first is stored, and then waits for that."""
    first, second = leased(project, labeler, 2, minutes_ago=10)
    QueuePosition.objects.create(project=project, labeler=labeler)  # as every reply leaves it
    with transaction.atomic():
        judge(first, active_ms=10**9)
        other = beside(lambda: judge(second, active_ms=10**9))
    other.result()
    assert Judgment.objects.count() == 2
    assert sum(Judgment.objects.values_list("active_ms", flat=True)) < 11 * MINUTE
