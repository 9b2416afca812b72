"""Webhooks: addresses of other systems that a project tells what happened, and each delivery to them."""

import uuid
from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from annotation.core.jobs import Job, JobModel
from annotation.projects.models import Project

LONGEST_URL = 500
ATTEMPTS = 8


class Event(models.TextChoices):
    """What a webhook may be told."""

    JUDGMENTS = "judgment.submitted", "Judgments submitted (batched)"
    BATCH = "batch.finished", "A batch is finished"
    SNAPSHOT = "snapshot.built", "A snapshot is built"
    RUN = "run.finished", "A training run has ended"
    AGREEMENT = "agreement.alert", "Agreement fell below the limit"


class Webhook(models.Model):
    """An address, and what it is told. Its secret is derived from ``salt`` and the server's key: it is not stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks")
    url = models.URLField(max_length=LONGEST_URL)
    events = ArrayField(models.CharField(max_length=30, choices=Event))
    is_active = models.BooleanField(default=True)
    resumed_at = models.DateTimeField(null=True, blank=True)  # last; None: never paused
    salt = models.CharField(max_length=64)
    previous_salt = models.CharField(max_length=64, blank=True, default="")  # signs for a day more
    rotated_at = models.DateTimeField(null=True, blank=True)
    alert_below = models.FloatField(default=0.4)  # Krippendorff's alpha, ordinal
    is_alerted = models.BooleanField(default=False)  # below the limit, and told or paused then
    judgments_up_to = models.BigIntegerField(default=0)  # the last judgment that was told
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    @property
    def told_from(self) -> datetime:
        """What happened before is not told."""
        return self.resumed_at or self.created_at


class Delivery(JobModel):
    """A job: send one event to one webhook, again and again with longer waits until it is taken."""

    job = Job.DELIVER_WEBHOOK
    waits_since = "next_attempt_at"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    event = models.CharField(max_length=30, choices=Event)
    key = models.CharField(max_length=100)  # what happened, so that it is told once
    payload = models.JSONField()
    max_attempts = models.PositiveSmallIntegerField(default=ATTEMPTS)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    response_code = models.PositiveSmallIntegerField(null=True, blank=True)  # of the last attempt
    response_text = models.CharField(max_length=500, blank=True, default="")  # how it began
    took_ms = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["webhook", "key"], name="an_event_is_delivered_once")
        ]
        indexes = [
            models.Index(fields=["webhook", "-id"], name="deliveries_of_a_webhook"),
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status="queued"),
                name="deliveries_that_wait",
            ),
        ]
