"""Shapes of webhooks in the API."""

from typing import Any

from rest_framework import serializers

from annotation.webhooks.models import LONGEST_URL, Delivery, Event, Webhook


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "is_active", "alert_below", "rotated_at", "created_at"]


class NewWebhookSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=LONGEST_URL)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=Event.choices), min_length=1, max_length=10
    )
    alert_below = serializers.FloatField(default=0.4, min_value=-1, max_value=1)


class WebhookStateSerializer(serializers.Serializer[Any]):
    is_active = serializers.BooleanField()


class SecretSerializer(serializers.Serializer[Any]):
    """The webhook and its secret, which is shown this once."""

    webhook = WebhookSerializer()
    secret = serializers.CharField()


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    class Meta:
        model = Delivery
        fields = [
            "id",
            "uuid",
            "event",
            "status",
            "attempt",
            "max_attempts",
            "next_attempt_at",
            "response_code",
            "response_text",
            "took_ms",
            "error",
            "payload",
            "created_at",
            "finished_at",
        ]
