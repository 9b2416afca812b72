"""Who may use which address: generated over every route of the resolver.

Each app's urls.py declares its routes: ``ROUTE_ROLES`` (name -> method -> roles) for what lies in a project,
``OWN_ROUTES`` (name -> methods) for what any signed-in person has, ``OPEN_ROUTES`` (names) for what anyone may see.
"""

import importlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from django.apps import apps
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from annotation.projects.models import Project, Role
from tests import factories

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SAMPLES = {"int": 987_654_321, "str": "absent", "slug": "absent", "path": "absent"}
SAMPLES["uuid"] = "00000000-0000-4000-8000-000000000000"
GATE_SENTENCE = b"no such project"


class Route(NamedTuple):
    """An address of ours, as `api/v1/projects/{project_id}/`; the converters of its parts; whether it is API."""

    name: str
    address: str
    parts: dict[str, str]
    is_api: bool

    def url(self, project: Project | None) -> str:
        values: dict[str, object] = {part: SAMPLES[kind] for part, kind in self.parts.items()}
        if project and "project_id" in values:
            values["project_id"] = project.pk
        return reverse(self.name, kwargs=values)


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern, dict]]:
    for entry in resolver.url_patterns:
        address = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, address)
        else:
            yield address, entry, entry.pattern.converters


def _is_ours(pattern: URLPattern) -> bool:
    return pattern.callback.__module__.startswith("annotation.")


def _routes() -> dict[str, Route]:
    found = {}
    for address, pattern, converters in _patterns(get_resolver()):
        if not _is_ours(pattern):
            continue
        kinds = {
            part: type(one).__name__.removesuffix("Converter").lower().replace("string", "str")
            for part, one in converters.items()
        }
        name = pattern.name or address
        template = re.sub(r"<\w+:(\w+)>", r"{\1}", address)
        found[name] = Route(name, template, kinds, address.startswith("api/"))
    return found


def _declared(table: str) -> dict:
    merged: dict = {}
    for config in apps.get_app_configs():
        if not config.name.startswith("annotation."):
            continue
        if importlib.util.find_spec(f"{config.name}.urls") is None:
            continue
        rows = getattr(importlib.import_module(f"{config.name}.urls"), table, {})
        merged.update(rows if isinstance(rows, dict) else dict.fromkeys(rows))
    return merged


ROUTES = _routes()
ROLES = _declared("ROUTE_ROLES")
OWN = _declared("OWN_ROUTES")
OPEN = _declared("OPEN_ROUTES")
IN_PROJECT = [
    pytest.param(name, method, id=f"{name}-{method}")
    for name, methods in sorted(ROLES.items())
    for method in methods
    if name in ROUTES
]
SIGNED_IN = [
    pytest.param(name, method, id=f"{name}-{method}")
    for name, methods in sorted(OWN.items())
    for method in sorted(methods)
    if name in ROUTES
]


def _ask(client: Client, method: str, url: str) -> HttpResponse:
    body = {} if method == "GET" else {"data": "{}", "content_type": "application/json"}
    if method == "POST" and not url.startswith("/api/"):
        body = {"data": {}}
    return (
        client.generic(method, url)
        if method == "GET"
        else getattr(client, method.lower())(url, **body)
    )


def _as(user) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def _turned_away(answer: HttpResponse, route: Route) -> bool:
    if route.is_api:
        return answer.status_code == 401
    return answer.status_code == 302 and answer["Location"].startswith("/accounts/login/")


def test_every_route_is_declared_with_its_roles():
    undeclared = sorted(ROUTES.keys() - ROLES.keys() - OWN.keys() - OPEN.keys())
    assert not undeclared, (
        f"These routes are in no table: {undeclared}. Add each to its app's urls.py: "
        'ROUTE_ROLES = {"<url name>": {"GET": frozenset({Role.ADMIN}), ...}} if it lies in a project, '
        'OWN_ROUTES = {"<url name>": {"GET"}} if any signed-in person has it, OPEN_ROUTES = {"<url name>"} if anyone.'
    )


def test_every_declared_route_exists():
    unknown = sorted((ROLES.keys() | OWN.keys() | OPEN.keys()) - ROUTES.keys())
    assert not unknown, f"No address has these names: {unknown}. Remove them, or add them to urls."


def test_a_route_in_a_project_is_never_declared_as_own_or_open():
    loose = [name for name in OWN.keys() | OPEN.keys() if "project_id" in ROUTES[name].parts]
    assert not loose, f"These carry a project_id and so belong in ROUTE_ROLES: {loose}."


@pytest.mark.parametrize(("name", "method"), IN_PROJECT)
def test_the_anonymous_are_sent_to_sign_in(name, method):
    """Without a look into the database: this test has none."""
    answer = _ask(Client(), method, ROUTES[name].url(None))
    assert _turned_away(answer, ROUTES[name]), f"Anonymous {method} {name}: {answer.status_code}"


@pytest.mark.parametrize(("name", "method"), SIGNED_IN)
def test_what_is_ones_own_needs_a_sign_in(name, method):
    answer = _ask(Client(), method, ROUTES[name].url(None))
    assert _turned_away(answer, ROUTES[name]), f"Anonymous {method} {name}: {answer.status_code}"


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "method"), IN_PROJECT)
def test_a_stranger_learns_nothing_about_a_project(name, method):
    """The gate answers, not a later look-up: its sentence is in the answer."""
    answer = _ask(_as(factories.user()), method, ROUTES[name].url(factories.project()))
    assert answer.status_code == 404, f"Stranger: {method} {name} answered {answer.status_code}"
    assert GATE_SENTENCE in answer.content, (
        f"{method} {name} says 404 to a stranger, but not by the gate: call "
        "project_for(request.user, project_id, ...) before anything else."
    )


def _answers_by_role(name: str, method: str) -> dict[Role, int]:
    """One member who holds one role after the other."""
    project, user = factories.project(), factories.user()
    client, url = _as(user), ROUTES[name].url(project)
    answers = {}
    for role in Role:
        project.memberships.filter(user=user).delete()
        project.memberships.create(user=user, role=role)
        answers[role] = _ask(client, method, url).status_code
    return answers


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "method"), IN_PROJECT)
def test_members_pass_with_the_role_and_only_with_it(name, method):
    statuses = _answers_by_role(name, method)
    passed = {role for role, status in statuses.items() if status not in {401, 403, 405}}
    assert passed == set(ROLES[name][method]), (
        f"{method} {name} answered {statuses}; ROUTE_ROLES says {sorted(ROLES[name][method])}. "
        "Pass the same roles to project_for, or correct the table."
    )
    assert max(statuses.values()) < 500, f"{method} {name} broke on an empty request: {statuses}"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(name for name in ROLES if name in ROUTES))
def test_a_method_that_is_not_declared_is_refused(name):
    project = factories.project()
    everything = factories.member(project, Role.ADMIN)
    for role in (Role.LABELER, Role.ENGINEER):
        project.memberships.create(user=everything, role=role)
    others = [method for method in METHODS if method not in ROLES[name]]
    url, client = ROUTES[name].url(project), _as(everything)
    statuses = {method: _ask(client, method, url).status_code for method in others}
    taken = {method: status for method, status in statuses.items() if status != 405}
    assert not taken, f"{name} takes methods that ROUTE_ROLES does not name: {taken}"
