"""Shape of the overview in the API."""

from rest_framework import serializers


class CountsSerializer(serializers.Serializer[None]):
    prompts = serializers.IntegerField()
    candidates = serializers.IntegerField()
    comparisons = serializers.IntegerField()
    open_comparisons = serializers.IntegerField()
    judgments = serializers.IntegerField()
    snapshots = serializers.IntegerField()
    runs = serializers.IntegerField()
    versions = serializers.IntegerField()


class NextStepSerializer(serializers.Serializer[None]):
    role = serializers.CharField()
    title = serializers.CharField()
    why = serializers.CharField()
    path = serializers.CharField(help_text="Below the page of the project; empty: wait.")


class OverviewSerializer(serializers.Serializer[dict[str, object]]):
    counts = CountsSerializer()
    next_steps = NextStepSerializer(many=True)
