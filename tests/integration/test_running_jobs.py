"""A job's life in a worker: claimed once, kept, heard, ended with a sentence; swept when its worker dies."""

import errno
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.core.jobs import Job
from annotation.generation.models import GenerationRun
from annotation.prompts.models import PromptImport
from tests import factories
from tests.waiting import eventually
from training.spec.errors import OutOfMemory
from workers import housekeeping
from workers.running import running, sentence_for

pytestmark = pytest.mark.django_db
DEAD_PID = 2**22 + 1  # above the kernel's largest


@pytest.fixture
def rung(monkeypatch):
    """What the sweep sends, instead of a broker; the queues are empty."""
    sent = []
    monkeypatch.setattr(
        housekeeping.current_app,
        "send_task",
        lambda name, args, queue: sent.append((name, *args, queue)),
    )
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda _queue: 0)
    return sent


def a_job(**fields):
    project = factories.project()
    return GenerationRun.objects.create(project=project, policy=factories.policy(project), **fields)


def run_and_raise(job, error):
    with running(GenerationRun.objects, job.pk):
        raise error
    job.refresh_from_db()


def test_a_job_that_ends_well_is_done():
    row = a_job()
    with running(GenerationRun.objects, row.pk) as job:
        job.progress(3, 3, "prompts")
    row.refresh_from_db()
    assert (row.status, row.progress_done, row.owner) == ("done", 3, "")


def test_a_doubled_doorbell_finds_the_job_taken():
    row = a_job()
    with running(GenerationRun.objects, row.pk), running(GenerationRun.objects, row.pk) as second:
        assert second is None
    row.refresh_from_db()
    assert (row.status, row.attempt) == ("done", 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_that_claim_at_once_one_gets_the_job():
    row = a_job()
    start = threading.Barrier(8)

    def claim(number):
        start.wait()
        try:
            return GenerationRun.objects.claim(row.pk, owner=f"worker-{number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        claims = list(workers.map(claim, range(8)))
    row.refresh_from_db()
    assert (sum(claims), row.attempt) == (1, 1)
    assert row.owner == f"worker-{claims.index(True)}"


def test_a_worker_that_starts_loads_every_task_and_no_torch():
    """A process that has loaded CUDA must not fork; torch is loaded in children only."""
    code = (
        "import sys; from deploy.celery import app; app.loader.import_default_modules();"
        "from annotation.core.jobs import Job;"
        "print([job for job in Job if job not in app.tasks], 'torch' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=settings.BASE_DIR,
    )
    assert told.stdout.split("\n")[-2] == "[] False"


@pytest.mark.parametrize("error", [InvalidInput("Too hot."), OutOfMemory("Too big.")])
def test_an_expected_failure_ends_the_job_with_its_sentence(error):
    row = a_job()
    run_and_raise(row, error)
    assert (row.status, row.error) == ("failed", str(error))


def test_an_unforeseen_failure_ends_the_job_with_a_sentence_and_logs_its_traceback(caplog):
    row = a_job()
    run_and_raise(row, KeyError("inner"))
    assert row.status == "failed"
    assert row.error.startswith("Something went wrong that was not foreseen (KeyError).")
    assert any(one.exc_info for one in caplog.records if one.message == "job.crashed")


def test_a_full_disk_is_named():
    assert sentence_for(OSError(errno.ENOSPC, "no space")).startswith("The disk is full.")


def test_a_cancelled_job_stops_at_its_next_check(monkeypatch):
    monkeypatch.setattr("workers.running.LOOK_EVERY", 0)
    row = a_job()
    with running(GenerationRun.objects, row.pk) as job:
        row.refresh_from_db()
        row.request_cancel()
        job.check()
        raise AssertionError("the check let a cancelled job go on")
    row.refresh_from_db()
    assert row.status == "cancelled"


@pytest.mark.parametrize(
    ("status", "then", "is_asked", "is_finished"),
    [
        ("queued", "cancelled", True, True),
        ("running", "running", True, False),
        ("done", "done", False, False),
    ],
)
def test_one_statement_cancels_what_waits_and_asks_what_runs(
    status, then, is_asked, is_finished, django_assert_num_queries
):
    row = a_job(status=status)
    with django_assert_num_queries(2):  # the update, and the row as it is now
        row.request_cancel()
    assert row.status == then
    assert (row.cancel_requested_at is not None) == is_asked
    assert (row.finished_at is not None) == is_finished


def test_a_fenced_worker_writes_nothing_more(monkeypatch):
    monkeypatch.setattr("workers.running.LOOK_EVERY", 0)
    row = a_job()
    with running(GenerationRun.objects, row.pk) as job:
        GenerationRun.objects.filter(pk=row.pk).update(owner="another")
        job.progress(1, 2, "prompts")
    row.refresh_from_db()
    assert (row.status, row.owner, row.progress_done) == ("running", "another", 0)


def test_a_worker_told_to_exit_gives_its_job_back():
    row = a_job()
    with pytest.raises(SystemExit), running(GenerationRun.objects, row.pk):
        raise SystemExit(0)
    row.refresh_from_db()
    assert (row.status, row.attempt, row.owner) == ("queued", 0, "")


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_keeps_the_lease_of_a_long_step(settings):
    settings.CONCORD_LEASE_SECONDS = 1
    row = a_job()
    with running(GenerationRun.objects, row.pk):
        row.refresh_from_db()
        first_end = row.lease_until
        eventually(lambda: GenerationRun.objects.filter(lease_until__gt=first_end).exists())
    row.refresh_from_db()
    assert row.status == "done"


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_notices_that_the_job_was_taken_away(settings):
    settings.CONCORD_LEASE_SECONDS = 1
    row = a_job()
    with running(GenerationRun.objects, row.pk) as job:
        GenerationRun.objects.filter(pk=row.pk).update(owner="another")
        eventually(lambda: job._heartbeat.is_fenced)
        job.check()
        raise AssertionError("a fenced job went on")
    row.refresh_from_db()
    assert (row.status, row.owner) == ("running", "another")


def test_a_lost_doorbell_is_rung_again(rung):
    row = a_job()
    housekeeping.sweep()
    assert rung == [(Job.GENERATE_CANDIDATES, row.pk, "gpu")]


def test_a_sweep_does_not_pile_up_messages_before_a_busy_worker(rung, monkeypatch):
    a_job()
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda _queue: 1)
    housekeeping.sweep()
    assert rung == []


def test_a_silent_job_is_requeued_and_rung(rung):
    ended = timezone.now() - timedelta(seconds=1)
    row = a_job(status="running", owner="elsewhere:1:abc", lease_until=ended, attempt=1)
    housekeeping.sweep()
    row.refresh_from_db()
    assert (row.status, row.owner) == ("queued", "")
    assert rung == [(Job.GENERATE_CANDIDATES, row.pk, "gpu")]


def test_a_silent_job_is_rung_also_while_other_messages_wait(rung, monkeypatch):
    """Its own doorbell was answered by the worker that died."""
    ended = timezone.now() - timedelta(seconds=1)
    row = a_job(status="running", owner="elsewhere:1:abc", lease_until=ended, attempt=1)
    a_job()
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda _queue: 1)
    housekeeping.sweep()
    assert rung == [(Job.GENERATE_CANDIDATES, row.pk, "gpu")]


