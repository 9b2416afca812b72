"""What somebody waits for has a queue and a worker of its own, so that it waits behind no training."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.core import jobs
from annotation.core.jobs import Job, Queue
from annotation.generation import services
from annotation.registry import scoring
from deploy.supervisor import commands
from tests import factories
from workers import housekeeping

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


@pytest.fixture
def rung(monkeypatch):
    """What is sent instead of messages of a broker."""
    sent = []

    def send_task(name, args, queue, **_options):
        sent.append((name, *args, queue))

    monkeypatch.setattr(jobs.current_app, "send_task", send_task)
    return sent


def scores_wanted(project, engineer):
    reward = factories.policy(project, kind="reward")
    return scoring.request_scores(version=reward, chats=[CHAT], actor=engineer)


def asked(project, engineer):
    return services.request_playground(
        project=project,
        turns=CHAT[:1],
        policies=[factories.policy(project)],
        reward_model=None,
        temperature=1.0,
        top_p=1.0,
        max_tokens=8,
        seed=1,
        actor=engineer,
    )


@pytest.mark.django_db(transaction=True)
def test_scores_and_the_playground_ring_the_live_workers(project, engineer, rung):
    score, play = scores_wanted(project, engineer), asked(project, engineer)
    assert rung == [(Job.SCORE_CHATS, score.pk, "live"), (Job.ANSWER_PLAYGROUND, play.pk, "live")]


@pytest.mark.django_db
def test_a_gpu_worker_with_messages_before_it_keeps_no_live_one_from_being_rung(
    project, engineer, rung, monkeypatch
):
    score = scores_wanted(project, engineer)
    factories.training_run(project)
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda queue: int(queue == Queue.GPU))
    housekeeping.sweep()
    assert rung == [(Job.SCORE_CHATS, score.pk, "live")]


def test_every_queue_has_a_worker_however_the_site_is_deployed():
    embedded = " ".join(map(" ".join, commands(host="127.0.0.1", port=1).values()))
    compose = (DEPLOY / "compose.yaml").read_text().replace('", "', " ")
    units = "".join(path.read_text() for path in (DEPLOY / "systemd").iterdir())
    for text in (embedded, compose, units):
        assert set(re.findall(r"-Q (\w+)", text)) == set(Queue)


def waiting_sentence(client, run):
    return client.get(
        reverse("generation-playground-run", args=[run.project_id, run.pk])
    ).content.decode()


@pytest.mark.django_db
def test_a_playground_that_waits_says_for_whom(client, project, engineer):
    client.force_login(engineer)
    run = asked(project, engineer)
    assert "It waits for a live worker." in waiting_sentence(client, run)
    type(run).objects.update(created_at=timezone.now() - timedelta(minutes=2))
    assert "celery worker -Q live --concurrency 1" in waiting_sentence(client, run)
    other = scores_wanted(project, engineer)
    lease = timezone.now() + timedelta(minutes=1)
    type(other).objects.filter(pk=other.pk).update(status="running", lease_until=lease)
    assert "busy with another job; this one is next in line." in waiting_sentence(client, run)
