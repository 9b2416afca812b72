"""What admins do where a script helps: the dry run of a pause, a choice of labelers, a draw that goes on."""

import pytest
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, expect

from annotation.comparisons.models import Flag
from annotation.comparisons.services import overlap
from annotation.projects.models import Role
from annotation.quality.models import LabelerAct, LabelerGroup
from annotation.quality.services import catch_up
from tests import factories
from tests.integration.test_people_rules import judged
from tests.waiting import eventually
from workers import comparisons as tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(context: BrowserContext, project, signed_in):
    user = factories.member(project, Role.ADMIN, username="root")
    signed_in(context, user)
    return user


@pytest.fixture
def history(project, labeler):
    other = factories.member(project, username="kim")
    for _ in range(3):
        judged(project, (labeler, 1), (other, -1))
    catch_up(project=project)


def test_a_pause_is_tried_beside_the_words_and_done_by_a_second_button(
    page: Page, live_server, project, labeler, admin, history, complaints
):
    page.goto(live_server.url + reverse("quality-labeler", args=[project.pk, labeler.pk]))
    pause = page.get_by_role("button", name="Pause…")
    pause.click()
    expect(page.locator("#act-text")).to_be_focused()  # nothing is tried without words to read
    page.locator("#act-text").fill("Let us talk on Monday.")
    pause.click()
    tried = page.locator("#act-preview")
    expect(tried).to_contain_text("3 of 6 judgments of these days would be missing (50 %)")
    expect(tried.locator(".notice")).to_be_focused()
    expect(page.locator("#act-text")).to_have_value("Let us talk on Monday.")
    assert not LabelerAct.objects.exists()
    tried.get_by_role("button", name="Pause ada").click()
    expect(page.locator(".log")).to_contain_text("Let us talk on Monday.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".log .tag")).to_have_text("undone")
    assert complaints == []


def test_a_rule_is_not_tried_before_it_says_whom_it_is_about(
    page: Page, live_server, project, admin, history, complaints
):
    page.goto(live_server.url + reverse("quality-rules", args=[project.pk]))
    tries = page.locator("#exclude").get_by_role("button", name="Try on history")
    tries.click()
    expect(page.locator("#labeler")).to_be_focused()
    page.locator("#labeler").select_option("ada")
    tries.click()
    expect(page.locator("#dry-run-exclude")).to_contain_text("would drop 3 of 6 judgments")
    assert complaints == []


def test_the_answer_of_a_dry_run_comes_into_view_and_is_read_out(
    page: Page, live_server, project, admin, history, complaints
):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(live_server.url + reverse("quality-rules", args=[project.pk]))
    tries = page.locator("#gold_minimum").get_by_role("button", name="Try on history")
    tries.evaluate("button => button.scrollIntoView({ block: 'end' })")
    tries.click()
    answer = page.locator("#dry-run-gold_minimum .notice")
    expect(answer).to_be_in_viewport(ratio=1)
    expect(answer).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#reason-gold_minimum")).to_be_focused()
    assert complaints == []


def test_settings_that_are_refused_are_told_beside_what_was_typed(
    page: Page, live_server, project, admin, history
):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(live_server.url + reverse("quality-rules", args=[project.pk]))
    asking = page.locator("#asking")
    for button in ("Save", "Try on history"):
        asking.get_by_label("Gold, %").fill("30")
        asking.get_by_label("Repeats, %").fill("35")
        asking.get_by_role("button", name=button, exact=True).click()
        told = asking.get_by_role("alert")
        expect(told).to_contain_text("Gold and repeats together are 65%")
        expect(told).to_be_focused()
        expect(told).to_be_in_viewport(ratio=1)
        expect(asking.get_by_label("Gold, %")).to_have_value("30")


def test_who_is_ticked_becomes_a_group_and_a_filter(
    page: Page, live_server, project, admin, history, complaints
):
    page.goto(live_server.url + reverse("quality-labelers", args=[project.pk]))
    for name in ("ada", "kim"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Keep the chosen as a group…").click()
    expect(page.locator("#new input:checked")).to_have_count(2)
    page.locator("#name-new").fill("Night shift")
    page.get_by_role("button", name="Keep this group").click()
    page.get_by_role("link", name="Agreement among them").click()
    group = LabelerGroup.objects.get()
    expect(page.locator("select[name=group]")).to_have_value(str(group.pk))
    page.get_by_role("link", name="Items", exact=True).click()
    expect(page).to_have_url(
        live_server.url + reverse("quality-items", args=[project.pk]) + f"?group={group.pk}"
    )
    assert complaints == []


def test_a_flag_is_found_from_the_overview_answered_and_opened_again(
    page: Page, live_server, project, labeler, admin, complaints
):
    comparison = factories.comparison(factories.prompt(project))
    Flag.objects.create(
        project=project, comparison=comparison, labeler=labeler, note="Both are in French."
    )
    page.goto(live_server.url + reverse("overview-project", args=[project.pk]))
    page.get_by_role("link", name="1 flag").click()
    expect(page.locator("blockquote")).to_have_text("Both are in French.")
    page.get_by_label("What you did about it").fill("Closed it.")
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("heading", name="No open flag")).to_be_visible()
    page.get_by_role("link", name="Resolved 1").click()
    expect(page.locator("main")).to_contain_text("Closed it.")
    page.get_by_role("button", name="Open it again").click()
    expect(page.get_by_role("link", name="Open 1")).to_be_visible()
    assert complaints == []


def test_a_draw_of_the_overlap_is_followed_without_a_reload(
    page: Page, live_server, project, admin, complaints, monkeypatch
):
    monkeypatch.setattr(overlap, "AT_ONCE", 2)
    for _ in range(5):
        factories.comparison(factories.prompt(project), overlap=1)
    page.goto(live_server.url + reverse("overview-setup-step", args=[project.pk, "labels"]))
    page.locator("#id_overlap").fill("3")
    page.locator("#id_overlap").press("Tab")
    expect(page.locator("#side")).to_contain_text("drawn again: 2 of 5")
    draw = eventually(project.overlap_draws.first)
    tasks.draw_overlap(draw.pk)
    expect(page.locator("#side")).not_to_contain_text("drawn again")
    expect(page.locator("#side .estimate")).to_be_visible()
    assert complaints == []


def test_what_is_shown_once_is_copied_by_a_button(page: Page, live_server, admin, complaints):
    page.goto(live_server.url + reverse("accounts-tokens"))
    page.locator("[name=name]").fill("nightly")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    # a clipboard of the page's own: that of the machine may be absent, and is shared by all browsers on it
    page.evaluate(
        "() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }"
    )
    page.get_by_role("button", name="Copy").press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("window.copied")
    assert copied == page.locator("[data-key]").inner_text()
    assert copied.startswith("concord_")
    assert complaints == []
