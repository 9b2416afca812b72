"""Rounds as JSON."""

from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.rounds.estimates import Estimate
from annotation.rounds.models import Round
from annotation.rounds.plans import BOUNDS, CHOICES, Plan
from annotation.rounds.selectors import parts_of
from annotation.runs.serializers import PaceSerializer

LAST_KEY = 2**63 - 1


class RoundPlanSerializer(serializers.Serializer[Any]):
    """What a round is to do; what is left out takes its default."""

    per_prompt = serializers.IntegerField(required=False, min_value=2, max_value=9)
    max_prompts = serializers.IntegerField(
        required=False, min_value=0, max_value=int(BOUNDS["max_prompts"][1])
    )
    temperature = serializers.FloatField(required=False, min_value=0, max_value=10)
    max_tokens = serializers.IntegerField(required=False, min_value=1, max_value=100_000)
    label_share = serializers.FloatField(required=False, min_value=0.01, max_value=1)
    blind_prompts = serializers.IntegerField(
        required=False, min_value=0, max_value=int(BOUNDS["blind_prompts"][1])
    )
    blind_days = serializers.IntegerField(required=False, min_value=1, max_value=365)
    preset = serializers.ChoiceField(required=False, choices=CHOICES["preset"])
    algorithm = serializers.ChoiceField(required=False, choices=CHOICES["algorithm"])
    promotion = serializers.ChoiceField(required=False, choices=CHOICES["promotion"])


class NewRoundSerializer(RoundPlanSerializer):
    """A plan, and the policy to start from: the serving one where none is named."""

    policy = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=LAST_KEY
    )
    sampler = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=LAST_KEY,
        help_text="A server that an admin registered as a policy: it samples in place of the policy's run.",
    )

    def plan(self) -> Plan:
        given = {
            name: one
            for name, one in self.validated_data.items()
            if name not in {"policy", "sampler"}
        }
        return Plan.from_json(given)


class RoundPartSerializer(serializers.Serializer[Any]):
    """One part of a round: waiting, queued, running, paused, failed, cancelled, skipped or done."""

    stage = serializers.CharField()
    title = serializers.CharField()
    state = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    unit = serializers.CharField()
    key = serializers.IntegerField(allow_null=True, help_text="The id of the part's own row.")
    error = serializers.CharField()


class RoundSerializer(serializers.ModelSerializer[Round]):
    """A round: its plan, where it stands, what each part made."""

    plan = RoundPlanSerializer()
    parts = serializers.SerializerMethodField()
    verdict = serializers.SerializerMethodField()

    class Meta:
        model = Round
        fields: ClassVar[list[str]] = [
            *[
                "id",
                "number",
                "state",
                "stage",
                "plan",
                "error",
                "policy",
                "sampler",
                "generation",
                "batch",
            ],
            *["snapshot", "reward_run", "policy_run", "evaluation", "verdict", "parts"],
            *["created_by", "created_at", "moved_at", "finished_at"],
        ]
        read_only_fields = fields

    @extend_schema_field(RoundPartSerializer(many=True))
    def get_parts(self, row: Round) -> list[dict[str, Any]]:
        return [part._asdict() for part in parts_of(row)]

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_verdict(self, row: Round) -> Any:  # Any: JSON
        return row.verdict


class SampledSerializer(serializers.Serializer[Any]):
    """The generation run whose pace was taken."""

    run = serializers.IntegerField()
    policy = serializers.CharField()
    max_tokens = serializers.IntegerField()
    is_same_policy = serializers.BooleanField()
    is_same_length = serializers.BooleanField(help_text="It was asked for as many tokens.")


class RoundEstimateSerializer(serializers.Serializer[Any]):
    """What a round will take; durations in seconds, null where nothing like it has run here yet."""

    prompts = serializers.IntegerField()
    responses = serializers.IntegerField()
    comparisons = serializers.IntegerField()
    labels = serializers.IntegerField()
    blind_votes = serializers.IntegerField(help_text="At most; it ends once they decide.")
    label_seconds = serializers.FloatField()
    labels_timed = serializers.IntegerField()
    generation_seconds = serializers.FloatField(allow_null=True)
    reward_seconds = serializers.FloatField(allow_null=True)
    policy_seconds = serializers.FloatField(allow_null=True)
    training_prompts = serializers.IntegerField(help_text="About, of the snapshot it will build.")
    reward_pace = PaceSerializer(allow_null=True)
    policy_pace = PaceSerializer(allow_null=True)
    generation_pace = SampledSerializer(allow_null=True)

    @staticmethod
    def facts(found: Estimate) -> dict[str, Any]:
        counts = {
            name: one
            for name, one in asdict(found).items()
            if name not in {"reward", "policy", "generation", "has_reward_model"}
        }
        return {
            **counts,
            "generation_seconds": found.generation_seconds,
            "reward_seconds": found.reward_seconds,
            "policy_seconds": found.policy_seconds,
            "reward_pace": PaceSerializer.facts(found.reward),
            "policy_pace": PaceSerializer.facts(found.policy),
            "generation_pace": found.generation and found.generation._asdict(),
        }
