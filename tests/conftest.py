"""Fixtures that every test may use."""

import pytest
from rest_framework.test import APIClient


@pytest.fixture
def api() -> APIClient:
    """A client of the API that is nobody yet; `api.force_authenticate(user)` makes it someone."""
    return APIClient()
