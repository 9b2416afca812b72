"""What is mixed into the queue unseen (gold, swapped repeats), who gets it, and what a request of it costs."""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons import claims
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.selectors import standing_judgments
from annotation.comparisons.services import judging, pairing, queue
from annotation.comparisons.stations import station_of
from annotation.comparisons.verdicts import Answer
from annotation.core.errors import Conflict, InvalidInput
from annotation.projects.models import Membership, Project
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return factories.project(overlap=1, min_reading_seconds=0)


def comparisons(project: Project, count: int, **fields: Any) -> list[Comparison]:
    prompt = factories.prompt(project)
    return [factories.comparison(prompt, **fields) for _ in range(count)]


def gold(project: Project) -> Comparison:
    (row,) = comparisons(project, 1, kind="gold")
    Comparison.objects.filter(pk=row.pk).update(
        known_ranking={"ranking": [[pk] for pk in row.candidate_ids]}
    )
    return row


def membership(labeler: User, **fields: Any) -> None:
    Membership.objects.filter(user=labeler).update(**fields)


def next_of(project: Project, labeler: User) -> Assignment:
    found = queue.lease_next_comparison(project=project, labeler=labeler)
    assert isinstance(found, Assignment), found
    return found


def why_empty(project: Project, labeler: User) -> queue.EmptyQueue:
    found = queue.lease_next_comparison(project=project, labeler=labeler)
    assert isinstance(found, queue.EmptyQueue), found
    return found


def answer(assignment: Assignment, **fields: Any) -> judging.Answered:
    ranking = [[pk] for pk in assignment.comparison.candidate_ids]
    given = Answer(**{"client_uuid": uuid4(), "ranking": ranking, "strengths": [1], **fields})
    return judging.answer_and_serve(
        labeler=assignment.labeler,
        project_id=assignment.project_id,
        assignment_id=assignment.pk,
        answer=given,
    )


def test_gold_is_mixed_in_takes_no_place_and_is_never_counted(project, labeler):
    Project.objects.update(gold_share=1.0)
    known = gold(project)
    comparisons(project, 2)
    answered = answer(next_of(project, labeler))
    (served,) = answered.served.leases
    assert (served.assignment.comparison_id, served.assignment.is_training) == (known.pk, False)
    judged = answer(served.assignment)
    assert (judged.judgment.is_counted, judged.is_late, judged.feedback) == (False, False, None)
    known.refresh_from_db()
    assert (known.slots_taken, known.judgments_counted, known.state) == (0, 0, "open")
    assert known.pk not in standing_judgments(project).values_list("comparison", flat=True)


def test_gold_is_seen_once_by_each_and_by_many(project):
    known = gold(project)
    Project.objects.update(gold_share=1.0)
    comparisons(project, 6)
    for labeler in (factories.member(project), factories.member(project)):
        lease = answer(next_of(project, labeler)).served.leases[0].assignment
        assert lease.comparison_id == known.pk
        after = answer(lease).served.leases[0].assignment
        assert after.comparison_id != known.pk


def test_who_must_qualify_trains_on_gold_with_feedback_and_is_then_served(project, labeler):
    Project.objects.update(must_qualify=True)
    known = gold(project)
    comparisons(project, 1)
    assignment = next_of(project, labeler)
    assert (assignment.comparison_id, assignment.is_training) == (known.pk, True)
    wrong = [[pk] for pk in reversed(known.candidate_ids)]
    answered = answer(assignment, ranking=wrong)
    assert answered.feedback is not None
    assert (answered.feedback.is_right, answered.feedback.ranking) == (
        False,
        [[pk] for pk in known.candidate_ids],
    )
    assert answered.served.empty is not None
    assert answered.served.empty.reason == "not_qualified"
    membership(labeler, qualified_at=timezone.now())
    assert next_of(project, labeler).is_training is False


