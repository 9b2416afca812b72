"""Shapes of prompts and imports in the API."""

from typing import Any

from rest_framework import serializers

from annotation.prompts.models import Prompt, PromptImport, RejectedRow
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.files import FORMATS

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
    file = serializers.FileField(required=False)
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
        fields = ["line", "reason", "excerpt"]
