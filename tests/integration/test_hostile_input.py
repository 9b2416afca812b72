"""Whatever is sent to the API, the answer is a sentence and never a 500: for every operation of the schema."""

import json
from functools import cache
from itertools import cycle

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from annotation.core.storage import folder
from annotation.projects.models import Role
from tests import factories

HOSTILE = [
    "a\0b",
    "x" * 20_000,
    "\u202e=cmd()\r\n",
    10**30,
    -1,
    None,
    [[[]]],
    {"a": {"b": []}},
    "2026-13-45T99:99:99Z",
]
SHAPELESS = [
    b"",
    b"[]",
    b"3",
    b"null",
    b'"x"',
    b"{",
    b'{"a": "\\ud800"}',
    b"\xff\xfe",
    b"[" * 5_000,
    b"NaN",
]


@cache
def schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


def writes() -> list:
    return [
        pytest.param(path, method, id=f"{method} {path.removeprefix('/api/v1/')}")
        for path, operations in schema()["paths"].items()
        for method in operations
        if method in {"post", "put", "patch"}
    ]


def reads() -> list:
    return [
        pytest.param(path, id=path.removeprefix("/api/v1/"))
        for path, operations in schema()["paths"].items()
        if "get" in operations
    ]


def fields_of(path: str, method: str) -> list[str]:
    """The names of the fields that the operation takes; one that is unknown where it takes none."""
    content = schema()["paths"][path][method].get("requestBody", {}).get("content", {})
    shape = content.get("application/json", {}).get("schema", {})
    name = shape.get("$ref", "").rpartition("/")[2]
    return list(schema()["components"]["schemas"].get(name, {}).get("properties", {})) or [
        "unknown"
    ]


def address(path: str, project_id: int) -> str:
    path = path.replace("{project_id}", str(project_id))
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = path[:start] + "1" + path[end + 1 :]
    return path


@pytest.fixture
def insider():
    """Someone with every role of a project, and the project."""
    folder("artifacts")
    project = factories.project()
    user = factories.member(project, Role.ADMIN, is_staff=True)
    project.memberships.create(user=user, role=Role.LABELER)
    project.memberships.create(user=user, role=Role.ENGINEER)
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    return client, project


def broken(statuses: dict) -> dict:
    return {sent: status for sent, status in statuses.items() if status >= 500}


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "method"), writes())
def test_no_body_breaks_an_operation(insider, path, method):
    client, project = insider
    url, names = address(path, project.pk), fields_of(path, method)
    bodies = [*SHAPELESS]
    for shift in range(len(HOSTILE)):
        values = cycle(HOSTILE[shift:] + HOSTILE[:shift])
        bodies.append(json.dumps(dict(zip(names, values, strict=False))).encode())
    answers = {
        body[:60]: client.generic(method, url, body, content_type="application/json").status_code
        for body in bodies
    }
    assert not broken(answers)


@pytest.mark.django_db
@pytest.mark.parametrize("path", reads())
def test_no_query_breaks_a_reading(insider, path):
    client, project = insider
    taken = schema()["paths"][path]["get"].get("parameters", [])
    names = [one["name"] for one in taken if one["in"] == "query"] or ["cursor"]
    values = ("%00", "x", "-1", "9" * 30, "%FF", "", "1.5", "[]")
    url = address(path, project.pk)
    answers = {
        value: client.get(f"{url}?{'&'.join(f'{name}={value}' for name in names)}").status_code
        for value in values
    }
    assert not broken(answers)


@pytest.mark.django_db
@pytest.mark.parametrize("path", reads())
def test_a_number_beyond_the_database_is_nothing_that_exists(insider, path):
    client, project = insider
    url = address(path, project.pk).replace("/1/", f"/{10**30}/")
    beyond = address(path, 10**30)
    assert not broken({one: client.get(one).status_code for one in (url, beyond)})


@pytest.mark.django_db
def test_a_file_that_is_none_and_a_form_that_breaks_off_are_refused(insider):
    client, project = insider
    url = f"/api/v1/projects/{project.pk}/imports/"
    bodies = {
        "multipart/form-data": b"",
        "multipart/form-data; boundary=x": b"--x\r\nContent-Disposition: form-data; name=",
        "application/xml": b"<a/>",
        "application/x-www-form-urlencoded": b"file=%00",
    }
    statuses = {
        kind: client.generic("post", url, body, content_type=kind).status_code
        for kind, body in bodies.items()
    }
    assert set(statuses.values()) <= {400, 415}, statuses


@pytest.mark.django_db
def test_json_above_the_limit_of_memory_is_refused(insider, settings):
    client, project = insider
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    url = f"/api/v1/projects/{project.pk}/imports/"
    answer = client.post(url, {"rows": [{"text": "x" * 2_000}]}, format="json")
    assert answer.status_code == 413
    assert "1,000 bytes" in answer.json()["error"]["message"]


@pytest.mark.django_db
def test_a_file_above_the_limit_of_memory_is_taken(insider, settings):
    client, project = insider
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    file = SimpleUploadedFile("p.jsonl", b'{"text": "One"}\n' * 500)
    answer = client.post(f"/api/v1/projects/{project.pk}/imports/", {"file": file})
    assert answer.status_code == 202
