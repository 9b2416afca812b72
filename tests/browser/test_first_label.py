"""From nothing to the first label: an admin sets a project up by its pages, a labeler comes by a link and judges."""

import json
import secrets

import pytest
from playwright.sync_api import Browser, Page, expect

from annotation.comparisons.models import Judgment
from annotation.prompts.models import PromptImport
from tests import factories
from tests.browser.conftest import Bench
from tests.waiting import eventually
from workers.imports import import_prompts

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = secrets.token_urlsafe(12)
ROWS = [
    {"prompt": f"How do I make {dish}?", "responses": ["Slowly, and with salt.", "I do not know."]}
    for dish in ("a soup", "a cake")
]
FILE = {
    "name": "kitchen.jsonl",
    "mimeType": "application/jsonl",
    "buffer": "\n".join(map(json.dumps, ROWS)).encode(),
}
STEPS_BETWEEN = ("responses", "rubric", "guideline", "answers", "labels")


def sign_in(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site}/")


def set_up(page: Page) -> None:
    """Every step of the guided page, with a file at the first; the rest is taken as it is offered."""
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name").fill("Kitchen help")
    page.get_by_role("button", name="Make project").click()
    page.wait_for_url("**/setup/prompts/")
    page.get_by_label("What is in the file?").select_option("comparisons")
    page.get_by_label("File", exact=True).set_input_files(FILE)
    page.get_by_role("button", name="Preview the first rows").click()
    expect(page.locator("#rows")).to_contain_text("All 2 rows can be taken")
    page.get_by_role("button", name="Import and stay").click()
    expect(page.get_by_role("link", name="kitchen.jsonl")).to_be_visible()
    follow_the_import(page)
    for step in (*STEPS_BETWEEN, "people"):
        page.get_by_role("button", name="Save and continue", exact=True).last.click()
        page.wait_for_url(f"**/setup/{step}/")
    page.get_by_role("button", name="Invite and continue").click()
    page.wait_for_url("**/setup/start/")
    page.get_by_role("button", name="Start", exact=True).last.click()
    expect(page.get_by_text("Everything is under way.")).to_be_visible()


def follow_the_import(page: Page) -> None:
    """The page says how far it is, and at the end what is here and what it comes to, without a reload."""
    row = page.locator("#imports tbody tr")
    expect(row.locator("progress")).to_be_visible()
    PromptImport.objects.update(progress_total=2)
    expect(row).to_contain_text("0 of 2")
    import_prompts(PromptImport.objects.get().pk)
    expect(page.get_by_text("2 prompts are here.")).to_be_visible()
    expect(row.locator(".tag")).to_have_text("done")
    expect(row.locator("progress")).to_have_count(0)
    expect(page.locator("#drawn")).to_contain_text("on 2 comparisons of 2 prompts")


def link_for_a_labeler(page: Page) -> str:
    page.get_by_label("Sections").get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Members", exact=True).click()
    page.get_by_role("button", name="Make link").click()
    return page.locator("[data-link]").inner_text()


def join(page: Page, link: str, name: str) -> None:
    page.goto(link)
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name=f"Join as {name}").click()
    expect(page.get_by_text("Welcome to Kitchen help")).to_be_visible()


def test_an_admin_sets_a_project_up_and_an_invited_labeler_gives_the_first_label(
    page, browser: Browser, live_server, complaints
):
    admin = factories.user("ada", is_staff=True)
    admin.set_password(PASSWORD)
    admin.save()
    sign_in(page, live_server.url, "ada")
    set_up(page)
    link = link_for_a_labeler(page)
    other = browser.new_context().new_page()
    join(other, link, "kim")
    other.get_by_label("Sections").get_by_role("link", name="Label", exact=True).click()
    bench = Bench(other, other.url)
    bench.answer("2")
    bench.expect_saved()
    row = eventually(Judgment.objects.first)
    assert (row.labeler.username, row.is_counted) == ("kim", True)
    assert complaints == []
    other.context.close()
