"""Every state of the labeling page, reached by keyboard alone."""

import re

import pytest
from django.db.models import F
from playwright.sync_api import expect

from annotation.accounts.models import User
from annotation.comparisons.models import Judgment, LabelerSettings
from tests import factories
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def fill(project, count=4, **fields):
    return [factories.comparison(factories.prompt(project), **fields) for _ in range(count)]


def judged() -> int:
    return Judgment.objects.filter(withdrawn_at=None).count()


def seconds_to_go(bench) -> int:
    """What the page says is left of the reading time; the clock goes on while a test looks."""
    return int(re.search(r"(\d+) s to go", bench.status.text_content()).group(1))


def test_an_answer_brings_the_next_at_once_and_is_sent_behind_it(bench, project, complaints):
    fill(project)
    bench.open()
    seen = [bench.answer("1"), bench.answer("4"), bench.answer("b")]
    expect(bench.form).to_have_count(1)
    assert bench.in_hand not in seen
    eventually(lambda: judged() == 3)
    bench.expect_saved()
    expect(bench.page.locator("[data-count]")).to_have_text("3 today, 1 left")
    assert complaints == []


def test_a_ready_page_has_nothing_chosen_and_no_way_to_submit(bench, project):
    fill(project)
    bench.open()
    bench.expect_state("ready")
    expect(bench.form.locator("input:checked")).to_have_count(0)
    expect(bench.form.locator("[data-undo]")).to_be_hidden()
    bench.press("Enter")
    bench.expect_says("First choose which is better")
    assert judged() == 0


def test_the_verdict_waits_for_the_reading_time(bench, project):
    project.min_reading_seconds = 60
    project.save()
    fill(project)
    bench.page.clock.install()
    bench.open()
    bench.press("Enter")
    bench.expect_says("First choose which is better")
    bench.press("2")
    bench.expect_says("Take a moment to read first: [1-6]?[0-9] s to go")
    left = seconds_to_go(bench)
    assert left <= 60
    bench.page.clock.fast_forward(20_000)
    eventually(lambda: seconds_to_go(bench) <= left - 20)
    expect(bench.status).to_have_attribute("aria-live", "off")
    bench.page.clock.fast_forward(left * 1000)
    expect(bench.status).to_be_empty()
    read = bench.answer("2")
    eventually(lambda: judged() == 1)
    bench.expect_saved()
    bench.press("z")
    bench.expect_in_hand(read)
    bench.answer("3")
    eventually(lambda: judged() == 1)
    bench.expect_saved()
    bench.page.reload()
    bench.expect_state("ready")
    bench.press("z")
    bench.expect_in_hand(read)
    bench.answer("2")


def test_a_draft_is_saved_and_comes_back_with_a_reload(bench, project):
    fill(project)
    bench.page.clock.install()
    bench.open()
    bench.press("6", "n")
    bench.page.keyboard.type("B is kinder, and 7 is a digit here")
    bench.page.clock.fast_forward(2_500)
    bench.expect_says("Draft saved")
    assert judged() == 0
    first = bench.in_hand
    bench.page.reload()
    bench.expect_in_hand(first)
    bench.expect_says("draft is back")
    expect(bench.form.locator("[data-row=overall] input:checked")).to_have_count(1)
    expect(bench.form.locator("[data-why]")).to_have_value("B is kinder, and 7 is a digit here")


def test_offline_answers_wait_in_order_and_go_out_with_the_connection(bench, project, context):
    fill(project, 6)
    bench.open()
    context.set_offline(True)
    given = [bench.answer("1"), bench.answer("2"), bench.answer("3")]
    bench.expect_says("offline. Your answers are kept here")
    expect(bench.page.locator("[data-unsent]")).to_have_text("3 to send")
    bench.expect_state("waiting")
    expect(bench.page.locator("[data-place]")).to_contain_text(
        "All that was ready here is answered"
    )
    assert judged() == 0
    context.set_offline(False)
    eventually(lambda: judged() == 3)
    bench.expect_state("ready")
    expect(bench.page.locator("[data-unsent]")).to_be_hidden()
    order = Judgment.objects.order_by("pk").values_list("assignment_id", flat=True)
    assert list(order) == given


