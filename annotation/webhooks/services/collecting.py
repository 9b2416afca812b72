"""What happened since the last look becomes deliveries. Rows are looked at, nothing below knows of webhooks.

Each happening has a key, and a webhook has one delivery a key: looking twice tells nothing twice.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from annotation.comparisons.models import Batch, Comparison, Judgment
from annotation.core.jobs import Job, JobModel, ring
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services.judgment_rows import pseudonym
from annotation.quality.models import AgreementReport
from annotation.runs.models import TrainingRun
from annotation.webhooks.models import Delivery, Event, Webhook

MOST_JUDGMENTS = 500  # in one delivery
SETTLE = timedelta(seconds=5)  # an answer that is still being stored may have a lower number
LOOK_BACK = timedelta(days=7)
RUNG_BEFORE = timedelta(seconds=20)  # a delivery that waits longer has lost its ring
Data = dict[str, Any]  # Any: JSON


class Happening(NamedTuple):
    """One thing to tell, by its key."""

    event: Event
    key: str
    data: Data


@transaction.atomic
def collect(*, webhook_id: int) -> list[Delivery]:
    """The deliveries of what this webhook has not been told yet, each rung for; none while another worker looks."""
    rows = Webhook.objects.select_for_update(skip_locked=True, of=("self",))
    webhook = rows.select_related("project").filter(pk=webhook_id, is_active=True).first()
    if webhook is None:
        return []
    found = [one for event in webhook.events for one in LOOKS[Event(event)](webhook)]
    told = [_delivery(webhook, one) for one in found]
    made = [row for row, is_new in told if is_new]
    for row in made:
        ring(Job.DELIVER_WEBHOOK, row.pk)
    return made


def collect_all() -> int:
    """Look for every active webhook, and ring again for deliveries whose wait is over; how many were made."""
    active = Webhook.objects.filter(is_active=True, project__is_archived=False)
    made = sum(len(collect(webhook_id=pk)) for pk in active.values_list("pk", flat=True))
    due = Delivery.objects.filter(
        status=JobModel.Status.QUEUED,
        next_attempt_at__lte=timezone.now() - RUNG_BEFORE,
        webhook__is_active=True,
    )
    for pk in due.order_by("next_attempt_at").values_list("pk", flat=True)[:200]:
        ring(Job.DELIVER_WEBHOOK, pk)
    return made


def _delivery(webhook: Webhook, one: Happening) -> tuple[Delivery, bool]:
    return Delivery.objects.get_or_create(
        webhook=webhook,
        key=one.key,
        defaults={"event": one.event, "payload": one.data, "created_by": None},
    )


def _judgments(webhook: Webhook) -> Iterator[Happening]:
    """Those after the last that was told, up to the first that is still settling."""
    rows = Judgment.objects.filter(
        project=webhook.project_id, pk__gt=webhook.judgments_up_to, is_imported=False
    ).order_by("pk")
    found = rows.values(
        "pk", "comparison_id", "labeler_id", "is_all_bad", "created_at", "withdrawn_at"
    )[:MOST_JUDGMENTS]
    settled_before = timezone.now() - SETTLE
    told = list(takewhile(lambda one: one["created_at"] < settled_before, found))
    if not told:
        return
    yield Happening(
        Event.JUDGMENTS,
        f"judgments:{told[0]['pk']}-{told[-1]['pk']}",
        {"count": len(told), "judgments": [_judgment(webhook, one) for one in told]},
    )
    webhook.judgments_up_to = told[-1]["pk"]
    webhook.save(update_fields=["judgments_up_to"])


def _judgment(webhook: Webhook, row: Mapping[str, Any]) -> Data:
    return {
        "id": row["pk"],
        "comparison": row["comparison_id"],
        "labeler": pseudonym(webhook.project, row["labeler_id"]),
        "is_all_bad": row["is_all_bad"],
        "is_withdrawn": row["withdrawn_at"] is not None,
        "judged_at": row["created_at"].isoformat(),
    }


def _batches(webhook: Webhook) -> Iterator[Happening]:
    """A batch is finished once none of its comparisons is open any more, nor waits for the batch to go on."""
    inside = Comparison.objects.filter(batch=OuterRef("pk")).exclude(kind=Comparison.Kind.GOLD)
    waiting = Q(state=Comparison.State.OPEN)
    waiting |= Q(state=Comparison.State.HELD, batch__state=Batch.State.PAUSED)
    told = webhook.deliveries.filter(event=Event.BATCH).values_list("key", flat=True)
    finished = webhook.project.batches.filter(Exists(inside), ~Exists(inside.filter(waiting)))
    recent = finished.filter(
        Exists(inside.filter(judgments__created_at__gte=webhook.told_from))
    ).order_by("pk")
    known = set(told)
    for batch in recent:
        if (key := f"batch:{batch.pk}") not in known:
            counts = {"comparisons": batch.comparisons.count()}
            yield Happening(Event.BATCH, key, {"id": batch.pk, "name": batch.name, **counts})


def _snapshots(webhook: Webhook) -> Iterator[Happening]:
    rows = DatasetSnapshot.objects.filter(
        project=webhook.project_id, status=JobModel.Status.DONE, finished_at__gte=_since(webhook)
    )
    for row in rows.order_by("pk"):
        data = {"id": row.pk, "name": row.name, "sha256": row.sha256, "pairs": row.pairs}
        yield Happening(Event.SNAPSHOT, f"snapshot:{row.pk}", data)


def _runs(webhook: Webhook) -> Iterator[Happening]:
    over = [JobModel.Status.DONE, JobModel.Status.FAILED, JobModel.Status.CANCELLED]
    rows = TrainingRun.objects.filter(
        project=webhook.project_id, status__in=over, finished_at__gte=_since(webhook)
    )
    for row in rows.order_by("pk"):
        assert row.finished_at is not None  # noqa: S101 - the filter
        data = {"id": row.pk, "name": row.name, "kind": row.kind, "status": row.status}
        data["error"] = row.error[:500]
        yield Happening(Event.RUN, f"run:{row.pk}:{row.finished_at.isoformat()}", data)


def _agreement(webhook: Webhook) -> Iterator[Happening]:
    """Told when alpha falls below the limit, and again only after it had been above."""
    report, alpha = _reported(webhook)
    if report is None or alpha is None:
        return
    is_below = alpha < webhook.alert_below
    if is_below == webhook.is_alerted:
        return
    webhook.is_alerted = is_below
    webhook.save(update_fields=["is_alerted"])
    if is_below:
        data = {"alpha_ordinal": alpha, "limit": webhook.alert_below}
        data["judgments"] = report.judgments_counted
        yield Happening(Event.AGREEMENT, f"agreement:{report.computed_at.isoformat()}", data)


def is_below_limit(webhook: Webhook) -> bool:
    """Whether agreement as it was last computed lies below the webhook's limit."""
    _, alpha = _reported(webhook)
    return alpha is not None and alpha < webhook.alert_below


def _reported(webhook: Webhook) -> tuple[AgreementReport | None, float | None]:
    report = AgreementReport.objects.filter(project=webhook.project_id).first()
    return report, _alpha(report.data) if report else None


def _alpha(data: Data) -> float | None:
    found: Data = data.get("statistics", {}).get("alpha_ordinal") or {}
    return found.get("value")


def _since(webhook: Webhook) -> datetime:
    return max(webhook.told_from, timezone.now() - LOOK_BACK)


LOOKS = {
    Event.JUDGMENTS: _judgments,
    Event.BATCH: _batches,
    Event.SNAPSHOT: _snapshots,
    Event.RUN: _runs,
    Event.AGREEMENT: _agreement,
}
