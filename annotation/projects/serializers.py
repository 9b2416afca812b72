"""Shapes of projects in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.audit.models import AuditEvent
from annotation.projects.models import Criterion, Guideline, Invitation, Project, Role
from annotation.projects.services.inviting import MOST_AT_ONCE, Sent
from annotation.projects.services.members import INVITATION_DAYS

LANGUAGE = r"^[a-z]{2,3}(-[a-z0-9]{2,8})?$"


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = [
            "id",
            "name",
            "description",
            "overlap",
            "overlap_share",
            "stop_when_agreeing",
            "pairing",
            "answer_scale",
            "serving_order",
            "gold_share",
            "repeat_share",
            "must_qualify",
            "deadline",
            "lease_seconds",
            "min_reading_seconds",
            "rationale_rule",
            "agreement_target",
            "is_paused",
            "is_archived",
            "created_at",
        ]
        read_only_fields = ["is_archived", "created_at"]
        extra_kwargs = {"agreement_target": {"min_value": -1.0, "max_value": 1.0}}


class ArchiveSerializer(serializers.Serializer[Project]):
    is_archived = serializers.BooleanField()


class LanguagesField(serializers.ListField):
    """Codes such as "en" or "pt-br": a labeler gets only comparisons in these. Empty: in any."""

    child = serializers.RegexField(
        LANGUAGE, error_messages={"invalid": "No language code such as “en” or “pt-br”."}
    )

    def __init__(self, **options: Any) -> None:  # Any: DRF's own options
        super().__init__(max_length=20, help_text=self.__doc__, **options)


class NewMemberSerializer(serializers.Serializer[None]):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices)
    languages = LanguagesField(default=list)


class MemberSerializer(serializers.Serializer[Any]):  # Any: one Member or many
    user = serializers.IntegerField(source="user.pk")
    username = serializers.CharField(source="user.username")
    kind = serializers.CharField(source="user.kind")
    roles = serializers.ListField(child=serializers.ChoiceField(choices=Role.choices))
    languages = LanguagesField()
    is_paused = serializers.BooleanField(help_text="As a labeler: gets no work.")


class RolesSerializer(serializers.Serializer[None]):
    roles = serializers.ListField(
        child=serializers.ChoiceField(choices=Role.choices), max_length=len(Role)
    )
    languages = LanguagesField(required=False)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    class Meta:
        model = Invitation
        fields = ["id", "role", "note", "languages", "created_at", "expires_at"]
        read_only_fields = ["created_at", "expires_at"]


class SendInvitationSerializer(serializers.Serializer[None]):
    role = serializers.ChoiceField(choices=Role.choices)
    note = serializers.CharField(max_length=120, default="", allow_blank=True)
    languages = LanguagesField(default=list)
    days = serializers.IntegerField(min_value=1, max_value=90, default=INVITATION_DAYS)


class NewInvitationSerializer(InvitationSerializer):
    link = serializers.CharField(
        read_only=True, help_text="Shown this once; only its hash is kept."
    )

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]


class InvitePeopleSerializer(serializers.Serializer[None]):
    """Whom to invite by mail."""

    addresses = serializers.ListField(
        child=serializers.EmailField(max_length=254), min_length=1, max_length=MOST_AT_ONCE
    )
    role = serializers.ChoiceField(choices=Role.choices)
    languages = LanguagesField(default=list)
    days = serializers.IntegerField(min_value=1, max_value=90, default=INVITATION_DAYS)


class SentInvitationSerializer(serializers.Serializer[Any]):  # Any: one Sent or many
    """What became of an invitation. Where no mail went out, ``link`` is to be sent by hand: it is shown this once."""

    id = serializers.IntegerField(source="invitation.pk")
    email = serializers.CharField(source="invitation.email")
    expires_at = serializers.DateTimeField(source="invitation.expires_at")
    is_mailed = serializers.BooleanField()
    problem = serializers.CharField()
    link = serializers.SerializerMethodField()

    @extend_schema_field(serializers.CharField())
    def get_link(self, sent: Sent) -> str:
        """Empty where the mail carries it."""
        return "" if sent.is_mailed else sent.link


class GuidelineSerializer(serializers.ModelSerializer[Guideline]):
    text = serializers.CharField(max_length=200_000, trim_whitespace=False)
    from_version = serializers.IntegerField(
        write_only=True,
        required=False,
        min_value=0,
        help_text="The version that the text was written from, 0 for none: 409 if another is the newest.",
    )

    class Meta:
        model = Guideline
        fields = ["id", "version", "text", "from_version", "created_by", "created_at"]
        read_only_fields = ["version", "created_by", "created_at"]


class CriterionSerializer(serializers.ModelSerializer[Criterion]):
    class Meta:
        model = Criterion
        fields = ["name", "title", "question", "position"]
        read_only_fields = ["position"]


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    actor = serializers.CharField(source="actor.username", default=None)

    class Meta:
        model = AuditEvent
        fields = ["id", "at", "actor", "verb", "object_type", "object_id", "data"]
