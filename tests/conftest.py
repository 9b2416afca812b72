"""Fixtures that every test may use."""

import gc
from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import translation
from rest_framework.test import APIClient
from whitenoise.middleware import WhiteNoiseMiddleware

from tests.database import emptied_by_deletions, migrated_template


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: begun last, one of them would keep a core busy while the others are idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What is loaded stays: to look through it for garbage takes a quarter of a second each time with torch."""
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix, django_db_blocker
) -> None:
    """Each process copies one database instead of migrating its own."""
    with django_db_blocker.unblock():
        connection.settings_dict["TEST"]["TEMPLATE"] = migrated_template()


@pytest.fixture(autouse=True, scope="session")
def _only_what_was_written_is_deleted() -> Iterator[None]:
    with emptied_by_deletions():
        yield


@pytest.fixture(autouse=True, scope="session")
def _static_files_are_sought_once() -> Iterator[None]:
    """Each client of a test builds the middleware anew, and it would join the bundles and look through all apps."""
    seek, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def seek_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            seek(middleware)
            found.update(middleware.files)
        middleware.files |= found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", seek_once)
        yield


@pytest.fixture(autouse=True)
def _the_language_of_a_test_ends_with_it() -> Iterator[None]:
    """A request leaves the language of its reader active in its thread."""
    yield
    translation.deactivate()


@pytest.fixture
def api() -> APIClient:
    """A client of the API that is nobody yet; `api.force_authenticate(user)` makes it someone."""
    return APIClient()
