"""System checks: an unsafe production (CONCORD_PRODUCTION=1) is refused, the bucket of artifacts is tried."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from annotation.core import bucket
from deploy import env


@register(Tags.security)
def production_is_safe(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    **kwargs: Any,  # noqa: ARG001
) -> list[CheckMessage]:
    """Production names its secret, its database, its broker and its hosts."""
    if not settings.PRODUCTION:
        return []
    wanted = {
        "SECRET_KEY": "set it (or SECRET_KEY_FILE) to a long random value kept outside the code",
        "DATABASE_URL": "point it at your PostgreSQL server; the embedded one is for a single machine",
        "REDIS_URL": "point it at your Redis; the folder broker serves one machine only",
        "ALLOWED_HOSTS": "name the hosts that the site answers to",
    }
    errors: list[CheckMessage] = [
        Error(f"{name} is not set: {advice}.", id=f"concord.E{number:03d}")
        for number, (name, advice) in enumerate(wanted.items(), start=1)
        if not env.text(name)
    ]
    if settings.DEBUG:
        errors.append(Error("DEBUG is on: switch it off in production.", id="concord.E010"))
    if "*" in settings.ALLOWED_HOSTS:
        errors.append(Error("ALLOWED_HOSTS=* accepts any host: name yours.", id="concord.E011"))
    return errors


@register("storage")
def bucket_is_named(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    **kwargs: Any,  # noqa: ARG001
) -> list[CheckMessage]:
    """Where artifacts go to a bucket, its address and both keys are there."""
    try:
        if bucket.address() is None:
            return []
    except ValueError as error:
        return [Error(str(error), id="concord.E020")]
    wanted = ("CONCORD_BUCKET_ACCESS_KEY", "CONCORD_BUCKET_SECRET_KEY")
    return [
        Error(f"{name} is not set, and CONCORD_BUCKET_URL is: set it.", id="concord.E021")
        for name in wanted
        if not getattr(settings, name)
    ]


@register("storage", deploy=True)
def bucket_answers(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    **kwargs: Any,  # noqa: ARG001
) -> list[CheckMessage]:
    """The bucket takes, gives back and removes an object: `manage.py check --deploy --tag storage`."""
    if bucket_is_named(None) or bucket.address() is None:
        return []
    try:
        bucket.probe()
    except bucket.BucketFailed as error:
        return [Error(str(error), id="concord.E022")]
    return []


def refuse_unsafe_production() -> None:
    """The same for web and workers, which run no system checks: they do not start."""
    if errors := [*production_is_safe(None), *bucket_is_named(None)]:
        raise ImproperlyConfigured(" ".join(str(error.msg) for error in errors))
