"""Writing accounts: people with a generated password, and the tokens of the API."""

import secrets
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from annotation.accounts import zones
from annotation.accounts.authentication import hash_key
from annotation.accounts.models import ApiToken, User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput, NotFound

KEY_PREFIX = "concord_"
SHOWN_OF_KEY = 12  # characters of a key that a list shows, to tell tokens apart


class NewToken(NamedTuple):
    """A token with the only copy of its key: show it once, then forget it."""

    token: ApiToken
    key: str


class NewPerson(NamedTuple):
    """A person with the only copy of the password: show it once, then forget it."""

    user: User
    password: str


@transaction.atomic
def create_token(*, user: User, name: str, expires_at: datetime | None = None) -> NewToken:
    """Make a key for the API in this person's name."""
    if expires_at and expires_at <= timezone.now():
        raise InvalidInput(f"expires_at is {expires_at:%Y-%m-%d %H:%M}, which has passed already.")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=key[:SHOWN_OF_KEY],
        key_hash=hash_key(key),
        expires_at=expires_at,
    )
    audit.record("token.created", token, actor=user, name=name)
    return NewToken(token, key)


@transaction.atomic
def revoke_token(*, user: User, token_id: int) -> None:
    """End one of this person's own tokens; what uses it is refused from now on."""
    token = ApiToken.objects.filter(pk=token_id, user=user).first()
    if token is None:
        raise NotFound("You have no such token.")
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record("token.revoked", token, actor=user, name=token.name)


@transaction.atomic
def set_time_zone(*, user: User, time_zone: str) -> None:
    """Count this person's days in another zone. Raises InvalidInput where nobody knows the zone."""
    if not zones.is_known(time_zone):
        raise InvalidInput.at(
            "time_zone", f"{time_zone[:60]!r} is not a time zone; name one such as Europe/Berlin."
        )
    User.objects.filter(pk=user.pk).update(time_zone=time_zone)
    audit.record("user.time_zone_set", user, actor=user, time_zone=time_zone)


@transaction.atomic
def create_person(*, username: str, password: str = "", is_staff: bool = False) -> NewPerson:
    """Add a person who can sign in; the password is generated unless one is given."""
    if User.objects.filter(username__iexact=username).exists():
        raise Conflict(f"There is a user {username!r} already; choose another name.")
    user = User(username=username, is_staff=is_staff, is_superuser=is_staff)
    password = password or secrets.token_urlsafe(12)
    try:
        User.username_validator(username)
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages)) from error
    user.set_password(password)
    user.save()
    audit.record("user.created", user, actor=None, username=username)
    return NewPerson(user, password)
