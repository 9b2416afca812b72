"""The shapes of demonstrations in the API. Nothing here tells a writer which model wrote the original."""

from typing import Any

from rest_framework import serializers

from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.demonstrations.services.asking import MOST_A_PROMPT, MOST_AT_ONCE, Choose
from annotation.demonstrations.services.reviewing import LONGEST_NOTE
from annotation.demonstrations.services.writing import LONGEST
from annotation.prompts.serializers import TurnSerializer


class WorkSerializer(serializers.ModelSerializer[Demonstration]):
    """What an author sees of their own work."""

    prompt = TurnSerializer(many=True, source="prompt.turns")
    original = serializers.CharField(source="source.text", default=None, allow_null=True)
    seconds_left = serializers.IntegerField()

    class Meta:
        model = Demonstration
        fields = (
            "id",
            "kind",
            "state",
            "prompt",
            "original",
            "text",
            "lease_until",
            "seconds_left",
            "review_note",
            "submitted_at",
            "reviewed_at",
            "created_at",
        )
        read_only_fields = fields


class NothingSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()
    message = serializers.CharField()


class NextWorkSerializer(serializers.Serializer[Any]):
    """What to write next, or why there is nothing."""

    demonstration = WorkSerializer(allow_null=True)
    empty = NothingSerializer(allow_null=True)


class DraftSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=LONGEST)
    active_ms = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, default=0, help_text="In use since the last save."
    )


class SubmissionSerializer(DraftSerializer):
    """A text for review. The same client_uuid again stores nothing."""

    client_uuid = serializers.UUIDField()


class SkipWorkSerializer(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=Demonstration.SkipReason.choices)
    active_ms = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, default=0, help_text="In use since the last save."
    )


class PreviewTextSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=LONGEST)


class PreviewHtmlSerializer(serializers.Serializer[Any]):
    html = serializers.CharField()


class WordDiffSerializer(serializers.Serializer[Any]):
    """HTML of both texts with what only one has marked; null where they are too different."""

    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class VersionSerializer(serializers.ModelSerializer[Version]):
    class Meta:
        model = Version
        fields = ("id", "text", "written_by", "note", "created_at")
        read_only_fields = fields


class DemonstrationSerializer(serializers.ModelSerializer[Demonstration]):
    """A demonstration as admins see it, with every version that was sent."""

    versions = VersionSerializer(many=True)

    class Meta:
        model = Demonstration
        fields = (
            "id",
            "opening",
            "prompt",
            "source",
            "kind",
            "author",
            "state",
            "text",
            "guideline",
            "skip_reason",
            "active_ms",
            "submitted_at",
            "reviewer",
            "reviewed_at",
            "review_note",
            "candidate",
            "frozen_at",
            "created_at",
            "versions",
        )
        read_only_fields = fields


class OpeningSerializer(serializers.ModelSerializer[Opening]):
    class Meta:
        model = Opening
        fields = ("id", "prompt", "source", "number", "state", "priority", "created_at")
        read_only_fields = fields


class OpeningStateSerializer(serializers.Serializer[Any]):
    is_closed = serializers.BooleanField()


class AskSerializer(serializers.Serializer[Any]):
    """Which prompts are asked about; without ``choose`` people write, with it they edit that candidate."""

    choose = serializers.ChoiceField(
        choices=[(one.value, one.value) for one in Choose], required=False
    )
    per_prompt = serializers.IntegerField(min_value=1, max_value=MOST_A_PROMPT, default=1)
    priority = serializers.IntegerField(min_value=-1_000, max_value=1_000, default=0)
    search = serializers.CharField(allow_blank=True, default="", max_length=200)
    prompt_source = serializers.CharField(allow_blank=True, default="", max_length=200)
    tag = serializers.CharField(allow_blank=True, default="", max_length=60)
    language = serializers.CharField(allow_blank=True, default="", max_length=12)
    only_all_bad = serializers.BooleanField(default=False)
    at_most = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, default=100)


class AskedSerializer(serializers.Serializer[Any]):
    openings = serializers.IntegerField(help_text="How many are new.")


class WritingProgressSerializer(serializers.Serializer[Any]):
    """How many openings are in which state."""

    wanted = serializers.IntegerField()
    open = serializers.IntegerField()
    draft = serializers.IntegerField()
    submitted = serializers.IntegerField()
    returned = serializers.IntegerField()
    approved = serializers.IntegerField()
    closed = serializers.IntegerField()


class ReviewSerializer(serializers.Serializer[Any]):
    """A verdict on the version that was read; ``text`` approves with changes."""

    class Verdict:
        APPROVE = "approve"
        RETURN = "return"

    verdict = serializers.ChoiceField(choices=[Verdict.APPROVE, Verdict.RETURN])
    version = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    text = serializers.CharField(required=False, trim_whitespace=False, max_length=LONGEST)
    note = serializers.CharField(allow_blank=True, default="", max_length=LONGEST_NOTE)
