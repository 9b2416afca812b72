"""A labeler's morning and an admin's, from the first page to the last. `make journeys` films them, and the engineer's.

Each is one test, told as it goes: what a person does by keyboard, what the page says, and what is stored in the end.
"""

import pytest
from playwright.sync_api import Page, expect

from annotation.comparisons.models import Batch, Judgment
from annotation.projects.models import Role
from annotation.quality import services
from annotation.quality.models import Adjudication
from tests import factories
from tests.browser import texts
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
SOUPS = texts.Set(
    texts.said("Which soup is done in ten minutes?"),
    (
        "Miso: hot water, a spoon of paste, tofu, spring onions.",
        "Goulash.",
        "Any, if you are patient.",
        "Egg drop soup: stir an egg into simmering broth.",
    ),
)
DRAGGED_TO = {"A": 2, "B": 1, "C": 3, "D": 2}


def standing() -> int:
    return Judgment.objects.filter(withdrawn_at=None).count()


def begin(page: Page, address: str, section: str) -> None:
    """From the list of projects to a section, as a person goes there."""
    page.goto(address)
    page.get_by_role("link", name="Support tone").first.click()
    page.get_by_label("Sections").get_by_role("link", name=section, exact=True).click()


def read_the_guideline(bench) -> None:
    bench.expect_state("ready")
    bench.press("g")
    sheet = bench.page.get_by_role("dialog", name="Guideline")
    expect(sheet).to_contain_text("Which response helps more?")
    bench.press("Escape")


def skip_and_flag(bench) -> None:
    before = bench.in_hand
    bench.press("k", "Tab", "Enter")
    expect(bench.form).not_to_have_attribute("data-assignment", str(before))
    bench.press("!")
    bench.page.keyboard.type("The prompt is asked twice.")
    bench.press("Control+Enter")
    bench.expect_says("Flagged")


def lose_the_connection_and_go_on(bench) -> None:
    expect(bench.page.locator("[data-unsent]")).to_be_hidden()  # two are ahead again
    bench.page.context.set_offline(True)
    bench.answer("1")
    bench.answer("b")
    bench.expect_says("kept here")
    bench.page.context.set_offline(False)
    expect(bench.page.locator("[data-unsent]")).to_be_hidden()


def change_ones_mind(bench) -> None:
    given = bench.answer("4")
    bench.expect_saved()
    bench.press("z")
    bench.expect_in_hand(given)
    bench.answer("6")


def rank_by_drag_and_say_why(bench) -> None:
    mouse = bench.page.mouse
    expect(bench.form.locator("[data-board]")).to_be_visible()
    for letter, place in DRAGGED_TO.items():
        token = bench.form.locator(".token", has_text=letter).bounding_box()
        lane = bench.form.locator(f"[data-lane='{place}']").bounding_box()
        mouse.move(token["x"] + 8, token["y"] + 8)
        mouse.down()
        mouse.move(token["x"] + 30, token["y"] + 6)
        mouse.move(lane["x"] + lane["width"] / 2, lane["y"] + lane["height"] / 2)
        mouse.up()
    bench.press("3", "1", "n")
    bench.page.keyboard.type("One needs no cooking at all.")
    bench.submit("Control+Enter")


@pytest.fixture
def morning(bench, project):
    """Six pairs, then a ranking of four."""
    project.guidelines.create(version=1, text=texts.GUIDELINE)
    written = (texts.CODE, texts.FORMULAS, texts.NEAR, texts.ARABIC)
    for one in (*written, *written[:2]):
        texts.compare(project, one)
    texts.compare(project, SOUPS, priority=-1)
    return bench


def test_a_labelers_morning(morning, live_server, complaints):
    begin(morning.page, live_server.url, "Label")
    read_the_guideline(morning)
    morning.answer("2")
    skip_and_flag(morning)
    lose_the_connection_and_go_on(morning)
    change_ones_mind(morning)
    morning.answer("5")
    rank_by_drag_and_say_why(morning)
    morning.expect_state("empty")
    expect(morning.page.get_by_text("What is left waits for other labelers")).to_be_visible()
    eventually(lambda: standing() == 6)
    ranking = Judgment.objects.get(strengths=[3, 1])
    assert [len(tier) for tier in ranking.ranking] == [1, 2, 1]
    morning.page.get_by_role("main").get_by_role("link", name="My work").click()
    expect(morning.page.get_by_text("6 judgments")).to_be_visible()
    assert [one for one in complaints if "ERR_INTERNET_DISCONNECTED" not in one] == []


@pytest.fixture
def judged(project):
    """Twelve comparisons that two people judged; of one they say opposite things."""
    people = [factories.member(project) for _ in range(2)]
    rows = [texts.compare(project, texts.CODE, overlap=2) for _ in range(12)]
    for row in rows:
        for person in people:
            factories.judgment(row, person)
    last = Judgment.objects.filter(labeler=people[1], comparison=rows[0])
    last.update(ranking=[[pk] for pk in reversed(rows[0].candidate_ids)])
    services.refresh_agreement(project=project)
    return rows


def make_a_batch(page: Page) -> None:
    page.get_by_label("Sections").get_by_role("link", name="Comparisons").click()
    page.get_by_role("link", name="Batches").click()
    page.get_by_role("link", name="New batch").first.click()
    page.get_by_label("Name").fill("First of the day")
    page.get_by_label("Priority").fill("5")
    page.get_by_role("button", name="Count first").click()
    expect(page.get_by_role("status").filter(has_text="Nothing is made yet")).to_be_visible()
    page.get_by_role("button", name="Make the batch").click()
    expect(page.get_by_role("heading", name="First of the day")).to_be_visible()


def read_agreement_and_adjudicate(page: Page) -> None:
    page.get_by_label("Sections").get_by_role("link", name="Agreement").click()
    expect(page.get_by_role("heading", name="Do our labelers agree?")).to_be_visible()
    page.get_by_role("link", name="Items", exact=True).click()
    page.get_by_role("link", name="Adjudicate").first.click()
    page.get_by_label("A labeler's error").check()
    page.locator("#adjudicate [name=verdict]").first.check()
    page.locator("#why").fill("The second invents a method.")
    page.locator("#adjudicate").get_by_role("button", name="Adjudicate").click()
    expect(page.get_by_text("The second invents a method.").first).to_be_visible()


def answer_a_flag(page: Page) -> None:
    page.get_by_label("Sections").get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="1 flag").click()
    page.get_by_label("What you did about it").fill("The prompt is translated now.")
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("heading", name="No open flag")).to_be_visible()


def pause_the_project(page: Page) -> None:
    page.get_by_label("Sections").get_by_role("link", name="Settings").click()
    page.get_by_label("Pause labeling").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_be_visible()


def test_an_admins_morning(page, context, project, judged, signed_in, live_server, complaints):
    signed_in(context, factories.member(project, Role.ADMIN, username="grace"))
    begin(page, live_server.url, "Overview")
    texts.compare(project, texts.NEAR)
    project.flags.create(comparison=judged[0], labeler=factories.user(), note="In French.")
    make_a_batch(page)
    read_agreement_and_adjudicate(page)
    answer_a_flag(page)
    pause_the_project(page)
    project.refresh_from_db()
    assert (Batch.objects.get().priority, Adjudication.objects.count()) == (5, 1)
    assert project.is_paused
    assert complaints == []
