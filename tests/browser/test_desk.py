"""The writer's desk as its people use it: by keys, with one bar above, and no word lost."""

import pytest
from playwright.sync_api import Page, expect

from annotation.comparisons.models import LabelerSettings, TimeAtWork
from annotation.demonstrations.models import Demonstration, Opening
from annotation.projects.models import Role
from tests import factories
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = "Ask a friend, **then** a lawyer."


@pytest.fixture
def desk(page: Page, context, project, labeler, live_server, signed_in, complaints) -> Page:
    """The desk of a labeler with one prompt to answer; nothing is typed yet."""
    Opening.objects.create(project=project, prompt=factories.prompt(project, "What now?"))
    signed_in(context, labeler)
    page.goto(f"{live_server.url}/projects/{project.pk}/write/")
    expect(page.locator("[data-text]")).to_be_focused()
    return page


def says(page: Page, text: str) -> None:
    expect(page.locator("[data-status]")).to_contain_text(text)


def sent(page: Page) -> None:
    page.keyboard.type(TEXT)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Nothing to write right now")).to_be_visible()
    says(page, "Sent to review. Z takes it back.")


def test_one_bar_says_where_one_is_and_leads_elsewhere(desk, complaints):
    desk.set_viewport_size({"width": 1360, "height": 850})
    bar = desk.get_by_role("banner")
    expect(bar).to_have_count(1)
    expect(bar.get_by_role("heading", name="Write the ideal response")).to_be_visible()
    assert bar.bounding_box()["height"] <= 49
    bar.locator(".sections > summary").click()
    bar.get_by_role("link", name="My work").click()
    expect(desk.get_by_role("heading", name="My work")).to_be_visible()
    assert complaints == []


def test_a_draft_is_saved_shown_beside_and_there_after_a_reload(desk):
    desk.keyboard.type(TEXT)
    desk.keyboard.press("Control+s")
    says(desk, "Draft saved")
    assert Demonstration.objects.get().text == TEXT
    expect(desk.locator("[data-pane=preview] strong")).to_have_text("then")
    desk.reload()
    expect(desk.locator("[data-text]")).to_have_value(TEXT)
    desk.keyboard.type(" More.")
    expect(desk.locator("[data-text]")).to_have_value(f"{TEXT} More.")


def test_words_typed_offline_stay_in_the_browser_and_are_saved_with_the_connection(desk, context):
    context.set_offline(True)
    desk.keyboard.type(TEXT)
    desk.keyboard.press("Control+s")
    says(desk, "kept in this browser")
    context.set_offline(False)
    says(desk, "Draft saved")
    assert Demonstration.objects.get().text == TEXT


def test_what_something_on_the_way_says_takes_no_text(desk):
    desk.route(
        "**/mine/**",
        lambda route: route.fulfill(content_type="text/html", body="<p>Sign in to Wi-Fi</p>"),
    )
    desk.keyboard.type(TEXT)
    desk.keyboard.press("Control+s")
    says(desk, "kept in this browser")
    desk.keyboard.press("Control+Enter")
    says(desk, "Waiting for the connection: your text is kept here")
    desk.unroute_all()
    desk.evaluate("dispatchEvent(new Event('online'))")
    says(desk, "Sent to review")
    assert Demonstration.objects.get().text == TEXT


def test_words_typed_while_another_person_is_signed_in_wait_for_their_author(
    desk, context, project, labeler, signed_in
):
    signed_in(context, factories.member(project, username="bo"))
    desk.keyboard.type(TEXT)
    desk.keyboard.press("Control+s")
    says(desk, "bo is signed in in this browser now. Your text is kept here")
    expect(desk.get_by_role("link", name="Sign in again")).to_be_visible()
    assert Demonstration.objects.get().text == ""
    signed_in(context, labeler)
    desk.evaluate("dispatchEvent(new Event('online'))")
    says(desk, "Draft saved")
    assert Demonstration.objects.get().text == TEXT


def test_a_text_sent_to_review_is_taken_back_by_one_key(desk):
    sent(desk)
    assert Demonstration.objects.get().state == "submitted"
    desk.keyboard.press("z")
    expect(desk.locator("[data-text]")).to_have_value(TEXT)
    says(desk, "Your last text is back.")
    assert Demonstration.objects.get().state == "draft"


@pytest.fixture
def review(desk, browser, project, live_server, signed_in):
    """The page of a text that was sent, as a second person has it."""
    sent(desk)
    row = Demonstration.objects.get()
    other = browser.new_context()
    signed_in(other, factories.member(project, Role.ADMIN, username="grace"))
    page = other.new_page()
    page.goto(f"{live_server.url}/projects/{project.pk}/demonstrations/{row.pk}/")
    yield page
    other.close()


def test_a_second_person_approves_by_one_key(review, complaints):
    review.keyboard.press("a")
    expect(review.get_by_text("Approved.")).to_be_visible()
    eventually(lambda: Demonstration.objects.get().state == "approved")
    assert complaints == []


def test_a_text_is_returned_from_its_note_by_keys_alone(review):
    review.keyboard.press("r")
    expect(review.locator("[data-note]")).to_be_focused()
    review.keyboard.press("Control+Enter")
    expect(review.locator("[data-note]")).to_be_focused()  # it says nothing yet
    review.keyboard.type("Shorter.")
    review.keyboard.press("Control+Enter")
    expect(review.get_by_text("Returned to its author with your note.")).to_be_visible()
    assert Demonstration.objects.get().review_note == "Shorter."


def test_a_digit_chooses_the_reason_of_a_skip(desk):
    for key in ("Escape", "k", "2"):
        desk.keyboard.press(key)
    row = eventually(lambda: Demonstration.objects.filter(state="skipped").first())
    assert row.skip_reason == "needs_expert"


@pytest.fixture
def long_at_work(desk, labeler) -> Page:
    """More than the minute after which they want to be reminded, none of it told yet."""
    LabelerSettings.objects.create(labeler=labeler, break_after_minutes=1)
    desk.clock.install()
    desk.reload()
    for _ in range(4):
        desk.keyboard.press("Shift")
        desk.clock.run_for(20_000)
    return desk


def test_a_break_is_proposed_once_a_writer_pauses(long_at_work):
    dialog = long_at_work.get_by_role("dialog", name="Time for a break")
    expect(dialog).to_be_hidden()
    long_at_work.keyboard.type("Ask a friend.")
    expect(dialog).to_be_hidden()
    long_at_work.clock.run_for(2_000)
    expect(dialog).to_contain_text("You have worked for 1 minute.")
    long_at_work.clock.run_for(1_000)
    long_at_work.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(long_at_work.locator("[data-text]")).to_be_focused()


def test_the_time_of_a_text_that_is_skipped_goes_with_it(desk, labeler):
    eventually(lambda: desk.evaluate("performance.now()") > 1500)
    desk.keyboard.press("Escape")
    desk.keyboard.press("k")
    desk.keyboard.press("1")
    expect(desk.get_by_role("heading", name="Nothing to write right now")).to_be_visible()
    assert TimeAtWork.objects.get(labeler=labeler).active_ms > 0
    assert Demonstration.objects.get().active_ms == TimeAtWork.objects.get().active_ms
