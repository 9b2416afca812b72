"""A web process and a cpu worker on one database: a judgment given by one person shows on the page of another."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.urls import reverse

from annotation.accounts.services import create_token
from annotation.projects.models import Role
from annotation.quality.models import AgreementReport
from tests import factories
from tests.bench.queue.server import database_url, serving
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SHOWN_WITHIN = 5.0  # seconds
ITEMS, PEOPLE = 40, 4
POLL = re.compile(r'id="updated" hx-get="([^"]+)" hx-trigger="every (\d+)s"')


@pytest.fixture
def worker(tmp_path):
    """A cpu worker on a broker of its own."""
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": "",
        "CONCORD_VAR": str(tmp_path),
    }
    command = [sys.executable, "-m", "celery", "-A", "deploy.celery", "worker", "-Q", "cpu"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--concurrency", "1", "--loglevel", "WARNING"],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def project():
    """Forty comparisons that four people judged, and one that waits."""
    project = factories.project()
    people, prompt = [factories.user() for _ in range(PEOPLE)], factories.prompt(project)
    for number in range(ITEMS):
        comparison = factories.comparison(prompt, overlap=PEOPLE, state="judged")
        for at, one in enumerate(people):
            tiers = [[pk] for pk in comparison.candidate_ids[:: -1 if number % (at + 2) else 1]]
            factories.judgment(comparison, one, ranking=tiers)
    factories.comparison(prompt)
    return project


def test_a_judgment_shows_on_an_open_page_within_five_seconds(
    project, worker, client, tmp_path, monkeypatch
):
    """The page is read as a browser reads it: once, then its own address at its own pace."""
    client.force_login(factories.member(project, Role.ADMIN))
    token = create_token(user=factories.member(project), name="app").key
    monkeypatch.setenv("CONCORD_VAR", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("SECRET_KEY", settings.SECRET_KEY)  # the session is signed with it
    with serving(workers=1) as server, ExitStack() as open_ones:
        admin, labeler = visitors(server.port, client.cookies["sessionid"].value, token)
        open_ones.enter_context(admin)
        open_ones.enter_context(labeler)
        page = eventually(lambda: figures(admin, project), seconds=30)
        leased = labeler.post(f"/api/v1/projects/{project.pk}/assignments/next/").json()
        verdict = answer(leased["assignment"])
        address = (
            f"/api/v1/projects/{project.pk}/assignments/{leased['assignment']['id']}/judgment/"
        )
        assert labeler.post(address, json=verdict).status_code == 200
        given = time.monotonic()
        where, pace = POLL.search(page).groups()
        eventually(
            lambda: "161 judgments by 5 labelers" in admin.get(where.replace("&amp;", "&")).text,
            seconds=SHOWN_WITHIN,
            every=float(pace),
        )
        took = time.monotonic() - given
        print(f"shown {took:.1f} s after the judgment, where the page asks at once")  # noqa: T201
        assert took + float(pace) < SHOWN_WITHIN  # it asked just before
        eventually(lambda: tables_know(project, 161), seconds=30)


def visitors(port, session, token):
    root = f"http://127.0.0.1:{port}"
    admin = httpx.Client(base_url=root, cookies={"sessionid": session}, timeout=30)
    return admin, httpx.Client(
        base_url=root, headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


def figures(admin, project):
    content = admin.get(reverse("quality-agreement", args=[project.pk])).text
    return content if "160 judgments" in content else ""


def answer(assignment):
    first, second = (one["id"] for one in assignment["candidates"])
    return {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [2]}


def tables_know(project, judgments):
    return AgreementReport.objects.filter(project=project, judgments_counted=judgments).exists()
