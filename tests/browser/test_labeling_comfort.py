"""What makes the labeling page pleasant for hours: nothing moves, menus close, every screen shows the verdict."""

import re

import pytest
from playwright.sync_api import Page, expect

from annotation.comparisons.models import Judgment
from tests import factories
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def compared(project):
    """Three pairs, with a criterion and a guideline."""
    project.criteria.create(name="helpful", question="Which is more helpful?")
    project.guidelines.create(version=1, text="Prefer what helps.")
    return [factories.comparison(factories.prompt(project)) for _ in range(3)]


@pytest.fixture
def ranked(project):
    """One comparison of nine responses."""
    return factories.comparison(factories.prompt(project), size=9)


def in_focus(page: Page) -> str:
    return page.evaluate("document.activeElement.innerText")


def typed(page: Page, **key: str | bool) -> None:
    """A key of a keyboard that is not American."""
    act = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', key))"
    page.evaluate(f"key => {act}", {**key, "bubbles": True, "cancelable": True})


def height(page: Page, part: str) -> float:
    return page.locator(part).first.bounding_box()["height"]


def sized(page: Page, width: int, high: int) -> None:
    page.set_viewport_size({"width": width, "height": high})


def test_a_digit_chooses_the_reason_of_a_skip_and_answers_nothing(bench, project, compared):
    bench.open()
    skipped = bench.in_hand
    bench.press("k", "4")
    expect(bench.form).not_to_have_attribute("data-assignment", str(skipped))
    row = eventually(lambda: project.assignments.filter(state="skipped").first())
    assert (row.pk, row.skip_reason) == (skipped, "upsetting")
    expect(bench.form.locator("input:checked")).to_have_count(0)


def test_the_reasons_of_a_skip_are_walked_by_arrows_and_left_by_escape(bench, compared):
    bench.open().press("k", "ArrowDown", "ArrowDown")
    assert "Not my language" in in_focus(bench.page)
    bench.press("ArrowUp", "ArrowUp", "ArrowUp")
    assert "Other" in in_focus(bench.page)
    bench.press("Escape")
    expect(bench.form.locator("[data-skip]")).not_to_have_attribute("open", "")
    assert "Skip" in in_focus(bench.page)


def test_a_flag_over_the_open_reasons_skips_nothing(bench, project, compared):
    bench.open().press("k", "Shift+Digit1")
    expect(bench.page.locator("dialog[open]")).to_be_visible()
    assert not project.assignments.filter(state="skipped").exists()


def test_an_arrow_of_the_numeric_keypad_walks_the_reasons_and_chooses_none(bench, compared):
    bench.open().press("k")
    skipped = bench.in_hand
    typed(bench.page, key="ArrowDown", code="Numpad2")
    assert "Needs an expert" in in_focus(bench.page)
    expect(bench.form.locator("[data-skip]")).to_have_attribute("open", "")
    bench.expect_in_hand(skipped)


@pytest.mark.parametrize(("sign", "is_shifted"), [("2", True), ("é", False)])
def test_a_french_keyboard_chooses_by_its_row_of_digits(bench, compared, sign, is_shifted):
    bench.open()
    typed(bench.page, key=sign, code="Digit2", shiftKey=is_shifted)
    expect(bench.form.locator("[data-row=overall] input").nth(1)).to_be_checked()


@pytest.mark.parametrize("menu", ["[data-skip]", ".sections", ".me .menu"])
def test_a_click_elsewhere_closes_a_menu(bench, compared, menu):
    bench.open().page.locator(f"{menu} > summary").first.click()
    expect(bench.page.locator(menu).first).to_have_attribute("open", "")
    bench.form.locator("[data-candidate]").first.click(position={"x": 5, "y": 60})
    expect(bench.page.locator(menu).first).not_to_have_attribute("open", "")


def test_escape_closes_a_menu_and_gives_its_button_the_focus(bench, compared):
    bench.open().page.locator(".sections > summary").click()
    bench.press("Tab", "Escape")
    expect(bench.page.locator(".sections")).not_to_have_attribute("open", "")
    assert "Support tone" in in_focus(bench.page)


def test_a_word_diff_that_cannot_be_loaded_says_so(bench, compared, context, complaints):
    bench.open()
    bench.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    context.set_offline(True)
    bench.press("d")
    bench.expect_says("could not be loaded")
    expect(bench.page.locator("[data-do=diff]")).to_have_attribute("aria-pressed", "false")
    assert [one for one in complaints if "fetch" in one] == []


def test_what_was_typed_is_kept_when_the_page_is_left_at_once(bench, compared):
    bench.open().press("6", "n")
    bench.page.keyboard.type("Half a sen")
    bench.page.reload()
    bench.expect_says("draft is back")
    expect(bench.form.locator("[data-why]")).to_have_value("Half a sen")
    expect(bench.form.locator("[data-row=overall] input:checked")).to_have_count(1)