def test_a_training_answer_is_not_undone(project, labeler):
    Project.objects.update(must_qualify=True)
    gold(project)
    answer(next_of(project, labeler))
    with pytest.raises(Conflict, match="training"):
        judging.undo_last(project=project, labeler=labeler)


def test_a_repeat_swaps_the_sides_of_what_was_judged_and_is_never_counted(
    project, labeler, monkeypatch
):
    monkeypatch.setattr(claims, "REPEAT_AFTER", 0)
    Project.objects.update(repeat_share=1.0)
    first, _ = comparisons(project, 2)
    before = next_of(project, labeler)
    repeat = answer(before).served.leases[0].assignment
    assert repeat.is_repeat
    assert repeat.comparison_id == before.comparison_id
    assert repeat.shown_order == list(reversed(before.shown_order))
    judged = answer(repeat)
    assert (judged.judgment.is_repeat, judged.judgment.is_counted, judged.is_late) == (
        True,
        False,
        False,
    )
    first.refresh_from_db()
    assert (first.slots_taken, first.judgments_counted) == (1, 1)
    assert judged.served.leases[0].assignment.is_repeat is False, "each is repeated once"


def test_a_repeat_that_is_skipped_or_runs_out_frees_no_place(project, labeler, monkeypatch):
    monkeypatch.setattr(claims, "REPEAT_AFTER", 0)
    Project.objects.update(repeat_share=1.0)
    first, _ = comparisons(project, 2)
    repeat = answer(next_of(project, labeler)).served.leases[0].assignment
    Assignment.objects.filter(pk=repeat.pk).update(lease_until=timezone.now())
    assert queue.expire_leases() == 1
    queue.skip_assignment(assignment=repeat, reason="other")
    first.refresh_from_db()
    assert first.slots_taken == 1


def test_gold_and_repeats_look_like_any_other_to_the_labeler(project, labeler, monkeypatch):
    monkeypatch.setattr(claims, "REPEAT_AFTER", 0)
    page = Client()
    page.force_login(labeler)
    comparisons(project, 6)
    gold(project)
    url = reverse("api-assignment-next", args=[project.pk])
    plain = page.post(url).json()
    lease = plain["assignment"]
    shapes = [_shape(plain)]
    for share in ({"gold_share": 1.0}, {"gold_share": 0.0, "repeat_share": 1.0}, {}):
        Project.objects.update(**share)
        first, second = (one["id"] for one in lease["candidates"])
        body = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [1]}
        target = reverse("api-assignment-judgment", args=[project.pk, lease["id"]])
        told = page.post(target, body, content_type="application/json").json()
        assert told["judgment"]["is_counted"] is True
        lease = told["assignment"]
        shapes.append(_shape(told))
    assert set(Assignment.objects.values_list("takes_place", flat=True)) == {True, False}
    assert len(set(shapes)) == 1


def _shape(told: dict[str, Any]) -> tuple[str | int, ...]:
    """What the labeler is sent of a lease, and of how many comparisons they are told."""
    how_far = told["progress"]
    return (*sorted(told["assignment"]), how_far["judged_today"] + how_far["remaining"])


def test_what_is_in_hand_remains_even_where_all_else_is_counted_as_done(project, labeler):
    Project.objects.update(gold_share=1.0)
    gold(project)
    comparisons(project, 1)
    client = Client()
    client.force_login(labeler)
    lease = posted(client, "api-assignment-next", [project.pk])["assignment"]
    first, second = (one["id"] for one in lease["candidates"])
    body = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [1]}
    told = posted(client, "api-assignment-judgment", [project.pk, lease["id"]], body)
    assert told["progress"] == {"judged_today": 1, "remaining": 1, "is_more": False}


