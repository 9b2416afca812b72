"""One job from claim to end: its row is claimed, its lease kept, its cancellation heard, its end written as a sentence.

with running(TrainingRun.objects, pk) as job:
    if job is not None:   # None: another worker has it, or it is no longer queued
        ...               # call job.check() and job.progress(...) often
"""

import errno
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, models

from annotation.core import storage
from annotation.core.errors import DomainError
from annotation.core.jobs import JobModel, JobQuerySet
from training.spec.errors import TrainingError

logger = logging.getLogger(__name__)
LOOK_EVERY = 1.0  # seconds between two looks at the row


class Stopped(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The job must not go on in this process."""


class CancelRequested(Stopped):
    """A person asked the job to stop."""


class Fenced(Stopped):
    """The lease ended and somebody else may own the job: write nothing more."""


class Orphaned(Stopped):
    """The worker that this pool process belongs to has died; its successor does the job."""


class RunningJob:
    """A job this process owns until the `with` block ends."""

    def __init__(self, jobs: JobQuerySet, pk: int, owner: str, heartbeat: "Heartbeat") -> None:
        self.pk = pk
        self.owner = owner
        self._jobs = jobs
        self._heartbeat = heartbeat
        self._parent = os.getppid()
        self._looked_at = self._told_at = time.monotonic()

    def check(self) -> None:
        """Raise `Stopped` if the job was cancelled or is no longer ours. Cheap: call it often."""
        if self._heartbeat.is_fenced:
            raise Fenced
        if os.getppid() != self._parent:
            raise Orphaned
        if time.monotonic() - self._looked_at >= LOOK_EVERY:
            self._look()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        mine = self._jobs.filter(pk=self.pk, status=JobModel.Status.RUNNING, owner=self.owner)
        row = mine.values_list("cancel_requested_at").first()
        if row is None:
            raise Fenced
        if row[0] is not None:
            raise CancelRequested

    def progress(self, done: int, total: int, unit: str) -> None:
        """Say how far the job is, to the database at most once a second and at the end."""
        self.check()
        if done < total and time.monotonic() - self._told_at < LOOK_EVERY:
            return
        self._told_at = time.monotonic()
        mine = self._jobs.filter(pk=self.pk, status=JobModel.Status.RUNNING, owner=self.owner)
        if not mine.update(progress_done=done, progress_total=total, progress_unit=unit):
            raise Fenced

    @contextmanager
    def keeping(self, keys: Collection[int]) -> Iterator[None]:
        """Keep the leases of other jobs of this kind, which were claimed for the same owner."""
        lease = settings.CONCORD_LEASE_SECONDS
        heartbeat = Heartbeat(
            lambda: self._jobs.renew_all(keys, owner=self.owner, lease_seconds=lease),
            lease_seconds=lease,
        )
        if keys:
            heartbeat.start()
        try:
            yield
        finally:
            heartbeat.stop()

    @contextmanager
    def folder(self, kind: str) -> Iterator[Path]:
        """Where its child works: CONCORD_VAR/<kind>/<id>. However the job ends, what was asked there does not stay.

        Who lost the lease leaves it: the worker that has the job now may work there, and removes it.
        """
        folder = storage.folder(kind, str(self.pk))
        is_ours = True
        try:
            yield folder
        except Fenced:
            is_ours = False
            raise
        finally:
            if is_ours:
                shutil.rmtree(folder, ignore_errors=True)


class Heartbeat(threading.Thread):
    """Renews the lease every quarter of it, over a database connection of its own."""

    def __init__(self, renew: Callable[[], bool], *, lease_seconds: float) -> None:
        super().__init__(daemon=True, name="heartbeat")
        self._renew = renew
        self._lease_seconds = lease_seconds
        self._renewed_at = time.monotonic()
        self._is_refused = False
        self._has_ended = threading.Event()

    @property
    def is_fenced(self) -> bool:
        """The lease was refused, or could not be renewed until it ended."""
        return self._is_refused or time.monotonic() - self._renewed_at > self._lease_seconds

    def run(self) -> None:
        try:
            while not self._is_refused and not self._has_ended.wait(self._lease_seconds / 4):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        started_at = time.monotonic()
        try:
            self._is_refused = not self._renew()
            self._renewed_at = started_at
        except DatabaseError as error:
            logger.warning("job.heartbeat_missed", extra={"reason": str(error)})
            connection.close()

    def stop(self) -> None:
        self._has_ended.set()
        if self.is_alive():
            self.join()


class Running:
    """The `with` block of a job; see the module's docstring."""

    def __init__(self, model: type[JobModel], pk: int) -> None:
        self._jobs = JobQuerySet(model)
        self._pk = pk
        self._owner = f"{socket.gethostname()[:50]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        lease = settings.CONCORD_LEASE_SECONDS
        self._lease_seconds: int = lease
        self._heartbeat = Heartbeat(
            lambda: self._jobs.renew(pk, owner=self._owner, lease_seconds=lease),
            lease_seconds=lease,
        )
        self._facts = {"job": model.job.value, "pk": pk, "owner": self._owner}
        self._is_claimed = False

    def __enter__(self) -> RunningJob | None:
        self._is_claimed = self._jobs.claim(
            self._pk, owner=self._owner, lease_seconds=self._lease_seconds
        )
        if not self._is_claimed:
            logger.info("job.not_claimed", extra=self._facts)
            return None
        logger.info("job.started", extra=self._facts)
        self._heartbeat.start()
        return RunningJob(self._jobs, self._pk, self._owner, self._heartbeat)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not self._is_claimed:
            return False
        self._heartbeat.stop()
        self._end(error)
        return error is None or isinstance(error, Exception)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._finish(JobModel.Status.DONE)
        elif isinstance(error, CancelRequested):
            self._finish(JobModel.Status.CANCELLED)
        elif isinstance(error, (Fenced, OperationalError, InterfaceError)):
            logger.warning("job.lost", extra=self._facts, exc_info=error)  # its lease runs out
        elif isinstance(error, Orphaned) or not isinstance(error, Exception):
            self._jobs.release(self._pk, owner=self._owner)
            logger.warning("job.released", extra=self._facts)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, (DomainError, TrainingError)):
            logger.error("job.crashed", extra=self._facts, exc_info=error)
        self._finish(JobModel.Status.FAILED, sentence_for(error))

    def _finish(self, status: JobModel.Status, sentence: str = "") -> None:
        is_ours = self._jobs.finish(self._pk, owner=self._owner, status=status, error=sentence)
        event = f"job.{status.value}" if is_ours else "job.fenced_at_the_end"
        logger.info(event, extra={**self._facts, "sentence": sentence})


def running(jobs: "models.Manager[Any] | models.QuerySet[Any]", pk: int) -> Running:
    """Claim job ``pk`` and run the block under its lease. Raised errors end the job; they go no further."""
    model = jobs.model
    assert issubclass(model, JobModel), model  # noqa: S101 - what we know
    return Running(model, pk)


def sentence_for(error: Exception) -> str:
    """What to tell the person who started the job."""
    if isinstance(error, (DomainError, TrainingError)):
        return str(error).replace("\x00", "\ufffd")  # PostgreSQL stores no NUL
    if isinstance(error, MemoryError):
        return "The worker ran out of memory. Give it more, or ask for less at once."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Free some space, then start the job again."
    return (
        f"Something went wrong that was not foreseen ({type(error).__name__}). "
        "The worker's log has the details; start the job again once it is mended."
    )
