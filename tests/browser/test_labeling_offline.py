"""A reload without a network: a page that says what is kept, and goes on. With one, nothing but the server answers."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Error, Page, expect

from annotation.comparisons.models import Assignment, Judgment, TimeAtWork
from annotation.projects.models import Project
from tests import factories
from tests.browser.conftest import Bench
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
HAS_WORKER = """async () => {
    const found = await navigator.serviceWorker.getRegistration();
    return found?.active?.state === "activated";
}"""


@pytest.fixture
def kept(bench: Bench, project) -> Bench:
    """The labeling page, open, with its worker ready."""
    for _ in range(4):
        factories.comparison(factories.prompt(project))
    bench.open()
    eventually(lambda: bench.page.evaluate(HAS_WORKER))
    eventually(lambda: is_served_by_the_worker(bench.page))
    return bench


def is_served_by_the_worker(page: Page) -> bool:
    """Whether a page that is loaded now comes by the worker: a busy browser loads one past it."""
    page.reload()
    return page.evaluate("navigator.serviceWorker.controller !== null")


def waits(page: Page, count: int) -> None:
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text(str(count))


def test_offline_a_reload_says_what_is_kept_and_goes_on_with_the_connection(kept, context):
    context.set_offline(True)
    given = [kept.answer("1"), kept.answer("2")]
    kept.page.reload()
    waits(kept.page, 2)
    kept.page.reload()
    waits(kept.page, 2)
    context.set_offline(False)
    kept.expect_state("ready")
    eventually(lambda: Judgment.objects.count() == 2)
    kept.expect_saved()
    assert list(Judgment.objects.values_list("assignment_id", flat=True).order_by("pk")) == given
    assert kept.in_hand not in given


def test_an_answer_taken_back_offline_does_not_count(kept, context):
    context.set_offline(True)
    given = kept.answer("2")
    kept.press("z")
    kept.expect_in_hand(given)
    kept.page.reload()
    waits(kept.page, 0)


def test_online_the_server_alone_answers_and_nothing_is_stored(kept, context, project):
    Project.objects.update(name="Another name")
    kept.page.reload()
    expect(kept.page.locator(".sections > summary")).to_have_text("Another name")
    assert kept.page.evaluate(HAS_WORKER)
    assert kept.page.evaluate("caches.keys()") == []
    context.clear_cookies()
    kept.page.reload()
    expect(kept.page).to_have_url(re.compile("/accounts/login/"))


def test_other_pages_have_no_worker(kept, context, project, live_server):
    context.set_offline(True)
    with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
        kept.page.goto(live_server.url + reverse("quality-my-work", args=[project.pk]))


def test_a_server_that_does_not_answer_is_called_that(kept, context, page):
    context.route("**/label/", lambda route: route.abort("connectionrefused"))
    page.reload()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    context.unroute_all()
    page.get_by_role("button", name="Try now").click()
    kept.expect_state("ready")


def test_the_page_keeps_the_look_that_was_chosen_and_runs_nothing_else(kept, context, complaints):
    kept.page.evaluate("localStorage.setItem('theme', 'dark')")
    context.set_offline(True)
    kept.page.reload()
    waits(kept.page, 0)
    expect(kept.page.locator("html")).to_have_attribute("data-theme", "dark")
    kept.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>')"
    )
    assert [one for one in complaints if "Content Security Policy" in one]


def test_the_worker_is_the_same_for_all_who_read_one_language(client):
    anybody = Client().get(reverse("comparisons-offline")).content
    client.force_login(factories.member(factories.project(), username="ada"))
    assert client.get(reverse("comparisons-offline")).content == anybody
    german = client.get(reverse("comparisons-offline"), headers={"Accept-Language": "de"})
    assert 'lang=\\"de\\"' in german.content.decode()
    assert client.post(reverse("comparisons-offline")).status_code == 405


def test_the_time_of_a_skip_waits_with_it_and_counts(kept, context, labeler):
    context.set_offline(True)
    eventually(lambda: kept.page.evaluate("performance.now()") > 1500)
    given = kept.in_hand
    kept.press("k", "1")
    expect(kept.form).not_to_have_attribute("data-assignment", str(given))
    context.set_offline(False)
    eventually(lambda: Assignment.objects.get(pk=given).state == "skipped")
    assert TimeAtWork.objects.get(labeler=labeler).active_ms > 0
