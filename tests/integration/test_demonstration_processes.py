"""Real processes ask for something to write at the same time: never two people on one opening, none left out."""

from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection
from uuid import uuid4

import pytest
from django.db import connections

from annotation.accounts.models import User
from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.demonstrations.services import writing
from annotation.projects.models import Project
from tests import factories

fork = get_context("fork")
PROMPTS, PER_PROMPT, WRITERS = 6, 2, 6


def write_until_empty(project_id: int, author_id: int, told: Connection) -> None:
    """What each child does: lease, send the same text twice, until there is nothing left for it."""
    project, author = Project.objects.get(pk=project_id), User.objects.get(pk=author_id)
    while isinstance(row := writing.lease_next(project=project, author=author), Demonstration):
        uuid = uuid4()
        for _ in range(2):
            writing.submit(demonstration=row, client_uuid=uuid, text=f"By {author_id}.")
        told.send(row.opening_id)
    told.close()


def lease_once(project_id: int, author_id: int, told: Connection) -> None:
    project, author = Project.objects.get(pk=project_id), User.objects.get(pk=author_id)
    found = writing.lease_next(project=project, author=author)
    told.send(found.pk if isinstance(found, Demonstration) else found.reason.value)
    told.close()


def told_by(work, project: Project, authors: list[User]) -> list:
    """Run one child for each author at once; all that they told."""
    connections.close_all()
    readers, children = [], []
    for author in authors:
        reader, writer = fork.Pipe(duplex=False)
        child = fork.Process(target=work, args=(project.pk, author.pk, writer))
        child.start()
        writer.close()
        readers.append(reader)
        children.append(child)
    found = [message for reader in readers for message in _all_of(reader)]
    for child in children:
        child.join(timeout=30)
    assert {child.exitcode for child in children} == {0}
    return found


def _all_of(reader: Connection):
    while True:
        try:
            yield reader.recv()
        except EOFError:
            return


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_many_writers_at_once_fill_every_opening_exactly_once():
    project = factories.project()
    for _ in range(PROMPTS):
        prompt = factories.prompt(project)
        for number in range(1, PER_PROMPT + 1):
            Opening.objects.create(project=project, prompt=prompt, number=number)
    authors = [factories.member(project) for _ in range(WRITERS)]
    filled = told_by(write_until_empty, project, authors)
    assert Counter(filled) == dict.fromkeys(Opening.objects.values_list("pk", flat=True), 1)
    assert Version.objects.count() == PROMPTS * PER_PROMPT
    twice = Counter(Demonstration.objects.values_list("author_id", "prompt_id"))
    assert max(twice.values()) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_many_requests_of_one_person_all_get_the_same_draft():
    project = factories.project()
    prompt = factories.prompt(project)
    for number in range(1, 4):
        Opening.objects.create(project=project, prompt=prompt, number=number)
    author = factories.member(project)
    found = told_by(lease_once, project, [author] * 4)
    assert len(set(found)) == 1
    assert Opening.objects.filter(state="held").count() == 1
