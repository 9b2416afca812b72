"""axe finds nothing on any page of any role: in the light, in the dark, and in high contrast."""

import importlib
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Page, expect

from annotation.comparisons.models import LabelerSettings
from annotation.datasets.services.requesting import request_snapshot
from tests import factories
from tests.world import World
from workers.datasets import build_snapshot

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = (
    {"color_scheme": "light", "contrast": "no-preference"},
    {"color_scheme": "dark", "contrast": "no-preference"},
    {"color_scheme": "light", "contrast": "more"},
    {"color_scheme": "dark", "contrast": "more"},
)
COLORS_ONLY = {"runOnly": ["color-contrast", "link-in-text-block"]}
PLACE = re.compile(r"<\w+:(\w+)>")
DOORS = ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nowhere/")


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        address = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, address)
        else:
            yield address, entry


def page_addresses() -> list[str]:
    """Every address of ours that answers to GET with a page, with places to fill in."""
    readable = set()
    for config in apps.get_app_configs():
        if importlib.util.find_spec(f"{config.name}.urls") and config.name.startswith(
            "annotation."
        ):
            urls = importlib.import_module(f"{config.name}.urls")
            for table in (getattr(urls, "ROUTE_ROLES", {}), getattr(urls, "OWN_ROUTES", {})):
                readable |= {name for name, methods in table.items() if "GET" in methods}
    found = [(address, one) for address, one in patterns(get_resolver()) if one.name in readable]
    return sorted(PLACE.sub(r"{\1}", address) for address, _one in found if "api/" not in address)


def look_again(page: Page, look: dict[str, str]) -> None:
    page.emulate_media(reduced_motion="reduce", **look)
    expect(page.locator("html")).to_have_attribute(
        "data-contrast", "more" if look["contrast"] == "more" else ""
    )


def violations(page: Page) -> list[str]:
    """What axe finds on the page that is open, in every look; the rules that colors do not touch are asked once."""
    found = []
    for number, look in enumerate(LOOKS):
        look_again(page, look)
        answer = Axe().run(page, options=COLORS_ONLY if number else {"resultTypes": ["violations"]})
        for one in answer.response["violations"]:
            places = "; ".join(node["html"][:160] for node in one["nodes"][:3])
            found.append(f"{page.url} {look}: {one['id']}: {places}")
    return found


def whole_pages(client: Client, addresses: list[str]) -> list[str]:
    """Those that answer with a page of their own; downloads, redirects and parts of pages are looked at elsewhere."""
    answers = {address: client.get(address) for address in addresses}
    assert [one for one, answer in answers.items() if answer.status_code >= 500] == []
    return [
        address
        for address, answer in answers.items()
        if answer.status_code == 200 and "<html" in getattr(answer, "text", "")
    ]


def changed_pairs(world: World) -> str:
    """The address of what changed between two snapshots: a pair was judged after the first."""
    for name in ("Before", "After"):
        factories.judgment(factories.comparison(factories.prompt(world.project, name)))
        last = request_snapshot(
            project=world.project, name=name, query={"is_adjudicated": False}, actor=world.user
        )
        build_snapshot(last.pk)
    place = reverse("datasets-difference", args=[world.project.pk, last.pk])
    return f"{place}?against={last.pk - 1}"


def test_no_page_of_any_role_has_a_violation(page, context, signed_in, live_server):
    world = World()
    signed_in(context, world.user)
    client = Client(raise_request_exception=False)
    client.force_login(world.user)
    addresses = [world.address(f"/{one}") for one in page_addresses()]
    changed = changed_pairs(world)
    opened = whole_pages(client, ["/", "/account/", "/accounts/logout/", changed, *addresses])
    assert len(opened) > 30
    assert changed in opened
    found = []
    for address in opened:
        page.goto(live_server.url + address)
        found += violations(page)
    assert found == [], "\n".join(found)


def test_no_page_before_the_sign_in_has_a_violation(page, live_server):
    found = []
    for address in DOORS:
        page.goto(live_server.url + address)
        found += violations(page)
    assert found == [], "\n".join(found)


def test_no_dialog_of_the_bench_has_a_violation(bench, project, labeler):
    LabelerSettings.objects.create(labeler=labeler, break_after_minutes=1)
    project.guidelines.create(version=1, text="# Be kind\n\nRead it all.\n\n| a |\n|--:|\n| 1 |")
    for _ in range(3):
        factories.comparison(factories.prompt(project))
    bench.page.clock.install()
    bench.open()
    bench.page.clock.fast_forward((project.lease_seconds - 60) * 1000)
    bench.expect_says("Little time is left")
    found = violations(bench.page)
    for key in ("!", "g"):
        bench.press(key)
        expect(bench.page.locator("dialog[open]")).to_have_count(1)
        found += violations(bench.page)
        bench.press("Escape")
    for _ in range(4):
        bench.press("s")
        bench.page.clock.run_for(20_000)
    bench.answer("2")
    expect(bench.page.get_by_role("dialog", name="Time for a break")).to_be_visible()
    found += violations(bench.page)
    assert found == [], "\n".join(found)


def test_nothing_blurred_no_wait_no_empty_queue_and_no_feedback_has_a_violation(
    bench, project, context
):
    row = factories.comparison(factories.prompt(project), overlap=2)
    project.assignments.create(
        comparison=row,
        labeler=factories.member(project),
        state="skipped",
        skip_reason="upsetting",
        shown_order=row.candidate_ids,
        lease_until="2026-01-01T00:00Z",
    )
    bench.open()
    expect(bench.form.locator("[data-reveal]")).to_be_visible()
    found = violations(bench.page)
    context.set_offline(True)
    bench.answer("2")
    bench.expect_state("waiting")
    found += violations(bench.page)
    context.set_offline(False)
    bench.expect_state("empty")
    found += violations(bench.page)
    project.must_qualify = True
    project.save()
    gold = factories.comparison(factories.prompt(project), kind="gold")
    gold.known_ranking = {"ranking": [[one] for one in gold.candidate_ids], "is_all_bad": False}
    gold.save()
    bench.open().answer("b")
    bench.expect_state("feedback")
    found += violations(bench.page)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("size", [2, 4])
def test_no_state_of_the_bench_has_a_violation(bench, project, size):
    for name in ("helpful", "honest"):
        project.criteria.create(name=name, question=f"Is it {name}?")
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2
    prompt = factories.prompt(project, turns=turns[:3])
    factories.comparison(prompt, size=size)
    project.guidelines.create(version=1, text="# Be kind\n\nRead it all.")
    bench.open()
    found = violations(bench.page)
    bench.press("1", "2", "3", "3", "1", "r")
    found += violations(bench.page)
    bench.press("k")
    found += violations(bench.page)
    bench.press("Escape", "?")
    found += violations(bench.page)
    assert found == [], "\n".join(found)
