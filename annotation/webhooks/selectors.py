"""Reads of webhooks and their deliveries."""

from django.db.models import Count, Q, QuerySet

from annotation.core.errors import NotFound
from annotation.projects.models import Project
from annotation.webhooks.models import Delivery, Webhook


def webhooks_of(project: Project) -> QuerySet[Webhook]:
    """The webhooks of a project with the counts of their deliveries, newest first."""
    counted = project.webhooks.annotate(
        taken=Count("deliveries", filter=Q(deliveries__status=Delivery.Status.DONE)),
        failed=Count("deliveries", filter=Q(deliveries__status=Delivery.Status.FAILED)),
        waiting=Count("deliveries", filter=Q(deliveries__status=Delivery.Status.QUEUED)),
    )
    return counted.order_by("-pk")


def webhook_of(project: Project, pk: int) -> Webhook:
    """One webhook of the project."""
    row = project.webhooks.filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such webhook in this project.")
    return row


def deliveries_of(webhook: Webhook) -> QuerySet[Delivery]:
    """The deliveries, newest first."""
    return webhook.deliveries.order_by("-pk")


def delivery_of(webhook: Webhook, pk: int) -> Delivery:
    """One delivery of the webhook."""
    row: Delivery | None = webhook.deliveries.filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such delivery of this webhook.")
    return row