@pytest.mark.parametrize("status", [200, 302, 403])
def test_what_something_on_the_way_says_takes_and_refuses_no_answer(bench, project, page, status):
    """The sign-in page of a network, a proxy that leads there, one that forbids."""
    fill(project)
    bench.open()
    headers = {"Content-Type": "text/html", "Location": "/accounts/login/"}
    page.route(
        "**/judgment/**",
        lambda route: route.fulfill(status=status, headers=headers, body="<p>Sign in to Wi-Fi</p>"),
    )
    given = bench.answer("1")
    expect(page.locator("[data-unsent]")).to_have_text("1 to send")
    bench.expect_says("The server does not answer. Your answers are kept here")
    page.unroute_all()
    page.evaluate("dispatchEvent(new Event('online'))")
    eventually(lambda: judged() == 1)
    assert Judgment.objects.get().assignment_id == given
    expect(page.locator("[data-unsent]")).to_be_hidden()


def test_an_answer_kept_offline_outlives_a_reload(bench, project, context):
    fill(project)
    bench.open()
    context.set_offline(True)
    given = bench.answer("1")
    bench.expect_says("kept here")
    context.set_offline(False)
    bench.page.reload()
    eventually(lambda: judged() == 1)
    assert Judgment.objects.get().assignment_id == given
    expect(bench.form).not_to_have_attribute("data-assignment", str(given))


def test_undo_of_an_answer_in_the_outbox_needs_no_server(bench, project, context):
    fill(project)
    bench.open()
    context.set_offline(True)
    first = bench.answer("1")
    second = bench.answer("7")
    bench.press("z")
    bench.expect_in_hand(second)
    bench.press("z")
    bench.expect_in_hand(first)
    bench.answer("4")
    context.set_offline(False)
    eventually(lambda: judged() == 1)
    expect(bench.page.locator("[data-unsent]")).to_be_hidden()
    standing = Judgment.objects.get(withdrawn_at=None)
    assert (standing.assignment_id, standing.strengths) == (first, [])
    bench.expect_in_hand(second)


def test_undo_opens_the_last_judgment_again_with_what_was_given(bench, project):
    fill(project)
    bench.open()
    given = bench.answer("6")
    bench.expect_saved()
    bench.press("z")
    bench.expect_in_hand(given)
    expect(bench.form.locator("[data-row=overall] input:checked")).to_have_count(1)
    assert judged() == 0
    bench.answer("2")
    eventually(lambda: judged() == 1)
    assert Judgment.objects.count() == 2


def test_a_frozen_judgment_stays_and_the_page_says_so(bench, project):
    fill(project)
    bench.open()
    bench.answer("6")
    bench.expect_saved()
    Judgment.objects.update(frozen_at="2026-01-01T00:00Z")
    bench.press("z")
    bench.expect_says("can no longer be undone")
    expect(bench.form.locator("[data-undo]")).to_be_hidden()


def test_the_same_answer_sent_again_is_stored_once(bench, project, page):
    fill(project)
    bench.open()
    lost = []

    def lose_the_reply(route):
        lost.append(route.fetch())
        route.abort()

    page.route("**/judgment/**", lose_the_reply, times=1)
    bench.answer("1")
    bench.expect_says("kept here|^Saved")
    assert len(lost) == 1
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("[data-unsent]")).to_be_hidden()
    assert Judgment.objects.count() == 1


def test_a_lease_that_nears_its_end_is_prolonged_by_one_key(bench, project):
    fill(project)
    bench.page.clock.install()
    bench.open()
    bench.page.clock.fast_forward((project.lease_seconds - 60) * 1000)
    bench.expect_says("Little time is left.*press E")
    bench.press("e")
    bench.expect_says("You have more time")
    expect(bench.form.locator("[data-extend]")).to_be_hidden()


