"""Invitations by mail: several at once, again with a fresh link, and by hand where this server sends no mail."""

import re

import pytest
from django.core import mail
from django.urls import reverse

from annotation.core.errors import NotFound
from annotation.projects.models import Invitation, Role
from annotation.projects.selectors import invitation_for
from annotation.projects.services import members
from tests import factories

pytestmark = pytest.mark.django_db
TWO = {"addresses": "kim@example.org, bo@example.org", "role": "labeler", "languages": "en, de"}


@pytest.fixture
def project():
    return factories.project(name="Kitchen\nhelp")


@pytest.fixture
def admin(client, project):
    client.force_login(factories.member(project, Role.ADMIN))
    return client


@pytest.mark.parametrize(
    ("languages", "reads", "subject"),
    [
        ("de, en", "en", "Einladung zu Kitchen help"),
        ("de-AT", "en", "Einladung zu Kitchen help"),
        ("en, de", "de", "You are invited to Kitchen help"),
        ("", "de", "Einladung zu Kitchen help"),
        ("fi", "de", "Einladung zu Kitchen help"),
        ("fi", "en", "You are invited to Kitchen help"),
    ],
)
def test_a_mail_is_in_the_language_of_who_is_invited_or_else_of_who_invites(
    admin, project, languages, reads, subject
):
    sent = TWO | {"addresses": "kim@example.org", "languages": languages}
    url = reverse("projects-invite-mail", args=[project.pk])
    admin.post(url, sent, headers={"accept-language": reads})
    (message,) = mail.outbox
    assert message.subject == subject
    assert ("lädt Sie ein" in message.body) is subject.startswith("Einladung")


def test_each_address_gets_a_mail_with_a_link_of_its_own(admin, project):
    admin.post(reverse("projects-invite-mail", args=[project.pk]), TWO)
    assert [one.to for one in mail.outbox] == [["kim@example.org"], ["bo@example.org"]]
    assert mail.outbox[0].subject == "You are invited to Kitchen help"
    token = re.search(r"/invitations/([^/]+)/", mail.outbox[0].body)[1]
    invitation = invitation_for(token)
    assert invitation.sent_at is not None
    user = factories.user()
    members.accept_invitation(invitation=invitation, user=user)
    assert project.memberships.get(user=user).languages == ["en", "de"]


def test_without_a_mail_server_the_links_are_shown_with_the_reason(admin, project, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    page = admin.post(reverse("projects-invite-mail", args=[project.pk]), TWO).content.decode()
    assert "EMAIL_URL is not set" in page
    assert page.count("/invitations/") >= 2
    assert not Invitation.objects.exclude(sent_at=None).exists()


def test_a_second_mail_ends_the_first_link(admin, project):
    admin.post(reverse("projects-invite-mail", args=[project.pk]), TWO)
    row = Invitation.objects.get(email="kim@example.org")
    admin.post(reverse("projects-invitation-resend", args=[project.pk, row.pk]))
    first, again = (
        re.search(r"/invitations/([^/]+)/", mail.outbox[place].body)[1] for place in (0, 2)
    )
    assert invitation_for(again) == row
    with pytest.raises(NotFound):
        invitation_for(first)


def test_what_is_no_address_is_named_and_nobody_is_invited(admin, project):
    sent = {**TWO, "addresses": "kim@example.org, nobody"}
    answer = admin.post(reverse("projects-invite-mail", args=[project.pk]), sent)
    assert answer.status_code == 400
    assert "No mail address: nobody." in answer.content.decode()
    assert not Invitation.objects.exists()


def test_the_api_invites_by_mail_and_sends_again(api, project):
    api.force_authenticate(factories.member(project, Role.ADMIN))
    base = f"/api/v1/projects/{project.pk}/invitations/"
    body = {"addresses": ["kim@example.org"], "role": "labeler", "languages": ["en"]}
    (made,) = api.post(f"{base}mail/", body, format="json").json()
    assert (made["email"], made["is_mailed"], made["link"]) == ("kim@example.org", True, "")
    again = api.post(f"{base}{made['id']}/resend/").json()
    assert again["is_mailed"]
    assert [one.to for one in mail.outbox] == [["kim@example.org"]] * 2
    wrong = api.post(f"{base}mail/", {**body, "addresses": ["kim"]}, format="json")
    assert "addresses" in wrong.json()["error"]["fields"]


def test_the_api_gives_the_link_where_no_mail_goes_out(api, project, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    api.force_authenticate(factories.member(project, Role.ADMIN))
    body = {"addresses": ["kim@example.org"], "role": "labeler"}
    url = f"/api/v1/projects/{project.pk}/invitations/mail/"
    (made,) = api.post(url, body, format="json").json()
    assert not made["is_mailed"]
    assert "EMAIL_URL is not set" in made["problem"]
    assert invitation_for(made["link"].rstrip("/").rpartition("/")[2]).email == "kim@example.org"
