"""Runs as JSON."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.services.queueing import DAY

LAST_KEY = 2**63 - 1


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.JSONField):
    """A JSON object; its fields are checked by training.spec."""

    def to_internal_value(self, data: Any) -> Any:  # Any: JSON
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            raise serializers.ValidationError("Send an object with kind and fields.")
        return value


class KeyField(serializers.IntegerField):
    """A primary key in a request."""

    def __init__(self, **options: Any) -> None:  # Any: options of a field
        super().__init__(min_value=1, max_value=LAST_KEY, **options)


class RunSerializer(serializers.ModelSerializer[TrainingRun]):
    """A training run: what it was told, how far it is, what it made."""

    spec = ObjectField()
    result = ObjectField()

    class Meta:
        model = TrainingRun
        fields: ClassVar[list[str]] = [
            *["id", "name", "kind", "status", "error", "spec"],
            *["snapshot", "base_model", "reward_model", "held_out_reward_model"],
            "model_version",
            *["stage", "progress_done", "progress_total", "progress_unit", "attempt"],
            *["created_by", "created_at", "queued_at", "started_at", "finished_at"],
            *["timeout_seconds", "code_revision", "result", "log_tail"],
        ]
        read_only_fields = fields


class NewRunSerializer(serializers.Serializer[Any]):
    """What a new run is made of. `spec` holds `kind` and any of the fields of its schema."""

    name = serializers.CharField(max_length=120)
    spec = ObjectField()
    snapshot = KeyField()
    base_model = KeyField()
    reward_model = KeyField(required=False, allow_null=True, default=None)
    held_out_reward_model = KeyField(
        required=False, allow_null=True, default=None, help_text="Watches, and does not teach."
    )
    timeout_seconds = serializers.IntegerField(
        required=False, default=DAY, min_value=60, max_value=60 * DAY
    )


class CloneSerializer(serializers.Serializer[Any]):
    """The name of the copy."""

    name = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)


class EventSerializer(serializers.ModelSerializer[RunEvent]):
    """One thing a run said."""

    class Meta:
        model = RunEvent
        fields: ClassVar[list[str]] = ["id", "kind", "step", "at", "data"]
        read_only_fields = fields


class CurvesSerializer(serializers.Serializer[Any]):
    """The metrics of a run by name, one value a step, thinned to 600 steps."""

    status = serializers.CharField()
    steps = serializers.ListField(child=serializers.IntegerField())
    series = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True))
    )


class SpecKindSerializer(serializers.Serializer[Any]):
    """One kind of run, the JSON schema of its spec, and settings known to work."""

    kind = serializers.CharField()
    title = serializers.CharField()
    schema = ObjectField()
    presets = serializers.DictField(child=ObjectField())
