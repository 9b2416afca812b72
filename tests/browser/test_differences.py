"""Where texts differ: removed is struck through, added underlined, everywhere; of two responses, none is older."""

import pytest
from playwright.sync_api import Locator, Page, expect

from annotation.demonstrations.models import Opening
from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = "One two three four.", "One two five four."
LOOKS = [
    {"color_scheme": scheme, "contrast": contrast}
    for scheme in ("light", "dark")
    for contrast in ("no-preference", "more")
]


def look_of(words: Locator) -> tuple[str, str]:
    """Ground and line of words, as the browser draws them."""
    return tuple(
        words.evaluate(
            "(one) => { const { backgroundColor, textDecorationLine } = getComputedStyle(one);"
            " return [backgroundColor, textDecorationLine]; }"
        )
    )


def test_what_only_one_of_two_responses_has_is_marked_alike_on_both_sides(bench, project):
    row = factories.comparison(factories.prompt(project))
    for candidate, text in zip(row.candidates.all(), (BEFORE, AFTER), strict=True):
        candidate.text = text
        candidate.save()
    bench.open().press("d")
    marks = bench.form.locator("[data-view=diff] mark")
    expect(marks).to_have_count(2)
    first, second = (look_of(one) for one in marks.all())
    assert first == second
    assert first[1] == "underline"


def test_removed_and_added_are_told_apart_without_color_on_every_page(
    page: Page, context, project, labeler, live_server, signed_in
):
    source = factories.candidate(factories.prompt(project), BEFORE)
    Opening.objects.create(project=project, prompt=source.prompt, source=source)
    for version, text in enumerate((BEFORE, AFTER), 1):
        project.guidelines.create(version=version, text=text)
    address = f"{live_server.url}/projects/{project.pk}"
    signed_in(context, labeler)
    page.goto(f"{address}/write/")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.locator("[data-before]")).to_have_text(BEFORE)
    page.locator("[data-text]").fill(AFTER)
    expect(page.locator("[data-after] ins")).to_have_text("five")
    at_the_desk = looks(page)
    page.locator("[data-submit]").click()
    expect(page.locator("[data-status]")).to_contain_text("Sent to review")
    signed_in(context, factories.member(project, Role.ADMIN, username="grace"))
    page.goto(f"{address}/demonstrations/{project.demonstrations.get().pk}/")
    assert looks(page) == at_the_desk
    page.goto(f"{address}/guideline/2/requeue/")
    assert looks(page) == at_the_desk


def looks(page: Page) -> list[tuple[str, str]]:
    """How what was removed and what was added look, by day, by night and in high contrast."""
    found = []
    for media in LOOKS:
        page.emulate_media(**media)
        expect(page.locator("html")).to_have_attribute(
            "data-contrast", "more" if media["contrast"] == "more" else ""
        )
        gone, come = (look_of(page.locator(one).first) for one in ("del", "ins"))
        assert (gone[1], come[1]) == ("line-through", "underline")
        assert gone[0] != come[0] or media["contrast"] == "more"
        found += [gone, come]
    return found