def test_an_answer_after_the_lease_is_kept_as_surplus(bench, project):
    fill(project, 3)
    bench.page.clock.install()
    bench.open()
    project.assignments.update(state="expired", lease_until="2026-01-01T00:00Z")
    project.comparisons.update(slots_taken=F("overlap"))  # by others: it is not leased again
    bench.page.clock.fast_forward((project.lease_seconds + 1) * 1000)
    bench.expect_says("Your time for this comparison ended")
    bench.answer("1")
    bench.expect_says("kept but not counted")
    eventually(lambda: Judgment.objects.filter(is_counted=False).count() == 1)


def test_a_skip_with_its_reason_by_keys(bench, project):
    fill(project)
    bench.open()
    skipped = bench.in_hand
    bench.press("k", "Tab", "Enter")
    expect(bench.form).not_to_have_attribute("data-assignment", str(skipped))
    row = eventually(lambda: project.assignments.filter(state="skipped").first())
    assert (row.pk, row.skip_reason) == (skipped, "needs_expert")


@pytest.mark.parametrize(
    ("between", "said"),
    [
        ("nothing", "is open again"),
        ("offline", "is open again|offline"),
        ("reload", "is open again"),
    ],
)
def test_a_skip_by_mistake_is_undone_by_the_same_key_as_a_judgment(
    bench, project, context, between, said
):
    fill(project)
    bench.open()
    first = bench.answer("1")
    bench.expect_saved()
    context.set_offline(between == "offline")
    skipped = bench.in_hand
    bench.press("k", "6")
    expect(bench.form).not_to_have_attribute("data-assignment", str(skipped))
    if between != "offline":
        bench.expect_says("Skipped")
    if between == "reload":
        bench.page.reload()
    bench.press("z")
    bench.expect_in_hand(skipped)
    bench.expect_says(said)  # offline both come, in the order of the next try
    context.set_offline(False)
    expect(bench.page.locator("[data-unsent]")).to_be_hidden()
    eventually(lambda: not project.assignments.filter(state="skipped").exists())
    assert Judgment.objects.get(withdrawn_at=None).assignment_id == first
    bench.press("z")
    bench.expect_in_hand(first)


def test_a_flag_with_a_note_by_keys(bench, project):
    fill(project)
    bench.open()
    first = bench.in_hand
    bench.press("!")
    bench.page.keyboard.type("The second is cut off; b and z are letters here")
    bench.press("Control+Enter")
    bench.expect_says("Flagged")
    flag = eventually(project.flags.first)
    assert flag.note.startswith("The second is cut off")
    bench.expect_in_hand(first)


def test_an_empty_queue_says_why_and_looks_again(bench, project):
    bench.open()
    expect(bench.page.get_by_text("There is nothing to compare yet")).to_be_visible()
    expect(bench.page.locator("[data-count]")).to_have_text("0 done today")
    expect(bench.page.get_by_text("Undo last")).to_have_count(0)
    fill(project, 1)
    bench.press("Enter")
    bench.expect_state("ready")
    bench.answer("2")
    bench.expect_state("empty")
    expect(bench.page.get_by_text("Everything is judged")).to_be_visible()
    expect(bench.page.locator("[data-count]")).to_have_text("1 done today")
    bench.press("z")
    bench.expect_state("ready")


def test_nothing_asked_beside_the_last_answer_can_know_less_than_its_reply(bench, project, page):
    fill(project, 1)
    bench.open()
    asked = []
    page.on("request", lambda one: asked.append(one.url) if "/next/" in one.url else None)
    bench.answer("2")
    bench.expect_state("empty")
    assert asked == []


def test_a_flag_sent_last_leaves_no_page_without_a_comparison(bench, project, page):
    fill(project, 1)
    bench.open()
    held, asked = [], []
    page.route("**/flag/**", lambda one: held.append(one))  # noqa: PLW0108 - looked into by Playwright
    page.on("request", lambda one: asked.append(one.url) if "/next/" in one.url else None)
    bench.press("!")
    page.keyboard.type("Cut off")
    bench.press("Control+Enter")
    bench.expect_says("Flagged")
    bench.answer("2")
    held[0].continue_()
    bench.expect_state("empty")
    assert asked == []


