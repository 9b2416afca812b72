"""What others build on changes only on purpose: the OpenAPI document and the schemas of specs are frozen."""

import json
import re

import pytest
from django.core.management import call_command
from django.urls import reverse

from tests import factories
from tests.surfaces import FOLDER, SURFACES, written


@pytest.mark.parametrize("name", sorted(SURFACES))
def test_a_public_surface_is_as_it_was_frozen(name):
    now = json.loads(written(SURFACES[name]()))
    frozen = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert now == frozen, (
        f"{name} is not what tests/snapshots/{name} froze. If the change is meant, run `make snapshots`, "
        "look at the difference as someone whose script breaks, and add a line to CHANGELOG.md."
    )


def test_every_operation_is_described_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "api.yaml"))


def test_every_operation_names_its_sign_in_and_the_shape_of_its_errors():
    document = SURFACES["openapi.json"]()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert all({"token": []} in one["security"] for one in operations)
    assert all("4XX" in one["responses"] for one in operations)


@pytest.mark.django_db
def test_the_documentation_has_the_site_s_header_and_a_way_back_and_nothing_inline(client):
    client.force_login(factories.user())
    page = client.get(reverse("api-docs")).text
    assert '<a class="brand" href="/">' in page
    assert ">Your projects</a>" in page
    assert '<div id="swagger-ui"></div>' in page
    assert (
        re.search(r"<script(?![^>]* (src=|type=.application/json))|<style| onclick=", page) is None
    )
