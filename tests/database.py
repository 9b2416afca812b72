"""The database of the tests: migrated once and then copied, and emptied by deleting what a test wrote."""

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
import pytest
from django.core.management.commands import flush
from django.db import OperationalError, connection
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.postgresql.operations import DatabaseOperations
from django.db.migrations.loader import MigrationLoader
from psycopg.errors import DeadlockDetected

# Written by `migrate`, and by no test.
STAYS = {"django_migrations", "django_content_type", "auth_permission"}
TRIES = 3  # to empty the tables


def migrated_template() -> str:
    """The database that each process of the tests copies; made anew where it has other migrations."""
    name, migrations = f"migrated_{connection.settings_dict['NAME']}", digest_of_migrations()
    with connection._nodb_cursor() as server:  # its end releases the lock
        server.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        server.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [name],
        )
        if server.fetchone() != (migrations,):
            create_migrated(name)
            quoted = connection.ops.quote_name(name)
            server.execute(f"COMMENT ON DATABASE {quoted} IS '{migrations}'")
    return name


def digest_of_migrations() -> str:
    found = MigrationLoader(None).disk_migrations
    texts = [inspect.getsource(inspect.getmodule(found[key])) for key in sorted(found)]
    return hashlib.sha256("\0".join([django.__version__, *texts]).encode()).hexdigest()


def create_migrated(name: str) -> None:
    settings, wanted = connection.settings_dict, connection.settings_dict["TEST"]["NAME"]
    original, settings["TEST"]["NAME"] = settings["NAME"], name
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    connection.close()
    settings["NAME"], settings["TEST"]["NAME"] = original, wanted


def deletions(*_: Any, **__: Any) -> list[str]:
    """To empty the tables: TRUNCATE makes new files for all their indexes, which takes fifty times as long.

    Who still writes is waited for, as TRUNCATE does, but for a minute alone; who reads is not.
    """
    names = set(connection.introspection.django_table_names(only_existing=True)) - STAYS
    tables = [connection.ops.quote_name(name) for name in sorted(names)]
    lock = f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE"
    return ["SET LOCAL lock_timeout = '60s'", lock, *(f"DELETE FROM {table}" for table in tables)]  # noqa: S608 - names of models


def emptied(operations: DatabaseOperations, statements: list[str]) -> None:
    """Run them; a request that comes late, and waits for us while we wait for it, goes first."""
    for _ in range(TRIES - 1):
        try:
            return BaseDatabaseOperations.execute_sql_flush(operations, statements)
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
    return BaseDatabaseOperations.execute_sql_flush(operations, statements)


@contextmanager
def emptied_by_deletions() -> Iterator[None]:
    """Inside, what follows a test that commits leaves the rows of `migrate` alone, and so needs not make them again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", deletions)
        patch.setattr(DatabaseOperations, "execute_sql_flush", emptied)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_: None)
        yield
