"""Shapes of models in the API."""

from rest_framework import serializers

from annotation.registry.models import ModelVersion


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """One published model."""

    lineage = serializers.DictField(read_only=True)
    metrics = serializers.DictField(read_only=True)

    class Meta:
        model = ModelVersion
        fields = [
            "id", "kind", "name", "number", "stage", "backend", "location", "remote_model",
            "api_key_variable", "parent", "lineage", "metrics", "sha256", "created_at",
        ]  # fmt: skip
        read_only_fields = ["number", "stage", "parent", "sha256", "created_at"]
        extra_kwargs = {"backend": {"default": ModelVersion.Backend.LOCAL}}


class StageSerializer(serializers.Serializer[ModelVersion]):
    stage = serializers.ChoiceField(choices=ModelVersion.Stage.choices)


class KindSerializer(serializers.Serializer[ModelVersion]):
    kind = serializers.ChoiceField(choices=ModelVersion.Kind.choices)
