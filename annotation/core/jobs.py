"""Jobs: the row is the truth, the message only the doorbell (docs/adr/0003).

A job row goes ``queued -> running -> done | failed | cancelled``; only `claim` makes it running. A worker renews its
lease; a lease that ended is reaped: requeued, or failed when its attempts are used up.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeVar

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

LEASE_SECONDS = 60
AGING_SECONDS = 45  # a queued job older than this is explained


class Job(StrEnum):
    """Task names that services ring; the argument is always a primary key."""

    IMPORT_PROMPTS = "workers.imports.import_prompts"
    GENERATE_CANDIDATES = "workers.generation.generate_candidates"
    ANSWER_PLAYGROUND = "workers.generation.answer_playground"
    SCORE_CHATS = "workers.scoring.score_chats"
    JUDGE_COMPARISONS = "workers.judging.judge_comparisons"
    REVISE_CANDIDATES = "workers.judging.revise_candidates"
    SETTLE_EARLY_STOP = "workers.comparisons.settle_early_stop"
    DRAW_OVERLAP = "workers.comparisons.draw_overlap"
    REFRESH_AGREEMENT = "workers.quality.refresh_agreement"
    BUILD_SNAPSHOT = "workers.datasets.build_snapshot"
    SCORE_EVALUATION = "workers.evaluations.score_evaluation"
    EXECUTE_RUN = "workers.training.execute_run"
    DELIVER_WEBHOOK = "workers.webhooks.deliver_webhook"


class Queue(StrEnum):
    """Queues of the broker; each has workers of its own (docs/adr/0024)."""

    CPU = "cpu"
    GPU = "gpu"  # hours of training and generation, one job at a time
    LIVE = "live"  # what somebody waits for


QUEUES = {
    Job.ANSWER_PLAYGROUND: Queue.LIVE,
    Job.SCORE_CHATS: Queue.LIVE,
    Job.GENERATE_CANDIDATES: Queue.GPU,
    Job.JUDGE_COMPARISONS: Queue.GPU,
    Job.REVISE_CANDIDATES: Queue.GPU,
    Job.SCORE_EVALUATION: Queue.GPU,
    Job.EXECUTE_RUN: Queue.GPU,
}


def queue_of(job: Job) -> Queue:
    """Where a job waits."""
    return QUEUES.get(job, Queue.CPU)


def ring(job: Job, pk: int, *, in_seconds: float | None = None) -> None:
    """Nudge a worker, once the transaction commits. A lost or doubled ring does no harm.

    A broker that is away is logged: the row is written, and the sweep rings again.
    """
    queue = queue_of(job).value
    transaction.on_commit(
        lambda: current_app.send_task(job.value, args=[pk], queue=queue, countdown=in_seconds),
        robust=True,
    )


class JobQuerySet(models.QuerySet[Any]):
    """The conditional updates that move a job; each checks how many rows it changed."""

    def claim(self, pk: int, *, owner: str, lease_seconds: int = LEASE_SECONDS) -> bool:
        """Take job ``pk`` for this worker; False if another already has or it is not queued."""
        now = timezone.now()
        queued = self.filter(pk=pk, status=JobModel.Status.QUEUED)
        taken = queued.update(
            status=JobModel.Status.RUNNING,
            owner=owner,
            attempt=F("attempt") + 1,
            lease_until=now + timedelta(seconds=lease_seconds),
            heartbeat_at=now,
            started_at=now,
            error="",
        )
        return taken == 1

    def renew(
        self, pk: int, *, owner: str, lease_seconds: int = LEASE_SECONDS, **told: object
    ) -> bool:
        """Prolong the lease, and set what is ``told``; False means fenced: someone else owns the job, stop working."""
        now = timezone.now()
        mine = self.filter(pk=pk, status=JobModel.Status.RUNNING, owner=owner)
        lease_until = now + timedelta(seconds=lease_seconds)
        return mine.update(heartbeat_at=now, lease_until=lease_until, **told) == 1

    def renew_all(self, keys: Collection[int], *, owner: str, lease_seconds: int) -> bool:
        """Prolong the leases of several jobs of one owner by one statement; False where none is its own any more."""
        now = timezone.now()
        mine = self.filter(pk__in=keys, status=JobModel.Status.RUNNING, owner=owner)
        lease_until = now + timedelta(seconds=lease_seconds)
        return mine.update(heartbeat_at=now, lease_until=lease_until) > 0

    def finish(self, pk: int, *, owner: str, status: str, error: str = "") -> bool:
        """End a job that this owner runs; False if it was fenced meanwhile."""
        mine = self.filter(pk=pk, status=JobModel.Status.RUNNING, owner=owner)
        return mine.update(status=status, error=error, finished_at=timezone.now(), owner="") == 1

    def release(self, pk: int, *, owner: str) -> bool:
        """Give a job back unfinished, as if this attempt had not been; False if it was fenced."""
        mine = self.filter(pk=pk, status=JobModel.Status.RUNNING, owner=owner)
        returned = mine.update(
            status=JobModel.Status.QUEUED, owner="", lease_until=None, attempt=F("attempt") - 1
        )
        return returned == 1

    def reap(self) -> list[int]:
        """Requeue running jobs whose lease ended, fail those out of attempts; the requeued keys."""
        now = timezone.now()
        silent = self.filter(status=JobModel.Status.RUNNING, lease_until__lt=now)
        silent.filter(cancel_requested_at__isnull=False).update(
            status=JobModel.Status.CANCELLED, finished_at=now, owner=""
        )
        spent = silent.filter(attempt__gte=F("max_attempts"))
        spent.update(
            status=JobModel.Status.FAILED,
            finished_at=now,
            error="The worker fell silent and all attempts are used up. Look at its log, then retry.",
        )
        keys = list(silent.values_list("pk", flat=True))
        still = silent.filter(pk__in=keys)
        still.update(status=JobModel.Status.QUEUED, owner="", lease_until=None)
        return keys


class JobModel(models.Model):
    """Columns of every background job. Subclasses say what the job is about, and which task does it."""

    job: ClassVar[Job]
    in_line: ClassVar[tuple[str, ...]] = ("pk",)  # the order in which those that wait are rung for
    waits_since: ClassVar[str] = "created_at"  # the column that tells so of a queued job

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    owner = models.CharField(max_length=100, blank=True, default="")
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=5)
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_unit = models.CharField(max_length=30, blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def is_over(self) -> bool:
        over = {self.Status.DONE, self.Status.FAILED, self.Status.CANCELLED}
        return self.status in over

    def request_cancel(self) -> Self:
        """Cancel a queued job at once; ask a running one to stop.

        One statement: between two, the sweep may queue a running job, and neither would meet it.
        """
        now, waits = timezone.now(), Q(status=self.Status.QUEUED)
        under_way = waits | Q(status=self.Status.RUNNING)
        type(self).objects.filter(under_way, pk=self.pk).update(
            cancel_requested_at=now,
            status=Case(When(waits, then=Value(self.Status.CANCELLED)), default=F("status")),
            finished_at=Case(When(waits, then=Value(now)), default=F("finished_at")),
        )
        self.refresh_from_db()
        return self

    def queue_again(self) -> bool:
        """Let a job that is over go on with what it lacks; False where it is under way."""
        over = type(self).objects.filter(pk=self.pk).exclude(status__in=UNDER_WAY)
        queued = over.update(
            status=self.Status.QUEUED,
            attempt=0,
            error="",
            owner="",
            lease_until=None,
            heartbeat_at=timezone.now(),  # it waits from now
            finished_at=None,
            cancel_requested_at=None,
        )
        if queued:
            ring(self.job, self.pk)
            self.refresh_from_db()
        return queued == 1


UNDER_WAY = (JobModel.Status.QUEUED, JobModel.Status.RUNNING)  # of every kind of job


AnyJob = TypeVar("AnyJob", bound=JobModel)


def job_models(*queues: Queue) -> list[type[JobModel]]:
    """Every table whose rows are jobs of these queues."""
    jobs = (model for model in apps.get_models() if issubclass(model, JobModel))
    return [model for model in jobs if queue_of(model.job) in queues]


def queue_places(queue: Queue) -> dict[tuple[Job, int], int]:
    """The place in line of every job that waits, the whole site's, by job and key: the first to be taken has 1."""
    first, *others = (
        one.objects.filter(status=JobModel.Status.QUEUED)
        .order_by()
        .annotate(its_job=Value(one.job.value), its_time=F(one.waits_since))
        .values_list("its_time", "pk", "its_job")
        for one in job_models(queue)
    )
    waiting = sorted(first.union(*others, all=True))
    return {(Job(name), pk): place for place, (_, pk, name) in enumerate(waiting, start=1)}


