"""The shapes of the labeling API. Nothing here tells a labeler which model wrote what."""

from typing import Any

from rest_framework import serializers

from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services.pairing import Strategy
from annotation.prompts.serializers import TurnSerializer


class TiersField(serializers.ListField):
    """Tiers of candidate ids, best first."""

    child = serializers.ListField(child=serializers.IntegerField(min_value=1), max_length=9)

    def __init__(self, **options: Any) -> None:  # Any: DRF's own options
        super().__init__(max_length=9, **options)


class CriterionVerdictSerializer(serializers.Serializer[Any]):
    ranking = TiersField()
    strengths = serializers.ListField(child=serializers.IntegerField(), max_length=8)


class AnswerSerializer(serializers.Serializer[Any]):
    """One answer. The same client_uuid again gives the same judgment."""

    client_uuid = serializers.UUIDField()
    ranking = TiersField(default=list)
    strengths = serializers.ListField(child=serializers.IntegerField(), max_length=8, default=list)
    is_all_bad = serializers.BooleanField(default=False)
    criteria = serializers.DictField(child=CriterionVerdictSerializer(), default=dict)
    rationale = serializers.CharField(allow_blank=True, default="", max_length=10_000)
    active_ms = serializers.IntegerField(min_value=0, default=0)


class SkipSerializer(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=Assignment.SkipReason.choices)


class ShownCandidateSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    text = serializers.CharField()


class AssignmentSerializer(serializers.Serializer[Any]):
    """A lease on a comparison; candidates are in the order drawn for this labeler."""

    id = serializers.IntegerField()
    comparison = serializers.IntegerField(source="comparison_id")
    lease_until = serializers.DateTimeField()
    prompt = TurnSerializer(many=True, source="comparison.prompt.turns")


class LeasedSerializer(AssignmentSerializer):
    candidates = ShownCandidateSerializer(many=True)


class EmptySerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()
    message = serializers.CharField()
    ask_again_seconds = serializers.IntegerField()


class ProgressSerializer(serializers.Serializer[Any]):
    judged_today = serializers.IntegerField()
    remaining = serializers.IntegerField()
    is_more = serializers.BooleanField()


class JudgmentSerializer(serializers.ModelSerializer[Judgment]):
    """A judgment in candidate space."""

    class Meta:
        model = Judgment
        fields = (
            "id",
            "comparison",
            "labeler",
            "guideline",
            "client_uuid",
            "ranking",
            "strengths",
            "is_all_bad",
            "criteria",
            "rationale",
            "active_ms",
            "elapsed_ms",
            "is_counted",
            "is_imported",
            "withdrawn_at",
            "created_at",
        )
        read_only_fields = fields


class NextSerializer(serializers.Serializer[Any]):
    """What to do next: an assignment, or why there is none. `bench` is its HTML, with `?bench=1`."""

    judgment = JudgmentSerializer(allow_null=True)
    message = serializers.CharField()
    assignment = LeasedSerializer(allow_null=True)
    empty = EmptySerializer(allow_null=True)
    progress = ProgressSerializer()
    bench = serializers.CharField()


class LeaseSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    lease_until = serializers.DateTimeField()
    seconds_left = serializers.IntegerField()


class DiffSerializer(serializers.Serializer[Any]):
    """HTML of each candidate with what only it has marked; null where they are too different."""

    candidates = serializers.DictField(child=serializers.CharField(), allow_null=True)


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    class Meta:
        model = Comparison
        fields = (
            "id",
            "prompt",
            "candidate_ids",
            "kind",
            "state",
            "priority",
            "overlap",
            "slots_taken",
            "judgments_counted",
            "created_at",
        )
        read_only_fields = fields


class PairPromptSerializer(serializers.Serializer[Any]):
    """Make the comparisons of one prompt's candidates."""

    prompt = serializers.IntegerField()
    strategy = serializers.ChoiceField(choices=[(one.value, one.value) for one in Strategy])
    overlap = serializers.IntegerField(min_value=1, max_value=50, required=False, allow_null=True)


class ComparisonStateSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=[Comparison.State.OPEN, Comparison.State.CLOSED])
