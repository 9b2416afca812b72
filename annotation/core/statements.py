"""Statements of our own that are asked all day: bound by the server and prepared, so that they are planned once.

Through Django's cursor, so that they are logged, counted and wrapped like any other. `columns` and `row_of` read whole
rows of models beside other things in one statement.
"""

import json
import re
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Self, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from psycopg import Connection, RawCursor
from psycopg.adapt import Dumper, PyFormat
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.numeric import IntDumper

_NAMED = re.compile(r"%\((\w+)\)s|%%")


def run(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:  # Any: columns differ
    """Run a statement with ``%(name)s`` places; the rows."""
    database = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks for it with every attribute
    database.close_if_health_check_failed()
    database.ensure_connection()
    prepared = _KEPT.cursor(database.connection, statement)
    # Any: as `database.cursor()` does, which would make one of the driver's own
    wrap: Any = database.make_debug_cursor if database.queries_logged else database.make_cursor
    cursor = wrap(prepared)
    cursor.execute(statement, values)
    rows = list(cursor.fetchall())
    prepared.let_go()
    return rows


def take_turns(what: str, key: int) -> None:
    """Wait until no other transaction does this with this key; holds until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [what, key])


class _BigintDumper(IntDumper):
    """Whole numbers as bigint: by their size, a statement would be planned anew for every mix of sizes.

    Those beyond it, of hostile addresses, stay numeric, and nothing is found of them.
    """

    def upgrade(self, obj: int, format: PyFormat) -> Dumper:  # noqa: A002, ARG002 - as the driver has it
        is_bigint = -(2**63) <= obj < 2**63
        return self._int8_dumper if is_bigint else self._int_numeric_dumper


class _PreparedCursor(RawCursor[tuple[Any, ...]]):  # Any: columns differ
    """Of one statement. Turns names into numbered places once: the driver's own cursors parse at every call.

    Times are read by the driver, not by Django, which puts a second time zone into each: both are UTC.
    """

    def __init__(self, connection: "Connection[tuple[Any, ...]]") -> None:
        super().__init__(connection)
        self.adapters.register_dumper(int, _BigintDumper)
        self.adapters.register_loader("timestamptz", TimestamptzLoader)

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:  # Any: as the driver
        text, names = _numbered(query)
        return super().execute(text, [params[name] for name in names], **options)

    def let_go(self) -> None:
        """Of the rows and values, which may be many; what is known of their types stays."""
        self._reset()
        self._tx.set_pgresult(None)


class _Kept(threading.local):
    """The cursors of this thread's connection, a statement each: how its types are read and written is looked up
    once, which takes longer than to read and write them.
    """

    connection: "Connection[Any] | None" = None
    cursors: dict[str, _PreparedCursor]

    def cursor(self, connection: "Connection[Any]", statement: str) -> _PreparedCursor:
        """The cursor of a statement; a new connection begins without."""
        if self.connection is not connection:
            self.connection, self.cursors = connection, {}
        if statement not in self.cursors:
            self.cursors[statement] = _PreparedCursor(connection)
        return self.cursors[statement]


_KEPT = _Kept()


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
