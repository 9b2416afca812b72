"""Two admins queue again at once, or one while a comparison is withdrawn: nothing gets a slot twice."""

import pytest
from django.db import transaction

from annotation.comparisons.models import Comparison, Requeue
from annotation.comparisons.services.comparisons import set_closed
from annotation.comparisons.services.requeue import requeue
from annotation.core.errors import Conflict
from annotation.projects.services import projects
from tests import factories
from tests.integration.test_requeue import judged
from tests.waiting import beside

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project():
    return projects.create_project(name="Ours", actor=factories.user(is_staff=True))


def press(project) -> Requeue:
    return requeue(guideline=project.guidelines.get(), scope="disagreed", actor=project.created_by)


def test_of_two_presses_at_once_one_gives_a_slot(project):
    one = judged(project, flipped=True)
    with transaction.atomic():
        press(project)
        second = beside(lambda: press(project))
    with pytest.raises(Conflict, match="No comparison fits"):
        second.result()
    one.refresh_from_db()
    assert (one.overlap, one.state) == (3, "open")
    assert Requeue.objects.count() == 1


def test_what_is_withdrawn_meanwhile_stays_withdrawn(project):
    gone, kept = judged(project, flipped=True), judged(project, flipped=True)
    with transaction.atomic():
        set_closed(comparison=gone, is_closed=True, actor=project.created_by)
        pressed = beside(lambda: press(project))
    assert pressed.result().comparison_ids == [kept.pk]
    assert list(Comparison.objects.order_by("pk").values_list("overlap", "state")) == [
        (2, "closed"),
        (3, "open"),
    ]