def with_places(jobs: Iterable[AnyJob]) -> list[tuple[AnyJob, int | None]]:
    """Each with its place in line, None where it does not wait; the line is read once, and for those that wait."""
    rows = list(jobs)
    lines = {queue_of(one.job) for one in rows if one.status == JobModel.Status.QUEUED}
    places = {key: place for queue in lines for key, place in queue_places(queue).items()}
    return [(one, places.get((one.job, one.pk))) for one in rows]


def is_busy(queue: Queue) -> bool:
    """Whether a worker of this queue has a job in hand."""
    now = timezone.now()
    return any(
        one.objects.filter(status=JobModel.Status.RUNNING, lease_until__gt=now).exists()
        for one in job_models(queue)
    )


def why_it_waits(job: JobModel, place: int) -> str:
    """A sentence for a job that has been queued for long; empty where there is nothing to say."""
    queue, waited = queue_of(job.job), timezone.now() - waits_from(job)
    if job.status != JobModel.Status.QUEUED or waited < timedelta(seconds=AGING_SECONDS):
        return ""
    if is_busy(queue):
        turn = "next" if place == 1 else f"number {place}"
        return f"The {queue} worker is busy with another job; this one is {turn} in line."
    return nobody_takes(queue, waited)


def waits_from(job: JobModel) -> datetime:
    """Since when a queued job waits: since it was asked for, or since its worker was last heard."""
    asked_at: datetime = getattr(job, job.waits_since)
    return max(asked_at, job.heartbeat_at or asked_at)


