"""Shapes of models in the API."""

from rest_framework import serializers

from annotation.registry.models import ModelVersion, ScoringRequest


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


class RollbackSerializer(serializers.Serializer[ModelVersion]):
    kind = serializers.ChoiceField(choices=ModelVersion.Kind.choices)
    expected = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="The id of the version that it is to lead to; 409 and no change where it leads elsewhere.",
    )


class ChatTurnSerializer(serializers.Serializer[dict[str, str]]):
    """One turn of a chat."""

    role = serializers.ChoiceField(choices=["system", "user", "assistant"])
    content = serializers.CharField(trim_whitespace=False, allow_blank=True)


class ScoreRequestSerializer(serializers.Serializer[ScoringRequest]):
    """Chats to be scored: the last turn of each is the assistant's response."""

    chats = serializers.ListField(
        child=serializers.ListField(child=ChatTurnSerializer()),
        help_text="1 to 256 chats, each a list of turns.",
    )
    wait = serializers.FloatField(
        default=20.0, min_value=0, max_value=25, help_text="Seconds to wait for the scores."
    )


class ScoreSerializer(serializers.Serializer[dict[str, float]]):
    """The reward of one response."""

    raw = serializers.FloatField(
        help_text="The mean of the model's heads, less its offset: what it learned from scores 0 on average."
    )
    calibrated = serializers.FloatField(
        help_text="raw / temperature: the sigmoid of a difference is the chance to be preferred."
    )
    deviation = serializers.FloatField(help_text="Between the model's heads; 0 for one head.")
    criteria = serializers.DictField(
        child=serializers.FloatField(),
        required=False,
        help_text="What the head of each criterion says: compare responses to one prompt by them.",
    )
    is_truncated = serializers.BooleanField(
        default=False,
        help_text="The prompt or the response is longer than the model reads; a part of it was scored.",
    )


class ScoringSerializer(serializers.ModelSerializer[ScoringRequest]):
    """A request for scores: done with one score a chat in the order sent, or not answered yet."""

    scores = ScoreSerializer(many=True)

    class Meta:
        model = ScoringRequest
        fields = ["id", "version", "status", "scores", "temperature", "created_at", "finished_at"]
