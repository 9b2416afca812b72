"""A project's life: made, set up, its members, invitations, guideline and rubric; every write audited."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit.models import AuditEvent
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.overview import selectors
from annotation.overview.selectors import counts_of
from annotation.projects.models import Invitation, Membership, Role
from annotation.projects.selectors import invitation_for, project_list, roles_of
from annotation.projects.services import members, projects
from annotation.ui.templatetags.measured import figure
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"  # noqa: S105 - of a test


@pytest.fixture
def admin():
    return factories.user(is_staff=True)


@pytest.fixture
def project(admin):
    return projects.create_project(name="Ours", actor=admin)


def last_act(project) -> AuditEvent:
    return AuditEvent.objects.filter(project_id=project.pk).latest("pk")


def test_a_new_project_has_an_admin_a_guideline_and_a_rubric(project, admin):
    assert roles_of(admin, project.pk) == {Role.ADMIN}
    assert project.guidelines.get().version == 1
    names = list(project.criteria.values_list("name", flat=True))
    assert names == ["helpful", "honest", "harmless", "concise"]
    assert last_act(project).verb == "project.created"


def test_only_staff_and_admins_make_projects(client, project):
    client.force_login(factories.member(project, Role.LABELER))
    assert client.post(reverse("projects-new"), {"name": "Mine"}).status_code == 403


def test_settings_change_where_the_account_of_the_founder_is_gone(project, admin):
    project.created_by = None
    projects.update_settings(project=project, actor=admin, overlap=5)
    project.refresh_from_db()
    assert project.overlap == 5


def test_a_changed_setting_is_audited_with_what_it_was(project, admin):
    projects.update_settings(project=project, actor=admin, overlap=5, name="Ours")
    assert last_act(project).data == {"overlap": [3, 5]}


@pytest.mark.parametrize(
    ("field", "value"), [("overlap", 0), ("overlap", 51), ("lease_seconds", 5), ("name", "")]
)
def test_a_setting_out_of_range_is_refused_by_its_name(api, project, admin, field, value):
    api.force_authenticate(admin)
    answer = api.patch(
        reverse("api-project-detail", args=[project.pk]), {field: value}, format="json"
    )
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field])


def test_an_archived_project_stays_on_the_list_and_can_be_taken_back(client, project, admin):
    client.force_login(admin)
    url = reverse("projects-archive", args=[project.pk])
    client.post(url, {"is_archived": "yes"})
    assert project_list(admin)[0].project.is_archived
    client.post(url, {"is_archived": "no"})
    assert not project_list(admin)[0].project.is_archived


def test_the_last_admin_cannot_leave(project, admin):
    with pytest.raises(Conflict, match="last admin"):
        members.set_roles(project=project, user_id=admin.pk, roles=(), actor=admin)
    with pytest.raises(Conflict, match="last admin"):
        members.set_roles(project=project, user_id=admin.pk, roles={Role.LABELER}, actor=admin)


def test_roles_are_set_to_exactly_those_that_are_ticked(client, project, admin):
    labeler = factories.member(project, Role.LABELER)
    client.force_login(admin)
    url = reverse("projects-member-roles", args=[project.pk, labeler.pk])
    client.post(url, {"roles": ["admin", "engineer"]})
    assert roles_of(labeler, project.pk) == {Role.ADMIN, Role.ENGINEER}
    client.post(url, {})
    assert roles_of(labeler, project.pk) == frozenset()


@pytest.fixture
def paused(project):
    """A labeler who passed the exam, reads German, and is paused."""
    labeler = factories.member(project, Role.LABELER)
    project.memberships.filter(user=labeler).update(
        languages=["de"],
        qualified_at=timezone.now(),
        paused_at=timezone.now(),
        pause_reason="Ask me.",
    )
    return labeler


def standing(project, labeler) -> dict:
    names = ("languages", "qualified_at", "paused_at", "pause_reason")
    return project.memberships.filter(role=Role.LABELER).values(*names).get(user=labeler)


def test_who_loses_the_role_of_a_labeler_takes_it_up_again_as_it_was(project, admin, paused):
    before = standing(project, paused)
    for roles in ({Role.ENGINEER}, {Role.ENGINEER, Role.LABELER}):
        members.set_roles(project=project, user_id=paused.pk, roles=roles, actor=admin)
    assert standing(project, paused) == before


def test_who_was_removed_and_is_added_again_is_paused_as_before(project, admin, paused):
    paused.set_password(PASSWORD)
    paused.save()
    before = standing(project, paused)
    members.set_roles(project=project, user_id=paused.pk, roles=(), actor=admin)
    members.add_member(project=project, username=paused.username, role=Role.LABELER, actor=admin)
    assert standing(project, paused) == before


def test_a_link_ends_no_pause(project, admin, paused):
    before = standing(project, paused)
    members.set_roles(project=project, user_id=paused.pk, roles=(), actor=admin)
    new = members.invite(project=project, role=Role.LABELER, actor=admin, languages=["en"])
    members.accept_invitation(invitation=new.invitation, user=paused)
    assert standing(project, paused) == {**before, "languages": ["de", "en"]}


def test_the_members_page_says_who_is_paused(client, project, admin, paused):
    client.force_login(admin)
    page = client.get(reverse("projects-members", args=[project.pk])).content.decode()
    assert re.search(rf"<td>{paused.username} <span [^>]*>paused</span>", page)


def test_a_member_is_added_by_name_and_a_stranger_to_the_server_is_not(api, project, admin):
    User.objects.create_user("bo", password=PASSWORD)
    api.force_authenticate(admin)
    url = reverse("api-member-list", args=[project.pk])
    assert api.post(url, {"username": "Bo", "role": "labeler"}).status_code == 201
    assert api.post(url, {"username": "bo", "role": "labeler"}).status_code == 409
    answer = api.post(url, {"username": "nobody", "role": "labeler"})
    assert "invitation" in answer.json()["error"]["message"]


def test_an_admin_sees_and_changes_the_languages_of_a_labeler(client, project, admin):
    labeler = factories.member(project, Role.LABELER, username="ada")
    client.force_login(admin)
    url = reverse("projects-member-roles", args=[project.pk, labeler.pk])
    client.post(url, {"roles": ["labeler"], "languages": "DE, en"})
    page = client.get(reverse("projects-members", args=[project.pk])).content.decode()
    assert re.search(r'name="languages" value="de, en"[^>]* aria-label="Languages of ada"', page)
    act = last_act(project)
    assert (act.verb, act.data["before"], act.data["languages"]) == (
        "member.languages",
        [],
        ["de", "en"],
    )
    client.post(url, {"roles": ["labeler"], "languages": ""})
    assert project.memberships.get(user=labeler).languages == []


def test_languages_that_did_not_change_are_not_audited(client, project, admin):
    labeler = factories.member(project, Role.LABELER)
    project.memberships.filter(user=labeler).update(languages=["de"])
    client.force_login(admin)
    url = reverse("projects-member-roles", args=[project.pk, labeler.pk])
    client.post(url, {"roles": ["labeler"], "languages": "de"})
    assert not AuditEvent.objects.filter(verb="member.languages").exists()


def test_what_is_no_language_is_named_and_nothing_is_changed(client, project, admin):
    labeler = factories.member(project, Role.LABELER)
    client.force_login(admin)
    url = reverse("projects-member-roles", args=[project.pk, labeler.pk])
    answer = client.post(url, {"roles": ["admin"], "languages": "German"})
    assert "German" in answer.content.decode()
    assert roles_of(labeler, project.pk) == {Role.LABELER}


def row_of(page, user):
    return page.split(f'id="roles-{user.pk}"', 1)[1].split("</tr>", 1)[0]


def test_languages_that_are_refused_stay_in_the_row_of_the_labeler(client, project, admin):
    labeler = factories.member(project, Role.LABELER)
    client.force_login(admin)
    url = reverse("projects-member-roles", args=[project.pk, labeler.pk])
    answer = client.post(url, {"roles": ["engineer", "labeler"], "languages": "de, German"})
    assert answer.status_code == 400
    row = row_of(answer.text, labeler)
    assert 'value="de, German"' in row
    assert 'value="engineer" checked' in row
    assert re.search(r'role="alert" tabindex="-1" autofocus>[^<]*German', row)
    assert "alert" not in row_of(answer.text, admin)


def test_the_last_admin_reads_in_their_row_why_they_stay(client, project, admin):
    client.force_login(admin)
    answer = client.post(reverse("projects-member-roles", args=[project.pk, admin.pk]))
    assert answer.status_code == 400
    row = row_of(answer.text, admin)
    assert 'value="admin" checked' in row
    assert "autofocus>This is the last admin of the project" in row


def test_the_api_tells_and_changes_languages_and_leaves_them_where_they_are_left_out(
    api, project, admin
):
    labeler = factories.member(project, Role.LABELER, username="zoe")
    api.force_authenticate(admin)
    url = reverse("api-member-detail", args=[project.pk, labeler.pk])
    sent = {"roles": ["labeler"], "languages": ["de"]}
    assert api.put(url, sent, format="json").json()[-1]["languages"] == ["de"]
    both = api.put(url, {"roles": ["labeler", "engineer"]}, format="json").json()
    assert both[-1]["languages"] == ["de"]
    wrong = api.put(url, {**sent, "languages": ["German"]}, format="json")
    assert "languages" in wrong.json()["error"]["fields"]


def test_only_an_admin_changes_languages(api, client, project):
    labeler = factories.member(project, Role.LABELER)
    api.force_authenticate(labeler)
    client.force_login(labeler)
    sent = {"roles": ["labeler"], "languages": ["de"]}
    url = reverse("api-member-detail", args=[project.pk, labeler.pk])
    assert api.put(url, sent, format="json").status_code == 403
    page = reverse("projects-member-roles", args=[project.pk, labeler.pk])
    assert client.post(page, {**sent, "languages": "de"}).status_code == 403
    assert project.memberships.get(user=labeler).languages == []


def test_who_is_added_or_invited_by_a_link_has_languages(api, client, project, admin):
    User.objects.create_user("bo", password=PASSWORD)
    api.force_authenticate(admin)
    new = {"username": "bo", "role": "labeler", "languages": ["fr"]}
    api.post(reverse("api-member-list", args=[project.pk]), new, format="json")
    assert project.memberships.get(user__username="bo").languages == ["fr"]
    invited = {"role": "labeler", "languages": ["de"]}
    made = api.post(reverse("api-invitation-list", args=[project.pk]), invited, format="json")
    assert made.json()["languages"] == ["de"]
    client.force_login(admin)
    url = reverse("projects-invite", args=[project.pk])
    client.post(url, {"role": "labeler", "languages": "en", "days": 3})
    kim = factories.user()
    members.accept_invitation(invitation=Invitation.objects.latest("pk"), user=kim)
    assert project.memberships.get(user=kim).languages == ["en"]


def test_only_a_labeler_is_added_or_invited_with_languages(api, project, admin):
    User.objects.create_user("bo", password=PASSWORD)
    api.force_authenticate(admin)
    new = {"username": "bo", "role": "admin", "languages": ["de"]}
    answer = api.post(reverse("api-member-list", args=[project.pk]), new, format="json")
    assert answer.status_code == 201
    asked = members.invite(project=project, role=Role.ENGINEER, actor=admin, languages=["de"])
    members.accept_invitation(invitation=asked.invitation, user=factories.user())
    assert not project.memberships.exclude(languages=[]).exists()
    assert not AuditEvent.objects.filter(verb="member.languages").exists()


def test_languages_that_a_link_adds_are_audited(project, admin):
    labeler = factories.member(project)
    project.memberships.filter(user=labeler).update(languages=["de"])
    asked = members.invite(project=project, role=Role.LABELER, actor=admin, languages=["en"])
    members.accept_invitation(invitation=asked.invitation, user=labeler)
    act = AuditEvent.objects.get(verb="member.languages")
    assert act.actor == labeler
    assert (act.data["before"], act.data["languages"]) == (["de"], ["de", "en"])


def test_a_link_lets_one_person_make_an_account_and_join(client, project, admin):
    client.force_login(admin)
    page = client.post(
        reverse("projects-invite", args=[project.pk]), {"role": "labeler", "days": 3}
    )
    path = re.search(r"http://testserver(/invitations/[^<\s]+)", page.content.decode())[1]
    client.logout()
    assert b"Create an account" in client.get(path).content
    fields = {"username": "kim", "password1": PASSWORD, "password2": PASSWORD, "next": path}
    assert client.post("/accounts/signup/", fields)["Location"] == path
    client.post(path)
    assert roles_of(User.objects.get(username="kim"), project.pk) == {Role.LABELER}
    assert last_act(project).verb == "invitation.accepted"
    assert client.get(path).status_code == 404
    assert AuditEvent.objects.filter(verb="user.created", data={"username": "kim"}).exists()


def test_without_an_invitation_there_is_no_sign_up(client):
    fields = {"username": "kim", "password1": PASSWORD, "password2": PASSWORD}
    answer = client.post("/accounts/signup/", fields)
    assert b"You join by invitation" in answer.content
    assert not User.objects.filter(username="kim").exists()


def test_only_the_hash_of_an_invitation_is_stored(project, admin):
    new = members.invite(project=project, role=Role.LABELER, actor=admin)
    assert invitation_for(new.token) == new.invitation
    assert new.token not in str(Invitation.objects.values())


def test_an_invitation_that_is_used_withdrawn_or_expired_opens_nothing(project, admin):
    used, withdrawn, expired = (
        members.invite(project=project, role=Role.LABELER, actor=admin) for _ in range(3)
    )
    members.accept_invitation(invitation=used.invitation, user=factories.user())
    members.revoke_invitation(project=project, invitation_id=withdrawn.invitation.pk, actor=admin)
    past = timezone.now() - timedelta(seconds=1)
    Invitation.objects.filter(pk=expired.invitation.pk).update(expires_at=past)
    with pytest.raises(NotFound):
        invitation_for(used.token)
    with pytest.raises(NotFound):
        invitation_for(withdrawn.token)
    with pytest.raises(NotFound):
        invitation_for(expired.token)
    with pytest.raises(Conflict):
        members.accept_invitation(invitation=used.invitation, user=factories.user())


def test_a_guideline_version_follows_the_last_and_the_same_text_is_not_published_twice(
    project, admin
):
    new = projects.publish_guideline(project=project, text="# Two", actor=admin)
    assert new.version == 2
    with pytest.raises(Conflict, match="version 2"):
        projects.publish_guideline(project=project, text="# Two", actor=admin)
    with pytest.raises(InvalidInput, match="empty"):
        projects.publish_guideline(project=project, text=" \n", actor=admin)


def test_a_guideline_follows_the_version_that_it_was_written_from(api, project, admin):
    api.force_authenticate(admin)
    url = reverse("api-guideline-list", args=[project.pk])
    answers = [api.post(url, {"text": text, "from_version": 1}) for text in ("# Two", "# Three")]
    assert [one.status_code for one in answers] == [201, 409]
    assert "newest version is 2" in answers[1].json()["error"]["message"]
    assert answers[0].json().keys() == {"id", "version", "text", "created_by", "created_at"}


def test_the_rubric_is_changed_through_the_api(api, project, admin):
    api.force_authenticate(admin)
    url = reverse("api-criterion-list", args=[project.pk])
    api.post(url, {"name": "polite", "question": "Which is kinder?"}, format="json")
    api.post(url, {"name": "polite", "question": "Which is more polite?"}, format="json")
    api.delete(reverse("api-criterion-detail", args=[project.pk, "honest"]))
    shown = {one["name"]: one["question"] for one in api.get(url).json()}
    assert list(shown) == ["helpful", "harmless", "concise", "polite"]
    assert shown["polite"] == "Which is more polite?"


def test_the_start_page_asks_the_database_as_often_for_ten_projects_as_for_one(
    client, django_assert_num_queries
):
    user = factories.user()
    for _ in range(10):
        factories.project().memberships.create(user=user, role=Role.LABELER)
    client.force_login(user)
    with django_assert_num_queries(3):
        client.get(reverse("projects-index"))


def test_a_body_that_is_no_object_is_told_in_words(api, admin):
    api.force_authenticate(admin)
    answer = api.post(reverse("api-project-list"), "text", format="json")
    assert answer.status_code == 400
    assert (
        answer.json()["error"]["message"] == "The body is text; send an object with named fields."
    )


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
def test_a_question_that_is_refused_is_told_beside_a_body_that_cannot_be_read(
    api, project, admin, content_type
):
    api.force_authenticate(admin)
    url = reverse("api-snapshot-changes", args=[project.pk, 1]) + "?page=0"
    answer = api.generic("GET", url, "{", content_type=content_type)
    assert answer.status_code == 400
    assert "page" in answer.json()["error"]["fields"]


def test_a_name_that_nobody_has_is_said_at_its_field(client, project, admin):
    client.force_login(admin)
    sent = {"username": "nobody-here", "role": "labeler"}
    answer = client.post(reverse("projects-members", args=[project.pk]), sent)
    assert answer.status_code == 400
    assert "There is no user" in str(answer.context["member_form"].errors["username"])
    assert 'value="nobody-here"' in answer.text


@pytest.mark.parametrize("page", ["settings", "guideline", "members", "audit"])
def test_the_settings_pages_open(client, project, admin, page):
    client.force_login(admin)
    assert client.get(reverse(f"projects-{page}", args=[project.pk])).status_code == 200


def test_the_overview_says_when_the_judgments_are_due(client, project):
    client.force_login(factories.member(project, Role.ENGINEER))
    page = reverse("overview-project", args=[project.pk])
    assert "are due by" not in client.get(page).text
    project.deadline = "2099-05-01T12:00Z"
    project.save()
    assert "Judgments are due by 1 May 2099, 12:00 (UTC)." in client.get(page).text
    factories.comparison(factories.prompt(project), overlap=2)
    found = client.get(page).text
    assert "0 of 2 labels" in found
    assert (
        "No person has labeled here yet, so there is no pace to go by. Due by 1 May 2099, 12:00"
        in found
    )
    project.is_paused = True
    project.save()
    found = client.get(page).text
    assert "Labeling is paused. Due by 1 May 2099, 12:00 (UTC)." in found
    assert "no pace to go by" not in found


def test_the_overview_tells_each_role_its_next_step(client, project, admin):
    client.force_login(admin)
    page = client.get(reverse("overview-project", args=[project.pk])).content
    assert b"Import prompts" in page
    factories.comparison(factories.prompt(project))
    page = client.get(reverse("overview-project", args=[project.pk])).content
    assert b"Invite labelers" in page
    client.force_login(factories.member(project, Role.LABELER))
    page = client.get(reverse("overview-project", args=[project.pk])).content
    assert b"Start labeling" in page
    project.guidelines.create(version=2, text="**Be** fair.")
    assert (
        b"<strong>Be</strong> fair."
        in client.get(reverse("overview-project", args=[project.pk])).content
    )
    client.force_login(admin)
    page = client.get(reverse("overview-project", args=[project.pk])).content
    assert b"Invite labelers" not in page
    assert b"Labelers who may begin: 1" in page


def test_the_overview_counts_invitations_that_can_still_be_accepted(client, project, admin):
    factories.comparison(factories.prompt(project))
    for role in (Role.LABELER, Role.LABELER, Role.ENGINEER):
        members.invite(project=project, role=role, actor=admin)
    client.force_login(admin)
    page = reverse("overview-project", args=[project.pk])
    assert "Invitations that labelers can accept: 2." in client.get(page).text
    assert "Invite labelers" not in client.get(page).text
    project.invitations.update(expires_at=timezone.now())
    assert "Invite labelers" in client.get(page).text


def test_who_is_paused_may_not_begin(client, project, admin):
    factories.comparison(factories.prompt(project))
    for paused_at in (None, timezone.now()):
        labeler = factories.member(project, Role.LABELER)
        project.memberships.filter(user=labeler).update(paused_at=paused_at)
    client.force_login(admin)
    page = client.get(reverse("overview-project", args=[project.pk])).content
    assert b"Labelers who may begin: 1" in page


def test_large_numbers_have_commas_in_sentences_too(client, project, monkeypatch):
    found = counts_of(project)._replace(prompts=1, candidates=1, comparisons=1, judgments=12_345)
    monkeypatch.setattr(selectors, "counts_of", lambda _: found)
    client.force_login(factories.member(project, Role.ADMIN))
    assert "12,345 judgments so far" in client.get(f"/projects/{project.pk}/").text
    assert figure(-1713.456, 1) == "−1,713.5"


def test_who_only_labels_is_not_told_what_an_answer_changed(client, api, project):
    """Gold and repeats change other counts than the rest do."""
    labeler = factories.member(project)
    factories.judgment(factories.comparison(factories.prompt(project), overlap=2), labeler)
    client.force_login(labeler)
    api.force_authenticate(labeler)
    page = client.get(f"/projects/{project.pk}/").text
    told = api.get(reverse("api-overview", args=[project.pk])).json()
    assert "Told to admins and engineers" in page
    assert 'id="progress"' not in page
    assert told["forecast"] is None
    hidden = {name for name, count in told["counts"].items() if count is None}
    assert hidden == {"open_comparisons", "labels_given", "judgments"}
    Membership.objects.create(project=project, user=labeler, role=Role.ENGINEER)
    assert 'id="progress"' in client.get(f"/projects/{project.pk}/").text


def test_the_overview_of_the_api_counts_the_steps(api, project, admin):
    api.force_authenticate(admin)
    url = reverse("api-overview", args=[project.pk])
    assert api.get(url).json()["forecast"] is None
    factories.comparison(factories.prompt(project), size=3, overlap=2)
    factories.comparison(factories.prompt(project), state="closed")
    shown = api.get(url).json()
    assert (shown["counts"]["labels_wanted"], shown["counts"]["labels_given"]) == (2, 0)
    assert shown["forecast"]["left"] == 2
    assert shown["forecast"]["reason"].startswith("No person has labeled here yet")
    assert shown["counts"]["candidates"] == 5
    assert shown["next_steps"][0]["path"] == "settings/members/"
