"""The hours statement has all time at work: of answers, of what was skipped, and of what was written."""

from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.models import Assignment, QueuePosition, TimeAtWork
from annotation.comparisons.services import judging, queue, skips
from annotation.demonstrations.models import Demonstration
from annotation.demonstrations.services import asking, writing
from annotation.projects.models import Role
from annotation.quality.numbers import days_of, numbers_of
from tests import factories

pytestmark = pytest.mark.django_db
A_MINUTE = 60_000


@pytest.fixture
def project():
    return factories.project(lease_seconds=900)


@pytest.fixture
def held(project, labeler):
    """A comparison that was leased a minute ago."""
    factories.comparison(factories.prompt(project))
    row = queue.lease_next_comparison(project=project, labeler=labeler)
    Assignment.objects.update(leased_at=timezone.now() - timedelta(minutes=1))
    row.refresh_from_db()
    return row


@pytest.fixture
def draft(project, labeler):
    """A text that was begun a minute ago."""
    factories.prompt(project)
    admin = factories.member(project, Role.ADMIN)
    wanted = asking.PromptFilter()
    asking.ask_to_write(project=project, wanted=wanted, per_prompt=1, actor=admin)
    row = writing.lease_next(project=project, author=labeler)
    Demonstration.objects.update(leased_at=timezone.now() - timedelta(minutes=1))
    row.refresh_from_db()
    return row


def a_minute_passes(labeler):
    """Since what they did last."""
    earlier = timezone.now() - timedelta(minutes=1)
    assert QueuePosition.objects.filter(labeler=labeler).update(answered_at=earlier)


def seconds(project, labeler):
    """The whole, which the days come to as well."""
    whole = numbers_of(project, labeler.pk).hours
    days = days_of(project, labeler.pk, zone=ZoneInfo("UTC"))
    assert sum(one.hours for one in days) == pytest.approx(whole)
    return pytest.approx(3600 * whole, abs=5)


def test_what_was_skipped_counts_no_more_than_passed(project, labeler, held):
    queue.skip_assignment(assignment=held, reason="language", active_ms=10**9)
    assert seconds(project, labeler) == 60


def test_of_the_time_that_passed_what_was_in_use_counts(project, labeler, held):
    queue.skip_assignment(assignment=held, reason="language", active_ms=7_000)
    assert seconds(project, labeler) == 7


def test_a_skip_that_is_sent_again_counts_once(project, labeler, held):
    for _ in range(2):
        queue.skip_assignment(assignment=held, reason="language", active_ms=20_000)
    assert seconds(project, labeler) == 20


def test_a_skip_that_waited_for_the_connection_counts_when_it_was_given(project, labeler, held):
    """Given half a minute ago, half a minute after it was leased."""
    queue.skip_assignment(assignment=held, reason="other", active_ms=10**9, age_ms=30_000)
    assert seconds(project, labeler) == 30
    ended = QueuePosition.objects.get(labeler=labeler).answered_at
    assert 29 < (timezone.now() - ended).total_seconds() < 60


def test_the_time_of_the_answer_after_begins_at_the_skip(project, labeler, held):
    queue.skip_assignment(assignment=held, reason="language", active_ms=10**9)
    factories.comparison(factories.prompt(project))
    after = queue.lease_next_comparison(project=project, labeler=labeler)
    Assignment.objects.filter(pk=after.pk).update(leased_at=held.leased_at)
    judged(after, active_ms=10**9)
    assert seconds(project, labeler) == 60


def judged(held, **fields):
    tiers = [[pk] for pk in held.comparison.candidate_ids]
    return judging.submit_judgment(
        assignment=held, client_uuid=uuid4(), ranking=tiers, strengths=[1], **fields
    )


def test_a_skip_that_was_undone_keeps_its_time(project, labeler, held):
    skipped = queue.skip_assignment(assignment=held, reason="other", active_ms=20_000)
    opened = skips.undo_skip(assignment=skipped)
    a_minute_passes(labeler)
    Assignment.objects.update(leased_at=timezone.now() - timedelta(minutes=1))
    judged(opened, active_ms=15_000)
    assert seconds(project, labeler) == 35


def test_what_is_written_counts_save_by_save(project, labeler, draft):
    writing.save_draft(demonstration=draft, text="One", active_ms=10**9)
    a_minute_passes(labeler)
    writing.submit(demonstration=draft, client_uuid=uuid4(), text="One two", active_ms=30_000)
    assert seconds(project, labeler) == 90
    draft.refresh_from_db()
    assert draft.active_ms == pytest.approx(90_000, abs=5_000)


def test_a_text_that_is_skipped_keeps_its_time(project, labeler, draft):
    writing.skip(demonstration=draft, reason="language", active_ms=25_000)
    assert seconds(project, labeler) == 25