def test_messages_of_the_schedule_do_not_keep_a_lost_doorbell_from_being_rung(rung, monkeypatch):
    """Behind a sweep lie what else the schedule sends: the cpu queue is hardly ever empty then."""
    of_schedule = housekeeping.of_schedule()
    assert of_schedule >= len(settings.CELERY_BEAT_SCHEDULE)
    row = PromptImport.objects.create(project=factories.project())
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda _queue: of_schedule)
    housekeeping.sweep()
    assert rung == [(Job.IMPORT_PROMPTS, row.pk, "cpu")]
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda _queue: of_schedule + 1)
    housekeeping.sweep()
    assert len(rung) == 1


def test_a_silent_job_out_of_attempts_fails_with_a_sentence(rung):
    ended = timezone.now() - timedelta(seconds=1)
    row = a_job(status="running", lease_until=ended, attempt=5, max_attempts=5)
    housekeeping.sweep()
    row.refresh_from_db()
    assert row.status == "failed"
    assert "all attempts are used up" in row.error
    assert rung == []


def test_a_silent_job_that_was_cancelled_stays_cancelled(rung):
    now = timezone.now()
    row = a_job(status="running", lease_until=now - timedelta(seconds=1), cancel_requested_at=now)
    housekeeping.sweep()
    row.refresh_from_db()
    assert row.status == "cancelled"


def test_what_a_dead_process_of_this_machine_held_is_requeued_without_waiting_for_its_lease(rung):
    later = timezone.now() + timedelta(hours=1)
    owner = f"{socket.gethostname()[:50]}:{DEAD_PID}:abc"
    row = a_job(status="running", owner=owner, lease_until=later, attempt=1)
    housekeeping.sweep()
    row.refresh_from_db()
    assert row.status == "queued"


def test_what_a_living_process_holds_is_left_alone(rung):
    later = timezone.now() + timedelta(hours=1)
    owner = f"{socket.gethostname()[:50]}:{os.getpid()}:abc"
    row = a_job(status="running", owner=owner, lease_until=later, attempt=1)
    housekeeping.sweep()
    row.refresh_from_db()
    assert row.status == "running"


def test_what_a_killed_process_held_is_requeued_though_nobody_has_waited_for_it(rung):
    """The supervisor adopts the pool processes of a killed worker, and looks after them when it ends itself."""
    killed = subprocess.Popen(["/bin/true"])
    eventually(lambda: psutil.Process(killed.pid).status() == psutil.STATUS_ZOMBIE)
    later = timezone.now() + timedelta(hours=1)
    owner = f"{socket.gethostname()[:50]}:{killed.pid}:abc"
    row = a_job(status="running", owner=owner, lease_until=later, attempt=1)
    housekeeping.sweep()
    killed.wait()
    row.refresh_from_db()
    assert row.status == "queued"