def test_a_refusal_is_over_with_the_answer(bench, compared, context):
    bench.open().press("Enter")
    bench.expect_says("First choose which is better")
    context.set_offline(True)
    bench.answer("2")
    expect(bench.status).not_to_contain_text("Choose")
    context.set_offline(False)
    eventually(lambda: Judgment.objects.count() == 1)


def test_who_is_paused_finds_the_way_to_an_appeal(bench, project, labeler, compared):
    project.memberships.filter(user=labeler).update(paused_at="2026-01-01T00:00Z")
    bench.open()
    bench.expect_state("empty")
    bench.form.page.get_by_role("main").get_by_role("link", name="My work").click()
    expect(bench.page.get_by_role("heading", name="My work")).to_be_visible()


def test_an_empty_response_says_that_it_is(bench, project, compared):
    first = compared[0].candidates.first()
    first.text = " \n"
    first.save()
    bench.open()
    expect(bench.form.get_by_text("This response is empty.")).to_be_visible()


def test_a_response_in_arabic_runs_from_right_to_left_and_its_code_from_left_to_right(
    bench, project
):
    row = factories.comparison(factories.prompt(project, "مرحبا؟"))
    row.candidates.update(text="مرحبا\n\n- واحد\n\n`x = 1`\n\n```\ny = 2\n```")
    bench.open()
    sides = """(one) => {
        const words = document.createRange();
        words.selectNodeContents(one);
        const [box, text] = [one.getBoundingClientRect(), words.getBoundingClientRect()];
        return [text.left - box.left, box.right - text.right];
    }"""
    for part in (".turn p", ".resp [data-view=read] > p", ".resp [data-view=read] li"):
        said = bench.form.locator(part).first
        expect(said).to_have_css("direction", "rtl")
        left, right = said.evaluate(sides)
        assert left > right + 50, part
    for part in ("p code", "pre"):
        expect(bench.form.locator(f".resp [data-view=read] {part}").first).to_have_css(
            "direction", "ltr"
        )
    bench.press("r")
    left, right = bench.form.locator(".resp [data-view=raw] pre").first.evaluate(sides)
    assert right < 1
    expect(bench.form.locator(".resp [data-view=raw] pre").first).to_have_css("direction", "rtl")


@pytest.mark.parametrize(("language", "width"), [("en", 320), ("de", 320), ("en", 620)])
def test_a_phone_shows_the_verdict_and_its_button_in_every_language(
    bench, compared, language, width
):
    bench.page.set_extra_http_headers({"Accept-Language": language})
    sized(bench.page, width, 740)
    bench.open()
    bench.answer("2")
    scale = bench.form.locator("[data-row=overall]")
    expect(scale.locator("label").last).to_be_in_viewport(ratio=1)
    expect(bench.form.locator("[data-submit]")).to_be_in_viewport(ratio=1)
    foot = bench.form.locator(".foot").bounding_box()["y"]
    assert scale.bounding_box()["y"] + scale.bounding_box()["height"] <= foot + 1
    expect(scale.locator("label").first).to_have_text(re.compile("A›››"))
    expect(scale.locator(".signs")).to_have_text(
        re.compile({"en": "››› much better", "de": "››› viel besser"}[language])
    )
    expect(scale.locator(".signs")).to_be_in_viewport(ratio=1)
    for act in ("flag", "undo", "why"):
        expect(bench.form.locator(f"[data-{act}]")).to_be_in_viewport(ratio=1)


def test_nine_responses_fit_a_small_phone(bench, ranked):
    sized(bench.page, 320, 640)
    bench.open()
    assert bench.page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize("width", [320, 768, 1360])
def test_what_the_page_says_moves_nothing(bench, compared, width):
    sized(bench.page, width, 850)
    bench.open()
    bench.expect_state("ready")
    before = height(bench.page, ".strip")
    bench.press("Enter")
    bench.expect_says("First choose which is better")
    assert height(bench.page, ".strip") == before


@pytest.mark.parametrize("width", [1024, 1360])
def test_the_strip_keeps_its_line_while_answers_of_a_long_batch_wait(
    bench, project, context, width
):
    batch = project.batches.create(
        name="Support chats of November, second half", deadline="2099-03-05T17:00Z"
    )
    for _ in range(3):
        factories.comparison(factories.prompt(project), batch=batch)
    sized(bench.page, width, 850)
    bench.open()
    bench.expect_state("ready")
    expect(bench.page.locator("[data-due]")).to_be_visible()
    assert height(bench.page, ".strip") <= 48
    context.set_offline(True)
    bench.answer("2")
    bench.expect_says("kept here")
    expect(bench.page.locator("[data-unsent]")).to_have_text("1 to send")
    assert height(bench.page, ".strip") <= 48


