"""A labeler writes by keyboard, loses the connection and the page, and loses no word; a second person reviews."""

import re

from playwright.sync_api import Page, expect

LONG = 120_000  # milliseconds: a worker builds on a busy machine
BEGUN, WHOLE = "Ask a friend first.", "Ask a friend first, **then** a lawyer."


def open_section(page: Page, name: str) -> None:
    page.get_by_role("link", name="Smoke").first.click()
    page.get_by_label("Sections").get_by_role("link", name=name, exact=True).click()


def ask_for_two(page: Page) -> None:
    open_section(page, "Demonstrations")
    page.get_by_role("link", name="Ask for demonstrations").first.click()
    page.get_by_label("Most prompts").fill("2")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("Openings made: 2.")).to_be_visible()


def write_offline_and_on(page: Page) -> None:
    """Type, lose the connection, get it back, reload: the text is there, and rendered beside itself."""
    open_section(page, "Write")
    field, status = page.locator("[data-text]"), page.locator("[data-status]")
    expect(field).to_be_focused(timeout=LONG)
    page.keyboard.type(BEGUN)
    expect(status).to_have_text("Draft saved.", timeout=LONG)
    page.context.set_offline(True)
    page.keyboard.press("Control+a")
    page.keyboard.type(WHOLE)
    expect(status).to_contain_text("kept in this browser", timeout=LONG)
    page.context.set_offline(False)
    expect(status).to_have_text("Draft saved.", timeout=LONG)
    page.reload()
    expect(field).to_have_value(WHOLE)
    expect(field).to_be_focused(timeout=LONG)
    expect(page.locator("[data-pane=preview] strong")).to_have_text("then")


def send_take_back_and_send(page: Page) -> None:
    written = page.locator("[data-desk]").get_attribute("data-demonstration")
    the_next = page.locator(f"[data-desk]:not([data-demonstration='{written}'])")
    page.keyboard.press("Control+Enter")
    expect(the_next.locator("[data-text]")).to_be_focused(timeout=LONG)
    page.keyboard.press("Escape")
    page.keyboard.press("z")
    expect(page.locator(f"[data-demonstration='{written}'] [data-text]")).to_be_focused(
        timeout=LONG
    )
    page.keyboard.press("Control+Enter")
    expect(the_next).to_be_visible()


def approve_by_key(page: Page) -> None:
    open_section(page, "Demonstrations")
    page.get_by_role("link", name="Review", exact=True).first.click()
    expect(page.locator("strong", has_text="then")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("a")
    expect(page.get_by_text("Approved.")).to_be_visible(timeout=LONG)


def build_a_snapshot(page: Page) -> None:
    open_section(page, "Datasets")
    page.get_by_role("link", name=re.compile("New snapshot")).first.click()
    page.get_by_label("Name").fill("With what people wrote")
    page.get_by_role("button", name="Request snapshot").click()


def test_a_demonstration_goes_from_the_request_into_a_snapshot(sign_in, page, console):
    for role, acts in (
        ("admin", [ask_for_two]),
        ("labeler", [write_offline_and_on, send_take_back_and_send]),
        ("admin", [approve_by_key]),
        ("engineer", [build_a_snapshot]),
    ):
        page.context.clear_cookies()
        sign_in(role)
        for act in acts:
            act(page)
    expect(page.get_by_text(re.compile(r"\b1 demonstration\b"))).to_be_visible(timeout=LONG)
    assert [one for one in console if "ERR_INTERNET_DISCONNECTED" not in one] == []
