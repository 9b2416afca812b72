"""Shapes of snapshots in the API."""

from typing import Any

from rest_framework import serializers

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import Aggregation, Ties
from annotation.datasets.services.exporting import JUDGMENT_FORMS, FileFormat, Form
from annotation.quality.scope import LabelerKind
from training.spec.records import SPLITS


class QuerySerializer(serializers.Serializer[Any]):
    """Filters and rules of a snapshot; what is left out takes its default."""

    criterion = serializers.CharField(required=False, max_length=40)
    labelers = serializers.ListField(
        child=serializers.ChoiceField(choices=list(LabelerKind)), required=False, max_length=4
    )
    guideline_versions = serializers.ListField(
        child=serializers.IntegerField(min_value=1), required=False, max_length=1000
    )
    min_judgments = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    aggregation = serializers.ChoiceField(choices=list(Aggregation), required=False)
    ties = serializers.ChoiceField(choices=list(Ties), required=False)
    train = serializers.FloatField(required=False, min_value=0, max_value=1)
    validation = serializers.FloatField(required=False, min_value=0, max_value=1)
    test = serializers.FloatField(required=False, min_value=0, max_value=1)
    seed = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    demonstrations = serializers.BooleanField(required=False)
    edit_preferences = serializers.BooleanField(required=False)


class NewSnapshotSerializer(serializers.Serializer[Any]):
    """What to build."""

    name = serializers.CharField(max_length=120)
    query = QuerySerializer(required=False)


class SnapshotSerializer(serializers.ModelSerializer[DatasetSnapshot]):
    """A snapshot and how far it is."""

    class Meta:
        model = DatasetSnapshot
        fields = (
            "id",
            "name",
            "status",
            "error",
            "query",
            "sha256",
            "rows",
            "pairs",
            "splits",
            "manifest",
            "progress_done",
            "progress_total",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields


class PreviewSerializer(serializers.Serializer[Any]):
    """What a query would take in now."""

    judgments = serializers.IntegerField()
    labelers = serializers.IntegerField()
    comparisons = serializers.IntegerField()
    prompts = serializers.IntegerField()
    demonstrations = serializers.IntegerField()
    edit_preferences = serializers.IntegerField()


class DifferenceSerializer(serializers.Serializer[Any]):
    """What changed since the other snapshot."""

    groups_added = serializers.IntegerField()
    groups_removed = serializers.IntegerField()
    groups_moved = serializers.IntegerField()
    pairs_added = serializers.IntegerField()
    pairs_removed = serializers.IntegerField()
    pairs_flipped = serializers.IntegerField(help_text="The other response is chosen.")
    pairs_evened = serializers.IntegerField(help_text="Ties now.")
    pairs_decided = serializers.IntegerField(help_text="Ties no more.")
    pairs_kept = serializers.IntegerField()


class ExportQuerySerializer(serializers.Serializer[Any]):
    """Which rows, in which shape and file."""

    form = serializers.ChoiceField(choices=list(Form), default=Form.PREFERENCE_CHAT.value)
    file_format = serializers.ChoiceField(choices=list(FileFormat), default=FileFormat.JSONL.value)
    split = serializers.ChoiceField(choices=SPLITS, required=False, default="")


class JudgmentExportSerializer(serializers.Serializer[Any]):
    """Which rows of the project's judgments, in which file."""

    form = serializers.ChoiceField(choices=list(JUDGMENT_FORMS), default=Form.VOTES.value)
    file_format = serializers.ChoiceField(choices=list(FileFormat), default=FileFormat.JSONL.value)


class AgainstSerializer(serializers.Serializer[Any]):
    """The snapshot to compare with."""

    against = serializers.IntegerField(min_value=1)
