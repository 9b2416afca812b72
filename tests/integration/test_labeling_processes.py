"""Real processes on PostgreSQL, some killed in the middle: nothing twice, nothing lost, nothing over-filled."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services import judging, queue
from annotation.projects.models import Project
from tests import factories

fork = get_context("fork")
COMPARISONS, OVERLAP, LABELERS, VICTIMS = 40, 3, 8, 3
ACKNOWLEDGED_BEFORE_THE_KILL = 4


def label_until_empty(project_id: int, labeler_id: int, acknowledge: Connection) -> None:
    """What each child does: lease, judge, report the judgment as acknowledged, until nothing is left."""
    project, labeler = Project.objects.get(pk=project_id), User.objects.get(pk=labeler_id)
    while True:
        found = queue.lease_next_comparison(project=project, labeler=labeler)
        if not isinstance(found, Assignment):
            break
        a, b = found.comparison.candidate_ids
        uuid = uuid4()
        judging.submit_judgment(
            assignment=found, client_uuid=uuid, ranking=[[a], [b]], strengths=[2]
        )
        acknowledge.send(uuid)
    acknowledge.close()


def without_a_broker(project_id: int, labeler_id: int, acknowledge: Connection) -> None:
    with mock.patch.object(judging, "ring"):
        label_until_empty(project_id, labeler_id, acknowledge)


def acknowledged_by(project: Project, labelers: list[User], victims: list[User]) -> Iterator[UUID]:
    """Run one child a labeler; kill each victim once it has answered a few times."""
    connections.close_all()
    readers: dict[Connection, tuple[int, bool]] = {}
    children, answers = [], Counter[int]()
    for labeler in labelers:
        reader, writer = fork.Pipe(duplex=False)
        child = fork.Process(target=without_a_broker, args=(project.pk, labeler.pk, writer))
        child.start()
        writer.close()
        readers[reader] = (child.pid or 0, labeler in victims)
        children.append(child)
    while readers:
        for reader in [one for one in wait(list(readers)) if isinstance(one, Connection)]:
            pid, is_victim = readers[reader]
            try:
                uuid = reader.recv()
            except EOFError:
                del readers[reader]
                continue
            yield uuid
            answers[pid] += 1
            if is_victim and answers[pid] == ACKNOWLEDGED_BEFORE_THE_KILL:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    for child in children:
        child.join(timeout=30)
    ends = {child.exitcode for child in children}
    assert ends <= {0, -signal.SIGKILL}, "a process failed instead of being served another place"


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_eight_processes_of_which_three_are_killed_fill_every_place_exactly_once():
    project = factories.project(overlap=OVERLAP)
    prompt = factories.prompt(project)
    for _ in range(COMPARISONS):
        factories.comparison(prompt, overlap=OVERLAP)
    labelers = [factories.member(project) for _ in range(LABELERS)]
    victims = labelers[:VICTIMS]

    acknowledged = list(acknowledged_by(project, labelers, victims))
    Assignment.objects.filter(state="leased").update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )
    acknowledged += list(acknowledged_by(project, labelers, []))

    stored = list(Judgment.objects.values_list("client_uuid", flat=True))
    assert set(acknowledged) <= set(stored), "an acknowledged judgment is lost"
    assert len(stored) == COMPARISONS * OVERLAP
    per_person = Counter(Judgment.objects.values_list("labeler_id", "comparison_id"))
    assert max(per_person.values()) == 1
    rows = Comparison.objects.values_list("state", "slots_taken", "judgments_counted")
    assert set(rows) == {("judged", OVERLAP, OVERLAP)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_eight_who_ask_for_the_last_place_at_once_one_gets_it():
    project = factories.project(overlap=1)
    factories.comparison(factories.prompt(project))
    labelers = [factories.member(project) for _ in range(LABELERS)]
    acknowledged = list(acknowledged_by(project, labelers, []))
    assert len(acknowledged) == 1
    assert Assignment.objects.count() == 1
