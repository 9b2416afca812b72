"""What the labeling page records of the work: whose draft, what was refused, which guideline, how much time."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from annotation.comparisons.models import Assignment, Judgment
from tests import factories
from tests.browser.test_accessibility import violations
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def fill(project, count=4):
    return [factories.comparison(factories.prompt(project)) for _ in range(count)]


def judged() -> int:
    return Judgment.objects.filter(withdrawn_at=None).count()


def chosen(bench):
    return bench.form.locator("input:checked")


def versions() -> list[int]:
    rows = Judgment.objects.order_by("pk").select_related("guideline")
    return [one.guideline.version for one in rows]


def publish(project, version, text="Prefer what helps."):
    return project.guidelines.create(version=version, text=text)


def test_a_repeat_comes_with_nothing_chosen(bench, project, labeler):
    (row,) = fill(project, 1)
    bench.open().expect_state("ready")
    first = project.assignments.get()
    repeat = project.assignments.create(
        comparison=row,
        labeler=labeler,
        is_repeat=True,
        takes_place=False,
        shown_order=first.shown_order[::-1],
        lease_until=timezone.now() + timedelta(hours=1),
    )
    bench.answer("6")
    bench.expect_in_hand(repeat.pk)
    expect(chosen(bench)).to_have_count(0)
    expect(bench.status).not_to_contain_text("draft")


def test_after_a_refused_answer_undo_opens_the_one_before(bench, project):
    criterion = project.criteria.create(name="helpful", question="Which is more helpful?")
    fill(project)
    bench.open()
    bench.press("4")
    stored = bench.answer("2")
    bench.expect_saved()
    criterion.delete()
    bench.press("4")
    refused = bench.answer("2")
    bench.expect_says("rubric has no criterion 'helpful'")
    bench.press("z")
    bench.expect_in_hand(stored)
    expect(chosen(bench)).not_to_have_count(0)
    assert judged() == 0
    assert Assignment.objects.get(pk=refused).state == "leased"


def test_a_refused_answer_comes_back_as_a_draft_and_is_taken_the_second_time(bench, project):
    criterion = project.criteria.create(name="helpful", question="Which is more helpful?")
    fill(project, 1)
    bench.open()
    criterion.delete()
    bench.press("4")
    refused = bench.answer("2")
    bench.expect_says("rubric has no criterion 'helpful'")
    bench.expect_in_hand(refused)
    expect(bench.form.locator("[data-row=overall] input:checked")).to_have_count(1)
    bench.submit()
    eventually(lambda: judged() == 1)


def test_undo_opens_the_newest_judgment_not_the_oldest_lease(bench, project):
    fill(project, 5)
    bench.open()
    oldest, _second, newest = bench.answer("1"), bench.answer("2"), bench.answer("3")
    bench.expect_saved()
    project.judgments.filter(assignment=oldest).delete()
    soon = timezone.now() + timedelta(hours=1)
    Assignment.objects.filter(pk=oldest).update(state="leased", lease_until=soon)
    bench.press("z")
    bench.expect_says("open again")
    bench.expect_in_hand(newest)


def test_an_undo_of_what_never_arrived_says_so_and_leaves_the_bench(bench, project):
    fill(project)
    bench.open()
    bench.answer("1")
    bench.expect_saved()
    now = bench.in_hand
    Judgment.objects.all().delete()
    bench.press("z")
    bench.expect_says("not here to be undone")
    bench.expect_in_hand(now)


def test_the_note_of_a_flag_outlasts_escape_and_a_reload_until_it_is_sent(bench, project, page):
    factories.comparison(factories.prompt(project))
    bench.open().expect_state("ready")
    bench.press("!")
    page.keyboard.type("The prompt is cut.")
    bench.press("Escape", "!")
    expect(page.locator("#flag textarea")).to_have_value("The prompt is cut.")
    page.reload()
    bench.expect_state("ready")
    bench.press("!")
    expect(page.locator("#flag textarea")).to_have_value("The prompt is cut.")
    bench.press("Control+Enter")
    bench.expect_says("Flagged")
    bench.press("!")
    expect(page.locator("#flag textarea")).to_have_value("")


def test_a_refused_undo_leads_on_to_the_next(bench, project, page):
    fill(project)
    bench.open()
    stored = []

    def lose_the_reply(route):
        stored.append(route.fetch())
        route.abort()

    page.route("**/judgment/**", lambda route: route.abort())
    page.route("**/judgment/**", lose_the_reply, times=1)
    given = bench.answer("1")
    bench.expect_says("kept here")
    assert len(stored) == 1
    Judgment.objects.update(frozen_at="2026-01-01T00:00Z")
    bench.press("z")
    bench.expect_in_hand(given)
    page.unroute("**/judgment/**")
    page.evaluate("dispatchEvent(new Event('online'))")
    bench.expect_says("can no longer be undone")
    expect(bench.form).not_to_have_attribute("data-assignment", str(given))
    bench.expect_state("ready")


def test_a_pause_offers_no_undo_and_the_end_of_it_does_again(bench, project):
    fill(project)
    bench.open()
    given = bench.answer("1")
    bench.expect_saved()
    project.is_paused = True
    project.save()
    bench.answer("2")
    bench.expect_says("This project is paused")
    expect(bench.form.locator("[data-undo]")).to_be_hidden()
    bench.answer("2")
    bench.expect_state("empty")
    expect(bench.page.locator("[data-place] [data-undo]")).to_be_hidden()
    bench.press("z")
    bench.expect_says("stays as it is.*paused")
    assert judged() == 3
    project.is_paused = False
    project.save()
    bench.press("Enter")
    bench.expect_state("ready")
    expect(bench.form.locator("[data-undo]")).to_be_visible()
    bench.press("z")
    bench.expect_says("open again")
    assert judged() == 2
    assert Judgment.objects.get(assignment=given).withdrawn_at is None


def test_a_new_guideline_takes_the_place_of_the_old_one_on_the_open_page(bench, project):
    publish(project, 1, "Prefer what helps.")
    fill(project)
    bench.open()
    publish(project, 2, "Prefer what is *true*.")
    bench.answer("1")
    bench.expect_says("guideline has changed: press G")
    fresh = bench.page.get_by_role("button", name="Guideline new")
    expect(fresh).to_be_visible()
    assert violations(bench.page) == []
    bench.press("g")
    sheet = bench.page.get_by_role("dialog", name="Guideline")
    expect(sheet).to_contain_text("Guideline, version 2")
    expect(sheet.locator("em")).to_have_text("true")
    bench.press("Escape")
    expect(fresh).to_have_count(0)
    bench.answer("2")
    bench.expect_saved()
    assert versions() == [1, 2]


def test_a_guideline_that_changes_while_it_is_read_changes_before_the_eyes(
    bench, project, page, context
):
    publish(project, 1)
    fill(project)
    bench.open()
    context.set_offline(True)
    bench.answer("1")
    publish(project, 2, "Prefer what is true.")
    bench.press("g")
    sheet = page.get_by_role("dialog", name="Guideline")
    expect(sheet).to_contain_text("Prefer what helps.")
    context.set_offline(False)
    expect(sheet).to_contain_text("Prefer what is true.")
    expect(sheet.get_by_role("button", name="Close")).to_be_focused()


def test_the_mark_of_a_new_guideline_stays_until_it_is_opened(bench, project):
    publish(project, 1, "Prefer what helps.")
    fill(project, 5)
    fresh = bench.open().page.get_by_role("button", name="Guideline new")
    bench.answer("1")
    bench.expect_saved()
    expect(fresh).to_have_count(0)
    publish(project, 2, "Prefer what is true.")
    bench.open()
    expect(fresh).to_be_visible()
    bench.answer("1")  # under version 2, unopened
    bench.expect_saved()
    bench.open()
    expect(fresh).to_be_visible()
    bench.press("g", "Escape")
    expect(fresh).to_have_count(0)
    bench.open()
    bench.expect_state("ready")
    expect(fresh).to_have_count(0)


def test_the_first_guideline_appears_on_the_open_page(bench, project):
    fill(project)
    bench.open().press("g")
    bench.expect_says("This project has no guideline yet")
    expect(bench.page.locator("[data-open=guideline]")).to_be_hidden()
    publish(project, 1)
    bench.answer("1")
    bench.expect_says("guideline has changed")
    bench.press("g")
    expect(bench.page.get_by_role("dialog", name="Guideline")).to_contain_text("what helps")
    assert Judgment.objects.get().guideline is None


def test_answers_given_offline_keep_the_version_that_was_read(bench, project, context):
    publish(project, 1)
    fill(project, 5)
    bench.open()
    context.set_offline(True)
    bench.answer("1")
    bench.answer("2")
    publish(project, 2)
    context.set_offline(False)
    eventually(lambda: judged() == 2)
    bench.expect_says("guideline has changed")
    bench.answer("3")
    eventually(lambda: judged() == 3)
    assert versions() == [1, 1, 2]


def test_answers_given_offline_keep_their_time(bench, project, context):
    fill(project, 5)
    bench.page.clock.install()
    bench.open()
    bench.expect_state("ready")
    begun_at = timezone.now() - timedelta(minutes=10)
    Assignment.objects.update(leased_at=begun_at, created_at=begun_at)
    context.set_offline(True)
    for _ in range(3):
        bench.press("s")
        bench.page.clock.run_for(20_000)
        bench.answer("2")
    context.set_offline(False)
    eventually(lambda: judged() == 3)
    times = Judgment.objects.order_by("pk").values_list("active_ms", "elapsed_ms")
    assert all(19_000 < active < 40_000 for active, _elapsed in times)
    assert all(19_000 < elapsed < 60_000 for _active, elapsed in list(times)[1:])


def test_the_dot_shows_the_connection_and_not_what_was_said_last(bench, project, context, page):
    fill(project)
    page.clock.install()
    bench.open()
    dot = page.locator("[data-link]")
    expect(dot).to_have_accessible_name("Connected")
    context.set_offline(True)
    expect(dot).to_have_accessible_name("Offline")
    bench.press("6")
    page.clock.fast_forward(2_500)
    bench.expect_says("You are offline")  # a draft that is saved does not cover it
    expect(dot).to_have_attribute("data-link", "offline")
    context.set_offline(False)
    expect(dot).to_have_accessible_name("Connected")


def test_the_dot_waits_with_the_answers_while_the_server_does_not_answer(bench, project, page):
    fill(project)
    bench.open()
    page.route("**/judgment/**", lambda route: route.abort(), times=1)
    bench.answer("1")
    expect(page.locator("[data-link]")).to_have_accessible_name("Not connected: trying again")
    page.evaluate("dispatchEvent(new Event('online'))")
    bench.expect_saved()
    expect(page.locator("[data-link]")).to_have_accessible_name("Connected")


def test_the_strip_says_when_the_work_is_due(bench, project):
    project.deadline = "2099-03-05T17:00Z"
    project.save()
    fill(project)
    bench.open()
    expect(bench.page.locator("[data-due]")).to_have_text("due 5 Mar 2099")


def test_what_is_due_is_told_in_the_zone_of_the_labeler(bench, project, labeler):
    """17:00 in UTC is the next day in Tokyo, wherever the browser thinks that it is."""
    project.deadline = "2099-03-05T17:00Z"
    project.save()
    labeler.time_zone = "Asia/Tokyo"
    labeler.save()
    fill(project)
    bench.open()
    expect(bench.page.locator("[data-due]")).to_have_text("due 6 Mar 2099")


def test_the_deadline_of_the_batch_goes_before_that_of_the_project(bench, project):
    project.deadline = "2099-03-05T17:00Z"
    project.save()
    batch = project.batches.create(name="May", deadline="2020-05-01T12:00Z")
    factories.comparison(factories.prompt(project), batch=batch)
    bench.open()
    expect(bench.page.locator("[data-due]")).to_have_text("was due 1 May 2020")


def test_an_answer_that_the_server_fails_on_holds_up_no_other(bench, project, page):
    fill(project)
    bench.open()
    first = bench.in_hand
    failing = f"**/assignments/{first}/judgment/**"
    page.route(failing, lambda route: route.fulfill(status=500, json={}))
    bench.answer("1")
    bench.expect_says("kept here")
    second = bench.answer("7")
    bench.press("z")  # the answer to the second was not tried yet
    bench.expect_in_hand(second)
    bench.answer("4")

    def is_stored():
        page.evaluate("dispatchEvent(new Event('online'))")
        return judged() == 1

    eventually(is_stored)
    assert Judgment.objects.get().assignment_id == second
    page.unroute(failing)
    eventually(lambda: page.evaluate("dispatchEvent(new Event('online'))") or judged() == 2)
    bench.expect_saved()