def test_an_undo_pressed_while_the_next_is_asked_for_is_not_lost(bench, project, page):
    fill(project, 1)
    bench.open()
    held, is_slow = [], [True]
    page.route("**/next/**", lambda one: held.append(one) if is_slow else one.continue_())
    given = bench.answer("2")
    bench.expect_state("empty")
    bench.press("Enter", "z")
    is_slow.clear()
    for route in held:
        route.continue_()
    bench.expect_in_hand(given)


def test_a_paused_project_lets_the_answer_in_hand_through(bench, project):
    fill(project)
    bench.open()
    project.is_paused = True
    project.save()
    bench.answer("2")
    bench.expect_says("This project is paused")
    bench.answer("2")
    bench.expect_state("empty")
    expect(bench.page.locator("[data-message]")).to_contain_text("This project is paused")
    eventually(lambda: Judgment.objects.filter(is_counted=True).count() == 2)


def test_a_paused_member_reads_the_reason(bench, project, labeler):
    fill(project)
    rows = project.memberships.filter(user=labeler)
    rows.update(paused_at="2026-01-01T00:00Z", pause_reason="Let us talk about ties.")
    bench.open()
    bench.expect_state("empty")
    expect(bench.page.get_by_text("Let us talk about ties.")).to_be_visible()


def test_a_training_answer_is_followed_by_its_feedback(bench, project):
    project.must_qualify = True
    project.save()
    for row in fill(project, 2, kind="gold"):
        row.known_ranking = {"ranking": [[one] for one in row.candidate_ids], "is_all_bad": False}
        row.save()
    bench.open()
    trained = bench.answer("b")
    bench.expect_state("feedback")
    expect(bench.page.get_by_text("The known verdict is another")).to_be_visible()
    known, own = bench.form.locator("[data-verdict]"), bench.form.locator("[data-own]")
    expect(known).to_have_text(re.compile("Response ., then Response ."))
    expect(own).to_have_text("All are bad")
    above, panel = bench.form.locator("[data-candidate]").first, bench.form.locator(".feedback")
    assert panel.bounding_box()["y"] > above.bounding_box()["y"]
    bench.press("Enter")
    bench.expect_state("ready")
    expect(bench.form).not_to_have_attribute("data-assignment", str(trained))


def test_a_break_is_proposed_after_the_time_at_work_and_can_wait(bench, project, labeler):
    LabelerSettings.objects.create(labeler=labeler, break_after_minutes=1)
    fill(project)
    bench.page.clock.install()
    bench.open()
    for _ in range(4):
        bench.press("s")
        bench.page.clock.run_for(20_000)
    bench.answer("2")
    dialog = bench.page.get_by_role("dialog", name="Time for a break")
    expect(dialog).to_contain_text("You have worked for 1 minute.")
    bench.press("Escape")
    bench.answer("2")
    expect(dialog).to_be_hidden()


def test_an_enter_on_its_way_as_the_break_is_proposed_is_no_break(bench, project, labeler):
    LabelerSettings.objects.create(labeler=labeler, break_after_minutes=1)
    fill(project)
    bench.page.clock.install()
    bench.open()
    for _ in range(4):
        bench.press("s")
        bench.page.clock.run_for(20_000)
    bench.page.clock.pause_at(bench.page.evaluate("Date.now() + 1000") / 1000)
    bench.answer("2")
    dialog = bench.page.get_by_role("dialog", name="Time for a break")
    expect(dialog).to_be_visible()
    bench.press("2", "Enter")
    expect(dialog).to_be_visible()
    bench.page.clock.run_for(1_000)
    bench.press("Enter")
    expect(dialog).to_be_hidden()


