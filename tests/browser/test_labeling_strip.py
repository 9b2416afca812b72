"""What the strip says is read whole at every width: beside the rest in two lines, else in a line of its own."""

import pytest
from playwright.sync_api import expect

from annotation.accounts.models import User
from tests import factories
from tests.browser.conftest import Bench

pytestmark = pytest.mark.django_db(transaction=True)
SIZES = {320: 568, 390: 844, 640: 700, 680: 425, 768: 1024, 1024: 768, 1280: 800, 1920: 1080}
SIZES |= {3840: 2160}
OTHER = "mahnoor-siddiqui-of-support"
SAID = {
    "little time": "Little time is left for this comparison: press E for more.",
    "offline": "You are offline. Your answers are kept here; next try in 30 s.",
    "the end of a lease": (
        "Your time for this comparison ended. Your answer will be kept, but may not be counted."
    ),
    "a queue that is held": (
        "What is left is in a batch that an admin has paused. Your work is saved; its "
        "comparisons appear here again when it goes on."
    ),
    "a note of an admin": (
        "An admin has paused your work in this project. What you did is saved; ask them what comes "
        "next. Let us talk about ties first: many of yours differ from what the guideline says."
    ),
}
LINES = """(status) => {
    const range = document.createRange();
    range.selectNodeContents(status);
    const strip = status.closest(".strip");
    const [room, text] = [strip, range].map((one) => one.getBoundingClientRect());
    const boxes = [...strip.children].filter((one) => !one.contains(status)).map((one) => one.getBoundingClientRect());
    const beside = boxes.filter((one) => one.width && one.top < text.bottom - 2 && text.top < one.bottom - 2);
    return {
        lines: new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size,
        isAlone: beside.length === 0,
        isInside: text.left >= 0 && text.right <= innerWidth && text.top >= room.top && text.bottom <= room.bottom,
        isCovered: beside.some((one) => one.left < text.right && text.left < one.right),
    };
}"""


@pytest.fixture
def full(bench: Bench, project) -> Bench:
    """The page with all that the strip can hold beside what it says."""
    batch = project.batches.create(name="Support chats of November", deadline="2099-03-05T17:00Z")
    for _ in range(4):
        factories.comparison(factories.prompt(project), batch=batch)
    return bench.open()


def resize(bench: Bench, width: int) -> None:
    """Give the page another size, and a frame in which its script fits the strip to it."""
    bench.page.set_viewport_size({"width": width, "height": SIZES[width]})
    bench.page.evaluate("() => new Promise(requestAnimationFrame)")


def lacks(bench: Bench) -> list[str]:
    """At which widths what is said now is not whole, or takes more than two lines beside the rest."""
    found = []
    for width in SIZES:
        resize(bench, width)
        seen = bench.status.evaluate(LINES)
        is_whole = seen["isInside"] and not seen["isCovered"]
        if not is_whole or (seen["lines"] > 2 and not seen["isAlone"]):
            found.append(f"{width}: {seen}")
    return found


@pytest.mark.parametrize("what", SAID)
def test_a_sentence_of_the_strip_is_whole_at_every_width(full, what):
    full.status.evaluate("(status, text) => { status.textContent = text; }", SAID[what])
    assert lacks(full) == []


def test_who_is_signed_in_now_is_told_whole_beside_the_way_back(full, context, project, signed_in):
    signed_in(context, factories.member(project, username=OTHER))
    full.answer("2")
    full.expect_says(f"{OTHER} is signed in in this browser now. Your answers are kept here")
    expect(full.page.get_by_role("link", name="Sign in again")).to_be_visible()
    expect(full.page.locator("[data-unsent]")).to_be_visible()
    assert User.objects.count() == 2
    assert lacks(full) == []
    resize(full, 1280)
    assert full.status.evaluate(LINES)["lines"] == 1


def test_a_short_word_moves_nothing(full):
    strip = full.page.locator(".strip")
    full.page.set_viewport_size({"width": 1280, "height": 800})
    before = strip.bounding_box()
    full.press("2")
    full.expect_says("Draft saved")
    assert strip.bounding_box() == before
