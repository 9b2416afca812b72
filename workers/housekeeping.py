"""What keeps work moving: requeue what silent workers held, ring again for all that waits, end old leases,
forget chats that were scored, move rounds.
"""

import logging
import math
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psutil
from celery import current_app, shared_task
from django.conf import settings
from django.utils import timezone

from annotation.accounts.sessions import SessionStore
from annotation.comparisons.services.queue import expire_leases
from annotation.comparisons.services.run_groups import pair_what_is_left
from annotation.core import bucket
from annotation.core.jobs import Job, JobModel, JobQuerySet, Queue, job_models, queue_of
from annotation.demonstrations.services.writing import expire_drafts
from annotation.evaluations.services import advance_evaluations
from annotation.projects.selectors import behind_early_stop
from annotation.quality.selectors import with_old_reports
from annotation.registry.scoring import forget_old_requests
from annotation.rounds.services import advance_all
from workers.checkpoints import remove_of_done, remove_unused

logger = logging.getLogger(__name__)
RING_AT_ONCE = 200  # doorbells of one kind in a sweep; the next sweep rings for the rest


@shared_task(name="workers.housekeeping.sweep")
def sweep() -> None:
    """Reap silent jobs of every kind, ring for the queued, end labelers' old leases; harmless in any number."""
    forget_old_requests()
    is_rung = {queue: has_doorbells(queue) for queue in Queue}
    for model in job_models(*Queue):
        jobs = JobQuerySet(model)
        release_the_dead(jobs)
        requeued = jobs.reap()
        if requeued:
            logger.warning("jobs.reaped", extra={"job": model.job.value, "pks": requeued})
        ring_for(model, requeued if is_rung[queue_of(model.job)] else queued_keys(model))
    if not is_rung[Queue.CPU]:
        ring_for_early_stop()
        ring_for_old_reports()
    expire_leases()
    expire_drafts()
    advance_evaluations()
    advance_all()
    pair_what_is_left()


@shared_task(name="workers.housekeeping.remove_old_checkpoints")
def remove_old_checkpoints() -> None:
    """Remove those of done runs from this machine, and from the bucket those that nobody went on with.

    What lies in the bucket is old after CONCORD_CHECKPOINT_DAYS.
    """
    remove_of_done()
    days = settings.CONCORD_CHECKPOINT_DAYS
    if days and bucket.address() is not None:
        remove_unused(before=timezone.now() - timedelta(days=days))


@shared_task(name="workers.housekeeping.remove_ended_sessions")
def remove_ended_sessions() -> None:
    """Remove the sign-ins that are over: nobody comes back to them."""
    SessionStore.clear_expired()


def queued_keys(model: type[JobModel]) -> list[int]:
    """The first that wait, in their order."""
    queued = JobQuerySet(model).filter(status=JobModel.Status.QUEUED).order_by(*model.in_line)
    return list(queued.values_list("pk", flat=True)[:RING_AT_ONCE])


def ring_for(model: type[JobModel], keys: list[int]) -> None:
    """Ring for these jobs, whether or not somebody has."""
    for pk in keys:
        current_app.send_task(model.job.value, args=[pk], queue=queue_of(model.job).value)


def ring_for_early_stop() -> None:
    """Ring for projects whose setting changed and that nobody looks back on."""
    for pk in behind_early_stop().values_list("pk", flat=True)[:RING_AT_ONCE]:
        current_app.send_task(Job.SETTLE_EARLY_STOP.value, args=[pk], queue=Queue.CPU.value)


def ring_for_old_reports() -> None:
    """Ring for projects whose stored figures other formulas computed: those of before an upgrade."""
    for pk in with_old_reports().values_list("pk", flat=True)[:RING_AT_ONCE]:
        current_app.send_task(Job.REFRESH_AGREEMENT.value, args=[pk], queue=Queue.CPU.value)


def release_the_dead(jobs: JobQuerySet) -> None:
    """Give back at once what processes of this machine held that are gone; others wait for their lease."""
    host = f"{socket.gethostname()[:50]}:"
    held = jobs.filter(status=JobModel.Status.RUNNING, owner__startswith=host)
    for pk, owner in held.values_list("pk", "owner"):
        if not is_alive(int(owner.split(":")[-2])):
            jobs.filter(pk=pk, owner=owner).update(lease_until=timezone.now())
            logger.warning("job.owner_died", extra={"pk": pk, "owner": owner})


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this machine; a killed one that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
    except PermissionError:
        return True


def has_doorbells(queue: Queue) -> bool:
    """Whether a worker has yet to answer doorbells of this queue; more of them would pile up.

    The schedule's own messages lie in the cpu queue too, those of one sweep's time: one that expired is counted until
    a worker takes it.
    """
    return waiting_messages(queue) > (of_schedule() if queue == Queue.CPU else 0)


def of_schedule() -> int:
    """How many messages the schedule sends from one sweep to the next, at most."""
    schedule: Mapping[str, Any] = settings.CELERY_BEAT_SCHEDULE  # Any: as Celery has it
    sweep_seconds = settings.CONCORD_SWEEP_SECONDS
    return sum(math.ceil(sweep_seconds / one["schedule"]) for one in schedule.values())


def waiting_messages(queue: Queue) -> int:
    """Messages that wait in a queue of the broker."""
    with current_app.connection_or_acquire() as broker:
        try:
            return int(
                broker.default_channel.queue_declare(queue.value, passive=True).message_count
            )
        except broker.channel_errors:  # Redis knows no empty queue
            return 0