def waiting_text(job: JobModel) -> str:
    """What a queued job waits for, from the first second on; empty where it does not wait."""
    if job.status != JobModel.Status.QUEUED:
        return ""
    return why_it_waits(job, _place(job)) or f"It waits for a {queue_of(job.job)} worker."


def standing_text(job: JobModel) -> str:
    """What is to be told of a job under way beside its progress: why it waits, or that its worker is gone."""
    if job.status == JobModel.Status.RUNNING:
        return silence_text(job)
    if job.status != JobModel.Status.QUEUED:
        return ""
    return f"{after_death(job)} {why_it_waits(job, _place(job))}".strip()


def _place(job: JobModel) -> int:
    return queue_places(queue_of(job.job)).get((job.job, job.pk), 1)  # taken meanwhile: it was next


def after_death(job: JobModel) -> str:
    """That a queued job was begun; empty where it was not."""
    if not job.attempt:
        return ""
    return "The worker that had it died. What it has done stays; the next one goes on from there by itself."


def silence_text(job: JobModel) -> str:
    """That the worker of a running job is silent and what becomes of it; or that it has a second worker."""
    lease, sweep = settings.CONCORD_LEASE_SECONDS, settings.CONCORD_SWEEP_SECONDS
    silent = (timezone.now() - job.heartbeat_at).total_seconds() if job.heartbeat_at else 0
    if silent > lease / 2:  # two heartbeats are missing
        return (
            f"Its worker has not been heard for {silent:.0f} seconds. If it died, another goes on from here "
            f"by itself, {lease + sweep} seconds after it was last heard at the latest."
        )
    if job.attempt > 1:
        return "The worker that had it died; another has taken it up where it stood."
    return ""


def nobody_takes(queue: Queue, waited: timedelta) -> str:
    """What to do where a job has waited for so long though no worker of its queue is busy."""
    return (
        f"No worker has taken this job for {int(waited.total_seconds())} seconds. Start one with "
        f"“celery -A deploy.celery worker -Q {queue} --concurrency 1”, or look at its log."
    )
