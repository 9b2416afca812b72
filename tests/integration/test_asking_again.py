"""Judged comparisons are asked again in a batch: what waits stays where it is, the undo puts back what nobody has."""

import pytest
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.again import ask_again, undo_asking
from annotation.comparisons.services.queue import lease_next_comparison, skip_assignment
from annotation.core.errors import Conflict
from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


@pytest.fixture
def first(project):
    """The batch in which the comparisons are."""
    return Batch.objects.create(project=project, name="First", priority=3)


def judged(project, batch, **fields) -> Comparison:
    """Judged by one of one, served first."""
    there = {"state": "judged", "slots_taken": 1, "judgments_counted": 1, "priority": 3}
    one = factories.comparison(factories.prompt(project), batch=batch, **(there | fields))
    factories.judgment(one)
    return one


def asked(admin, *comparisons) -> Batch:
    return ask_again(
        project=comparisons[0].project,
        name="Again",
        comparisons=[one.pk for one in comparisons],
        made_from={"card": 1},
        actor=admin,
    )


def where(one: Comparison) -> tuple[int | None, int, str, int]:
    row = Comparison.objects.get(pk=one.pk)
    return row.batch_id, row.priority, row.state, row.overlap


def test_what_waits_for_a_label_stays_where_it_is(project, admin, first):
    waiting = judged(project, first, state="open", overlap=2)
    done = judged(project, first)
    batch = asked(admin, waiting, done)
    assert where(waiting) == (first.pk, 3, "open", 2)
    assert where(done) == (batch.pk, 10, "open", 2)
    told = AuditEvent.objects.get(verb="batch.asked_again")
    assert told.data == {"comparisons": [done.pk]}


def test_nothing_is_asked_where_all_wait_already(project, admin, first):
    waiting = judged(project, first, state="open", overlap=2)
    with pytest.raises(Conflict, match="waits for a label already"):
        asked(admin, waiting)
    assert list(Batch.objects.all()) == [first]


def test_a_comparison_is_served_no_later_than_it_would_have_been(project, admin, first):
    urgent = judged(project, first, priority=50)
    batch = asked(admin, urgent)
    assert where(urgent) == (batch.pk, 50, "open", 2)


def test_an_undo_puts_back_where_it_was_and_the_same_can_be_asked_anew(project, admin, first):
    one, early = judged(project, first), judged(project, None, priority=0, overlap=4)
    project.stop_when_agreeing = 1
    project.save(update_fields=["stop_when_agreeing"])
    batch = asked(admin, one, early)
    assert undo_asking(project=project, pk=batch.pk, actor=admin) == 2
    assert where(one) == (first.pk, 3, "judged", 1)
    assert where(early) == (None, 0, "judged", 4)
    assert list(Batch.objects.all()) == [first]
    told = AuditEvent.objects.get(verb="batch.asking_undone")
    assert (told.object_id, told.data) == (batch.pk, {"comparisons": [one.pk, early.pk]})
    assert asked(admin, one).name == "Again"


def test_what_waits_again_is_held_by_the_batch_it_came_from(project, admin, first):
    """Nothing ends early any more, so the places it had before are open."""
    early = judged(project, first, overlap=3)
    batch = asked(admin, early)
    Batch.objects.filter(pk=first.pk).update(state="paused")
    undo_asking(project=project, pk=batch.pk, actor=admin)
    assert where(early) == (first.pk, 3, "held", 3)


def test_what_was_served_meanwhile_stays_in_the_batch(project, admin, first):
    served, other = judged(project, first, priority=50), judged(project, first)
    batch = asked(admin, served, other)
    lease = lease_next_comparison(project=project, labeler=factories.member(project))
    assert lease.comparison_id == served.pk
    assert undo_asking(project=project, pk=batch.pk, actor=admin) == 1
    assert where(served) == (batch.pk, 50, "open", 2)
    assert where(other) == (first.pk, 3, "judged", 1)
    assert undo_asking(project=project, pk=batch.pk, actor=admin) == 0
    skip_assignment(assignment=lease, reason="other")
    assert undo_asking(project=project, pk=batch.pk, actor=admin) == 1
    assert list(Batch.objects.all()) == [first]


def test_the_batch_that_it_came_from_may_be_gone(project, admin, first):
    one = judged(project, first)
    batch = asked(admin, one)
    first.delete()
    undo_asking(project=project, pk=batch.pk, actor=admin)
    assert where(one) == (None, 3, "judged", 1)


def test_the_page_of_the_batch_has_the_button(project, admin, first, client):
    one = judged(project, first)
    batch = asked(admin, one)
    client.force_login(admin)
    undo = reverse("comparisons-batch-undo", args=[project.pk, batch.pk])
    assert undo in client.get(reverse("comparisons-batch", args=[project.pk, batch.pk])).text
    page = client.get(reverse("comparisons-batch", args=[project.pk, first.pk])).text
    assert "Undo what is unserved" not in page
    assert "Places taken back: 1." in client.post(undo, follow=True).text
    assert where(one) == (first.pk, 3, "judged", 1)


def test_the_api_takes_back_once_and_only_in_its_project(project, admin, first, api):
    batch = asked(admin, judged(project, first))
    foreign = Batch.objects.create(project=factories.project(), name="Theirs")
    api.force_authenticate(admin)

    def delete(pk):
        return api.delete(reverse("api-batch-asked-again", args=[project.pk, pk]))

    assert delete(foreign.pk).status_code == 404
    assert delete(first.pk).status_code == 409
    assert delete(batch.pk).json() == {"comparisons": 1}
    assert delete(batch.pk).status_code == 404
