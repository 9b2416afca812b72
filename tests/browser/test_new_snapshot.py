"""The form of a new snapshot in a real browser: its counts follow the filters, whatever else is filled in."""

import pytest
from playwright.sync_api import Page, expect

from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_counts_follow_the_filters_before_there_is_a_name_and_leave_the_focus(
    page: Page, context, project, live_server, signed_in, complaints
):
    factories.judgment(factories.comparison(factories.prompt(project)))
    signed_in(context, factories.member(project, Role.ENGINEER))
    page.goto(f"{live_server.url}/projects/{project.pk}/datasets/new/")
    expect(page.locator("#preview")).to_contain_text("1 judgment")
    people = page.get_by_role("checkbox", name="People")
    people.click()
    expect(page.locator("#preview")).to_contain_text("0 judgments")
    expect(people).to_be_focused()
    assert complaints == []
    page.get_by_role("button", name="Request snapshot").click()
    expect(page.locator(".field.invalid")).to_contain_text("Name")
