"""Tests against a server that checks signatures (`make test-bucket`): OpenStack Swift, which is not in the lock."""

import os

import pytest

from tests.integration.conftest import s3, s3_server

__all__ = ["s3", "s3_server"]


@pytest.fixture(autouse=True, scope="session")
def _signatures_are_checked():
    if not os.environ.get("CONCORD_TEST_SWIFT"):
        pytest.fail(
            "CONCORD_TEST_SWIFT names no folder with Swift's programs: run `make test-bucket`, "
            "which installs them."
        )
