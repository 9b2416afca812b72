"""The labeling page in a real browser, before a server in this process: many states in little time."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from threading import Condition

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

from annotation.accounts.models import User
from annotation.projects.models import Project
from tests import factories
from tests.filming import film, slowly

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # playwright runs an event loop in this thread
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WAIT = 30_000  # milliseconds: a busy machine; what passes does not wait
FIRST_WAIT = 120_000
expect.set_options(timeout=WAIT)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    assert path, "There is no Chromium on the PATH; install it (Debian: apt install chromium)."
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    return {**browser_type_launch_args, "executable_path": path, "args": quiet, **slowly()}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    """`RECORD=folder` films every page: one video a test."""
    return {**browser_context_args, **film()}


class Traffic:
    """How many requests of browsers the server is answering."""

    def __init__(self) -> None:
        self._open = 0
        self._changed = Condition()

    def begin(self, sender: type | None, **_signal: object) -> None:
        self._count(sender, 1)

    def end(self, sender: type | None, **_signal: object) -> None:
        self._count(sender, -1)

    def _count(self, sender: type | None, step: int) -> None:
        if sender is None or not issubclass(sender, WSGIHandler):
            return  # a client without a browser, which leaves a stream that it does not read open
        with self._changed:
            self._open += step
            self._changed.notify_all()

    def wait_for_silence(self) -> None:
        with self._changed:
            is_silent = self._changed.wait_for(lambda: self._open <= 0, WAIT / 1000)
            self._open = 0  # one that hangs fails its own test alone
        assert is_silent, "A request hangs."


@pytest.fixture(scope="session")
def traffic() -> Iterator[Traffic]:
    counted = Traffic()
    request_started.connect(counted.begin)
    request_finished.connect(counted.end)
    yield counted
    request_started.disconnect(counted.begin)
    request_finished.disconnect(counted.end)


@pytest.fixture
def context(context: BrowserContext, traffic: Traffic) -> Iterator[BrowserContext]:
    """The first page waits for the server to import what it needs, and for bundles to be joined.

    What a page asked last is answered before the database is emptied, which it would wait for, or block.
    """
    context.set_default_timeout(FIRST_WAIT)
    yield context
    for page in context.pages:
        page.close()
    traffic.wait_for_silence()


@pytest.fixture
def project(live_server) -> Project:
    """A project whose verdict unlocks at once; `live_server` brings the database."""
    return factories.project(name="Support tone", min_reading_seconds=0)


@pytest.fixture
def labeler(project) -> User:
    return factories.member(project, username="ada")


@pytest.fixture
def signed_in(live_server) -> Callable[[BrowserContext, User], None]:
    """Give a browser the session of a person, without the way through the sign-in page."""

    def act(context: BrowserContext, user: User) -> None:
        client = Client()
        client.force_login(user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": value, "url": live_server.url}])

    return act


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """What the browser complained about: CSP violations and script errors."""
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


class Bench:
    """The labeling page as a person has it before them: by keys, and by what can be read."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.form = page.locator("[data-place] [data-bench]")
        self.status = page.locator("[data-status]")

    def open(self) -> "Bench":
        self.page.goto(self.address)
        return self

    def press(self, *keys: str) -> "Bench":
        """Press these one after the other; a sheet that Escape closes is away before the next."""
        for key in keys:
            self.page.keyboard.press(key)
            if key == "Escape":
                expect(self.page.locator("dialog[open]")).to_have_count(0)
        return self

    def answer(self, key: str = "2") -> int:
        """Answer the comparison in hand, and see it leave; its assignment."""
        self.expect_state("ready")
        before = self.in_hand
        self.press(key)
        self.submit()
        ready = "[data-labeling][data-state=ready] [data-place]"
        expect(self.page.locator(f"{ready} [data-assignment='{before}']")).to_have_count(0)
        return before

    def submit(self, key: str = "Enter") -> None:
        """Submit once the page takes the answer: it has seen every response by a frame of the browser."""
        expect(self.form.locator("[data-submit]")).to_have_attribute("aria-disabled", "false")
        self.press(key)

    @property
    def in_hand(self) -> int:
        """The assignment in hand."""
        return int(self.form.get_attribute("data-assignment"))

    def expect_in_hand(self, assignment: int) -> None:
        expect(self.form).to_have_attribute("data-assignment", str(assignment))

    def expect_state(self, name: str) -> None:
        expect(self.page.locator("[data-labeling]")).to_have_attribute("data-state", name)

    def expect_saved(self) -> None:
        """The server has answered all that was given, and the page says so; a draft that was saved is not enough."""
        expect(self.page.locator("[data-unsent]")).to_be_hidden()
        self.expect_says(r"^Saved")

    def expect_says(self, text: str) -> None:
        expect(self.status).to_contain_text(re.compile(text, re.IGNORECASE))


@pytest.fixture
def bench(page: Page, context, labeler, project, live_server, signed_in, complaints) -> Bench:
    """The page of `labeler` in `project`, signed in; `bench.open()` goes there."""
    signed_in(context, labeler)
    return Bench(page, f"{live_server.url}/projects/{project.pk}/label/")
