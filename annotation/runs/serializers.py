"""Runs as JSON."""

from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.core.places import QueuePlaceField
from annotation.runs.estimates import Estimate, price_text
from annotation.runs.headlines import headline_of
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.pacing import Basis, Likeness
from annotation.runs.services.queueing import DAY
from training.spec.metrics import Tells

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


class MachineSerializer(serializers.Serializer[Any]):
    """Where a run computed, as its process told when it started."""

    host = serializers.CharField()
    device = serializers.CharField()
    torch = serializers.CharField()
    bfloat16 = serializers.BooleanField()


class HeadlineSerializer(serializers.Serializer[Any]):
    """The one number that a run of its kind is judged by: what was measured on held-out records."""

    name = serializers.CharField(help_text="held-out accuracy, held-out loss or reward gain.")
    value = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(
        child=serializers.FloatField(), min_length=2, max_length=2, allow_null=True
    )
    n = serializers.IntegerField(allow_null=True)
    before = serializers.FloatField(
        allow_null=True, help_text="The same of the model it began with."
    )
    after = serializers.FloatField(allow_null=True, help_text="Of a gain: the reward at the end.")
    is_better_low = serializers.BooleanField(help_text="A loss.")
    reason = serializers.CharField(help_text="Why there is no value.")


class RunSerializer(serializers.ModelSerializer[TrainingRun]):
    """A training run: what it was told, how far it is, where it computes, what it made."""

    spec = ObjectField()
    result = ObjectField()
    machine = serializers.SerializerMethodField()
    queue_place = QueuePlaceField()
    headline = serializers.SerializerMethodField()

    class Meta:
        model = TrainingRun
        fields: ClassVar[list[str]] = [
            *["id", "name", "kind", "status", "error", "spec"],
            *["snapshot", "base_model", "reward_model", "held_out_reward_model", "sampler"],
            "model_version",
            *["stage", "progress_done", "progress_total", "progress_unit", "attempt"],
            *["created_by", "created_at", "queued_at", "started_at", "finished_at"],
            *["timeout_seconds", "code_revision", "machine", "queue_place"],
            *["headline", "result", "log_tail"],
        ]
        read_only_fields = fields

    @extend_schema_field(MachineSerializer(allow_null=True))
    def get_machine(self, run: TrainingRun) -> dict[str, Any] | None:
        return run.machine or None

    @extend_schema_field(HeadlineSerializer)
    def get_headline(self, run: TrainingRun) -> dict[str, Any]:
        return headline_of(run)._asdict()


class RunInputsSerializer(serializers.Serializer[Any]):
    """What a run learns from, and how. `spec` holds `kind` and any of the fields of its schema."""

    spec = ObjectField()
    snapshot = KeyField()
    base_model = KeyField()
    reward_model = KeyField(required=False, allow_null=True, default=None)
    held_out_reward_model = KeyField(
        required=False, allow_null=True, default=None, help_text="Watches, and does not teach."
    )
    sampler = KeyField(
        required=False,
        allow_null=True,
        default=None,
        help_text="A server that an admin registered as a policy: it samples in place of the run's process.",
    )


class NewRunSerializer(RunInputsSerializer):
    """What a new run is made of."""

    name = serializers.CharField(max_length=120)
    timeout_seconds = serializers.IntegerField(
        required=False, default=DAY, min_value=60, max_value=60 * DAY
    )


class ResumeSerializer(serializers.Serializer[Any]):
    """Where it samples from here on; nothing leaves it where it was."""

    sampler = KeyField(
        required=False,
        allow_null=True,
        help_text="A server that an admin registered as a policy; null: the run's own process.",
    )


class CloneSerializer(ResumeSerializer):
    """The name of the copy, and where it samples; nothing: where the run did."""

    name = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)


class EventSerializer(serializers.ModelSerializer[RunEvent]):
    """One thing a run said."""

    class Meta:
        model = RunEvent
        fields: ClassVar[list[str]] = ["id", "kind", "step", "at", "data"]
        read_only_fields = fields


