"""Signing in, tokens for the API, and people added by command."""

import re
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.models import ApiToken, User
from annotation.accounts.services import create_person, create_token, revoke_token
from annotation.accounts.sessions import SessionStore
from annotation.audit.models import AuditEvent
from annotation.projects.models import Membership, Role
from deploy.management.commands import up
from tests import factories
from workers.housekeeping import remove_ended_sessions

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"  # noqa: S105 - of a test


@pytest.fixture(autouse=True)
def _no_memory_of_failures(settings):
    memory = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": memory, "LOCATION": str(uuid4())}}


def sign_in(client, password=PASSWORD):
    return client.post("/accounts/login/", {"login": "ada", "password": password})


def test_a_person_signs_in_with_name_and_password(client):
    create_person(username="ada", password=PASSWORD)
    answer = sign_in(client)
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_the_sign_in_page_can_be_typed_in_at_once(client):
    page = client.get("/accounts/login/").content.decode()
    assert re.search(r'<input[^>]*name="login"[^>]*autofocus', page)
    assert page.count("autofocus") == 1


def test_after_five_wrong_passwords_the_right_one_must_wait_too(client):
    create_person(username="ada", password=PASSWORD)
    for _ in range(5):
        sign_in(client, "wrong")
    answer = sign_in(client)
    assert answer.status_code == 200
    assert b"Too many failed login attempts" in answer.content


def test_a_page_sends_the_anonymous_to_sign_in_and_back(client):
    answer = client.get("/account/tokens/")
    assert answer["Location"] == "/accounts/login/?next=/account/tokens/"


def test_a_key_is_shown_once_and_only_its_hash_is_stored(client):
    client.force_login(factories.user())
    url = reverse("accounts-tokens")
    page = client.post(url, {"name": "nightly"}).content.decode()
    key = re.search(r"concord_[\w-]+", page)[0]
    assert ApiToken.objects.filter(prefix=key[:12]).exclude(key_hash__contains=key).exists()
    assert key not in client.get(url).content.decode()


def test_a_token_opens_the_api_until_it_is_revoked(api):
    user = factories.user()
    new = create_token(user=user, name="nightly")
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {new.key}")
    assert api.get(reverse("api-me")).json()["username"] == user.username
    revoke_token(user=user, token_id=new.token.pk)
    answer = api.get(reverse("api-me"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "authentication_failed")


def test_a_token_is_made_and_revoked_through_the_api(api):
    api.force_authenticate(factories.user())
    made = api.post(reverse("api-token-list"), {"name": "ci"}, format="json")
    assert made.json()["key"].startswith("concord_")
    listed = api.get(reverse("api-token-list")).json()["results"]
    assert "key" not in listed[0]
    gone = api.delete(reverse("api-token-detail", args=[made.json()["id"]]))
    assert gone.status_code == 204


def test_a_page_of_one_person_does_nothing_with_the_session_of_another(client):
    asker, other = factories.user(username="ada"), factories.user()
    client.force_login(asker)
    body = {"time_zone": "Asia/Tokyo"}
    theirs, own = ({"X-Page-Of": str(one.pk)} for one in (other, asker))
    sent = partial(client.patch, reverse("api-me"), body, content_type="application/json")
    answer = sent(headers=theirs)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "signed_in_as_another")
    assert answer.json()["error"]["message"] == "ada is signed in in this browser now."
    asker.refresh_from_db()
    assert asker.time_zone == ""
    assert sent(headers=own).status_code == 200
    asker.refresh_from_db()
    assert asker.time_zone == "Asia/Tokyo"


def test_nobody_revokes_the_token_of_another(api):
    new = create_token(user=factories.user(), name="mine")
    api.force_authenticate(factories.user())
    assert api.delete(reverse("api-token-detail", args=[new.token.pk])).status_code == 404
    assert ApiToken.objects.get(pk=new.token.pk).revoked_at is None


def test_a_token_that_ends_in_the_past_is_refused(api):
    api.force_authenticate(factories.user())
    body = {"name": "late", "expires_at": "2001-01-01T00:00:00Z"}
    answer = api.post(reverse("api-token-list"), body, format="json")
    assert answer.status_code == 400
    assert "has passed" in answer.json()["error"]["message"]


def test_making_and_revoking_a_token_is_in_the_audit():
    user = factories.user()
    revoke_token(user=user, token_id=create_token(user=user, name="x").token.pk)
    verbs = list(
        AuditEvent.objects.filter(actor=user).order_by("pk").values_list("verb", flat=True)
    )
    assert verbs == ["token.created", "token.revoked"]


def test_the_command_adds_a_member_and_shows_the_password_once(client, capsys):
    project = factories.project()
    call_command("create_user", "ada", "--project", str(project.pk), "--role", "labeler")
    password = re.search(r"password\s+(\S+)", capsys.readouterr().out)[1]
    assert sign_in(client, password).status_code == 302
    assert Membership.objects.get(project=project).role == Role.LABELER


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ada", "--project", "999999", "--role", "admin"], "no project 999999"),
        (["ada", "--role", "admin"], "together"),
        (["a b/c"], "valid username"),
        (["Taken"], "already"),
    ],
)
def test_the_command_says_what_is_wrong_and_adds_nobody(arguments, words):
    factories.user("taken")
    with pytest.raises(CommandError, match=words):
        call_command("create_user", *arguments)
    assert User.objects.count() == 1


@pytest.mark.parametrize(("code", "is_meant"), [(130, True), (-9, False)])
def test_ctrl_c_ends_up_with_a_sentence_and_a_failure_with_its_code(
    code, is_meant, monkeypatch, capsys
):
    monkeypatch.setattr(up, "prepare_database", lambda: None)
    monkeypatch.setattr(up, "make_manager", lambda **_: None)
    monkeypatch.setattr(up.connections, "close_all", lambda: None)  # the test's own
    monkeypatch.setattr(up, "run", lambda _: code)
    with nullcontext() if is_meant else pytest.raises(SystemExit, match=str(code)):
        call_command("up")
    assert ("Concord has stopped." in capsys.readouterr().out) is is_meant


def test_up_says_how_to_make_the_first_account_until_there_is_one(capsys):
    told = up.first_account()
    assert "Nobody can sign in yet" in told
    command = told.splitlines()[-1].split("manage.py ")[1].split()
    call_command(*command)
    assert User.objects.get().is_staff
    assert up.first_account() == ""


def test_sign_ins_that_are_over_are_removed_and_others_stay():
    kept, over = SessionStore(), SessionStore()
    for session, days in ((kept, 1), (over, -1)):
        session.set_expiry(timezone.now() + timedelta(days=days))
        session.create()
    remove_ended_sessions()
    assert [one.session_key for one in Session.objects.all()] == [kept.session_key]
