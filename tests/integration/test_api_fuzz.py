"""Hostile input to every operation of the API: never a 500, never half a write, always the one error shape.

The operations and the fields of their bodies are read from the OpenAPI document, so a new one is tried too.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator

from tests.world import World

DEEP = (900,)
HUGE = 10**30
NUL = "a\0b"
SURROGATE = "\ud800"
HOSTILE: list[Any] = [  # one at a time, where test_hostile_input.py sends many together
    *(True, NUL, SURROGATE, "x" * 20_000, HUGE, -1, 2**63, float("nan")),
    *([None], [[NUL]], [HUGE], {SURROGATE: [SURROGATE]}, {"kind": NUL}),
]
RAW = [
    *(b"", b"{", b"null", b"[]", b'"text"', b"7", b"\xff\xfe", b"\0", b'{"a": \xed\xa0\x80}'),
    *(b"[" * 100_000, b'{"name":' * 50_000, b'{"name": ' + b"9" * 5_000 + b"}"),
    json.dumps({"name": "a", "name\0": "b", "\ud800": "\ud800"}).encode(),
]
QUERY = ["-1", "\0", "9" * 30, "²", "NaN", "x" * 5_000]
RAW_QUERY = ["cursor=cD0x%00", "cursor=%ED%A0%80", "cursor=bz0tMQ==", "cursor=cD1ub3Q=", "%ff=%00"]
RAW_QUERY += [
    "page_size=99999999999999999999999",
    "page_size=-1",
    "page_size=x",
    "&&&=",
    "format=x",
]
ADDRESS_NUMBERS = (0, 2**31, 2**63, HUGE, "9" * 400)


class Operation(NamedTuple):
    """One method on one address, with what its body and its query may hold."""

    method: str
    address: str
    body: dict[str, Any]  # Any: JSON schema
    query: list[str]


def _operations() -> Iterator[Operation]:
    document = SchemaGenerator().get_schema(request=None, public=True)
    for address, methods in document["paths"].items():
        for method, said in methods.items():
            body = said.get("requestBody", {}).get("content", {}).get("application/json", {})
            query = [one["name"] for one in said.get("parameters", []) if one["in"] == "query"]
            yield Operation(method, address, _resolved(body.get("schema", {}), document), query)


def _resolved(schema: Any, document: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(one, document) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(
            document["components"]["schemas"][schema["$ref"].rsplit("/")[-1]], document
        )
    return {key: _resolved(value, document) for key, value in schema.items()}


def _example(schema: dict[str, Any]) -> Any:
    """A value that fits, so that one hostile field at a time comes through to the service."""
    for key in ("allOf", "oneOf", "anyOf"):
        if key in schema:
            return _example(schema[key][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "uuid":
        return str(uuid.UUID(int=1))
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {name: _example(rule) for name, rule in fields.items() if not rule.get("readOnly")}
    plain = {"string": "word", "integer": 1, "number": 0.5, "boolean": False}
    array = [_example(schema["items"])] if schema.get("type") == "array" else None
    return plain.get(str(schema.get("type")), array)


OPERATIONS = list(_operations())
WRITING = [one for one in OPERATIONS if one.method in {"post", "put", "patch"}]
READING = [one for one in OPERATIONS if one.method == "get"]


class Prober(World):
    """Asks, takes back what was written, and says what was refused badly."""

    def ask(self, method: str, address: str, body: bytes = b"", kind: str = "application/json"):
        """The answer; whatever was written is taken back."""
        with transaction.atomic():
            answer = self.client.generic(method.upper(), address, body, content_type=kind)
            transaction.set_rollback(True)
        return answer

    def refused_badly(self, method: str, address: str, body: bytes = b"", **more: str) -> list[str]:
        """A sentence if the answer is a 500, or an error in another shape."""
        answer = self.ask(method, address, body, **more)
        asked = f"{method} {address[:200]} {body[:200]!r} -> {answer.status_code}"
        if answer.status_code >= 500:
            return [f"{asked} {answer.exc_info and answer.exc_info[1]!r}"]
        if answer.status_code < 400:
            return []
        return [] if _has_the_one_shape(answer) else [f"{asked} {answer.content[:200]!r}"]


def _has_the_one_shape(answer) -> bool:
    if answer["Content-Type"] != "application/json":
        return False
    error = answer.json().get("error", {})
    return set(error) == {"code", "message", "fields"} and bool(error["message"])


@pytest.fixture
def world(db) -> Prober:
    return Prober()


def _hostile_bodies(one: Operation) -> Iterator[bytes]:
    fitting = _example(one.body)
    yield json.dumps(fitting).encode()
    for name in one.body.get("properties", {}):
        for value in HOSTILE:
            yield json.dumps({**fitting, name: value}).encode()
    for name in one.body.get("properties", {}):
        for depth in DEEP:
            nested = b"[" * depth + b"]" * depth
            yield json.dumps({**fitting, name: "NESTED"}).encode().replace(b'"NESTED"', nested)
    yield from RAW


@pytest.mark.slow
def test_a_hostile_body_is_refused_with_a_sentence(world):
    bad = [
        sentence
        for one in WRITING
        for address in [world.address(one.address)]
        for body in _hostile_bodies(one)
        for sentence in world.refused_badly(one.method, address, body)
    ]
    assert not bad, "\n".join(bad)


def test_a_body_of_another_type_is_refused_with_a_sentence(world):
    kinds = ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
    kinds += ["", "application/json; charset=x"]
    bad = [
        sentence
        for one in WRITING
        for kind in kinds
        for body in (b"name=%00&roles=%00", b"--x\r\n\r\n")
        for sentence in world.refused_badly(one.method, world.address(one.address), body, kind=kind)
    ]
    assert not bad, "\n".join(bad)


def _hostile_queries(one: Operation) -> list[str]:
    return [f"{name}={quote(value)}" for name in {*one.query, "cursor"} for value in QUERY]


def test_a_hostile_query_is_refused_with_a_sentence(world):
    bad = [
        sentence
        for one in READING
        for query in ["", *_hostile_queries(one), *RAW_QUERY]
        for sentence in world.refused_badly("get", f"{world.address(one.address)}?{query}")
    ]
    assert not bad, "\n".join(bad)


def test_a_hostile_number_in_an_address_is_not_found(world):
    bad = [
        sentence
        for one in OPERATIONS
        if "{" in one.address
        for number in ADDRESS_NUMBERS
        for sentence in world.refused_badly(one.method, world.address(one.address, last=number))
    ]
    assert not bad, "\n".join(bad)


def test_an_address_that_is_none_and_a_method_that_is_none_are_refused_in_the_one_shape(world):
    strange = [
        ("get", "/api/v1/nowhere/"),
        ("get", "/api/v1/projects/x/"),
        ("delete", "/api/v1/me/"),
    ]
    strange += [("get", "/api/v1/projects/1/agreement/%00.csv"), ("trace", "/api/v1/projects/")]
    strange += [("options", world.address(one.address)) for one in OPERATIONS]
    bad = [sentence for asked in strange for sentence in world.refused_badly(*asked)]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b'{"prompt": "\\ud800"}\n', b"[" * 10_000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz", "\0", "x" * 500])
def test_a_hostile_file_is_taken_or_refused_with_a_sentence(world, name, content):
    with transaction.atomic():
        answer = world.client.post(
            f"/api/v1/projects/{world.project.pk}/imports/",
            {"file": SimpleUploadedFile(name, content)},
        )
        transaction.set_rollback(True)
    assert answer.status_code < 500
