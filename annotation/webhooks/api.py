"""API of webhooks: admins only."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.webhooks import serializers as shapes
from annotation.webhooks.models import Delivery, Webhook
from annotation.webhooks.selectors import deliveries_of, delivery_of, webhook_of
from annotation.webhooks.services import keeping


class WebhookList(generics.ListAPIView[Webhook]):
    """The webhooks of a project."""

    serializer_class = shapes.WebhookSerializer
    queryset = Webhook.objects.none()

    def get_queryset(self) -> QuerySet[Webhook]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        return project.webhooks.order_by("-pk")

    @extend_schema(request=shapes.NewWebhookSerializer, responses={201: shapes.SecretSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Add one. The answer holds its secret, this once."""
        project = project_for(request.user, project_id, Role.ADMIN)
        sent = sent_fields(shapes.NewWebhookSerializer, request)
        added = keeping.add_webhook(project=project, actor=person(request), **sent)
        return Response(shapes.SecretSerializer(added).data, status=status.HTTP_201_CREATED)


class WebhookDetail(APIView):
    """One webhook: look, pause or go on, remove."""

    @extend_schema(responses=shapes.WebhookSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        return Response(shapes.WebhookSerializer(webhook_of(project, pk)).data)

    @extend_schema(request=shapes.WebhookStateSerializer, responses=shapes.WebhookSerializer)
    def patch(self, request: Request, project_id: int, pk: int) -> Response:
        webhook = webhook_of(project_for(request.user, project_id, Role.ADMIN), pk)
        sent = sent_fields(shapes.WebhookStateSerializer, request)
        row = keeping.set_active(webhook=webhook, actor=person(request), **sent)
        return Response(shapes.WebhookSerializer(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, pk: int) -> Response:
        webhook = webhook_of(project_for(request.user, project_id, Role.ADMIN), pk)
        keeping.remove_webhook(webhook=webhook, actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookSecret(APIView):
    """A new secret; the one before goes on signing for a day."""

    @extend_schema(request=None, responses=shapes.SecretSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        webhook = webhook_of(project_for(request.user, project_id, Role.ADMIN), pk)
        made = keeping.rotate_secret(webhook=webhook, actor=person(request))
        return Response(shapes.SecretSerializer(made).data)


class DeliveryList(generics.ListAPIView[Delivery]):
    """What was sent to a webhook, newest first, with the code of the last answer."""

    serializer_class = shapes.DeliverySerializer
    queryset = Delivery.objects.none()

    def get_queryset(self) -> QuerySet[Delivery]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        return deliveries_of(webhook_of(project, self.kwargs["pk"]))


class Redelivery(APIView):
    """Send a delivery again."""

    @extend_schema(request=None, responses=shapes.DeliverySerializer)
    def post(self, request: Request, project_id: int, pk: int, delivery_id: int) -> Response:
        webhook = webhook_of(project_for(request.user, project_id, Role.ADMIN), pk)
        delivery = delivery_of(webhook, delivery_id)
        row = keeping.redeliver(delivery=delivery, actor=person(request))
        return Response(shapes.DeliverySerializer(row).data)
