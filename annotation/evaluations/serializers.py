"""What models are worth, as JSON."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.evaluations.models import ModelCard


class ModelCardSerializer(serializers.ModelSerializer[ModelCard]):
    """The facts of a card, as its run computed them."""

    facts = serializers.SerializerMethodField()
    by_labeler = serializers.SerializerMethodField()
    by_criterion = serializers.SerializerMethodField()

    class Meta:
        model = ModelCard
        fields: ClassVar[list[str]] = [
            *["version", "facts", "by_labeler", "by_criterion", "created_at"]
        ]
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_facts(self, card: ModelCard) -> Any:  # Any: JSON
        return card.facts

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_by_labeler(self, card: ModelCard) -> Any:  # Any: as above
        return card.by_labeler

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_by_criterion(self, card: ModelCard) -> Any:  # Any: as above
        return card.by_criterion
