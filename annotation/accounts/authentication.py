"""API tokens: `Authorization: Bearer <key>`; only the hash of a key is stored."""

import hashlib

from django.http import HttpRequest
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
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
        scheme, _, key = get_authorization_header(request).partition(b" ")
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
