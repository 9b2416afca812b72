"""Typed reading of the environment. `X_FILE` names a file with the value of `X`; a bad value fails loudly."""

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The value of ``name``, or of the file that ``name_FILE`` names."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error}.") from error
    return os.environ.get(name, default)


def boolean(name: str, *, default: bool = False) -> bool:
    """1/true/yes/on or 0/false/no/off; anything else is refused."""
    value = text(name, "1" if default else "0").lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name}={value!r} is neither true nor false; use 1 or 0.")
    return value in TRUE


def integer(name: str, default: int) -> int:
    """A whole number."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from error


def words(name: str, default: str = "") -> list[str]:
    """Comma-separated words."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def mail(name: str) -> dict[str, Any]:  # Any: Django's settings
    """Django's settings of the mail server that a URL names (smtp+tls://user:password@host:587); none without it."""
    url = text(name)
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    try:
        return dict(environ.Env.email_url_config(url))
    except (ImproperlyConfigured, KeyError, ValueError) as error:
        raise ImproperlyConfigured(
            f"{name} names no mail server; write smtp+tls://user:password@host:587."
        ) from error


def with_values(**values: str) -> dict[str, str]:
    """This process's environment with some values set: what a child gets."""
    return os.environ | values
