"""What an admin does with webhooks: add, change, rotate the secret, remove, send a delivery again."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import Job, ring
from annotation.projects.models import Project
from annotation.webhooks.addresses import target_of
from annotation.webhooks.models import Delivery, Event, Webhook
from annotation.webhooks.services.collecting import is_below_limit
from annotation.webhooks.signing import new_salt, secret_of

MOST_WEBHOOKS = 20


class NewSecret(NamedTuple):
    """A webhook with the only showing of its secret."""

    webhook: Webhook
    secret: str


def add_webhook(
    *,
    project: Project,
    url: str,
    events: Sequence[str],
    actor: User,
    alert_below: float = 0.4,
) -> NewSecret:
    """Tell an address of these events, from now on. The name is resolved before anything is written."""
    target_of(url)
    salt = new_salt()
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        if project.webhooks.count() >= MOST_WEBHOOKS:
            raise Conflict(f"A project has at most {MOST_WEBHOOKS} webhooks; remove one first.")
        newest = project.judgments.aggregate(newest=Max("pk"))["newest"] or 0
        webhook = Webhook.objects.create(
            project=project,
            url=url,
            events=checked_events(events),
            salt=salt,
            alert_below=alert_below,
            judgments_up_to=newest,
            created_by=actor,
        )
        audit.record("webhook.added", webhook, actor=actor, url=url, events=webhook.events)
    return NewSecret(webhook, secret_of(salt))


def checked_events(events: Sequence[str]) -> list[str]:
    """The events, each once; InvalidInput for one that there is not."""
    unknown = sorted(set(events) - set(Event.values))
    if unknown or not events:
        seen = f"{unknown[0]!r} is none of them" if unknown else "choose at least one"
        raise InvalidInput.at("events", f"Events are {', '.join(Event.values)}; {seen}.")
    return sorted(set(events))


@transaction.atomic
def set_active(*, webhook: Webhook, is_active: bool, actor: User) -> Webhook:
    """Pause a webhook, or go on; what happened meanwhile is not told, and deliveries wait."""
    if webhook.is_active == is_active:
        return webhook
    webhook.is_active = is_active
    newest = webhook.project.judgments.aggregate(newest=Max("pk"))["newest"] or 0
    webhook.judgments_up_to = newest
    if is_active:
        webhook.resumed_at = timezone.now()
        webhook.is_alerted = is_below_limit(webhook)
    webhook.save(update_fields=["is_active", "judgments_up_to", "resumed_at", "is_alerted"])
    audit.record("webhook.resumed" if is_active else "webhook.paused", webhook, actor=actor)
    return webhook


@transaction.atomic
def rotate_secret(*, webhook: Webhook, actor: User) -> NewSecret:
    """A new secret; the one before signs beside it for a day."""
    row = Webhook.objects.select_for_update().get(pk=webhook.pk)
    row.previous_salt, row.salt, row.rotated_at = row.salt, new_salt(), timezone.now()
    row.save(update_fields=["previous_salt", "salt", "rotated_at"])
    audit.record("webhook.rotated", row, actor=actor)
    return NewSecret(row, secret_of(row.salt))


@transaction.atomic
def remove_webhook(*, webhook: Webhook, actor: User) -> None:
    """Forget a webhook with its deliveries."""
    audit.record("webhook.removed", webhook, actor=actor, url=webhook.url)
    webhook.delete()


@transaction.atomic
def redeliver(*, delivery: Delivery, actor: User) -> Delivery:
    """Send a delivery again, from its first attempt on."""
    over = Delivery.objects.filter(
        pk=delivery.pk, status__in=[Delivery.Status.DONE, Delivery.Status.FAILED]
    )
    if not over.update(
        status=Delivery.Status.QUEUED, attempt=0, next_attempt_at=timezone.now(), error=""
    ):
        raise Conflict("This delivery is on its way already.")
    audit.record("webhook.redelivered", delivery.webhook, actor=actor, delivery=delivery.pk)
    ring(Job.DELIVER_WEBHOOK, delivery.pk)
    delivery.refresh_from_db()
    return delivery
