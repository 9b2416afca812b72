"""Gold beside real work: whoever holds or judged a comparison when it becomes gold, or is gold no more."""

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.gold import gold_answers
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services import judging
from annotation.comparisons.services.batches import Chosen, create_batch, set_state
from annotation.comparisons.services.comparisons import set_closed
from annotation.comparisons.services.queue import expire_leases, lease_next_comparison
from annotation.comparisons.services.requeue import requeue, undo_requeue
from annotation.comparisons.verdicts import Answer
from annotation.core.errors import Conflict
from annotation.projects.models import Project, Role
from annotation.quality import gold
from annotation.quality.acts import act, labeler_of
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(must_qualify=True)


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


def marked(project, admin):
    comparison = factories.comparison(factories.prompt(project))
    gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    comparison.refresh_from_db()
    return comparison


@pytest.fixture
def held(project, labeler):
    """A comparison of one place that a labeler at real work holds."""
    Project.objects.update(must_qualify=False)
    factories.comparison(factories.prompt(project))
    return lease_next_comparison(project=project, labeler=labeler)


def known(comparison):
    return [[pk] for pk in comparison.candidate_ids]


def answer(assignment):
    return judging.submit_judgment(
        assignment=assignment,
        client_uuid=uuid4(),
        ranking=known(assignment.comparison),
        strengths=[1],
    )


def test_who_holds_what_becomes_gold_answers_it_as_gold_and_others_get_it_still(
    project, admin, held
):
    comparison = held.comparison
    gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    assert answer(held).is_counted is False
    comparison.refresh_from_db()
    assert (comparison.state, comparison.slots_taken, comparison.judgments_counted) == (
        "open",
        0,
        0,
    )
    assert gold_answers(project).count() == 1
    Project.objects.update(must_qualify=True)
    other = lease_next_comparison(project=project, labeler=factories.member(project))
    assert other.comparison == comparison


def test_a_judgment_revised_after_its_comparison_became_gold_keeps_it_served(
    project, labeler, admin, held
):
    comparison = held.comparison
    answer(held)
    item = gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    answer(judging.undo_last(project=project, labeler=labeler).assignment)
    comparison.refresh_from_db()
    assert (comparison.state, comparison.slots_taken, comparison.judgments_counted) == (
        "open",
        1,
        1,
    )
    assert gold.unmark_gold(item=item, actor=admin).state == "judged"


def test_who_holds_what_is_gold_no_more_takes_its_place_again(admin, held):
    comparison = held.comparison
    item = gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    gold.unmark_gold(item=item, actor=admin)
    assert answer(held).is_counted
    comparison.refresh_from_db()
    assert (comparison.slots_taken, comparison.judgments_counted, comparison.state) == (
        1,
        1,
        "judged",
    )


def test_gold_that_was_held_back_or_ended_before_it_was_kept_served_is_served_again(project, admin):
    rows = [marked(project, admin) for _ in range(4)]
    gold.retire_gold(item=rows[3].gold, reason="Wrong.", actor=admin)
    states = ["held", "judged", "open", "closed"]
    for row, state in zip(rows, states, strict=True):
        Comparison.objects.filter(pk=row.pk).update(state=state)
    other = factories.comparison(factories.prompt(project), state="held")
    migration = import_module("annotation.comparisons.migrations.0015_serve_by_language")
    with connection.cursor() as cursor:
        cursor.execute(migration.SERVE_GOLD_AGAIN)
    found = Comparison.objects.in_bulk()
    assert [found[row.pk].state for row in rows] == ["open", "open", "open", "closed"]
    assert found[other.pk].state == "held"


@pytest.mark.parametrize(("is_withdrawn", "state"), [(False, "judged"), (True, "closed")])
def test_what_was_gold_is_withdrawn_if_it_was_else_as_its_judgments_say(
    project, admin, held, is_withdrawn, state
):
    comparison = held.comparison
    set_closed(comparison=comparison, is_closed=is_withdrawn, actor=admin)
    item = gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    factories.judgment(comparison, is_imported=True)
    filled = {"slots_taken": 1, "judgments_counted": 1}
    Comparison.objects.filter(pk=comparison.pk).update(**filled)
    assert gold.unmark_gold(item=item, actor=admin).state == state


def test_gold_in_a_batch_is_served_while_the_batch_is_paused_and_held_once_it_is_gold_no_more(
    project, labeler, admin
):
    comparison = factories.comparison(factories.prompt(project))
    batch = create_batch(project=project, name="First", chosen=Chosen(), actor=admin)
    item = gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    set_state(batch=batch, state="paused", actor=admin)
    assert lease_next_comparison(project=project, labeler=labeler).comparison == comparison
    assert gold.unmark_gold(item=item, actor=admin).state == "held"


