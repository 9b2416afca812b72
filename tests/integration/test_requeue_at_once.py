"""Two admins queue again at once, or one while a comparison is withdrawn: nothing gets a slot twice."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from annotation.comparisons.models import Comparison, Requeue
from annotation.comparisons.services.comparisons import set_closed
from annotation.comparisons.services.requeue import requeue
from annotation.core.errors import Conflict
from annotation.projects.services import projects
from tests import factories
from tests.integration.test_requeue import judged
from tests.waiting import eventually, somebody_waits_for_this_transaction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project():
    return projects.create_project(name="Ours", actor=factories.user(is_staff=True))


@pytest.fixture
def other():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def press(project) -> Requeue:
    return requeue(guideline=project.guidelines.get(), scope="disagreed", actor=project.created_by)


def waiting_press(project, other) -> Future[Requeue]:
    """Pressed in a connection of its own, which waits for what this one holds."""

    def whole():
        try:
            return press(project)
        finally:
            connections.close_all()

    pressed = other.submit(whole)
    eventually(somebody_waits_for_this_transaction)
    return pressed


def test_of_two_presses_at_once_one_gives_a_slot(project, other):
    one = judged(project, flipped=True)
    with transaction.atomic():
        press(project)
        second = waiting_press(project, other)
    with pytest.raises(Conflict, match="No comparison fits"):
        second.result()
    one.refresh_from_db()
    assert (one.overlap, one.state) == (3, "open")
    assert Requeue.objects.count() == 1


def test_what_is_withdrawn_meanwhile_stays_withdrawn(project, other):
    gone, kept = judged(project, flipped=True), judged(project, flipped=True)
    with transaction.atomic():
        set_closed(comparison=gone, is_closed=True, actor=project.created_by)
        pressed = waiting_press(project, other)
    assert pressed.result().comparison_ids == [kept.pk]
    assert list(Comparison.objects.order_by("pk").values_list("overlap", "state")) == [
        (2, "closed"),
        (3, "open"),
    ]
