"""kill -9 of a real Celery worker in mid-run, on the folder broker and on Redis: nothing is lost or doubled."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections import Counter

import psutil
import pytest
from django.conf import settings as django_settings

from annotation.generation.models import GenerationRun
from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_import
from annotation.runs.models import RunEvent
from deploy.child import adopt_orphans
from tests import factories
from tests.bench.queue.server import database_url
from tests.integration.conftest import TRAINER
from tests.unit.workers.generators.openai_server import Server, texts
from tests.waiting import eventually
from workers import process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(params=["folder", "redis"])
def redis_url(request):
    return request.getfixturevalue("broker") if request.param == "redis" else ""


@pytest.fixture
def start_worker(redis_url, tmp_path):
    """Starts a worker of both queues with its beat, in a session of its own."""
    started = []
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": redis_url,
        "CONCORD_VAR": str(tmp_path / "var"),
        "CONCORD_SWEEP_SECONDS": "1",
        "CONCORD_TRAINING_COMMAND": shlex.join(
            [sys.executable, str(TRAINER), "--step-seconds", "0.15"]
        ),
        "CONCORD_LEASE_SECONDS": "4",
        "CONCORD_HTTP_CONCURRENCY": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "deploy.celery", "worker", "-Q", "cpu,gpu"]
    command += ["-B", "-s", str(tmp_path / "beat"), "--concurrency", "1", "--loglevel", "WARNING"]

    def start(**changed):
        log = (tmp_path / "worker.log").open("ab")
        worker = subprocess.Popen(
            command,
            env=environment | changed,
            cwd=django_settings.BASE_DIR,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def has_said(run, step):
    return lambda: RunEvent.objects.filter(run=run, kind="metrics", step__gte=step).exists()


def is_done(run):
    def look():
        run.refresh_from_db()
        assert run.status != "failed", run.error
        return run.status == "done"

    return look


def test_a_run_survives_the_death_of_its_pool_process_and_of_its_worker(
    run, start_worker, tmp_path
):
    """1. kill -9 of the pool process at step 4; the same worker's sweep goes on from checkpoint 3.
    2. kill -9 of the worker at step 7; a new worker goes on from checkpoint 6.
    """
    worker = start_worker()
    eventually(has_said(run, 4), seconds=120)
    run.refresh_from_db()
    os.kill(int(run.owner.split(":")[-2]), signal.SIGKILL)
    eventually(has_said(run, 7), seconds=120)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    start_worker()
    eventually(is_done(run), seconds=120)

    said = RunEvent.objects.filter(run=run).order_by("pk")
    assert list(said.filter(kind="metrics").values_list("step", flat=True)) == list(range(1, 13))
    assert list(said.filter(kind="sample").values_list("step", flat=True)) == list(range(1, 13))
    started = list(said.filter(kind="started").values_list("step", flat=True))
    assert started[0] == 0
    assert len(started) >= 3
    assert all(step >= 3 for step in started[1:])
    assert run.model_version is not None
    assert run.model_version.lineage["run"] == run.pk
    folder = tmp_path / "var" / "runs" / str(run.pk)
    with process.take_lock(folder, grace_seconds=5):
        pass  # no trainer is left in the folder


@pytest.fixture
def server():
    """Answers each request with two new texts, but holds the fourth one back until it may answer."""

    def says(_body):
        number = len(server.bodies)
        if number == 4:
            server.may_answer.clear()
        return texts(f"{number} a", f"{number} b")

    server = Server(says)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.may_answer.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def generation_run(server):
    """Two responses to each of six prompts."""
    project = factories.project()
    for _ in range(6):
        factories.prompt(project)
    policy = factories.policy(project, **factories.server_by_an_admin(project, server.url))
    return GenerationRun.objects.create(project=project, policy=policy, per_prompt=2)


def kill_worker_alone(worker):
    """Its pool process lives on as an orphan, with a request under way."""
    os.kill(worker.pid, signal.SIGKILL)


def kill_worker_and_pool(worker):
    os.killpg(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize("redis_url", ["folder"], indirect=True)
@pytest.mark.parametrize("kill", [kill_worker_alone, kill_worker_and_pool])
def test_a_generation_run_survives_the_death_of_its_worker(
    generation_run, server, start_worker, kill
):
    """1. Three prompts are stored and the fourth is being asked: kill -9. The server answers the dead.
    2. A new worker asks the fourth again, then the last two: seven requests in all.
    """
    worker = start_worker()
    eventually(lambda: len(server.bodies) == 4, seconds=120)
    kill(worker)
    worker.wait()
    assert generation_run.outcomes.count() == 3
    server.may_answer.set()
    start_worker()
    eventually(is_done(generation_run), seconds=120)

    prompts = generation_run.project.prompts.all()
    assert [one.candidates.count() for one in prompts] == [2] * 6
    assert [one.comparisons.count() for one in prompts] == [1] * 6
    assert set(generation_run.outcomes.values_list("candidates", "duplicates", "reason")) == {
        (2, 0, "")
    }
    assert (generation_run.progress_done, generation_run.progress_total) == (6, 6)
    asked = Counter(body["messages"][-1]["content"] for body in server.bodies)
    assert sorted(asked.values()) == [1, 1, 1, 1, 1, 2]


@pytest.fixture
def adopting():
    """This process gets the orphans of what it started and waits for none, as the supervisor of `manage.py up`."""
    adopt_orphans()
    yield
    adopt_orphans(are_adopted=False)
    for orphan in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if orphan.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(orphan.pid, 0)


@pytest.fixture
def prompt_import(settings, tmp_path):
    """10,000 prompts with two responses each, in five batches."""
    settings.CONCORD_VAR = tmp_path / "var"
    project = factories.project()
    rows = ({"prompt": f"Prompt {n}?", "responses": ["Yes.", "No."]} for n in range(10_000))
    lines = (json.dumps(row).encode() + b"\n" for row in rows)
    contents = PromptImport.Contents.COMPARISONS
    return request_import(
        project=project, chunks=lines, filename="rows.jsonl", actor=None, contents=contents
    )


def has_read(prompt_import, rows):
    def look():
        prompt_import.refresh_from_db()
        assert prompt_import.status in {"queued", "running"}, prompt_import.error
        return prompt_import.rows_read >= rows

    return look


@pytest.mark.usefixtures("adopting")
def test_an_import_goes_on_at_once_after_the_death_of_its_worker(prompt_import, start_worker):
    """Its lease would last for ten minutes more, and its pool process is dead but not waited for."""
    worker = start_worker(CONCORD_LEASE_SECONDS="600", CONCORD_SWEEP_SECONDS="30")
    eventually(has_read(prompt_import, 2_000), seconds=120)
    kill_worker_and_pool(worker)
    worker.wait()
    assert PromptImport.objects.get(pk=prompt_import.pk).rows_read < 10_000
    start_worker(CONCORD_LEASE_SECONDS="600", CONCORD_SWEEP_SECONDS="30")
    eventually(is_done(prompt_import), seconds=120)

    project = prompt_import.project
    assert (prompt_import.rows_created, prompt_import.rows_duplicate) == (10_000, 0)
    assert project.prompts.count() == project.comparisons.count() == 10_000
    assert project.candidates.count() == 20_000
