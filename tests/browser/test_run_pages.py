"""The pages of runs: curves titled with their unit, grouped by what they tell; the list on a phone."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from annotation.projects.models import Role
from annotation.runs.models import RunEvent
from tests import factories


@pytest.fixture
def run(project):
    """A cancelled run of three updates, whose reward model has one head."""
    made = factories.training_run(project, kind="ppo", spec={"kind": "ppo"}, status="cancelled")
    for step in (1, 2, 3):
        tell(made, step, disagreement=0.0)
    return made


def tell(run, step, **more):
    data = {"reward": 0.1 * step, "kl": 0.2 * step, "learning_rate": 1e-5, **more}
    at = timezone.now() + timedelta(seconds=step)
    RunEvent.objects.create(run=run, kind="metrics", step=step, at=at, data=data)


@pytest.fixture
def page(page, live_server, project, run, signed_in, complaints):
    signed_in(page.context, factories.member(project, Role.ENGINEER))
    page.goto(f"{live_server.url}/projects/{project.pk}/runs/{run.pk}/")
    yield page
    assert complaints == []


def test_curves_stand_under_what_they_tell_of_and_say_what_they_are(page):
    reward = page.get_by_role("heading", name="Reward", exact=True).locator("..")
    expect(reward.locator("figcaption")).to_have_text(["Reward of the responses, mean score0.3"])
    expect(
        page.get_by_role("img", name="KL to the reference (nats a response) at step 3: 0.6")
    ).to_be_visible()
    headings = page.locator("[data-curves] h3")
    expect(headings).to_have_text(["Reward", "What guards watch", "Optimizer", "Speed and memory"])


def test_zeros_are_named_and_drawn_on_request(page):
    chart = page.get_by_role("img", name="Disagreement of the heads")
    expect(page.get_by_text("Zero at every step: Disagreement of the heads")).to_be_visible()
    expect(chart).to_be_hidden()
    page.get_by_text("Zero at every step").click()
    expect(chart.locator("canvas")).to_be_visible()


def test_the_table_of_their_numbers_is_one_link_away(page):
    page.get_by_role("link", name="Their numbers in a table, and the log").click()
    expect(page.get_by_role("region", name="Numbers of the curves")).to_be_in_viewport()


def test_on_a_phone_the_list_has_a_card_for_each_run_that_needs_no_sideways_scrolling(
    page, project
):
    factories.training_run(project, name="A second one")
    page.set_viewport_size({"width": 375, "height": 800})
    page.get_by_role("link", name="All runs").click()
    result = page.locator("td.result").first
    expect(result).to_be_in_viewport(ratio=1)
    assert result.bounding_box()["width"] > 250
    expect(page.get_by_text("Snapshot", exact=True)).to_be_hidden()
    assert page.locator("table.runs").evaluate(
        "(one) => one.scrollWidth <= one.parentElement.clientWidth"
    )
