"""Shapes of accounts in the API."""

from rest_framework import serializers

from annotation.accounts.models import ApiToken, User


class MeSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "username", "kind", "languages", "time_zone"]


class TimeZoneSerializer(serializers.Serializer[User]):
    time_zone = serializers.CharField(
        max_length=64,
        help_text="Of the IANA database, such as Europe/Berlin; days are counted in it.",
    )


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    class Meta:
        model = ApiToken
        fields = ["id", "name", "prefix", "created_at", "last_used_at", "expires_at"]
        read_only_fields = ["prefix", "created_at", "last_used_at"]


class NewTokenSerializer(TokenSerializer):
    key = serializers.CharField(read_only=True, help_text="Shown this once; only its hash is kept.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "key"]