def test_a_labeler_is_served_the_languages_they_named(project, labeler):
    comparisons(project, 2, language="fr")
    (german,) = comparisons(project, 1, language="de-CH")
    (austrian,) = comparisons(project, 1, language="de_AT")
    (unknown,) = comparisons(project, 1)
    membership(labeler, languages=["de"])
    assert next_of(project, labeler).comparison_id == german.pk
    assert answer(next_of(project, labeler)).served.leases[0].assignment.comparison == austrian
    assert answer(next_of(project, labeler)).served.leases[0].assignment.comparison == unknown
    answered = answer(next_of(project, labeler))
    assert answered.served.empty is not None
    assert answered.served.empty.reason == "other_languages"


@pytest.mark.parametrize("order", ["breadth_first", "depth_first"])
def test_several_languages_are_one_queue_and_what_remains_is_counted_in_them(
    project, labeler, order
):
    Project.objects.update(serving_order=order)
    codes = ["fr", "de-CH", "", "en", "fr"]
    french, german, unknown, _, urgent = (
        comparisons(project, 1, language=code)[0] for code in codes
    )
    Comparison.objects.filter(pk=urgent.pk).update(priority=5)
    membership(labeler, languages=["de", "fr-ca", "fr"])
    station = station_of(labeler=labeler, project_id=project.pk)
    served = queue.serve(station=station, ahead=3)
    expected = [urgent.pk, french.pk, german.pk, unknown.pk]
    assert [one.comparison_id for one in served.leases] == expected
    client = Client()
    client.force_login(labeler)
    assert posted(client, "api-assignment-next", [project.pk])["progress"]["remaining"] == 4


def test_a_paused_labeler_is_told_so_with_the_reason(project, labeler):
    comparisons(project, 1)
    membership(labeler, paused_at=timezone.now(), pause_reason="Please read version 3 first.")
    empty = why_empty(project, labeler)
    assert empty.reason == "you_are_paused"
    assert "version 3" in empty.message


def test_depth_first_finishes_what_was_begun(project):
    Project.objects.update(serving_order="depth_first")
    first, second = comparisons(project, 2, overlap=3)
    order = [next_of(project, factories.member(project)).comparison_id for _ in range(6)]
    assert order == [first.pk] * 3 + [second.pk] * 3


def test_what_lies_behind_the_front_is_found_depth_first_too(project, labeler, monkeypatch):
    monkeypatch.setattr(claims, "WINDOW", 3)
    Project.objects.update(serving_order="depth_first")
    rows = comparisons(project, 12, overlap=2)
    served = []
    lease = next_of(project, labeler)
    for _ in rows[1:]:
        served.append(lease.comparison_id)
        lease = answer(lease).served.leases[0].assignment
    assert [*served, lease.comparison_id] == [row.pk for row in rows]


@pytest.mark.parametrize(
    ("scale", "strength", "is_taken"),
    [
        ("seven", 3, True),
        ("five", 2, True),
        ("five", 3, False),
        ("three", 1, True),
        ("three", 2, False),
        ("two", 1, True),
        ("two", 2, False),
    ],
)
def test_strengths_beyond_the_scale_are_refused(project, labeler, scale, strength, is_taken):
    Project.objects.update(answer_scale=scale)
    comparisons(project, 1)
    assignment = next_of(project, labeler)
    with suppress(InvalidInput):
        answer(assignment, strengths=[strength])
    assert Judgment.objects.exists() is is_taken


def test_a_scale_of_two_takes_no_tie(project, labeler):
    Project.objects.update(answer_scale="two")
    comparisons(project, 1)
    assignment = next_of(project, labeler)
    with pytest.raises(InvalidInput, match="choice"):
        answer(assignment, ranking=[assignment.comparison.candidate_ids], strengths=[])


def test_a_share_of_comparisons_drawn_by_their_candidates_gets_the_overlap(project):
    Project.objects.update(overlap=3, overlap_share=0.3)
    project.refresh_from_db()
    prompt = factories.prompt(project, language="de")
    for _ in range(30):
        factories.candidate(prompt)
    made = pairing.pair_candidates(project=project, prompt=prompt, strategy="all_pairs")
    drawn = [row for row in made if row.kind == "overlap"]
    assert {(row.kind, row.overlap) for row in made} == {("overlap", 3), ("normal", 1)}
    assert 0.2 < len(drawn) / len(made) < 0.4
    assert {row.language for row in made} == {"de"}
    again = {
        tuple(row.candidate_ids)
        for row in made
        if pairing.is_in_overlap(project, row.candidate_ids)
    }
    assert again == {tuple(row.candidate_ids) for row in drawn}


