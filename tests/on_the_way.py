"""What a server answers a browser, read on the way: asked for afterwards, a browser may never give it."""

import re

from playwright.sync_api import Page, Route


def bodies_read(page: Page, pattern: str | re.Pattern[str]) -> list[str]:
    """The bodies of the answers to requests of ``pattern`` from now on, in their order."""
    bodies: list[str] = []

    def read(route: Route) -> None:
        answer = route.fetch()
        bodies.append(answer.text())
        route.fulfill(response=answer)

    page.route(pattern, read)
    return bodies
