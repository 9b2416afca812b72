"""Typed reading of the environment. `X_FILE` names a file with the value of `X`; a bad value fails loudly."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

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


class Price(NamedTuple):
    """An amount of money, with the three letters of its currency."""

    amount: float
    currency: str


def price(name: str) -> Price | None:
    """An amount and its currency, as in 2.50 EUR; None where it is not set."""
    value = text(name)
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ([A-Z]{3})", value.strip())
    if value and not found:
        raise ImproperlyConfigured(
            f"{name}={value!r} is no price; write an amount and the three letters of its currency, as in 2.50 EUR."
        )
    return Price(float(found[1]), found[2]) if found else None


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
