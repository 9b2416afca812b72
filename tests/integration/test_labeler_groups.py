"""Named groups of labelers: a filter of agreement and signals, kept by admins, taken back where they were removed."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.core.errors import Conflict, InvalidInput
from annotation.quality import groups
from annotation.quality.models import LabelerGroup
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report
from annotation.quality.services import catch_up
from tests import factories
from tests.integration.test_people_rules import judged

pytestmark = pytest.mark.django_db


@pytest.fixture
def lea(project):
    return factories.member(project, username="lea")


@pytest.fixture
def kim(project):
    return factories.member(project, username="kim")


@pytest.fixture
def group(project, admin, lea, kim) -> LabelerGroup:
    """Lea and Kim, who agree on four; a stranger to the group says the opposite each time."""
    other = factories.member(project)
    for _ in range(4):
        judged(project, (lea, 1), (kim, 1), (other, -1))
    catch_up(project=project)
    return groups.save_group(
        project=project, name="Experts", labeler_ids=[lea.pk, kim.pk], actor=admin
    )


def at(name, project, *keys):
    return reverse(f"quality-{name}", args=[project.pk, *keys])


def said(client, url, **fields):
    """Post and follow; what the next page says."""
    answer = client.post(url, fields, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_group_is_a_filter_that_looks_at_its_labelers_alone(project, group, lea):
    agreement = [
        computed_report(project, scope, parts=())["statistics"]["percent"]["value"]
        for scope in (Scope(), Scope(group=group.pk))
    ]
    assert agreement == [pytest.approx(1 / 3), 1.0]
    alone = computed_report(project, Scope(group=group.pk, chosen=(lea.pk,)), parts=())
    assert (alone["labelers_count"], alone["judgments"]) == (1, 4)


def test_every_tab_and_table_keeps_the_group(project, client, group):
    query = {"group": group.pk}
    page = client.get(at("labelers", project), query).content.decode()
    assert f'<option value="{group.pk}" selected>Experts</option>' in page
    assert f"{at('items', project)}?group={group.pk}" in page
    table = client.get(at("table", project, "labelers"), query)
    names = {line.split(",")[0] for line in b"".join(table).decode().splitlines()[1:]}
    assert names == {"lea", "kim"}
    assert client.get(at("signals", project), query).status_code == 200


def test_what_is_chosen_on_the_labelers_tab_is_named_and_kept(project, admin, client, lea, kim):
    page = client.get(at("groups", project), {"labeler": [lea.pk, "x"]}).content.decode()
    assert f'name="labeler" value="{lea.pk}" checked' in page
    assert f'name="labeler" value="{kim.pk}" checked' not in page
    told = said(client, at("group-new", project), name=" Night shift ", labeler=[lea.pk, kim.pk])
    assert "Night shift is among the filters" in told
    row = LabelerGroup.objects.get()
    assert (row.name, set(row.labelers.all())) == ("Night shift", {lea, kim})


def test_a_group_is_changed_removed_and_taken_back(project, client, group, kim):
    said(client, at("group", project, group.pk), name="Seniors", labeler=[kim.pk])
    group.refresh_from_db()
    assert (group.name, list(group.labelers.all())) == ("Seniors", [kim])
    assert "Seniors is removed" in said(client, at("group-remove", project, group.pk))
    assert client.get(at("agreement", project), {"group": group.pk}).status_code == 400
    assert "Seniors is back" in said(client, at("group-restore", project, group.pk))
    assert client.get(at("agreement", project), {"group": group.pk}).status_code == 200
    trail = list(AuditEvent.objects.filter(verb__startswith="group.").order_by("pk"))
    assert [one.verb for one in trail][-3:] == ["group.saved", "group.removed", "group.restored"]
    assert trail[-3].data["before"] == {"name": "Experts", "labelers": ["kim", "lea"]}


def test_the_list_names_who_is_in_a_group_and_the_form_is_a_page_of_its_own(
    project, client, group, lea
):
    page = client.get(at("groups", project)).content.decode()
    assert "2 labelers: kim, lea" in page
    assert page.count(f'name="labeler" value="{lea.pk}"') == 1  # of a new group
    assert f'href="{at("group", project, group.pk)}"' in page
    form = client.get(at("group", project, group.pk)).content.decode()
    assert f'name="labeler" value="{lea.pk}" checked' in form
    assert 'value="Experts"' in form


def test_a_group_that_is_refused_leads_back_to_its_form(project, client, group):
    answer = client.post(at("group", project, group.pk), {"name": "Experts"}, follow=True)
    assert answer.redirect_chain == [(at("group", project, group.pk), 302)]
    assert "Choose 1 to" in answer.content.decode()


def test_a_list_of_groups_costs_the_same_however_many(project, admin, client, lea):
    client.get(at("groups", project))
    with CaptureQueriesContext(connection) as few:
        client.get(at("groups", project))
    people = [factories.member(project) for _ in range(30)]
    for number in range(20):
        row = LabelerGroup.objects.create(project=project, name=f"Group {number:02}")
        row.labelers.set(people)
    with CaptureQueriesContext(connection) as many:
        page = client.get(at("groups", project)).content.decode()
    assert len(many) == len(few)
    assert page.count('name="labeler"') == 31
    assert page.count("30 labelers: ") == page.count("and 10 more") == 20


def test_a_name_stands_for_one_group(project, admin, group, lea):
    with pytest.raises(Conflict, match="a group 'Experts' already"):
        groups.save_group(project=project, name="Experts", labeler_ids=[lea.pk], actor=admin)
    groups.remove_group(group=group, actor=admin)
    groups.save_group(project=project, name="Experts", labeler_ids=[lea.pk], actor=admin)
    group.refresh_from_db()
    with pytest.raises(Conflict, match="a group 'Experts' already"):
        groups.restore_group(group=group, actor=admin)


def test_nobody_from_elsewhere_is_in_a_group(project, admin):
    stranger = factories.member(factories.project())
    with pytest.raises(InvalidInput, match="Nobody with id"):
        groups.save_group(project=project, name="A", labeler_ids=[stranger.pk], actor=admin)
    with pytest.raises(InvalidInput, match="Choose 1 to"):
        groups.save_group(project=project, name="A", labeler_ids=[], actor=admin)


def test_groups_over_the_api(project, admin, api, lea, kim):
    api.force_authenticate(admin)
    url = reverse("api-group-list", args=[project.pk])
    made = api.post(url, {"name": "A", "labelers": [lea.pk]}, format="json").json()
    one = reverse("api-group-detail", args=[project.pk, made["id"]])
    changed = api.patch(one, {"labelers": [lea.pk, kim.pk]}, format="json").json()
    assert (changed["name"], set(changed["labelers"])) == ("A", {lea.pk, kim.pk})
    assert api.delete(one).status_code == 204
    assert api.get(url).json() == []
    back = api.patch(one, {"is_removed": False}, format="json").json()
    assert back["removed_at"] is None
    assert api.post(url, {"name": "A", "labelers": [lea.pk]}, format="json").status_code == 409
    asked = reverse("api-agreement-detail", args=[project.pk])
    assert api.get(asked, {"group": made["id"]}).status_code == 200
    assert api.get(asked, {"group": 999_999}).status_code == 400


def test_a_group_of_another_project_is_no_filter_here(admin, project, client):
    foreign = LabelerGroup.objects.create(project=factories.project(), name="Theirs")
    judged(project, (factories.member(project), 1))
    assert client.get(at("agreement", project), {"group": foreign.pk}).status_code == 400
    assert client.post(at("group-remove", project, foreign.pk)).status_code == 404
