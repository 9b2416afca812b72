"""The documentation of the API shows its operations, under the same policy as every page."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_documentation_lists_the_operations(
    page: Page, context, live_server, labeler, signed_in, complaints
):
    signed_in(context, labeler)
    page.goto(f"{live_server.url}/api/v1/docs/")
    expect(page.get_by_role("heading", name="Concord API")).to_be_visible()
    expect(page.locator(".opblock").first).to_be_visible()
    assert complaints == []