def test_time_ahead_of_the_screen_is_not_counted_as_time_of_the_answer(project, labeler):
    comparisons(project, 2)
    served = queue.serve(station=station_of(labeler=labeler, project_id=project.pk), ahead=1)
    first, second = (one.assignment for one in served.leases)
    past = timezone.now() - timedelta(minutes=5)
    Assignment.objects.update(leased_at=past)
    answer(first)
    assert answer(second).judgment.elapsed_ms < 60_000


@pytest.fixture
def page(labeler) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(labeler)
    client.cookies["csrftoken"] = "c" * 32
    return client


def posted(page: Client, name: str, keys: list[int], body: Any = None, query: str = "") -> Any:
    url = reverse(name, args=keys) + query
    headers = {"X-CSRFToken": "c" * 32}
    return page.post(url, body, content_type="application/json", headers=headers).json()


@pytest.mark.parametrize("query", ["", "?bench=1&ahead=2"])
def test_next_and_an_answer_cost_few_statements_with_sign_in_and_all(
    page, project, django_assert_max_num_queries, query
):
    comparisons(project, 5)
    with django_assert_max_num_queries(5):  # session, user, labeler, lease, what remains
        lease = posted(page, "api-assignment-next", [project.pk], query=query)["assignment"]
    first, second = (one["id"] for one in lease["candidates"])
    body = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [1]}
    keys = [project.pk, lease["id"]]
    with django_assert_max_num_queries(7):  # session, user, lock, store, lease; begin and commit
        told = posted(page, "api-assignment-judgment", keys, body, query=query)
    assert told["assignment"]["id"] != lease["id"]


def counted_submit(page: Client, project: Project, labeler: User) -> tuple[Any, int]:
    """What a submit answers, and how many statements it cost."""
    lease = posted(page, "api-assignment-next", [project.pk])["assignment"]
    first, second = (one["id"] for one in lease["candidates"])
    body = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [1]}
    with CaptureQueriesContext(connection) as asked:
        told = posted(page, "api-assignment-judgment", [project.pk, lease["id"]], body)
    return told, len(asked)


def test_a_submit_that_is_followed_by_gold_costs_eight_statements_at_most(page, project, labeler):
    comparisons(project, 2)
    known = gold(project)
    project.gold_share = 1.0
    project.save()
    told, statements = counted_submit(page, project, labeler)
    assert told["assignment"]["comparison"] == known.pk
    assert statements <= 8


def test_a_submit_that_is_followed_by_a_repeat_costs_eight_statements_at_most(
    page, project, labeler, monkeypatch
):
    monkeypatch.setattr(claims, "REPEAT_AFTER", 0)
    comparisons(project, 3)
    project.repeat_share = 1.0
    project.save()
    told, statements = counted_submit(page, project, labeler)
    assert told["assignment"]["comparison"] == told["judgment"]["comparison"]
    assert statements <= 8


def test_a_submit_that_finds_the_queue_empty_costs_eight_statements_at_most(page, project, labeler):
    comparisons(project, 1)
    told, statements = counted_submit(page, project, labeler)
    assert told["empty"]["reason"] == "all_judged"
    assert statements <= 8


def test_an_empty_queue_costs_no_more_than_six_statements(
    page, project, django_assert_max_num_queries
):
    comparisons(project, 1)
    next_of(project, factories.member(project))
    with django_assert_max_num_queries(6):
        assert posted(page, "api-assignment-next", [project.pk])["empty"]["reason"] == "with_others"
