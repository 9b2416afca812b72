"""Statements of our own that are asked all day: bound by the server and prepared, so that they are planned once.

Through Django's cursor, so that they are logged, counted and wrapped like any other. `columns` and `row_of` read whole
rows of models beside other things in one statement.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Self, TypeVar

from django.db import connection, models
from psycopg import RawCursor

_NAMED = re.compile(r"%\((\w+)\)s|%%")


def run(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:  # Any: columns differ
    """Run a statement with ``%(name)s`` places; the rows."""
    with connection.cursor() as cursor:
        cursor.cursor = _PreparedCursor(connection.connection)
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def take_turns(what: str, key: int) -> None:
    """Wait until no other transaction does this with this key; holds until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [what, key])


class _PreparedCursor(RawCursor[tuple[Any, ...]]):  # Any: columns differ
    """Turns names into numbered places once: the driver's own cursors parse a long statement at every call."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:  # Any: as the driver
        text, names = _numbered(query)
        return super().execute(text, [params[name] for name in names], **options)


@cache
def _numbered(statement: str) -> tuple[bytes, list[str]]:
    """The statement with ``$1`` for its names, and the names in the order of their numbers."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _NAMED.sub(place, statement).encode(), names


def commit_soon() -> None:
    """Let this transaction end before the disk has it: for one of a series that goes on, after a crash, where it
    was. The next that does wait brings it to the disk too.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO off")


M = TypeVar("M", bound=models.Model)


@cache
def _fields(model: type[models.Model]) -> tuple[list[str], list[str]]:
    fields = model._meta.concrete_fields
    return [str(one.column) for one in fields], [one.attname for one in fields]


def columns(model: type[models.Model], alias: str) -> str:
    """All columns of a table, for a SELECT: ``a.id, a.name``."""
    return ", ".join(f'{alias}."{one}"' for one in _fields(model)[0])


def width(model: type[models.Model]) -> int:
    """How many columns `columns` names."""
    return len(_fields(model)[0])


def row_of(model: type[M], values: Sequence[Any]) -> M:  # Any: columns differ
    """The row whose `columns` were read."""
    row = list(values)
    for place in _json_places(model):
        row[place] = json.loads(row[place])
    return model.from_db("default", _fields(model)[1], row)


@cache
def _json_places(model: type[models.Model]) -> list[int]:
    fields = enumerate(model._meta.concrete_fields)
    return [place for place, field in fields if isinstance(field, models.JSONField)]