def test_another_tab_goes_on_with_each_answer_of_this_one(bench, project, context):
    fill(project, 9)
    bench.open()
    other = type(bench)(context.new_page(), bench.address).open()
    other.expect_state("ready")
    for _ in range(4):
        given = bench.answer("2")
        other.expect_state("ready")
        expect(other.form).not_to_have_attribute("data-assignment", str(given))


def test_what_another_tab_answers_while_this_one_asks_does_not_come_back(bench, project, context):
    fill(project, 9)
    bench.open()
    other = type(bench)(context.new_page(), bench.address).open()
    other.expect_state("ready")
    asked = []  # answered by the server at once, and to the page later
    other.page.route(
        "**/assignments/next/**", lambda route: asked.append((route, route.fetch())), times=1
    )
    for _ in range(3):
        bench.answer("2")
        bench.expect_saved()
    other.expect_state("loading")
    eventually(lambda: other.page.title() and asked)
    given = bench.answer("2")
    bench.expect_saved()
    route, answer = asked[0]
    assert given in {one["id"] for one in answer.json()["leases"]}
    route.fulfill(response=answer)
    other.expect_state("ready")
    expect(other.form).not_to_have_attribute("data-assignment", str(given))


def test_two_tabs_share_a_comparison_and_never_answer_it_twice(bench, project, context):
    fill(project, 6)
    bench.open()
    other = type(bench)(context.new_page(), bench.address).open()
    assert other.in_hand == bench.in_hand
    given = bench.answer("1")
    other.expect_says("answered that one in another tab")
    assert other.in_hand == bench.in_hand != given
    again = other.answer("2")
    expect(bench.form).not_to_have_attribute("data-assignment", str(again))
    eventually(lambda: judged() == 2)


def test_the_back_button_leads_to_the_comparison_that_is_leased_now(bench, project, live_server):
    fill(project)
    bench.open()
    given = bench.answer("1")
    now = bench.in_hand
    bench.expect_saved()
    bench.page.goto(f"{live_server.url}/account/labeling/")
    bench.page.go_back()
    bench.expect_in_hand(now)
    assert now != given


def test_a_slow_network_shows_a_skeleton_only_when_the_deck_is_used_up(bench, project, page):
    fill(project, 6)
    bench.open()
    held, is_slow = [], [True]
    page.route("**/api/**", lambda one: held.append(one) if is_slow else one.continue_())
    bench.press("2")
    bench.expect_says("Draft saved")
    for _ in range(3):
        bench.answer("2")
    bench.expect_state("loading")
    expect(bench.status).to_be_empty()
    expect(page.locator(".skeleton")).to_be_visible()
    is_slow.clear()
    for route in held:
        route.continue_()
    bench.expect_state("ready")
    expect(page.locator("[data-unsent]")).to_be_hidden()
    assert judged() == 3


def test_an_ended_session_keeps_the_answers_until_the_next_sign_in(
    bench, project, context, labeler, signed_in
):
    fill(project)
    bench.open()
    context.clear_cookies()
    bench.answer("3")
    bench.expect_says("You are signed out. Your answers are kept here until you sign in again.")
    expect(bench.page.get_by_role("link", name="Sign in again")).to_be_visible()
    signed_in(context, labeler)
    context.new_page().goto(bench.address)
    bench.page.evaluate("dispatchEvent(new Event('online'))")
    eventually(lambda: judged() == 1)
    expect(bench.page.get_by_role("link", name="Sign in again")).to_be_hidden()


