"""Who asks the API: a token (`Authorization: Bearer <key>`; only its hash is stored), or the session of a browser."""

import hashlib

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.request import Request

from annotation.accounts.models import ApiToken, User


def hash_key(key: str) -> str:
    """Hex sha256: keys are random and long, so no slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def person(request: HttpRequest | Request) -> User:
    """Who asks, where the sign-in middleware or IsAuthenticated has turned away the anonymous."""
    if not isinstance(request.user, User):
        raise TypeError(f"{request.user!r} passed the sign-in.")
    return request.user


class TokenAuthentication(BaseAuthentication):
    """Find the user of a bearer token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _space, key = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = (
            ApiToken.objects.select_related("user")
            .filter(key_hash=hash_key(key.decode("latin-1").strip()), revoked_at=None)
            .first()
        )
        if token is None or not token.user.is_active:
            raise exceptions.AuthenticationFailed("This token is unknown or revoked.")
        if token.expires_at and token.expires_at < timezone.now():
            raise exceptions.AuthenticationFailed("This token has expired; make a new one.")
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now())
        return token.user, token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the name DRF calls with
        return "Bearer"


class SignedInAsAnother(exceptions.APIException):
    """The browser's session is not of the person whose page asks; nothing was done."""

    status_code = 409
    default_code = "signed_in_as_another"


class PageSession(SessionAuthentication):
    """Django's session; a page may say whose it is in ``X-Page-Of`` (the user's id), and acts for nobody else."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        found: tuple[User, None] | None = super().authenticate(request)
        owner = request.headers.get("X-Page-Of", "")
        if found and owner and owner != str(found[0].pk):
            told = _("%(name)s is signed in in this browser now.") % {"name": found[0].username}
            raise SignedInAsAnother(told)
        return found
