"""Webhooks are told on a cpu worker: one task looks what happened, one delivers."""

import os
import socket
import uuid

from celery import shared_task

from annotation.core.jobs import Job
from annotation.webhooks.services.collecting import collect_all
from annotation.webhooks.services.delivering import deliver


@shared_task(name="workers.webhooks.collect")
def collect() -> None:
    """Make the deliveries of what happened since the last look."""
    collect_all()


@shared_task(name=Job.DELIVER_WEBHOOK.value)
def deliver_webhook(delivery_id: int) -> None:
    """Try one delivery once; it rings again for itself."""
    owner = f"{socket.gethostname()[:50]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
    deliver(delivery_id=delivery_id, owner=owner)