def test_answers_stay_with_their_giver_while_another_person_is_signed_in(
    bench, project, context, labeler, signed_in, live_server
):
    bo = factories.member(project, username="bo")
    fill(project)
    bench.open()
    signed_in(context, bo)
    given = bench.answer("3")
    bench.expect_says("^bo is signed in in this browser now. Your answers are kept here")
    expect(bench.page.locator("[data-unsent]")).to_have_text("1 to send")
    expect(bench.page.locator("[data-count]")).to_contain_text("1 today")
    assert judged() == 0
    with context.expect_page() as opened:
        bench.page.get_by_role("link", name="Sign in again").click()
    expect(opened.value.get_by_text("You are signed in as bo")).to_be_visible()
    theirs = context.new_page()
    theirs.goto(bench.address)
    expect(theirs.locator("[data-unsent]")).to_be_hidden()
    opened.value.get_by_role("button", name="Sign out").click()
    expect(opened.value.get_by_label("Username")).to_be_visible()
    signed_in(context, labeler)
    bench.page.evaluate("dispatchEvent(new Event('online'))")
    eventually(lambda: judged() == 1)
    row = Judgment.objects.get()
    assert (row.labeler, row.assignment_id) == (labeler, given)
    expect(bench.page.get_by_role("link", name="Sign in again")).to_be_hidden()


def test_criteria_take_the_same_keys_one_after_the_other(bench, project):
    for position, name in enumerate(("helpful", "honest")):
        project.criteria.create(name=name, question=f"Which is more {name}?", position=position)
    fill(project)
    bench.open()
    bench.press("2", "4", "7")
    bench.answer("7")
    row = eventually(Judgment.objects.first)
    assert row.criteria["helpful"]["strengths"] == []
    assert row.criteria["honest"]["strengths"] == [3]


@pytest.mark.parametrize("sides", [2, 3])
def test_after_all_bad_the_digits_go_on_to_the_criteria(bench, project, sides):
    project.criteria.create(name="helpful", question="Which is more helpful?")
    factories.comparison(factories.prompt(project), size=sides)
    bench.open()
    bench.form.locator("[data-candidate]").first.focus()
    bench.press("b", *"123"[: 1 if sides == 2 else 3])
    expect(bench.form.locator("[data-all-bad]")).to_be_checked()
    bench.submit()
    row = eventually(Judgment.objects.first)
    assert row.is_all_bad
    assert row.criteria["helpful"]["ranking"][0] == [row.shown_order[0]]


def test_zero_takes_the_answer_of_the_row_in_focus_back(bench, project):
    project.criteria.create(name="helpful", question="Which is more helpful?")
    fill(project)
    bench.open().press("2", "3", "Backspace", "0")
    expect(bench.form.locator("[data-row=criterion-helpful] input:checked")).to_have_count(0)
    expect(bench.form.locator("[data-row=criterion-helpful]")).to_be_focused()
    bench.submit()
    assert eventually(Judgment.objects.first).criteria == {}


def test_delete_takes_a_verdict_back_with_both_bad(bench, project):
    fill(project)
    bench.open().press("b", "Backspace", "Delete", "Enter")
    bench.expect_says("First choose which is better")
    expect(bench.form.locator(":checked")).to_have_count(0)


@pytest.mark.parametrize(("scale", "steps"), [("five", 5), ("three", 3), ("two", 2)])
def test_the_bar_has_the_steps_of_the_scale(bench, project, scale, steps):
    project.answer_scale = scale
    project.save()
    fill(project)
    bench.open()
    expect(bench.form.locator("[data-row=overall] input")).to_have_count(steps)
    bench.answer(str(steps))
    row = eventually(Judgment.objects.first)
    assert row.ranking[0] == [row.shown_order[1]]


def test_a_labelers_own_keys_work_and_are_shown(bench, project, labeler):
    LabelerSettings.objects.create(labeler=labeler, keys={"all_bad": "x", "help": "h"})
    fill(project)
    bench.open()
    expect(bench.form.locator("kbd[data-key=all_bad]")).to_have_text("X")
    bench.press("h")
    expect(bench.page.get_by_role("dialog", name="Keys")).to_contain_text("X")
    bench.press("Escape", "b", "Enter")
    bench.expect_says("First choose which is better")
    bench.answer("x")
    assert eventually(Judgment.objects.first).is_all_bad


