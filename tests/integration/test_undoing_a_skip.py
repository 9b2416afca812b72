"""What a labeler did last, to read and to undo: what they skipped is leased to them again while it is open for them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services import judging, queue, skips
from annotation.comparisons.stations import station_of
from annotation.core.errors import Conflict, NotFound
from annotation.projects.models import Membership, Project
from annotation.quality.latest import latest_of
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(overlap=1)


@pytest.fixture
def skipped(project, labeler):
    factories.comparison(factories.prompt(project))
    held = queue.lease_next_comparison(project=project, labeler=labeler)
    return queue.skip_assignment(assignment=held, reason="upsetting")


@pytest.fixture
def address(project):
    return reverse("api-judgment-undo", args=[project.pk])


@pytest.fixture
def mine(client, labeler):
    client.force_login(labeler)
    return client


def judged(project, labeler):
    factories.comparison(factories.prompt(project))
    return answered(queue.lease_next_comparison(project=project, labeler=labeler))


def answered(held):
    tiers = [[pk] for pk in held.comparison.candidate_ids]
    return judging.submit_judgment(
        assignment=held, client_uuid=uuid4(), ranking=tiers, strengths=[1]
    )


def several_skipped(project, labeler, count):
    for _ in range(count):
        factories.comparison(factories.prompt(project))
        held = queue.lease_next_comparison(project=project, labeler=labeler)
        yield queue.skip_assignment(assignment=held, reason="unclear_prompt")


def test_it_is_leased_again_as_it_was_shown_and_answered_nothing_of_the_skip_is_left(
    project, labeler, skipped
):
    opened = skips.undo_skip(assignment=skipped)
    assert opened == skipped
    assert (opened.shown_order, opened.state) == (skipped.shown_order, "leased")
    assert queue.lease_next_comparison(project=project, labeler=labeler) == opened
    assert Comparison.objects.get().slots_taken == 1
    assert AuditEvent.objects.filter(verb="assignment.unskipped", actor=labeler).count() == 1
    answered(opened)
    opened.refresh_from_db()
    assert (opened.skip_reason, opened.skipped_at) == ("", None)


def test_undo_takes_the_newest_act_back_be_it_a_skip_or_a_judgment(project, labeler, skipped):
    judgment = judged(project, labeler)
    first = judging.undo_last(project=project, labeler=labeler)
    assert (first.assignment.pk, first.was_skipped) == (judgment.assignment_id, False)
    second = judging.undo_last(project=project, labeler=labeler)
    assert (second.assignment, second.was_skipped) == (skipped, True)
    with pytest.raises(NotFound):
        judging.undo_last(project=project, labeler=labeler)


GONE_BY = {
    "other labelers have all places": lambda: Comparison.objects.update(slots_taken=1),
    "withdrawn by now": lambda: Comparison.objects.update(state="closed"),
    "its batch is held back": lambda: Comparison.objects.update(state="held"),
    "not for you any more": lambda: Project.objects.update(must_qualify=True),
    "is paused": lambda: Project.objects.update(is_paused=True),
}


@pytest.mark.parametrize("why", GONE_BY)
def test_what_is_not_open_for_them_any_more_stays_skipped_and_they_read_why(
    project, labeler, skipped, why
):
    GONE_BY[why]()
    with pytest.raises(Conflict, match=why) as refused:
        judging.undo_last(project=project, labeler=labeler)
    assert str(refused.value).startswith("Your skip stays")
    skipped.refresh_from_db()
    assert skipped.state == "skipped"


@pytest.mark.parametrize(("is_gold", "is_repeat"), [(True, False), (False, True)])
def test_gold_and_repeats_come_back_without_a_place(skipped, is_gold, is_repeat):
    Comparison.objects.update(kind="gold" if is_gold else "normal", slots_taken=is_repeat)
    Assignment.objects.update(is_repeat=is_repeat, takes_place=is_gold)
    opened = skips.undo_skip(assignment=skipped)
    assert not opened.takes_place
    assert Comparison.objects.get().slots_taken == is_repeat


def test_named_it_may_be_asked_again_and_takes_nothing_else_back(
    mine, project, labeler, skipped, address
):
    judgment = judged(project, labeler)
    for _ in range(2):
        reply = mine.post(address, {"assignment": skipped.pk}, content_type="application/json")
        told = reply.json()
        assert (told["reopened"], told["was_skipped"]) == (skipped.pk, True)
    judgment.refresh_from_db()
    assert judgment.withdrawn_at is None
    assert Comparison.objects.get(pk=skipped.comparison_id).slots_taken == 1
    Assignment.objects.update(lease_until=timezone.now())
    told = mine.post(address, {"assignment": skipped.pk}, content_type="application/json").json()
    assert (told["reopened"], told["was_skipped"]) == (None, False)


def test_a_skip_of_someone_else_does_not_exist_for_you_and_two_names_are_one_too_many(
    client, project, skipped, address
):
    client.force_login(factories.member(project))
    for body, status in (
        ({"assignment": skipped.pk}, 404),
        ({"assignment": skipped.pk, "client_uuid": str(uuid4())}, 400),
    ):
        assert client.post(address, body, content_type="application/json").status_code == status
    skipped.refresh_from_db()
    assert skipped.state == "skipped"


def test_the_plain_form_undoes_a_skip_and_shows_it_first(mine, project, labeler, skipped):
    judged(project, labeler)
    factories.comparison(factories.prompt(project))
    mine.get(reverse("comparisons-label", args=[project.pk]))
    answer = mine.post(
        reverse("comparisons-undo", args=[project.pk]), {"assignment": skipped.pk}, follow=True
    )
    first = f'data-assignment="{skipped.pk}"'
    page = answer.content.decode()
    assert f'data-reopened="{skipped.pk}"' in page
    assert page.index("data-assignment=") == page.index(first)
    wrong = mine.post(reverse("comparisons-undo", args=[project.pk]), {"assignment": "x"})
    assert wrong.status_code == 404


def test_what_cannot_be_opened_leaves_what_is_open(mine, project, labeler):
    first, full = several_skipped(project, labeler, 2)
    undo = reverse("comparisons-undo", args=[project.pk])
    mine.post(undo, {"assignment": first.pk})
    Comparison.objects.filter(pk=full.comparison_id).update(slots_taken=1)
    mine.post(undo, {"assignment": full.pk})
    first.refresh_from_db()
    assert first.state == "leased"


def test_an_opened_skip_that_expired_and_is_leased_anew_is_an_ordinary_lease(
    mine, project, labeler
):
    (row,) = several_skipped(project, labeler, 1)
    mine.post(reverse("comparisons-undo", args=[project.pk]), {"assignment": row.pk})
    Assignment.objects.update(lease_until=timezone.now())
    queue.expire_leases()
    again = queue.lease_next_comparison(project=project, labeler=labeler)
    assert (again.pk, again.skip_reason, again.skipped_at) == (row.pk, "", None)


def test_my_work_has_one_skip_open_at_a_time_and_leaves_the_others_as_they_were(
    mine, project, labeler
):
    rows = list(several_skipped(project, labeler, 3))
    for row in rows:
        mine.post(reverse("comparisons-undo", args=[project.pk]), {"assignment": row.pk})
    leased = project.assignments.filter(state="leased", skipped_at__isnull=False)
    assert leased.get() == rows[-1]
    assert list(project.comparisons.order_by("pk").values_list("slots_taken", flat=True)) == [
        0,
        0,
        1,
    ]
    left = project.assignments.get(pk=rows[0].pk)
    assert (left.state, left.skip_reason) == ("skipped", "unclear_prompt")
    assert left.skipped_at == rows[0].skipped_at
    assert [one.key for one in latest_of(project, labeler.pk, "1").acts] == [rows[1].pk, rows[0].pk]
    judgment = judged(project, labeler)
    named = {"client_uuid": judgment.client_uuid}
    mine.post(reverse("comparisons-undo", args=[project.pk]), named)
    assert not leased.exists()


def test_by_the_key_a_few_are_open_at_once_and_then_they_read_that_these_come_first(
    project, labeler
):
    rows = list(several_skipped(project, labeler, skips.MOST_OPENED + 1))
    for _ in range(skips.MOST_OPENED):
        judging.undo_last(project=project, labeler=labeler)
    with pytest.raises(Conflict, match=r"Your skip stays: .*Answer or skip these first"):
        judging.undo_last(project=project, labeler=labeler)
    rows[-1].refresh_from_db()
    answered(rows[-1])
    assert skips.undo_skip(assignment=rows[0]) == rows[0]


def test_while_it_is_open_again_nobody_is_warned_by_why_it_was_skipped(project, labeler, skipped):
    Comparison.objects.update(overlap=2)
    skips.undo_skip(assignment=skipped)
    other = station_of(labeler=factories.member(project), project_id=project.pk)
    assert [one.row.is_upsetting for one in queue.serve(station=other).leases] == [False]


def test_my_work_lists_what_i_did_last_and_opens_again_what_can_be(mine, project, labeler, skipped):
    mine_to_read = reverse("quality-my-work", args=[project.pk])
    row = judged(project, labeler)
    row.comparison.prompt.turns[-1]["content"] = "Which tea calms?"
    row.comparison.prompt.save()
    factories.judgment(row.comparison, rationale="Of another.")
    page = mine.get(mine_to_read).content.decode()
    assert page.index("Which tea calms?") < page.index("Upsetting")
    assert "A › B" in page or "B › A" in page
    for name, key in (("client_uuid", row.client_uuid), ("assignment", skipped.pk)):
        assert f'name="{name}" value="{key}"' in page
    assert "Of another." not in page
    Judgment.objects.update(frozen_at=timezone.now())
    Comparison.objects.update(slots_taken=1)
    assert "Open again" not in mine.get(mine_to_read).content.decode()
    answer = mine.post(
        reverse("comparisons-undo", args=[project.pk]), {"assignment": skipped.pk}, follow=True
    )
    assert "Your skip stays: other labelers have all places" in answer.content.decode()


def test_the_list_of_what_i_did_costs_the_same_for_few_and_many(
    project, labeler, django_assert_num_queries
):
    for count in (1, 12):
        for _ in range(count):
            judged(project, labeler)
        with django_assert_num_queries(5):
            found = latest_of(project, labeler.pk, "1")
    assert (len(found.acts), found.page.paginator.num_pages) == (10, 2)


def test_what_an_admin_decided_stays_as_i_said_it_until_that_is_undone(
    project, labeler, address, mine
):
    row = judged(project, labeler)
    project.adjudications.create(comparison=row.comparison, cause="labeler_error", is_all_bad=True)
    assert [one.key for one in latest_of(project, labeler.pk, "1").acts] == [None]
    for body in ({}, {"client_uuid": str(row.client_uuid)}):
        reply = mine.post(address, body, content_type="application/json")
        assert reply.status_code == 409
        assert "An admin has decided this comparison" in reply.content.decode()
    project.adjudications.update(undone_at=timezone.now())
    assert [one.key for one in latest_of(project, labeler.pk, "1").acts] == [row.client_uuid]
    judging.undo_last(project=project, labeler=labeler)
    row.refresh_from_db()
    assert row.withdrawn_at


@pytest.mark.parametrize(
    ("state", "seen"), [("leased", 0), ("skipped", 0), ("expired", 0), ("submitted", 1)]
)
def test_what_i_am_asked_again_is_not_there_to_be_copied(project, labeler, state, seen):
    row = judged(project, labeler)
    project.assignments.create(
        state=state,
        comparison=row.comparison,
        labeler=labeler,
        is_repeat=True,
        takes_place=False,
        shown_order=row.shown_order[::-1],
        lease_until=timezone.now() + timedelta(minutes=5),
    )
    assert len(latest_of(project, labeler.pk, "1").acts) == seen


@pytest.mark.parametrize("takes_place", [True, False])
def test_a_skip_is_offered_for_a_day_whatever_was_skipped(project, labeler, skipped, takes_place):
    Assignment.objects.update(takes_place=takes_place)
    assert [one.key for one in latest_of(project, labeler.pk, "1").acts] == [skipped.pk]
    Assignment.objects.update(skipped_at=timezone.now() - timedelta(days=1, minutes=1))
    assert [one.key for one in latest_of(project, labeler.pk, "1").acts] == [None]


def test_the_overview_counts_what_waits_for_me_as_the_labeling_page_does(
    mine, project, labeler, skipped, django_assert_max_num_queries
):
    overview, api = (
        reverse(f"{name}", args=[project.pk]) for name in ("overview-project", "api-overview")
    )
    assert "You have done all that you can judge here." in mine.get(overview).content.decode()
    own = factories.comparison(factories.prompt(project))
    own.candidates.update(author=labeler)  # nobody judges what they wrote
    for _ in range(3):
        factories.comparison(factories.prompt(project))
    judged(project, labeler)
    with django_assert_max_num_queries(25):
        page = mine.get(overview).content.decode()
    left = mine.post(reverse("api-assignment-next", args=[project.pk])).json()["progress"]
    assert f"{left['remaining']} comparisons wait for you." in page
    assert left["remaining"] == 3
    Membership.objects.update(paused_at=timezone.now(), pause_reason="Let us talk.")
    assert "Let us talk." in mine.get(api).json()["next_steps"][0]["why"]


def test_an_answer_that_came_too_late_is_shown_as_surplus(project, labeler, mine):
    factories.comparison(factories.prompt(project))
    held = queue.lease_next_comparison(project=project, labeler=labeler)
    Assignment.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    answered(held)
    judged(project, labeler)
    assert [one.is_surplus for one in latest_of(project, labeler.pk, "1").acts] == [False, True]
    page = mine.get(reverse("quality-my-work", args=[project.pk])).text
    assert page.count("surplus, not counted") == 1


@pytest.mark.parametrize(("kind", "is_repeat"), [("gold", False), ("normal", True)])
def test_gold_and_repeats_are_not_told_by_that(project, labeler, kind, is_repeat):
    """They are never counted, in time or not."""
    comparison = factories.comparison(factories.prompt(project), kind=kind)
    held = Assignment.objects.create(
        project=project,
        comparison=comparison,
        labeler=labeler,
        takes_place=False,
        is_repeat=is_repeat,
        shown_order=comparison.candidate_ids,
        lease_until=timezone.now() + timedelta(minutes=5),
    )
    assert not answered(held).is_counted
    assert [one.is_surplus for one in latest_of(project, labeler.pk, "1").acts] == [False]
