"""Each person's day begins at midnight where they live, and pages show times as the clocks there do."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.models import User
from annotation.accounts.services import set_time_zone
from annotation.accounts.zones import start_of_day
from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Assignment, Judgment, QueuePosition
from annotation.comparisons.progress import progress_of
from annotation.comparisons.services import judging, queue
from annotation.comparisons.stations import station_of
from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.quality import rules
from annotation.quality.numbers import days_of
from tests import factories

pytestmark = pytest.mark.django_db
TOKYO, LOS_ANGELES = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/Los_Angeles")
NOON_IN_TOKYO = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
MIDNIGHT_UTC = datetime(2026, 3, 10, 0, 0, tzinfo=UTC)


@pytest.fixture
def project():
    return factories.project(overlap=1)


def set_clock(monkeypatch, moment: datetime) -> None:
    monkeypatch.setattr(timezone, "now", lambda: moment)


def answer_at(monkeypatch, project, labeler: User, moment: datetime) -> Judgment:
    """A new comparison, judged at this moment."""
    set_clock(monkeypatch, moment)
    factories.comparison(factories.prompt(project))
    lease = queue.serve(station=station_of(labeler=labeler, project_id=project.pk)).leases[0]
    first, second = lease.assignment.comparison.candidate_ids
    return judging.submit_judgment(
        assignment=lease.assignment, client_uuid=uuid4(), ranking=[[first], [second]], strengths=[2]
    )


def judged_today(project, labeler: User) -> int:
    station = station_of(labeler=labeler, project_id=project.pk)
    found = progress_of(
        project_id=project.pk, labeler=labeler, languages=[], done=station.done, held=0
    )
    return found.judged_today


@pytest.mark.parametrize("hours", [-2, 2])
def test_the_day_of_a_labeler_does_not_end_at_midnight_of_another_zone(monkeypatch, project, hours):
    """9 in the morning in Tokyo is midnight in UTC: answers on both sides of it are of one day."""
    labeler = factories.member(project, time_zone="Asia/Tokyo")
    answer_at(monkeypatch, project, labeler, MIDNIGHT_UTC - timedelta(hours=2))
    answer_at(monkeypatch, project, labeler, MIDNIGHT_UTC + timedelta(hours=hours))
    assert judged_today(project, labeler) == 2


def test_the_day_of_a_labeler_ends_at_midnight_of_theirs(monkeypatch, project):
    """23:00 and 01:00 in Los Angeles (UTC-7) are one day in UTC, and two for the labeler."""
    labeler = factories.member(project, time_zone="America/Los_Angeles")
    answer_at(monkeypatch, project, labeler, datetime(2026, 7, 2, 6, 0, tzinfo=UTC))
    assert judged_today(project, labeler) == 1
    set_clock(monkeypatch, datetime(2026, 7, 2, 8, 0, tzinfo=UTC))
    assert judged_today(project, labeler) == 0
    answer_at(monkeypatch, project, labeler, datetime(2026, 7, 2, 8, 30, tzinfo=UTC))
    assert judged_today(project, labeler) == 1


def test_an_undo_takes_one_off_the_day(monkeypatch, project):
    labeler = factories.member(project, time_zone="Asia/Tokyo")
    answer_at(monkeypatch, project, labeler, MIDNIGHT_UTC - timedelta(hours=1))
    last = answer_at(monkeypatch, project, labeler, MIDNIGHT_UTC + timedelta(hours=1))
    judging.undo_judgment(judgment=last)
    assert judged_today(project, labeler) == 1


def test_a_skip_after_midnight_begins_the_day_anew(monkeypatch, project):
    labeler = factories.member(project, time_zone="Asia/Tokyo")
    answer_at(monkeypatch, project, labeler, datetime(2026, 3, 10, 14, 0, tzinfo=UTC))  # 23:00
    set_clock(monkeypatch, datetime(2026, 3, 10, 15, 30, tzinfo=UTC))  # 00:30
    factories.comparison(factories.prompt(project))
    lease = queue.serve(station=station_of(labeler=labeler, project_id=project.pk)).leases[0]
    queue.skip_assignment(assignment=lease.assignment, reason="other")
    assert Assignment.objects.filter(state="skipped").exists()
    assert QueuePosition.objects.get().judged_today == judged_today(project, labeler) == 0


def test_hours_are_told_by_the_days_of_the_zone(project):
    labeler = factories.member(project)
    comparison = factories.comparison(factories.prompt(project))
    factories.judgment(comparison, labeler, active_ms=3_600_000)
    Judgment.objects.update(created_at=datetime(2026, 3, 9, 23, 30, tzinfo=UTC))
    found = [
        days_of(project, labeler.pk, zone=zone)[0].day.isoformat()
        for zone in (TOKYO, ZoneInfo("UTC"), LOS_ANGELES)
    ]
    assert found == ["2026-03-10", "2026-03-09", "2026-03-09"]


def test_the_page_of_hours_and_its_csv_are_in_the_zone_of_the_labeler(client, project):
    labeler = factories.member(project, time_zone="Asia/Tokyo")
    factories.judgment(factories.comparison(factories.prompt(project)), labeler)
    Judgment.objects.update(created_at=datetime(2026, 3, 9, 23, 30, tzinfo=UTC))
    client.force_login(labeler)
    page = client.get(reverse("quality-my-work", args=[project.pk])).content.decode()
    assert "Tue 10 Mar 2026" in page
    assert "Asia/Tokyo" in page
    answer = client.get(reverse("quality-my-hours", args=[project.pk]))
    assert b"2026-03-10" in b"".join(answer.streaming_content)


def test_an_admin_reads_the_hours_of_a_labeler_by_the_days_of_the_labeler(client, project):
    labeler = factories.member(project, time_zone="Asia/Tokyo")
    factories.judgment(factories.comparison(factories.prompt(project)), labeler)
    Judgment.objects.update(created_at=datetime(2026, 3, 9, 23, 30, tzinfo=UTC))
    client.force_login(factories.member(project, Role.ADMIN, time_zone="America/Los_Angeles"))
    page = client.get(reverse("quality-labeler", args=[project.pk, labeler.pk])).content.decode()
    assert "Tue 10 Mar 2026" in page
    assert "Days of the labeler, in Asia/Tokyo." in page


def test_pages_show_times_in_the_zone_of_who_reads_and_the_api_in_utc(client, project):
    admin = factories.member(project, Role.ADMIN, time_zone="Asia/Tokyo")
    project.deadline = NOON_IN_TOKYO
    project.save(update_fields=["deadline"])
    client.force_login(admin)
    page = client.get(reverse("overview-project", args=[project.pk])).content.decode()
    assert "10 Mar 2026, 12:00 (Asia/Tokyo)" in page
    told = client.get(reverse("api-project-detail", args=[project.pk])).json()
    assert told["deadline"] == "2026-03-10T03:00:00Z"


def test_a_deadline_is_read_in_the_zone_that_its_label_names(client, project):
    client.force_login(factories.member(project, Role.ADMIN, time_zone="Asia/Tokyo"))
    factories.comparison(factories.prompt(project))
    address = reverse("comparisons-batch-new", args=[project.pk])
    assert "Deadline (Asia/Tokyo)" in client.get(address).content.decode()
    posted = {"name": "first", "priority": 0, "deadline": "2026-03-10T12:00", "act": "make"}
    client.post(address, posted)
    assert project.batches.get().deadline == NOON_IN_TOKYO


def test_the_day_of_a_rule_begins_at_midnight_of_who_writes_it(client, project):
    """In Tokyo 31 January begins at 15:00 UTC of the 30th: the judgment of 14:59 counts, that of 15:00 does not."""
    client.force_login(factories.member(project, Role.ADMIN, time_zone="Asia/Tokyo"))
    labeler = factories.member(project)
    for minute in (
        datetime(2026, 1, 30, 14, 59, tzinfo=UTC),
        datetime(2026, 1, 30, 15, tzinfo=UTC),
    ):
        row = factories.comparison(factories.prompt(project))
        factories.judgment(row, labeler, created_at=minute)
    asked = {"kind": "exclude", "labeler": labeler.pk, "since": "2026-01-31"}
    tried = client.post(reverse("quality-rule-try", args=[project.pk]), asked).content.decode()
    assert "would drop 1 of 2 judgments" in tried
    client.post(reverse("quality-rule-save", args=[project.pk]), {**asked, "reason": "A trial."})
    rule = rules.rules_of(project)[0]
    assert rule.params["since"] == "2026-01-31T00:00:00+09:00"
    page = client.get(reverse("quality-rules", args=[project.pk])).content.decode()
    assert "given since 2026-01-31 00:00 UTC+09:00" in page
    assert "midnight in <a" in page
    (kept,) = rules.exclusions_of(project)
    assert kept.since == datetime(2026, 1, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2026-02-30", "tomorrow", "2026-01-31T00:00"])
def test_a_day_of_a_rule_that_is_none_is_refused_with_what_was_sent(client, project, day):
    client.force_login(factories.member(project, Role.ADMIN))
    asked = {"kind": "exclude", "labeler": factories.member(project).pk, "since": day}
    told = client.post(reverse("quality-rule-try", args=[project.pk]), asked).content.decode()
    assert f"{day}&#x27; is not a moment with a zone" in told


def test_the_strip_gets_the_zone_of_its_labeler(client, project):
    client.force_login(factories.member(project, time_zone="Asia/Tokyo"))
    page = client.get(reverse("comparisons-label", args=[project.pk])).content.decode()
    assert 'data-zone="Asia/Tokyo"' in page


def test_a_zone_is_kept_and_audited():
    person = factories.user()
    set_time_zone(user=person, time_zone="America/Argentina/Buenos_Aires")
    person.refresh_from_db()
    assert person.time_zone == "America/Argentina/Buenos_Aires"
    assert AuditEvent.objects.get().verb == "user.time_zone_set"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "asia/tokyo", "../../etc/passwd", "x" * 90])
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(InvalidInput, match="is not a time zone"):
        set_time_zone(user=factories.user(), time_zone=name)


def test_the_account_page_changes_the_zone(client):
    person = factories.user(time_zone="Asia/Calcutta")  # as browsers call Kolkata
    client.force_login(person)
    address = reverse("accounts-account")
    page = client.get(address).content.decode()
    assert '<option value="Asia/Calcutta" selected>' in page
    assert client.post(address, {"time_zone": "Mars/Olympus"}).status_code == 400
    assert client.post(address, {"time_zone": "Europe/Berlin"}).status_code == 302
    person.refresh_from_db()
    assert person.time_zone == "Europe/Berlin"


def test_the_api_takes_a_zone(api):
    person = factories.user()
    api.force_authenticate(person)
    address = reverse("api-me")
    assert api.patch(address, {"time_zone": "Asia/Tokyo"}).json()["time_zone"] == "Asia/Tokyo"
    assert api.patch(address, {"time_zone": "Nowhere"}).status_code == 400
    person.refresh_from_db()
    assert person.time_zone == "Asia/Tokyo"


def test_the_browser_is_asked_for_its_zone_while_none_is_known(client):
    person = factories.user()
    client.force_login(person)
    assert "ui/zone" in client.get("/").content.decode()
    set_time_zone(user=person, time_zone="Asia/Tokyo")
    assert "ui/zone" not in client.get("/").content.decode()


def test_a_day_begins_at_midnight_also_when_the_clocks_change():
    """On 29 March 2026 Berlin goes from 01:00 UTC+1 to 03:00 UTC+2: the day has 23 hours."""
    berlin = ZoneInfo("Europe/Berlin")
    evening = datetime(2026, 3, 29, 21, 0, tzinfo=UTC)
    assert start_of_day(berlin, evening) == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
