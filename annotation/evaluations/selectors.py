"""Reading what models are worth."""

from annotation.core.errors import NotFound
from annotation.evaluations.models import ModelCard
from annotation.registry.models import ModelVersion


def card_of(version: ModelVersion) -> ModelCard | None:
    """The facts that the version's run left; None for a model that was not trained here."""
    return ModelCard.objects.filter(version=version).first()


def card_in(version: ModelVersion) -> ModelCard:
    """The same. Raises NotFound with what to do."""
    card = card_of(version)
    if card is None:
        raise NotFound(
            f"{version} has no card: it was not trained here, or before cards were kept. Train it again."
        )
    return card