def test_a_key_pressed_before_a_closed_dialog_gave_the_focus_back_goes_to_the_page(bench, project):
    fill(project)
    bench.open()
    bench.expect_state("ready")
    was_in_dialog = bench.page.evaluate(
        """() => {
            const sheet = document.getElementById("keys");
            sheet.showModal();
            sheet.close();
            const focused = document.activeElement;
            const enter = { key: "Enter", bubbles: true, cancelable: true };
            focused.dispatchEvent(new KeyboardEvent("keydown", enter));
            return sheet.contains(focused);
        }"""
    )
    assert was_in_dialog
    bench.expect_says("First choose which is better")


def test_upsetting_content_is_blurred_until_asked_for(bench, project):
    (row,) = fill(project, 1, overlap=2)
    other = factories.member(project)
    project.assignments.create(
        comparison=row,
        labeler=other,
        state="skipped",
        skip_reason="upsetting",
        shown_order=row.candidate_ids,
        lease_until="2026-01-01T00:00Z",
    )
    bench.open()
    article = bench.form.locator(".resp > article:visible").first
    expect(article).to_have_css("filter", "blur(9.6px)")
    expect(bench.form.locator("[data-turns]")).to_be_in_viewport(ratio=1)
    bench.press("v")
    expect(article).to_have_css("filter", "none")


def test_text_at_twice_the_size_leaves_room_to_read_and_to_answer(bench, project):
    project.criteria.create(name="helpful", question="Which is more helpful?")
    fill(project)
    browser = bench.page.context.new_cdp_session(bench.page)
    browser.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    bench.open()
    for part in ("[data-turns]", "[data-candidate] article", "[data-row=overall]", "[data-submit]"):
        expect(bench.form.locator(part).first).to_be_in_viewport()
    wide = bench.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide


def test_a_missing_reason_takes_the_person_to_its_field(bench, project):
    project.rationale_rule = "always"
    project.save()
    fill(project)
    bench.open()
    bench.press("2", "Enter")
    bench.expect_says("Say in one sentence why")
    expect(bench.form.locator("[data-why]")).to_be_focused()
    bench.page.keyboard.type("It answers.")
    bench.press("Escape")
    bench.page.get_by_role("button", name="Flag").focus()
    bench.submit("Control+Enter")
    assert eventually(Judgment.objects.first).rationale == "It answers."


def test_a_long_prompt_shows_its_beginning(bench, project):
    factories.comparison(factories.prompt(project, "First words.\n\n" + "More of it.\n\n" * 60))
    bench.open()
    bench.expect_state("ready")
    assert bench.form.locator("[data-turns]").evaluate("(turns) => turns.scrollTop") == 0


def test_views_and_sheets_open_by_key(bench, project):
    project.guidelines.create(version=1, text="Prefer what *helps*.")
    fill(project)
    bench.open()
    bench.press("g")
    expect(bench.page.get_by_role("dialog", name="Guideline")).to_contain_text("Prefer what helps")
    bench.press("Escape", "r")
    expect(bench.form.locator("[data-view=raw]").first).to_be_visible()
    bench.press("r", "p")
    expect(bench.form.locator("[data-prompt]")).not_to_have_attribute("open", "")


def test_raw_text_and_a_closed_prompt_stay_for_the_next_comparison(bench, project):
    fill(project)
    bench.open().press("p", "r")
    bench.answer("2")
    expect(bench.form.locator("[data-prompt]")).not_to_have_attribute("open", "")
    expect(bench.form.locator("[data-view=raw]").first).to_be_visible()


def test_the_browser_tells_its_time_zone_once(signed_in, browser, live_server, project, labeler):
    context = browser.new_context(timezone_id="Asia/Tokyo")
    signed_in(context, labeler)
    page = context.new_page()
    told: list[str] = []
    page.on("request", lambda one: told.append(one.url) if one.method == "PATCH" else None)
    page.goto(live_server.url)
    eventually(lambda: User.objects.filter(pk=labeler.pk, time_zone="Asia/Tokyo").exists())
    page.goto(f"{live_server.url}/account/")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    assert told == [f"{live_server.url}/api/v1/me/"]
    context.close()
