"""What models are worth, as JSON."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.evaluations.evidence import Findings, findings_of
from annotation.evaluations.models import Evaluation, ModelCard

LAST_KEY = 2**63 - 1


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


class AskedAgainSerializer(serializers.Serializer[Any]):
    """The batch that was opened, and how many comparisons it holds."""

    batch = serializers.IntegerField()
    comparisons = serializers.IntegerField()


class NewEvaluationSerializer(serializers.Serializer[Any]):
    """Two policies, how many held-out prompts, and who judges."""

    policy = serializers.IntegerField(min_value=1, max_value=LAST_KEY)
    baseline = serializers.IntegerField(min_value=1, max_value=LAST_KEY)
    reward_model = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=LAST_KEY
    )
    prompts = serializers.IntegerField(required=False, default=100, min_value=1, max_value=10_000)
    temperature = serializers.FloatField(required=False, default=0.8, min_value=0, max_value=10)
    max_tokens = serializers.IntegerField(
        required=False, default=256, min_value=1, max_value=100_000
    )
    is_judged = serializers.BooleanField(required=False, default=True)


class EvaluationsSerializer(serializers.ListSerializer[Any]):
    """Several evaluations, whose votes and answers are read at once."""

    def to_representation(self, data: Any) -> Any:  # Any: rows, and JSON
        assert isinstance(self.child, EvaluationSerializer)  # noqa: S101 - it names this class
        rows = list(data)
        self.child.findings = findings_of(rows)
        return super().to_representation(rows)


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """An evaluation, with what people and the reward model said so far."""

    findings: Mapping[int, Findings] = MappingProxyType({})  # of those that are told, by key

    prompts_cut = serializers.SerializerMethodField(
        help_text="Prompts that were longer than each of the two reads, which answered a part of them."
    )
    prompts_equal = serializers.SerializerMethodField(
        help_text="Prompts to which both gave the same answer: people see none, the reward model counts half a win."
    )
    people = serializers.SerializerMethodField()
    reward = serializers.SerializerMethodField()

    class Meta:
        model = Evaluation
        fields: ClassVar[list[str]] = [
            *["id", "policy", "baseline", "generation", "baseline_generation", "batch", "state"],
            *["is_judged", "prompts", "prompts_cut", "prompts_equal", "error", "people", "reward"],
            *["created_by", "created_at", "finished_at"],
        ]
        read_only_fields = fields
        list_serializer_class = EvaluationsSerializer

    def to_representation(self, instance: Evaluation) -> Any:  # Any: JSON
        if instance.pk not in self.findings:
            self.findings = findings_of([instance])
        return super().to_representation(instance)

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_prompts_cut(self, row: Evaluation) -> dict[str, int]:
        return self.findings[row.pk].cut._asdict()

    def get_prompts_equal(self, row: Evaluation) -> int:
        return self.findings[row.pk].equal

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_people(self, row: Evaluation) -> Any:  # Any: JSON
        found = self.findings[row.pk].people
        return {
            "win_rate": found.win_rate.as_json(),
            "length_controlled": found.controlled and found.controlled.win_rate.as_json(),
            "ties": found.ties,
            "all_bad": found.all_bad,
            "simulated": found.simulated,
            "open": found.open,
            "is_decided": found.is_decided,
        }

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_reward(self, row: Evaluation) -> Any:  # Any: as above
        found = self.findings[row.pk].reward
        return found and {
            "win_rate": found.win_rate.as_json(),
            "length_controlled": found.controlled and found.controlled.win_rate.as_json(),
            "gain": found.gain,
            "scored_in_part": len(row.reward_comparison.truncated),
            "not_scored": len(row.reward_comparison.refused),
        }
