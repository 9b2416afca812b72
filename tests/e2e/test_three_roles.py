"""A labeler, an admin and an engineer at work in a real browser, on the site that one lap left behind."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.on_the_way import bodies_read
from tests.waiting import eventually

LONG = 600_000  # milliseconds: a training process starts slowly on a busy machine


def open_section(page: Page, name: str) -> None:
    page.get_by_role("link", name="Smoke").first.click()
    page.get_by_label("Sections").get_by_role("link", name=name, exact=True).click()


def drawn_step(page: Page) -> int:
    """The newest step that the loss curve shows."""
    label = page.locator("[data-curves] [role=img]").first.get_attribute("aria-label")
    return int(re.search(r"at step (\d+)", label).group(1))


def judge_by_key(page: Page, key: str) -> None:
    bench = page.locator("[data-state=ready] [data-place] [data-bench]")
    before = bench.get_attribute("data-assignment")
    page.keyboard.press(key)
    expect(page.locator("[data-place] [data-submit]")).to_be_enabled(timeout=20_000)
    page.keyboard.press("Enter")
    gone = page.locator(f"[data-place] [data-bench][data-assignment='{before}']")
    expect(gone).to_have_count(0, timeout=20_000)


def test_a_labeler_judges_ten_comparisons_by_keyboard(sign_in, page, console):
    sign_in("labeler")
    open_section(page, "Label")
    counter = page.locator("[data-count]")
    expect(counter).to_contain_text("0 today")
    for key in ("1", "2", "3", "4", "5", "6", "7", "b", "2", "6"):
        judge_by_key(page, key)
    expect(counter).to_contain_text("10 today")
    page.keyboard.press("z")
    expect(counter).to_contain_text("9 today")
    assert console == []


def test_no_payload_of_the_labeler_names_a_model_or_a_side(sign_in, page):
    sign_in("labeler")
    bodies = bodies_read(page, "**/api/v1/**")
    open_section(page, "Label")
    expect(page.locator("[data-place] [data-bench]")).to_be_visible()
    seen = page.content() + "".join(bodies)
    assert not re.search(r"tiny-llama|ppo-first-lap|\"policy\"|\"left\"|\"right\"", seen)


def test_an_admin_reads_how_far_the_labelers_agree(sign_in, page, console):
    sign_in("admin")
    open_section(page, "Agreement")
    expect(page.get_by_role("heading", name="Do our labelers agree?")).to_be_visible()
    expect(page.get_by_text("Krippendorff").first).to_be_visible()
    expect(page.get_by_text("labelers are simulated").first).to_be_visible()
    expect(page.locator("svg[role=img]").first).to_be_visible()
    assert console == []


def test_an_engineer_starts_a_reward_run_and_sees_its_curve(sign_in, page, console):
    sign_in("engineer")
    open_section(page, "Runs")
    page.get_by_role("link", name=re.compile("New run", re.IGNORECASE)).first.click()
    page.get_by_role("button", name="Reward model", exact=True).click()
    page.get_by_role("button", name="Settings for two slow cores").click()
    page.get_by_label("Name").fill("from-the-browser")
    page.get_by_label("Epochs").fill("200")
    page.get_by_role("button", name="Queue the run").click()
    expect(page.get_by_role("heading", name="from-the-browser")).to_be_visible()
    expect(page.locator("[data-curves] canvas").first).to_be_visible(timeout=LONG)
    first = drawn_step(page)
    eventually(lambda: drawn_step(page) > first, seconds=LONG / 1000)
    expect(page.get_by_text("It published")).to_be_visible(timeout=LONG)
    assert console == []


@pytest.mark.parametrize("role", ["labeler", "admin", "engineer"])
def test_every_section_of_a_role_opens_without_a_complaint(site, sign_in, page, console, role):
    sign_in(role)
    page.get_by_role("link", name="Smoke").first.click()
    links = page.get_by_label("Sections").get_by_role("link")
    expect(links.first).to_be_visible()
    addresses = [link.get_attribute("href") for link in links.all()]
    assert len(addresses) > 2
    for address in addresses:
        answer = page.goto(site.url + address)
        assert answer.status == 200, address
        expect(page.locator("h1").first).to_be_attached()
    assert console == []