def test_the_same_minutes_are_not_told_twice_by_writing_and_judging(project, labeler, held, draft):
    writing.save_draft(demonstration=draft, text="One", active_ms=10**9)
    queue.skip_assignment(assignment=held, reason="language", active_ms=10**9)
    assert seconds(project, labeler) == 60


def test_a_save_without_time_takes_none_from_a_comparison(project, labeler, held, draft):
    writing.save_draft(demonstration=draft, text="One")
    queue.skip_assignment(assignment=held, reason="language", active_ms=10**9)
    assert seconds(project, labeler) == 60


def test_a_text_written_on_two_days_has_its_time_on_both(project, labeler, draft):
    writing.save_draft(demonstration=draft, text="One", active_ms=A_MINUTE)
    TimeAtWork.objects.update(quarter=timezone.now() - timedelta(days=1))
    a_minute_passes(labeler)
    writing.save_draft(demonstration=draft, text="One two", active_ms=30_000)
    days = days_of(project, labeler.pk, zone=ZoneInfo("UTC"))
    assert [round(3600 * one.hours) for one in days] == [30, 60]


def test_a_quarter_of_an_hour_lies_on_one_day_of_every_zone(project, labeler, held):
    """Kathmandu is 5:45 ahead."""
    queue.skip_assignment(assignment=held, reason="language", active_ms=1)
    TimeAtWork.objects.update(quarter="2026-03-01T18:15:00Z", active_ms=A_MINUTE)
    (day,) = days_of(project, labeler.pk, zone=ZoneInfo("Asia/Kathmandu"))
    assert (day.day.isoformat(), day.judgments) == ("2026-03-02", 0)


def test_it_is_summed_by_quarters_of_an_hour(project, labeler, held):
    queue.skip_assignment(assignment=held, reason="language", active_ms=5_000)
    factories.comparison(factories.prompt(project))
    a_minute_passes(labeler)
    again = queue.lease_next_comparison(project=project, labeler=labeler)
    Assignment.objects.filter(pk=again.pk).update(leased_at=held.leased_at)
    again.refresh_from_db()
    TimeAtWork.objects.update(quarter=_quarter(timezone.now()))
    queue.skip_assignment(assignment=again, reason="language", active_ms=6_000)
    assert sum(TimeAtWork.objects.values_list("active_ms", flat=True)) == 11_000
    assert all(one.quarter == _quarter(one.quarter) for one in TimeAtWork.objects.all())


def _quarter(moment):
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def test_the_api_takes_the_time_of_a_skip(api, project, labeler, held):
    api.force_authenticate(labeler)
    url = reverse("api-assignment-skip", args=[project.pk, held.pk])
    for wrong in (-1, "long"):
        refused = api.post(url, {"reason": "other", "active_ms": wrong}, format="json")
        assert refused.status_code == 400
    sent = {"reason": "other", "active_ms": 12_000, "age_ms": 0}
    assert api.post(url, sent, format="json").status_code == 200
    mine = api.get(reverse("api-my-work", args=[project.pk])).json()
    assert 3600 * mine["hours"] == pytest.approx(12)
    assert [(one["judgments"], 3600 * one["hours"]) for one in mine["days"]] == [
        (0, pytest.approx(12))
    ]


def test_the_api_takes_the_time_of_a_text_that_is_skipped(api, project, labeler, draft):
    api.force_authenticate(labeler)
    url = reverse("api-demonstration-skip", args=[project.pk, draft.pk])
    sent = {"reason": "other", "active_ms": 12_000}
    assert api.post(url, sent, format="json").status_code == 200
    assert seconds(project, labeler) == 12


def test_the_plain_form_of_a_text_tells_its_time_with_the_skip(client, project, labeler, draft):
    client.force_login(labeler)
    url = reverse("demonstrations-work", args=[project.pk, draft.pk])
    client.post(url, {"reason": "other", "active_ms": "12000"})
    assert seconds(project, labeler) == 12


def test_the_pages_tell_a_day_without_an_answer(client, project, labeler, held):
    queue.skip_assignment(assignment=held, reason="language", active_ms=36_000)
    client.force_login(labeler)
    page = client.get(reverse("quality-my-work", args=[project.pk])).text
    assert page.count("36 s") == 2  # the whole and the day
    table = client.get(reverse("quality-my-hours", args=[project.pk]))
    assert b"".join(table.streaming_content).decode().splitlines()[1].endswith(",0,0.01")
    client.force_login(factories.member(project, Role.ADMIN))
    page = client.get(reverse("quality-labeler", args=[project.pk, labeler.pk])).text
    assert "<td>0</td><td>0.01</td>" in page
