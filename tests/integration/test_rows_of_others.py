"""A row of another project is not found through mine: generated over every page and operation that names a row."""

import pytest
from django.test import Client

from annotation.projects.models import Role
from tests import factories
from tests.integration.test_permission_matrix import ROLES, ROUTES
from tests.world import World

NAMES = {"name", "table", "step"}  # words of the code, the same in every project
NAMED = [
    (name, method)
    for name, methods in sorted(ROLES.items())
    for method in sorted(methods)
    if name in ROUTES and set(ROUTES[name].parts) - {"project_id"} - NAMES
]
BODY = {
    "client_uuid": "00000000-0000-4000-8000-000000000000",
    "state": "closed",
    "stage": "serving",
    "reason": "other",
    "roles": ["admin"],
    "kind": "message",
    "text": "Hello.",
    "is_on": False,
    "is_retired": True,
}
NO_FIELD = "There is no such field here"
ANSWERED = {"state": "declined", "answer": "No."}


@pytest.fixture
def theirs(db) -> World:
    return World()


@pytest.fixture
def mine(db):
    """A project of mine without a row, where I may do everything."""
    project = factories.project()
    person = factories.member(project, Role.ADMIN)
    for role in (Role.LABELER, Role.ENGINEER):
        project.memberships.create(user=person, role=role)
    return project, person


def _status(client: Client, name: str, method: str, address: str) -> int:
    act = getattr(client, method.lower())
    if method == "GET":
        status = act(f"/{address}", data={"against": 1}).status_code
        return status if status != 400 else act(f"/{address}").status_code
    if not ROUTES[name].is_api:
        return act(f"/{address}").status_code
    body = {**BODY, **(ANSWERED if name == "api-dispute-detail" else {})}
    answer = act(f"/{address}", data=body, content_type="application/json")
    if answer.status_code == 400:  # again with the fields alone that it has
        refused = answer.json()["error"]["fields"]
        body = {
            field: value for field, value in body.items() if NO_FIELD not in str(refused.get(field))
        }
        answer = act(f"/{address}", data=body, content_type="application/json")
    return answer.status_code


def test_a_row_of_another_project_is_not_found_through_mine(mine, theirs):
    """One test for all: another project with a row of everything takes half a second to make."""
    project, person = mine
    client = Client(raise_request_exception=False)
    client.force_login(person)
    own, other = (f"projects/{one.pk}/" for one in (project, theirs.project))
    found = {}
    for name, method in NAMED:
        address = theirs.address(ROUTES[name].address).replace(other, own, 1)
        status = _status(client, name, method, address)
        if status != 404:
            found[f"{name} {method} /{address}"] = status
    assert not found, found