def test_steps_between_nine_places_find_room_where_the_places_stand(bench, ranked):
    sized(bench.page, 1360, 850)
    bench.open().press(*"12345678")
    before = height(bench.page, "[data-place] .bar")
    bench.press("9")
    expect(bench.form.locator(".gap").last).to_be_visible()
    assert height(bench.page, "[data-place] .bar") == before


REASON = (
    "A names the cause and shows two ways out of it; B invents a method and ends in the middle. "
    * 3
)
COVERED = """(field) => {
    const box = (one) => one.getBoundingClientRect(), room = box(field);
    const answers = field.form.querySelectorAll(".steps label, [data-submit], .choice, .skip > summary");
    const isUnder = ({ left, right, top, bottom, height }) => height
        && left < room.right && room.left < right && top < room.bottom - 1 && room.top < bottom - 1;
    return [...answers].filter((one) => isUnder(box(one))).map((one) => one.innerText);
}"""


def test_a_reason_is_written_as_large_as_the_page_reads(bench, compared):
    bench.open()
    sizes = "(field) => [field, document.body].map((one) => getComputedStyle(one).fontSize)"
    reason, page = bench.form.locator("[data-why]").evaluate(sizes)
    assert reason == page


@pytest.mark.parametrize(
    ("width", "high"), [(1280, 800), (1024, 700), (768, 1024), (680, 425), (320, 640), (320, 568)]
)
def test_a_reason_covers_nothing_while_it_is_written_and_is_read_where_it_is(
    bench, compared, width, high
):
    sized(bench.page, width, high)
    bench.open()
    foot = height(bench.page, "[data-place] .foot")
    reason = bench.form.locator("[data-why]")
    bench.press("n")
    expect(reason).to_be_focused()
    expect(reason).to_be_in_viewport(ratio=1)
    assert height(bench.page, "[data-place] .foot") == foot  # nothing is written, nothing moves
    reason.fill(REASON)
    expect(reason).to_be_in_viewport(ratio=1)
    assert height(bench.page, "[data-why]") > 60
    verdict = bench.form.locator("[data-row=overall] label").nth(1)
    expect(verdict).to_be_in_viewport(ratio=1)
    verdict.click()
    expect(verdict.locator("input")).to_be_checked()
    bench.page.evaluate("scrollTo(0, 1e6)")  # a small screen has the criteria there
    assert reason.evaluate(COVERED) == []


def test_a_long_prompt_takes_at_most_30_percent_of_the_height(bench, project):
    factories.comparison(factories.prompt(project, "More of it.\n\n" * 60))
    sized(bench.page, 1360, 850)
    bench.open()
    bench.expect_state("ready")
    assert height(bench.page, "[data-place] [data-prompt]") <= 0.3 * 850


@pytest.mark.parametrize("high", [800, 600])
def test_a_long_prompt_and_many_criteria_leave_the_responses_their_room(bench, project, high):
    for position in range(12):
        project.criteria.create(name=f"aspect-{position}", question="Which?", position=position)
    factories.comparison(factories.prompt(project, "More of it.\n\n" * 60))
    sized(bench.page, 1024, high)
    bench.open()
    bench.expect_state("ready")
    assert height(bench.page, "[data-place] .resp") >= 0.22 * high
    expect(bench.form.locator("[data-submit]")).to_be_in_viewport(ratio=1)
    bench.press(*"1234567123")
    expect(bench.form.locator(".scale.now")).to_have_attribute("data-row", "criterion-aspect-9")
    expect(bench.form.locator(".scale.now")).to_be_in_viewport(ratio=1)
    expect(bench.form.locator("[data-row=overall] label").first).to_be_in_viewport(ratio=1)


def test_what_is_chosen_is_filled_where_colors_are_forced(bench, compared):
    bench.page.emulate_media(forced_colors="active")
    bench.open().press("2")
    looks = bench.form.locator("[data-row=overall] label").evaluate_all(
        "(steps) => steps.map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert looks[1] != looks[0] == looks[2]
    toggle = bench.page.locator("[data-do=sync]")
    on = toggle.evaluate("(one) => getComputedStyle(one).backgroundColor")
    toggle.click()
    assert toggle.evaluate("(one) => getComputedStyle(one).backgroundColor") != on


def test_after_an_undo_digits_begin_at_the_verdict_and_backspace_goes_back(bench, compared):
    bench.open()
    overall = bench.form.locator("[data-row=overall]")
    helpful = bench.form.locator("[data-row=criterion-helpful]")
    given = bench.answer("1")
    bench.expect_saved()
    bench.press("z")
    bench.expect_in_hand(given)
    expect(overall).to_have_class(re.compile("now"))
    bench.press("7")
    expect(overall.locator("input").nth(6)).to_be_checked()
    expect(helpful).to_have_class(re.compile("now"))
    bench.press("2", "Backspace", "Backspace", "5")
    expect(overall.locator("input").nth(4)).to_be_checked()
    expect(helpful.locator("input").nth(1)).to_be_checked()
