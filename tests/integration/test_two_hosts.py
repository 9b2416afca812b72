"""Two workers as on two hosts: they share Redis, the database and a bucket, and no folder."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings as django_settings
from django.urls import reverse

from annotation.projects.models import Role
from tests import factories
from tests.bench.queue.server import database_url
from tests.integration.conftest import TRAINER
from tests.waiting import eventually
from workers import checkpoints

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class Host(NamedTuple):
    """A worker and the folder that it alone sees."""

    worker: "subprocess.Popen[bytes]"
    var: Path

    def works_on(self, run) -> bool:
        return (self.var / "runs" / str(run.pk)).is_dir()

    def kill(self) -> None:
        os.killpg(self.worker.pid, signal.SIGKILL)
        self.worker.wait()


@pytest.fixture
def hosts(broker, s3, settings, tmp_path):
    """Two workers with their beats; the trainer of a new run hangs at step 5 until it is ended."""
    trainer = [sys.executable, str(TRAINER), "--fault", "hangs_when_new"]
    shared = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": broker,
        "CONCORD_BUCKET_URL": settings.CONCORD_BUCKET_URL,
        "CONCORD_BUCKET_ACCESS_KEY": settings.CONCORD_BUCKET_ACCESS_KEY,
        "CONCORD_BUCKET_SECRET_KEY": settings.CONCORD_BUCKET_SECRET_KEY,
        "CONCORD_SWEEP_SECONDS": "1",
        "CONCORD_LEASE_SECONDS": "4",
        "CONCORD_TRAINING_COMMAND": shlex.join(trainer),
    }
    started = [started_host(name, tmp_path, shared) for name in ("alpha", "beta")]
    yield started
    for one in started:
        if one.worker.poll() is None:
            one.kill()


def started_host(name, place, environment) -> Host:
    var = place / name
    command = [sys.executable, "-m", "celery", "-A", "deploy.celery", "worker", "-Q", "cpu,gpu"]
    command += ["-n", f"{name}@%h", "-B", "-s", str(place / f"{name}.beat")]
    with (place / f"{name}.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--concurrency", "1", "--loglevel", "WARNING"],
            cwd=django_settings.BASE_DIR,
            env=environment | {"CONCORD_VAR": str(var)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Host(worker, var)


def test_a_run_whose_host_dies_goes_on_at_the_other_from_the_bucket(hosts, run, s3, client):
    """1. One takes the run and hangs at step 5, with the checkpoint of step 3 in the bucket: kill -9.
    2. The other goes on from there and publishes the model; the run's page tells it.
    """
    eventually(lambda: checkpoints.stored(run.checkpoints_place), seconds=240)
    first = next(one for one in hosts if one.works_on(run))
    second = next(one for one in hosts if one is not first)
    assert not second.works_on(run)
    first.kill()
    eventually(lambda: is_done(run), seconds=240)

    said = run.events.order_by("pk")
    assert list(said.filter(kind="started").values_list("step", flat=True)) == [0, 3]
    assert list(said.filter(kind="metrics").values_list("step", flat=True)) == list(range(1, 13))
    assert run.model_version.location.startswith("s3://")
    assert [name for name in s3.names() if "/runs/" in name] == []
    client.force_login(factories.member(run.project, Role.ENGINEER))
    page = client.get(reverse("runs-detail", args=[run.project_id, run.pk])).content.decode()
    assert "with the checkpoint of step 3 from the bucket" in page


def is_done(run) -> bool:
    run.refresh_from_db()
    assert run.status != "failed", run.error
    return run.status == "done"
