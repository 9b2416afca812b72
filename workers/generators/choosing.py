"""Which way a registered model is asked."""

from pathlib import Path

from django.conf import settings

from annotation.core import storage
from annotation.registry.models import ModelVersion
from annotation.registry.servers import may_be_asked, refusal
from workers.generators.base import Generator, GeneratorFailed
from workers.generators.http import HttpGenerator, Manners
from workers.generators.local import LocalGenerator


def generator_for(model: ModelVersion, folder: Path) -> Generator:
    """The way to ask this model. Raises GeneratorFailed for a server that no admin answers for (any more)."""
    if model.backend == ModelVersion.Backend.LOCAL:
        return LocalGenerator(storage.local(model.location), folder=folder)
    if not may_be_asked(model):
        raise GeneratorFailed(refusal(model))
    manners = Manners(
        concurrency=max(1, settings.CONCORD_HTTP_CONCURRENCY),
        per_second=settings.CONCORD_HTTP_PER_MINUTE / 60,
        timeout_seconds=settings.CONCORD_HTTP_TIMEOUT_SECONDS,
    )
    return HttpGenerator(
        model.location,
        model=model.remote_model,
        key_variable=model.api_key_variable,
        manners=manners,
    )
