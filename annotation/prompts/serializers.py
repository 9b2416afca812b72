"""Shapes of prompts and imports in the API."""

from typing import Any

from rest_framework import serializers

from annotation.prompts.models import Prompt, PromptImport, RejectedRow
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.files import FORMATS
from annotation.prompts.readers.rows import EMPTY_FILE
from annotation.prompts.services.previewing import ONE_BY_ONE, FilePreview, Preview

MOST_ROWS = 10_000


class TurnSerializer(serializers.Serializer[Any]):  # Any: one turn or many
    role = serializers.ChoiceField(choices=["system", "user", "assistant"])
    content = serializers.CharField(trim_whitespace=False)


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    turns = TurnSerializer(many=True)

    class Meta:
        model = Prompt
        fields = [
            "id",
            "turns",
            "external_id",
            "category",
            "tags",
            "language",
            "source",
            "license",
            "prompt_import",
            "created_at",
        ]


class ImportSerializer(serializers.ModelSerializer[PromptImport]):
    class Meta:
        model = PromptImport
        fields = [
            "id",
            "contents",
            "filename",
            "file_format",
            "row_form",
            "size_bytes",
            "status",
            "error",
            "progress_done",
            "progress_total",
            "rows_read",
            "rows_created",
            "rows_duplicate",
            "rows_rejected",
            "unused_columns",
            "created_at",
            "finished_at",
        ]


class UploadSerializer(serializers.Serializer[None]):
    file = serializers.FileField(required=False, error_messages={"empty": EMPTY_FILE})
    rows = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        allow_empty=False,
        max_length=MOST_ROWS,
        help_text="Rows as they would stand in a JSON Lines file; send these or a file.",
    )
    contents = serializers.ChoiceField(
        choices=PromptImport.Contents.choices, default=PromptImport.Contents.PROMPTS
    )
    row_form = serializers.ChoiceField(choices=[form.value for form in RowForm], default="auto")
    file_format = serializers.ChoiceField(
        choices=FORMATS, required=False, help_text="Only where the file's name does not tell."
    )

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        if ("file" in attrs) == ("rows" in attrs):
            raise serializers.ValidationError("Send either a file or rows.")
        return attrs


class RejectedRowSerializer(serializers.ModelSerializer[RejectedRow]):
    class Meta:
        model = RejectedRow
        fields = ["line", "reason", "excerpt", "is_taken"]


class PreviewedResponseSerializer(serializers.Serializer[Any]):  # Any: a response as it was read
    text = serializers.CharField()
    model = serializers.CharField(source="source", help_text="Where the row names one.")


class RowPreviewSerializer(serializers.Serializer[Preview]):
    line = serializers.IntegerField()
    reason = serializers.CharField(help_text="Why the row would be rejected; empty if it is taken.")
    excerpt = serializers.CharField(help_text="How a row begins that would be rejected.")
    read_as = serializers.CharField(help_text="The form that its columns were taken for.")
    turns = TurnSerializer(many=True)
    responses = PreviewedResponseSerializer(many=True)
    verdicts = serializers.ListField(child=serializers.CharField(), help_text="In words.")


class FilePreviewSerializer(serializers.Serializer[FilePreview]):
    file_format = serializers.CharField()
    rows_checked = serializers.IntegerField()
    rows_taken = serializers.IntegerField(
        help_text="Of the rows checked: with ``rows_refused`` they are all of them."
    )
    rows_refused = serializers.IntegerField(help_text=f"Of the rows checked. {ONE_BY_ONE}")
    is_whole = serializers.BooleanField(help_text="False: only the first rows were checked.")
    read_as = serializers.DictField(
        child=serializers.IntegerField(), help_text="The rows that would be taken, by form."
    )
    shown = RowPreviewSerializer(many=True, help_text="The first rows that would be taken.")
    refused = RowPreviewSerializer(many=True)