class LineSerializer(serializers.Serializer[Any]):
    """One metric in a chart; `title` tells it from the others there."""

    name = serializers.CharField()
    title = serializers.CharField()


class ChartSerializer(serializers.Serializer[Any]):
    """Metrics that are drawn together, with what they are of."""

    title = serializers.CharField()
    unit = serializers.CharField(help_text="Empty: a number without one.")
    tells = serializers.ChoiceField(list(Tells))
    lines = LineSerializer(many=True)
    is_zero = serializers.BooleanField(help_text="Zero at every step.")


class CurvesSerializer(serializers.Serializer[Any]):
    """The metrics of a run by name, one value a step, thinned to 600 steps, and the charts they make."""

    status = serializers.CharField()
    charts = ChartSerializer(many=True)
    steps = serializers.ListField(child=serializers.IntegerField())
    series = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True))
    )


class MemorySerializer(serializers.Serializer[Any]):
    """Bytes at the least, without activations."""

    training = serializers.IntegerField()
    measuring = serializers.IntegerField()


class PaceSerializer(serializers.Serializer[Any]):
    """Which earlier runs a time rests on, and how near they are."""

    runs = serializers.ListField(child=serializers.IntegerField())
    likeness = serializers.ChoiceField(
        [one.name.lower() for one in Likeness],
        help_text="same: these settings, a model of this size; settings: others; model: another size, scaled.",
    )
    scaled_for = serializers.ListField(
        child=serializers.CharField(),
        help_text="Settings that the newest had otherwise and that the time accounts for.",
    )
    not_scaled_for = serializers.ListField(
        child=serializers.CharField(), help_text="Those that it does not account for."
    )

    @staticmethod
    def facts(basis: Basis | None) -> dict[str, Any] | None:
        """The basis as JSON; None where no time is known."""
        if basis is None:
            return None
        return {
            "runs": [one.pk for one in basis.runs],
            "likeness": basis.likeness.name.lower(),
            "scaled_for": basis.scaled_for,
            "not_scaled_for": basis.not_scaled_for,
        }


class VerdictsSerializer(serializers.Serializer[Any]):
    """The single responses that KTO learns from in the training split, and what it leaves out."""

    desirable = serializers.IntegerField()
    undesirable = serializers.IntegerField()
    undecided = serializers.IntegerField(
        help_text="Responses without a verdict beside others that have one."
    )
    prompts = serializers.IntegerField()
    prompts_without = serializers.IntegerField(help_text="Prompts without a verdict.")
    all_desirable = serializers.IntegerField(help_text="In the whole snapshot.")
    all_undesirable = serializers.IntegerField(help_text="In the whole snapshot.")


class RunEstimateSerializer(serializers.Serializer[Any]):
    """What a run will cost; null where `why` says that it cannot be known."""

    rows = serializers.IntegerField(help_text="Prompts of the training split that it learns from.")
    steps = serializers.IntegerField()
    parameters = serializers.IntegerField(allow_null=True)
    trained = serializers.IntegerField(allow_null=True)
    memory = MemorySerializer(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    pace = PaceSerializer(allow_null=True)
    verdicts = VerdictsSerializer(allow_null=True)
    cost = serializers.CharField(help_text="At the site's price an hour; empty without one.")
    why = serializers.ListField(child=serializers.CharField())

    @staticmethod
    def facts(found: Estimate) -> dict[str, Any]:
        """The estimate as JSON."""
        told = asdict(found)
        return {
            **{name: one for name, one in told.items() if name != "basis"},
            "memory": found.memory and found.memory._asdict(),
            "seconds": found.seconds,
            "pace": PaceSerializer.facts(found.basis),
            "verdicts": found.verdicts and found.verdicts._asdict(),
            "cost": price_text(found.seconds),
        }


class SpecKindSerializer(serializers.Serializer[Any]):
    """One kind of run, the JSON schema of its spec, and settings known to work."""

    kind = serializers.CharField()
    title = serializers.CharField()
    schema = ObjectField()
    presets = serializers.DictField(child=ObjectField())
