"""A round is started by one act in a real browser, and its page moves with it."""

import pytest
from playwright.sync_api import Page, expect

from annotation.projects.models import Role
from annotation.registry.services import promote
from annotation.rounds.models import Round
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_click_starts_a_round_whose_page_follows_it(
    page: Page, context, project, live_server, signed_in, complaints
):
    engineer = factories.member(project, Role.ENGINEER, username="eve")
    promote(version=factories.policy(project, name="base"), actor=engineer)
    factories.prompt(project)
    signed_in(context, engineer)
    page.goto(f"{live_server.url}/projects/{project.pk}/rounds/new/")
    expect(page.get_by_label("Estimate")).to_contain_text("to 1 prompt")
    page.get_by_label("Responses to each prompt").fill("3")
    page.get_by_label("Responses to each prompt").press("Tab")
    expect(page.get_by_label("Estimate").locator(".num").first).to_have_text("3")
    page.get_by_role("button", name="Start the round").click()
    expect(page.locator(".part[aria-current]")).to_contain_text("Responses")
    expect(page.locator(".part[aria-current]")).to_contain_text("0 of 1 prompts")
    Round.objects.update(state="failed", error="The generation run failed: no weights.")
    expect(page.get_by_role("alert")).to_have_text("The generation run failed: no weights.")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert complaints == []
