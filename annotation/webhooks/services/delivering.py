"""One attempt to deliver: claimed by one worker, signed, sent, its outcome written; failures wait ever longer."""

import json
import logging
from datetime import datetime, timedelta

from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.core.jobs import Job, JobModel, JobQuerySet, ring
from annotation.webhooks.addresses import target_of
from annotation.webhooks.models import Delivery
from annotation.webhooks.sending import Answer, post
from annotation.webhooks.signing import HEADER, signature_of

logger = logging.getLogger(__name__)
WAITS = (10, 60, 300, 1_800, 7_200, 21_600, 43_200)  # seconds after each failed attempt
LEASE_SECONDS = 60  # an attempt takes ten at most


def deliver(*, delivery_id: int, owner: str) -> Answer | None:
    """Try once; None where it is not this worker's turn, or the webhook is paused: then the delivery waits."""
    jobs = JobQuerySet(Delivery)
    due = Delivery.objects.filter(
        pk=delivery_id, next_attempt_at__lte=timezone.now(), webhook__is_active=True
    )
    if not due.exists() or not jobs.claim(delivery_id, owner=owner, lease_seconds=LEASE_SECONDS):
        return None
    delivery = Delivery.objects.select_related("webhook__project").get(pk=delivery_id)
    answer = _attempt(delivery, timezone.now())
    _write(delivery, answer, owner=owner)
    return answer


def body_of(delivery: Delivery) -> bytes:
    """The same bytes in every attempt."""
    project = delivery.webhook.project
    told = {
        "id": str(delivery.uuid),
        "event": delivery.event,
        "created_at": delivery.created_at.isoformat(),
        "project": {"id": project.pk, "name": project.name},
        "data": delivery.payload,
    }
    return json.dumps(told, ensure_ascii=False, sort_keys=True).encode()


def _attempt(delivery: Delivery, moment: datetime) -> Answer:
    try:
        target = target_of(delivery.webhook.url)
    except InvalidInput as refusal:
        return Answer(code=None, text=str(refusal), took_ms=0)
    body = body_of(delivery)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Concord-Webhook",
        "Concord-Event": delivery.event,
        "Concord-Delivery": str(delivery.uuid),
        HEADER: signature_of(delivery.webhook, body, moment),
    }
    return post(target, body, headers)


def _write(delivery: Delivery, answer: Answer, *, owner: str) -> None:
    """What came of it; a later attempt is rung for when its wait is over."""
    now = timezone.now()
    mine = Delivery.objects.filter(pk=delivery.pk, status=JobModel.Status.RUNNING, owner=owner)
    outcome = {
        "response_code": answer.code,
        "response_text": answer.text,
        "took_ms": answer.took_ms,
        "owner": "",
        "error": "" if answer.is_taken else _sentence(answer),
    }
    if answer.is_taken or delivery.attempt >= delivery.max_attempts:
        status = JobModel.Status.DONE if answer.is_taken else JobModel.Status.FAILED
        mine.update(**outcome, status=status, finished_at=now)
    else:
        wait = WAITS[min(delivery.attempt, len(WAITS)) - 1]
        later = now + timedelta(seconds=wait)
        mine.update(**outcome, status=JobModel.Status.QUEUED, next_attempt_at=later)
        if wait <= 60:  # longer waits are rung for by the next look
            ring(Job.DELIVER_WEBHOOK, delivery.pk, in_seconds=wait + 1)
    facts = {"delivery": delivery.pk, "code": answer.code, "attempt": delivery.attempt}
    logger.info("webhook.delivered" if answer.is_taken else "webhook.refused", extra=facts)


def _sentence(answer: Answer) -> str:
    if answer.code is None:
        return answer.text
    if 300 <= answer.code < 400:
        return f"The receiver answered {answer.code}; redirects are not followed."
    return f"The receiver answered {answer.code}; it is taken with 200 to 299."
