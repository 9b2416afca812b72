"""A real OpenAI-compatible server, `transformers serve`, is asked for candidates; it knows no `n` and no hub."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from annotation.generation import services
from annotation.generation.models import Candidate
from annotation.projects.models import Role
from tests import factories
from tests.waiting import eventually
from training.models.load import LoadedModel, save_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers import generation

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
COMMAND = Path(sys.executable).with_name("transformers")


@pytest.fixture
def folder(tmp_path):
    """A policy as a training run publishes it."""
    model = LoadedModel(model=tiny_llama(), tokenizer=tiny_tokenizer(), padded_because="")
    save_model(model, tmp_path / "policy")
    return tmp_path / "policy"


@pytest.fixture
def server(folder, tmp_path):
    """The base address of a server that answers with the tiny policy, offline."""
    port = free_port()
    command = [str(COMMAND), "serve", str(folder), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: is_ready(process, port), seconds=180, every=0.25)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_ready(process, port):
    assert process.poll() is None, "the server has ended; see server.log"
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


def test_transformers_serve_answers_a_generation_run(server, folder, settings):
    """Two prompts, three responses each: the server gives one a request, so each prompt is asked three times."""
    settings.CONCORD_LEASE_SECONDS = 3600  # the heartbeat cannot see rows of a test's transaction
    project = factories.project()
    prompts = [factories.prompt(project, content) for content in ("Hi?", "And why is that?")]
    policy = factories.policy(
        project, **factories.server_by_an_admin(project, server, remote_model=str(folder))
    )
    run = services.request_candidates(
        project=project,
        policy=policy,
        per_prompt=3,
        max_tokens=12,
        actor=factories.member(project, Role.ENGINEER),
    )
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error, run.progress_done) == ("done", "", 2)
    stored = Candidate.objects.filter(run=run, policy=policy)
    assert [stored.filter(prompt=one).count() for one in prompts] == [3, 3]
    assert set(run.outcomes.values_list("candidates", "duplicates", "reason")) == {(3, 0, "")}
