"""Answers: stored once, counted while the lease lives, bound to the guideline in force, undone until frozen."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import AgreementBell, Assignment, Comparison, Judgment
from annotation.comparisons.services import judging, queue
from annotation.core.errors import Conflict, DomainError, InvalidInput, NotFound
from annotation.core.jobs import Job
from annotation.projects.models import Criterion, Guideline, Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return factories.project(overlap=1)


@pytest.fixture
def assignment(project) -> Assignment:
    factories.comparison(factories.prompt(project))
    return lease(project)


def lease(project: Project) -> Assignment:
    labeler = factories.member(project)
    assignment = queue.lease_next_comparison(project=project, labeler=labeler)
    assert isinstance(assignment, Assignment)
    return assignment


def judge(assignment: Assignment, **answer: Any) -> Judgment:
    a, b = assignment.comparison.candidate_ids
    defaults: dict[str, Any] = {"client_uuid": uuid4(), "ranking": [[b], [a]], "strengths": [2]}
    return judging.submit_judgment(assignment=assignment, **{**defaults, **answer})


def end_lease(assignment: Assignment) -> None:
    Assignment.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def counts(assignment: Assignment) -> tuple[int, int, str]:
    row = Comparison.objects.get(pk=assignment.comparison_id)
    return row.slots_taken, row.judgments_counted, row.state


def test_a_judgment_names_candidates_and_keeps_the_order_that_was_shown(assignment):
    a, b = assignment.comparison.candidate_ids
    judgment = judge(assignment)
    assert (judgment.ranking, judgment.strengths) == ([[b], [a]], [2])
    assert judgment.shown_order == assignment.shown_order


def test_the_last_place_filled_makes_the_comparison_judged(assignment):
    judge(assignment)
    assert counts(assignment) == (1, 1, "judged")


def test_a_comparison_stays_open_while_places_are_free():
    project = factories.project()
    factories.comparison(factories.prompt(project), overlap=2)
    assignment = lease(project)
    judge(assignment)
    assert counts(assignment) == (1, 1, "open")


def test_a_replay_gives_the_same_judgment_and_stores_nothing(assignment):
    uuid = uuid4()
    first = judge(assignment, client_uuid=uuid)
    again = judge(assignment, client_uuid=uuid, strengths=[3])
    assert (again.pk, again.strengths) == (first.pk, [2])
    assert counts(assignment) == (1, 1, "judged")


def test_a_second_answer_under_another_uuid_is_refused(assignment):
    judge(assignment)
    with pytest.raises(Conflict, match="judged"):
        judge(assignment)


def test_a_uuid_of_another_persons_judgment_is_refused(project, assignment):
    uuid = judge(assignment).client_uuid
    factories.comparison(factories.prompt(project))
    with pytest.raises(Conflict, match="client_uuid"):
        judge(lease(project), client_uuid=uuid)


def test_a_judgment_that_an_import_brought_meanwhile_is_a_conflict_and_keeps_the_lease(assignment):
    factories.judgment(assignment.comparison, assignment.labeler, is_imported=True)
    with pytest.raises(Conflict, match="load the next"):
        judge(assignment)
    assert Judgment.objects.count() == 1
    assignment.refresh_from_db()
    assert assignment.state == Assignment.State.LEASED


def test_a_lease_that_ended_takes_no_counted_judgment_and_keeps_the_answer_as_surplus(assignment):
    end_lease(assignment)
    assert judge(assignment).is_counted is False
    assert counts(assignment) == (0, 0, "open")


def test_a_lease_that_was_swept_takes_no_counted_judgment_either(assignment):
    end_lease(assignment)
    queue.expire_leases()
    assert judge(assignment).is_counted is False
    assert counts(assignment) == (0, 0, "open")


def test_a_closed_comparison_takes_no_counted_judgment(assignment):
    Comparison.objects.update(state=Comparison.State.CLOSED)
    assert judge(assignment).is_counted is False


def test_all_bad_has_no_ranking(assignment):
    judgment = judge(assignment, ranking=[], strengths=[], is_all_bad=True)
    assert (judgment.is_all_bad, judgment.ranking) == (True, [])


@pytest.mark.parametrize(
    ("ranking", "strengths", "is_all_bad"),
    [
        ([], [], False),
        ([["a"]], [], False),
        ([["a"], ["b"], ["b"]], [1, 1], False),
        ([["a"], [], ["b"]], [1, 1], False),
        ([["a"], ["b"]], [], False),
        ([["a"], ["b"]], [4], False),
        ([["a"], ["b"]], [0], False),
        ([["a", "b"]], [1], False),
        ([["a"], ["b"]], [1], True),
    ],
)
def test_a_verdict_that_does_not_name_each_candidate_once_with_its_strengths_is_refused(
    assignment, ranking, strengths, is_all_bad
):
    a, b = assignment.comparison.candidate_ids
    named = [[{"a": a, "b": b}[one] for one in tier] for tier in ranking]
    with pytest.raises(InvalidInput):
        judge(assignment, ranking=named, strengths=strengths, is_all_bad=is_all_bad)
    assert not Judgment.objects.exists()


def test_places_are_no_candidates(assignment):
    with pytest.raises(InvalidInput, match="candidates"):
        judge(assignment, ranking=[[0], [1]])


def test_criteria_are_checked_against_the_rubric(project, assignment):
    Criterion.objects.create(project=project, name="honest", question="Which is more honest?")
    a, b = assignment.comparison.candidate_ids
    verdict = {"ranking": [[a], [b]], "strengths": [1]}
    with pytest.raises(InvalidInput, match="honest"):
        judge(assignment, criteria={"funny": verdict})
    assert judge(assignment, criteria={"honest": verdict}).criteria == {"honest": verdict}


@pytest.mark.parametrize(
    ("rule", "strength", "is_asked"),
    [
        ("never", 3, False),
        ("optional", 3, False),
        ("strong", 2, False),
        ("strong", 3, True),
        ("always", 1, True),
    ],
)
def test_a_rationale_is_asked_for_by_the_rule_of_the_project(assignment, rule, strength, is_asked):
    Project.objects.update(rationale_rule=rule)
    refused = 0
    try:
        judge(assignment, strengths=[strength])
    except DomainError:
        refused = 1
    assert refused == is_asked


@pytest.mark.parametrize(
    ("scale", "strength", "is_asked"),
    [("five", 1, False), ("five", 2, True), ("three", 1, True), ("two", 1, True)],
)
def test_a_strong_answer_is_the_strongest_of_its_scale(assignment, scale, strength, is_asked):
    Project.objects.update(rationale_rule="strong", answer_scale=scale)
    refused = 0
    try:
        judge(assignment, strengths=[strength])
    except DomainError:
        refused = 1
    assert refused == is_asked


def test_active_time_is_capped_by_the_servers_clock(assignment):
    Assignment.objects.update(leased_at=timezone.now() - timedelta(seconds=10))
    judgment = judge(assignment, active_ms=10**9)
    assert 10_000 <= judgment.active_ms == judgment.elapsed_ms < 60_000


def test_a_negative_time_is_not_accepted(assignment):
    assert judge(assignment, active_ms=-5).active_ms == 0


def test_a_judgment_is_bound_to_the_guideline_in_force(project, assignment):
    Guideline.objects.create(project=project, version=1, text="one")
    newest = Guideline.objects.create(project=project, version=2, text="two")
    assert judge(assignment).guideline == newest


def test_a_submit_is_audited_and_costs_at_most_eight_queries(
    assignment, django_assert_max_num_queries
):
    with django_assert_max_num_queries(9):  # of these, two are the savepoint of the test
        judge(assignment)
    event = AuditEvent.objects.get(verb="judgment.submitted")
    assert event.data == {"is_counted": True}


def test_a_burst_of_judgments_rings_for_agreement_once(
    monkeypatch, project, assignment, django_capture_on_commit_callbacks
):
    rung = []
    monkeypatch.setattr(judging, "ring", lambda job, pk, **_options: rung.append((job, pk)))
    factories.comparison(factories.prompt(project))
    judge(assignment)
    judge(lease(project))
    assert rung == [(Job.REFRESH_AGREEMENT, project.pk)]
    AgreementBell.objects.update(rung_at=timezone.now() - timedelta(minutes=1))
    judging.ring_agreement(project.pk)
    assert len(rung) == 2


def test_undo_withdraws_the_judgment_and_leases_the_comparison_again(project, assignment):
    judgment = judge(assignment)
    reopened = judging.undo_last(project=project, labeler=assignment.labeler).assignment
    judgment.refresh_from_db()
    assert judgment.withdrawn_at is not None
    assert counts(assignment) == (1, 0, "open")
    assert queue.lease_next_comparison(project=project, labeler=assignment.labeler) == reopened


def test_after_an_undo_the_comparison_is_judged_anew(project, assignment):
    judge(assignment)
    undone = judging.undo_last(project=project, labeler=assignment.labeler)
    judge(undone.assignment, strengths=[1])
    assert counts(assignment) == (1, 1, "judged")
    assert Judgment.objects.filter(withdrawn_at=None).get().strengths == [1]


def test_a_judgment_in_a_snapshot_cannot_be_undone(project, assignment):
    judge(assignment)
    Judgment.objects.update(frozen_at=timezone.now())
    with pytest.raises(Conflict, match="snapshot"):
        judging.undo_last(project=project, labeler=assignment.labeler)
    assert counts(assignment) == (1, 1, "judged")


def test_a_surplus_judgment_can_be_undone_while_there_is_a_free_place(project, assignment):
    end_lease(assignment)
    judge(assignment)
    judging.undo_last(project=project, labeler=assignment.labeler)
    assert counts(assignment) == (1, 0, "open")


def test_a_surplus_judgment_stays_when_its_comparison_is_full(project, assignment):
    end_lease(assignment)
    judge(assignment)
    judge(lease(project))
    with pytest.raises(Conflict, match="full"):
        judging.undo_last(project=project, labeler=assignment.labeler)
    assert Judgment.objects.filter(withdrawn_at=None).count() == 2


def test_there_is_nothing_to_undo_before_the_first_judgment(project, assignment):
    with pytest.raises(NotFound):
        judging.undo_last(project=project, labeler=assignment.labeler)
