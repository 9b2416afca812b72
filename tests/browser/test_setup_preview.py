"""The preview in the set-up follows the form while it is filled in; it can be tried, and nothing is sent."""

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from annotation.comparisons.models import Assignment, Judgment
from annotation.generation.selectors import policies_of
from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(context: BrowserContext, project, signed_in):
    user = factories.member(project, Role.ADMIN, username="root")
    signed_in(context, user)
    return user


@pytest.fixture
def go(page: Page, live_server, project, admin):
    """Open a step; the frame below it."""

    def act(step: str) -> FrameLocator:
        page.goto(live_server.url + reverse("overview-setup-step", args=[project.pk, step]))
        frame = page.frame_locator("[data-as-seen]")
        expect(frame.locator("[data-row].now, [data-row=overall]").first).to_be_visible()
        return frame

    return act


def test_the_scale_follows_the_form_and_can_be_tried_without_a_trace(
    page: Page, go, project, complaints
):
    factories.comparison(factories.prompt(project, "How long does rice cook?"))
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method != "GET" else None)
    frame = go("answers")
    expect(frame.locator("[data-turns]")).to_contain_text("How long does rice cook?")
    expect(frame.locator("[data-row=overall] input")).to_have_count(7)
    page.get_by_label("Answers a labeler may give").select_option("three")
    expect(frame.locator("[data-row=overall] input")).to_have_count(3)
    opened_with = page.locator("#initial-id_answer_scale")
    expect(opened_with).to_have_value("three")  # it is saved, and the page goes on from there
    page.get_by_label("Answers a labeler may give").select_option("five")
    expect(opened_with).to_have_value("five")
    expect(frame.locator("[data-row=overall] input")).to_have_count(
        5
    )  # and the preview has followed
    frame.locator("[data-row=overall] label").first.click()
    page.keyboard.press("Enter")
    expect(frame.locator("[data-status]")).to_have_text(
        "This is a preview: nothing is sent or kept."
    )
    frame.get_by_role("button", name="Submit and next").click()
    page.keyboard.press("?")
    expect(frame.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    assert [url for url in sent if "/assignments/" in url or "/label/" in url] == []
    assert not Assignment.objects.exists()
    assert not Judgment.objects.exists()
    assert complaints == []


def test_a_criterion_stands_in_the_bar_while_it_is_typed(page: Page, go, project, complaints):
    project.criteria.create(name="kind", question="Which is kinder?", position=1)
    frame = go("rubric")
    expect(frame.locator("[data-row=criterion-kind]")).to_be_visible()
    page.locator("#name-0").fill("kinder")
    expect(frame.locator("[data-row=criterion-kinder]")).to_be_visible()
    expect(page.locator("#name-0")).to_be_focused()
    assert project.criteria.get().name == "kind"
    assert complaints == []


def test_the_guideline_is_read_as_it_is_written(page: Page, go, project, complaints):
    frame = go("guideline")
    page.get_by_label("Guideline (Markdown)").press_sequentially("# Rice")
    expect(frame.locator("#guideline h1")).to_have_text("Rice")
    expect(page.get_by_label("Guideline (Markdown)")).to_be_focused()
    page.locator("[data-as-seen]").scroll_into_view_if_needed()
    frame.get_by_role("button", name="Close").click()
    expect(frame.locator("#guideline")).to_be_hidden()
    assert complaints == []


def test_a_ranking_takes_the_place_of_a_pair(page: Page, go, project, complaints):
    frame = go("responses")
    expect(frame.locator("[data-candidate]")).to_have_count(2)
    page.get_by_label("Responses a prompt").fill("4")
    page.get_by_label("Which responses are compared").select_option("one_ranking")
    expect(frame.locator("[data-candidate]")).to_have_count(4)
    expect(frame.locator("[data-board]")).to_be_visible()
    frame.locator("[data-candidate]").first.click()
    page.keyboard.press("2")
    expect(frame.locator("[data-lane='2'] [data-token]")).to_have_text("A")
    assert complaints == []


def test_two_policies_are_chosen_by_the_keyboard_and_counted_at_once(
    page: Page, go, project, complaints
):
    for name in ("base", "tuned"):
        factories.policy(project, name=name)
    frame = go("responses")
    boxes = page.get_by_role("group", name="Policies").get_by_role("checkbox")
    expect(boxes.nth(0)).to_be_checked()
    boxes.nth(0).focus()
    page.keyboard.press("Tab")
    expect(boxes.nth(1)).to_be_focused()
    page.keyboard.press("Space")
    side = page.locator("#side")
    expect(side).to_contain_text("any two of the 2 policies, from 4,000 comparisons of the two")
    both = ",".join(str(one.pk) for one in policies_of(project))
    expect(page.locator("#initial-id_policies")).to_have_value(both)
    page.get_by_label("Which responses are compared").select_option("one_ranking")
    expect(frame.locator("[data-candidate]")).to_have_count(4)
    expect(side).to_contain_text("from 1,000 comparisons of the two")
    assert project.sampling_plan.policies.count() == 2
    boxes.nth(1).focus()
    page.keyboard.press("Space")
    expect(side).to_contain_text("were all 1,000 comparisons between the same two policies")
    assert project.sampling_plan.policies.count() == 1
    assert complaints == []


def test_a_button_that_is_pressed_while_a_complaint_goes_does_not_move_away(
    page: Page, go, project
):
    """The complaint goes when the field is left, which is when the mouse goes down on the button."""
    go("responses")
    field, go_on = page.get_by_label("Responses a prompt"), page.locator("#step .btn.main")
    field.fill("99")
    go_on.click()
    complaint = page.locator(".field.invalid .errorlist")
    expect(complaint).to_have_text("This is 99; at most 64.")
    before = go_on.bounding_box()
    field.fill("2")
    field.press("Tab")
    expect(page.locator(".errorlist")).to_be_hidden()
    assert go_on.bounding_box() == before


def test_people_are_invited_by_the_first_press_after_a_correction(
    page: Page, live_server, project, admin
):
    """The page is at its end: if what is beside the form got shorter, everything would move down."""
    page.goto(live_server.url + reverse("overview-setup-step", args=[project.pk, "people"]))
    field, invite = page.get_by_label("Mail addresses"), page.locator("#step .btn.main")
    field.fill("not a mail, mia@example.com")
    invite.click()
    expect(page.locator("#side .notice.bad")).to_contain_text("Not saved yet.")
    field.select_text()
    page.keyboard.type("mia@example.com")  # as people do: the field has changed once it is left
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    place = invite.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    expect(page.locator("#side .notice.bad")).to_be_hidden()
    page.mouse.up()
    expect(page.locator(".notice.good")).to_have_text("Mailed to mia@example.com.")


def test_a_phone_shows_the_step_that_is_open(page: Page, go):
    page.set_viewport_size({"width": 375, "height": 800})
    go("start")
    expect(page.locator(".step.on")).to_be_in_viewport(ratio=0.9)


def test_a_pair_has_its_word_diff_and_the_strip_what_is_due(page: Page, go, project, complaints):
    batch = project.batches.create(name="November", deadline="2099-03-05T17:00Z")
    row = factories.comparison(factories.prompt(project), batch=batch)
    for candidate, text in zip(
        row.candidates.all(), ("Boil it now.", "Boil it later."), strict=True
    ):
        candidate.text = text
        candidate.save()
    frame = go("answers")
    expect(frame.locator("[data-batch]")).to_contain_text("November 0 of 1 complete due 5 Mar 2099")
    frame.get_by_role("button", name="Diff").click()
    expect(frame.locator("[data-view=diff] mark")).to_have_text(["now", "later"])
    assert complaints == []


def test_a_deadline_stands_in_the_strip_while_it_is_typed(page: Page, go, project, complaints):
    frame = go("labels")
    expect(frame.locator("[data-due]")).to_be_hidden()
    page.locator("[name=deadline]").fill("2099-03-05T17:00")
    expect(frame.locator("[data-due]")).to_have_text("due 5 Mar 2099")
    frame.get_by_role("button", name="Diff").click()
    expect(frame.locator("[data-status]")).to_have_text("These are too different for a word diff.")
    assert complaints == []