@pytest.mark.parametrize("is_closed", [True, False])
def test_gold_is_retired_and_restored_not_closed_and_opened(project, admin, client, is_closed):
    comparison = marked(project, admin)
    if not is_closed:
        gold.retire_gold(item=comparison.gold, reason="Unclear.", actor=admin)
    before = Comparison.objects.get().state
    with pytest.raises(Conflict, match="retire it, restore it"):
        set_closed(comparison=comparison, is_closed=is_closed, actor=admin)
    assert Comparison.objects.get().state == before
    client.force_login(admin)
    page = client.get(reverse("comparisons-detail", args=[project.pk, comparison.pk])).text
    assert reverse("comparisons-state", args=[project.pk, comparison.pk]) not in page


def test_who_is_to_retrain_holds_no_real_work_any_more(project, labeler, admin, held):
    known_one = marked(project, admin)
    Project.objects.update(must_qualify=True)
    act(member=labeler_of(project, labeler.pk), kind="retrain", text="Read on.", actor=admin)
    held.comparison.refresh_from_db()
    assert held.comparison.slots_taken == 0
    lease = lease_next_comparison(project=project, labeler=labeler)
    assert (lease.comparison, lease.is_training) == (known_one, True)
    assert answer(held).is_counted is False


def served_beside_an_answer(project, labeler):
    """What comes after another comparison is answered, where the project mixes in gold only."""
    Project.objects.update(gold_share=1.0, must_qualify=False)
    factories.comparison(factories.prompt(project), priority=9)
    held = lease_next_comparison(project=project, labeler=labeler)
    answered = judging.answer_and_serve(
        labeler=labeler,
        project_id=project.pk,
        assignment_id=held.pk,
        answer=Answer(client_uuid=uuid4(), ranking=known(held.comparison), strengths=[1]),
    )
    return answered.served.leases[0].assignment


def test_a_lease_that_ran_out_comes_back_as_gold_and_takes_no_place(project, labeler, admin, held):
    comparison = held.comparison
    Assignment.objects.update(lease_until=timezone.now())
    assert expire_leases() == 1
    gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    again = served_beside_an_answer(project, labeler)
    assert (again.pk, again.takes_place) == (held.pk, False)
    assert answer(again).is_counted is False


def test_training_that_was_taken_back_comes_again_without_feedback(project, labeler, admin):
    comparison = marked(project, admin)
    training = lease_next_comparison(project=project, labeler=labeler)
    Assignment.objects.update(state=Assignment.State.EXPIRED)
    again = served_beside_an_answer(project, labeler)
    assert (again.pk, again.comparison, again.is_training) == (training.pk, comparison, False)


def test_gold_that_ran_out_and_is_gold_no_more_takes_a_place(project, labeler, admin):
    comparison = marked(project, admin)
    training = lease_next_comparison(project=project, labeler=labeler)
    Assignment.objects.update(state=Assignment.State.EXPIRED)
    gold.unmark_gold(item=comparison.gold, actor=admin)
    Project.objects.update(must_qualify=False)
    again = lease_next_comparison(project=project, labeler=labeler)
    assert (again.pk, again.is_training) == (training.pk, False)
    assert answer(again).is_counted


def test_a_further_label_taken_back_leaves_gold_in_use(project, admin, held):
    comparison, guideline = held.comparison, project.guidelines.create(version=1, text="x")
    judgment = answer(held)
    Judgment.objects.filter(pk=judgment.pk).update(guideline=guideline)
    asked = requeue(
        guideline=project.guidelines.create(version=2, text="y"),
        scope="judged_under",
        judged_under=guideline,
        actor=admin,
    )
    gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    undo_requeue(project=project, pk=asked.pk, actor=admin)
    comparison.refresh_from_db()
    assert (comparison.state, comparison.overlap) == ("open", 1)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ({"takes_place": False}, None),
        ({"takes_place": False, "is_repeat": True}, None),
        ({"takes_place": False, "is_training": True}, "The known verdict is another"),
    ],
)
def test_without_script_gold_and_repeats_say_nothing_and_training_gives_feedback(
    client, project, labeler, admin, kind, told
):
    comparison = factories.comparison(factories.prompt(project))
    second = comparison.candidate_ids[1]
    gold.mark_gold(comparison=comparison, known_ranking=known(comparison), actor=admin)
    lease = Assignment.objects.create(
        project=project,
        comparison=comparison,
        labeler=labeler,
        shown_order=comparison.candidate_ids,
        lease_until=timezone.now() + timedelta(minutes=5),
        **kind,
    )
    client.force_login(labeler)
    fields = {"assignment": lease.pk, "client_uuid": str(uuid4()), "overall": f"{second}:2"}
    page = client.post(reverse("comparisons-label", args=[project.pk]), fields, follow=True).text
    assert Judgment.objects.get().assignment == lease
    assert "not counted" not in page
    assert told is None or told in page
