"""The sections of a project can be seen at once on every screen from 1024 px, with all roles."""

import pytest
from django.urls import reverse

from annotation.projects.models import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("width", [1024, 1440, 1920])
def test_no_section_lies_outside_the_bar(
    page, context, signed_in, live_server, project, labeler, width
):
    for role in (Role.ADMIN, Role.ENGINEER):
        project.memberships.create(user=labeler, role=role)
    signed_in(context, labeler)
    page.set_viewport_size({"width": width, "height": 768})
    page.goto(live_server.url + reverse("overview-project", args=[project.pk]))
    sections = page.locator(".top .nav a")
    assert sections.last.inner_text() == "Settings"
    edges = [one.bounding_box() for one in sections.all()]
    assert max(box["x"] + box["width"] for box in edges) <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
