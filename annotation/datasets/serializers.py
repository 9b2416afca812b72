"""Shapes of snapshots in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.core.places import QueuePlaceField
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import Aggregation, Ties
from annotation.datasets.services.comparing import Change, Placed
from annotation.datasets.services.exporting import PROJECT_FORMS, SNAPSHOT_FORMS, FileFormat, Form
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

    queue_place = QueuePlaceField()

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
            "queue_place",
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

    form = serializers.ChoiceField(choices=list(SNAPSHOT_FORMS), default=Form.PREFERENCE_CHAT.value)
    file_format = serializers.ChoiceField(choices=list(FileFormat), default=FileFormat.JSONL.value)
    split = serializers.ChoiceField(choices=SPLITS, required=False, default="")


class JudgmentExportSerializer(serializers.Serializer[Any]):
    """Which rows of the project's judgments or signals, in which file."""

    form = serializers.ChoiceField(choices=list(PROJECT_FORMS), default=Form.VOTES.value)
    file_format = serializers.ChoiceField(choices=list(FileFormat), default=FileFormat.JSONL.value)


class AgainstSerializer(serializers.Serializer[Any]):
    """The snapshot to compare with."""

    against = serializers.IntegerField(min_value=1)


class ChangeSerializer(AgainstSerializer):
    """The snapshot to compare with, and which of the pairs."""

    change = serializers.ChoiceField(choices=list(Change), default=Change.FLIPPED.value)


class ChangesSerializer(ChangeSerializer):
    """The same, a page of them."""

    page = serializers.IntegerField(min_value=1, max_value=10_000_000, default=1)
    page_size = serializers.IntegerField(min_value=1, max_value=200, default=50)


class PreferenceSerializer(serializers.Serializer[Any]):
    """What a snapshot says of a pair."""

    preferred = serializers.CharField(help_text="first, second or tie.")
    votes_first = serializers.FloatField()
    votes_second = serializers.FloatField()
    votes_tied = serializers.FloatField()
    margin = serializers.FloatField(
        help_text="Mean strength in favor of the preferred one, 0 to 3."
    )
    source = serializers.CharField(  # type: ignore[assignment] # the column is called so
        help_text="judgment, edit, machine or machine_edit."
    )


class ResponseSerializer(serializers.Serializer[Any]):
    """A response of a record."""

    id = serializers.CharField()
    text = serializers.CharField()


class ChangedPairSerializer(serializers.Serializer[Any]):
    """A pair that changed; before or after is null where the snapshot does not have it."""

    change = serializers.ChoiceField(choices=list(Change), source="pair.change")
    prompt_id = serializers.CharField(source="pair.prompt_id")
    prompt = serializers.SerializerMethodField()
    first = ResponseSerializer(source="pair.first")
    second = ResponseSerializer(source="pair.second")
    before = PreferenceSerializer(source="pair.before", allow_null=True)
    after = PreferenceSerializer(source="pair.after", allow_null=True)
    comparison = serializers.IntegerField(allow_null=True)

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_prompt(self, row: Placed) -> list[dict[str, str]]:
        return [{"role": turn.role, "content": turn.content} for turn in row.pair.prompt]


class ChangedPairsSerializer(serializers.Serializer[Any]):
    """A page of them."""

    count = serializers.IntegerField(help_text="Pairs that changed so.")
    page = serializers.IntegerField()
    pages = serializers.IntegerField()
    results = ChangedPairSerializer(many=True)
