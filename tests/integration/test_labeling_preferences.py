"""A labeler's own keys, breaks and comfort."""

import pytest
from django.test import Client
from django.urls import reverse

from annotation.comparisons.keys import ACTIONS, check_keys
from annotation.comparisons.models import LabelerSettings
from annotation.core.errors import InvalidInput
from tests import factories

pytestmark = pytest.mark.django_db
USUAL = {one.name: one.usual_key for one in ACTIONS}
ADDRESS = "/account/labeling/"


@pytest.fixture
def labeler():
    return factories.user()


@pytest.fixture
def page(labeler) -> Client:
    client = Client()
    client.force_login(labeler)
    return client


def save(page: Client, **changed: object):
    return page.post(ADDRESS, {**USUAL, "break_after_minutes": 50, **changed})


def test_only_what_differs_from_the_usual_keys_is_stored(page, labeler):
    assert save(page, all_bad="x", is_upsetting_blurred="on").status_code == 302
    row = LabelerSettings.objects.get(labeler=labeler)
    assert row.keys == {"all_bad": "x"}
    assert row.is_upsetting_blurred
    assert 'value="x" selected' in page.get(ADDRESS).content.decode()


def test_two_acts_may_swap_their_keys(page, labeler):
    assert save(page, undo="k", skip="z").status_code == 302
    assert LabelerSettings.objects.get(labeler=labeler).keys == {"undo": "k", "skip": "z"}


def test_a_key_chosen_twice_is_refused_by_name(page):
    answer = save(page, undo="k")
    assert answer.status_code == 400
    assert "K is chosen twice" in answer.content.decode()
    assert not LabelerSettings.objects.exists()


@pytest.mark.parametrize("fields", [{"undo": "1"}, {"break_after_minutes": 241}, {"undo": ""}])
def test_what_is_not_in_the_lists_is_refused(page, fields):
    assert save(page, **fields).status_code == 400


def test_an_act_that_does_not_exist_is_refused():
    with pytest.raises(InvalidInput, match="There is no act 'fly'"):
        check_keys({"fly": "x"})


def test_the_labeling_page_of_every_project_has_them(page, labeler):
    project = factories.project()
    project.memberships.create(user=labeler, role="labeler")
    save(page, undo="x", break_after_minutes=0)
    text = page.get(reverse("comparisons-label", args=[project.pk])).content.decode()
    assert "&quot;undo&quot;: &quot;x&quot;" in text
    assert 'data-break-after="0"' in text


def test_preferences_need_a_sign_in():
    assert Client().get(ADDRESS).status_code == 302


def test_whoever_came_from_a_project_finds_the_way_back(page, labeler):
    project = factories.project(name="Support tone")
    project.memberships.create(user=labeler, role="labeler")
    address = f"{ADDRESS}?project={project.pk}"
    work, back = (
        reverse("quality-my-work", args=[project.pk]),
        f'href="/projects/{project.pk}/label/"',
    )
    assert address in page.get(work).content.decode()
    content = page.get(address).content.decode()
    assert back in content
    assert "Back to Support tone" in content
    answer = page.post(address, {**USUAL, "break_after_minutes": 50})
    assert answer.url == address


def test_preferences_name_no_project_of_others(page):
    strange = factories.project(name="Secret")
    assert page.get(f"{ADDRESS}?project={strange.pk}").status_code == 404
    assert page.get(f"{ADDRESS}?project=x").status_code == 200
