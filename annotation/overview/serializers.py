"""Shape of the overview in the API."""

from typing import Any

from rest_framework import serializers

from annotation.generation.services.planning import MOST_POLICIES
from annotation.projects.models import Project

UNSEEN = "Null for who only labels: it would tell them which answers were gold."


class CountsSerializer(serializers.Serializer[None]):
    prompts = serializers.IntegerField()
    candidates = serializers.IntegerField()
    comparisons = serializers.IntegerField()
    open_comparisons = serializers.IntegerField(allow_null=True, help_text=UNSEEN)
    labels_wanted = serializers.IntegerField(help_text="On what is neither withdrawn nor gold.")
    labels_given = serializers.IntegerField(allow_null=True, help_text=UNSEEN)
    judgments = serializers.IntegerField(allow_null=True, help_text=UNSEEN)
    snapshots = serializers.IntegerField()
    runs = serializers.IntegerField()
    versions = serializers.IntegerField()


class NextStepSerializer(serializers.Serializer[None]):
    role = serializers.CharField()
    title = serializers.CharField()
    why = serializers.CharField()
    path = serializers.CharField(help_text="Below the page of the project; empty: wait.")


class ForecastSerializer(serializers.Serializer[Any]):
    """When the labels that are left are given at the pace of the last seven days, with a 95 % interval."""

    left = serializers.IntegerField()
    labels_a_day = serializers.FloatField(allow_null=True)
    finish_at = serializers.DateTimeField(allow_null=True)
    finish_earliest = serializers.DateTimeField(allow_null=True)
    finish_latest = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(
        source="days.reason", allow_null=True, help_text="Why there is no day, or no interval."
    )


class OverviewSerializer(serializers.Serializer[Any]):
    counts = CountsSerializer()
    next_steps = NextStepSerializer(many=True)
    forecast = ForecastSerializer(
        allow_null=True, help_text="Null before the first comparison, and for who only labels."
    )


class EstimateQuerySerializer(serializers.Serializer[None]):
    """Choices to estimate with; what is left out is the project's."""

    prompts = serializers.IntegerField(min_value=1, max_value=10_000_000, required=False)
    policies = serializers.IntegerField(
        min_value=0,
        max_value=MOST_POLICIES,
        required=False,
        help_text="How many answer each prompt; 0: the responses are imported.",
    )
    per_prompt = serializers.IntegerField(
        min_value=1, max_value=64, required=False, help_text="Of each policy."
    )
    pairing = serializers.ChoiceField(choices=Project.Pairing.values, required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=50, required=False)
    overlap_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    gold_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    repeat_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    agreement_target = serializers.FloatField(min_value=-1, max_value=1, required=False)


class PlanSerializer(serializers.Serializer[Any]):
    prompts = serializers.IntegerField()
    policies = serializers.IntegerField()
    per_prompt = serializers.IntegerField(help_text="Of each policy.")
    pairing = serializers.CharField()
    overlap = serializers.IntegerField()
    overlap_share = serializers.FloatField()
    gold_share = serializers.FloatField()
    repeat_share = serializers.FloatField()
    agreement_target = serializers.FloatField()


class WidthSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    reason = serializers.CharField(allow_null=True)


class EstimateSerializer(serializers.Serializer[Any]):
    """Widths are half-widths of 95 % intervals, in shares: Wilson's, and for alpha that over 1 - p_e = 0.5."""

    plan = PlanSerializer()
    are_prompts_assumed = serializers.BooleanField()
    comparisons = serializers.IntegerField()
    labels = serializers.IntegerField()
    labels_given = serializers.IntegerField()
    judgments_left = serializers.IntegerField(help_text="Gold and repeats included.")
    seconds = serializers.FloatField(help_text="Of one judgment.")
    seconds_measured_on = serializers.IntegerField(help_text="Judgments; 0: an assumption.")
    hours = serializers.FloatField()
    agreement_items = serializers.IntegerField()
    agreement_width = WidthSerializer()
    alpha_width = WidthSerializer()
    win_rate_width = WidthSerializer(
        help_text="Of any two of the policies; of one, as if all comparisons were between the same two."
    )
    labels_a_day = serializers.FloatField(allow_null=True)
    finish_at = serializers.DateTimeField(allow_null=True)
    finish_earliest = serializers.DateTimeField(allow_null=True)
    finish_latest = serializers.DateTimeField(allow_null=True)
    deadline = serializers.DateTimeField(allow_null=True)
    is_late = serializers.BooleanField()
