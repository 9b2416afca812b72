"""Early stop: so many equal verdicts end a comparison before all its places are filled."""

import json
from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from celery import current_app
from django.db import connection, transaction
from django.db.migrations.state import ProjectState
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from annotation.audit.models import AuditEvent
from annotation.comparisons.batches import batches_of
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services import early_stop, judging, queue
from annotation.comparisons.services.importing import import_here
from annotation.comparisons.services.machines import store_machine_judgment
from annotation.comparisons.services.requeue import requeue, undo_requeue
from annotation.core.jobs import Job
from annotation.core.statements import take_turns
from annotation.projects.models import Project, Role
from annotation.projects.selectors import behind_early_stop
from annotation.projects.services.projects import publish_guideline, update_settings
from annotation.prompts.models import PromptImport
from annotation.prompts.services import importing
from annotation.prompts.services.requesting import request_import
from tests import factories
from tests.refusals import refusal_in
from tests.waiting import beside
from workers import housekeeping
from workers.comparisons import settle_early_stop

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(overlap=3, stop_when_agreeing=2)


@pytest.fixture
def comparison(project):
    return factories.comparison(factories.prompt(project), overlap=3)


def leased(comparison, count=1):
    people = [factories.member(comparison.project) for _ in range(count)]
    return [queue.lease_next_comparison(project=comparison.project, labeler=one) for one in people]


def say(assignment, verdict="<", strength=1):
    """The first candidate of the pair is better, or the second, or all are bad."""
    first, second = assignment.comparison.candidate_ids
    better = {"<": [[first], [second]], ">": [[second], [first]]}
    answer = (
        {"is_all_bad": True}
        if verdict == "x"
        else {"ranking": better[verdict], "strengths": [strength]}
    )
    return judging.submit_judgment(assignment=assignment, client_uuid=uuid4(), **answer)


def machine_says_the_first(comparison):
    first, second = comparison.candidate_ids
    store_machine_judgment(
        comparison=comparison,
        labeler=factories.user(kind="machine"),
        client_uuid=uuid4(),
        ranking=[[first], [second]],
    )


def state_after(comparison, verdicts):
    for verdict in verdicts:
        (assignment,) = leased(comparison)
        say(assignment, verdict)
    comparison.refresh_from_db()
    return comparison.state


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [("<", "open"), ("<<", "judged"), ("xx", "judged"), ("<>", "open"), ("<x", "open"), ("<><", "judged")],
)  # fmt: skip
def test_two_equal_verdicts_end_a_comparison_of_three(comparison, verdicts, state):
    assert state_after(comparison, verdicts) == state


def test_strength_makes_no_dispute(comparison):
    for strength, assignment in enumerate(leased(comparison, 2), start=1):
        say(assignment, strength=strength)
    comparison.refresh_from_db()
    assert comparison.state == "judged"


@pytest.mark.parametrize(("verdicts", "state"), [("<", "open"), ("<<", "judged"), (">>", "judged")])
def test_a_machine_judge_neither_agrees_nor_disputes(comparison, verdicts, state):
    machine_says_the_first(comparison)
    assert state_after(comparison, verdicts) == state


def test_undoing_leaves_a_machine_judge_out_too(comparison):
    machine_says_the_first(comparison)
    first, second = leased(comparison, 2)
    say(first)
    judging.undo_judgment(judgment=say(second))
    comparison.refresh_from_db()
    assert comparison.state == "open"


def test_without_the_setting_every_place_is_filled(project, comparison):
    project.stop_when_agreeing = None
    project.save()
    assert state_after(comparison, "<<") == "open"


def test_what_has_ended_is_given_to_nobody(comparison):
    state_after(comparison, "<<")
    (empty,) = leased(comparison)
    assert empty.reason == "all_judged"


def test_who_is_at_work_on_it_still_counts_and_opens_it_by_a_dispute(comparison):
    first, second, third = leased(comparison, 3)
    for one in (first, second):
        say(one)
    assert say(third, ">").is_counted
    comparison.refresh_from_db()
    assert (comparison.state, comparison.judgments_counted) == ("judged", 3)


def test_a_dispute_by_a_late_answer_opens_it_for_one_more(project):
    comparison = factories.comparison(factories.prompt(project), overlap=4)
    first, second, third = leased(comparison, 3)
    for one, verdict in ((first, "<"), (second, "<"), (third, ">")):
        say(one, verdict)
    comparison.refresh_from_db()
    assert comparison.state == "open"


def test_a_dispute_in_a_paused_batch_waits_there(project):
    batch = Batch.objects.create(project=project, name="May")
    comparison = factories.comparison(factories.prompt(project), overlap=4, batch=batch)
    first, second, third = leased(comparison, 3)
    say(first)
    say(second)
    Batch.objects.update(state="paused")
    say(third, ">")
    comparison.refresh_from_db()
    assert comparison.state == "held"


def test_undoing_one_of_two_equal_verdicts_opens_it(comparison):
    first, second = leased(comparison, 2)
    say(first)
    judging.undo_judgment(judgment=say(second))
    comparison.refresh_from_db()
    assert (comparison.state, comparison.judgments_counted) == ("open", 1)


def test_undoing_the_dispute_ends_it_again(project):
    comparison = factories.comparison(factories.prompt(project), overlap=4)
    first, second, third = leased(comparison, 3)
    say(first)
    say(second)
    judging.undo_judgment(judgment=say(third, ">"))
    comparison.refresh_from_db()
    assert comparison.state == "judged"


def test_undoing_a_requeue_ends_it_again(project, comparison, admin):
    old = publish_guideline(project=project, text="# One", actor=admin)
    state_after(comparison, "<<")
    new = publish_guideline(project=project, text="# Two", actor=admin)
    asked = requeue(guideline=new, scope="judged_under", judged_under=old, actor=admin)
    comparison.refresh_from_db()
    assert comparison.state == "open"
    undo_requeue(project=project, pk=asked.pk, actor=admin)
    comparison.refresh_from_db()
    assert (comparison.state, comparison.overlap) == ("judged", 3)


def test_a_batch_wants_no_more_labels_of_what_has_ended(project):
    batch = Batch.objects.create(project=project, name="May")
    comparison = factories.comparison(factories.prompt(project), overlap=3, batch=batch)
    state_after(comparison, "<<")
    counted = batches_of(project).get()
    assert (counted.labels_given, counted.labels_wanted) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_two_verdicts_at_the_same_moment_overlook_no_dispute(comparison):
    """The second waits until the first is stored, and then sees that they differ."""
    first, second = leased(comparison, 2)
    with transaction.atomic():
        say(first, "<")
        other = beside(lambda: say(second, ">"))
    other.result()
    comparison.refresh_from_db()
    assert (comparison.state, comparison.judgments_counted) == ("open", 2)


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


def test_the_page_tries_it_on_history_and_saves_it(client, project, admin):
    project.stop_when_agreeing = None
    project.save()
    comparison = factories.comparison(factories.prompt(project), overlap=3)
    state_after(comparison, "<<<")
    client.force_login(admin)
    url = reverse("quality-early-stop", args=[project.pk])
    tried = client.post(url, {"agreeing": "2"}).text
    assert "1 would have ended at 2" in tried
    assert "saves 1 of 3 labels" in tried
    client.post(url, {"agreeing": "2", "save": "yes"})
    project.refresh_from_db()
    assert project.stop_when_agreeing == 2
    client.post(url, {"agreeing": "", "save": "yes"})
    project.refresh_from_db()
    assert project.stop_when_agreeing is None


@pytest.mark.parametrize(("agreeing", "is_idle"), [(None, False), (2, False), (3, True), (5, True)])
def test_an_early_stop_that_ends_nothing_says_so_beside_its_field(
    client, project, admin, agreeing, is_idle
):
    """A comparison has three labels here: with three of them there is nothing left to save."""
    client.force_login(admin)
    update_settings(project=project, actor=admin, stop_when_agreeing=agreeing)
    for route in ("projects-settings", "quality-rules"):
        page = client.get(reverse(route, args=[project.pk])).text
        assert ("ends nothing early: no comparison gets more labels than 3" in page) == is_idle
    url = reverse("quality-early-stop", args=[project.pk])
    told = client.post(url, {"agreeing": agreeing or "", "save": "yes"}, follow=True)
    (message,) = (str(one) for one in told.context["messages"])
    assert ("ends nothing early" in message) == is_idle


@pytest.mark.parametrize("wrong", ["1", "51", "two", "2.5"])
def test_the_page_says_what_is_wrong(client, project, admin, wrong):
    client.force_login(admin)
    url = reverse("quality-early-stop", args=[project.pk])
    for button in ({}, {"save": "yes"}):
        page = client.post(url, {"agreeing": wrong, **button})
        assert page.status_code == 400
        assert "agreeing" in refusal_in(page.text, url)
        assert f'value="{wrong}"' in page.text
        assert "Now: 2." in page.text
    project.refresh_from_db()
    assert project.stop_when_agreeing == 2


def test_the_api_tries_and_sets_it(project, comparison, admin):
    state_after(comparison, "<<")
    api = APIClient()
    api.force_authenticate(admin)
    tried = api.post(
        reverse("api-early-stop-dry-run", args=[project.pk]), {"agreeing": 2}, format="json"
    )
    assert tried.json() == {
        "agreeing": 2, "comparisons": 0, "stopped": 0, "judgments": 2, "judgments_saved": 0, "overruled": 0,
    }  # fmt: skip
    set_to = api.patch(f"/api/v1/projects/{project.pk}/", {"stop_when_agreeing": 3}, format="json")
    assert set_to.json()["stop_when_agreeing"] == 3
    refused = api.patch(f"/api/v1/projects/{project.pk}/", {"stop_when_agreeing": 1}, format="json")
    assert refused.status_code == 400


def test_who_switches_it_on_ends_what_has_agreed_already(project, comparison, admin):
    project.stop_when_agreeing = None
    project.save()
    disputed = factories.comparison(factories.prompt(project), overlap=3)
    states = [state_after(comparison, "<<"), state_after(disputed, "<>")]
    assert states == ["open", "open"]
    update_settings(project=project, actor=admin, stop_when_agreeing=2)
    settle_early_stop(project.pk)
    assert states_of(comparison, disputed) == ["judged", "open"]
    event = AuditEvent.objects.get(verb="project.early_stop_settled")
    assert event.data == {"ended": 1, "opened": 0}


@pytest.mark.parametrize(("wanted", "state"), [(None, "open"), (3, "open"), (2, "judged")])
def test_who_asks_for_more_opens_what_ended_too_soon(project, comparison, admin, wanted, state):
    state_after(comparison, "<<")
    update_settings(project=project, actor=admin, stop_when_agreeing=wanted)
    settle_early_stop(project.pk)
    assert states_of(comparison) == [state]


def test_what_is_opened_in_a_paused_batch_waits_there(project, admin):
    batch = Batch.objects.create(project=project, name="May")
    comparison = factories.comparison(factories.prompt(project), overlap=3, batch=batch)
    state_after(comparison, "<<")
    Batch.objects.update(state="paused")
    update_settings(project=project, actor=admin, stop_when_agreeing=None)
    settle_early_stop(project.pk)
    assert states_of(comparison) == ["held"]


def test_looking_back_leaves_closed_ones_and_full_ones_alone(project, admin):
    closed, full = (factories.comparison(factories.prompt(project), overlap=2) for _ in range(2))
    Comparison.objects.filter(pk=closed.pk).update(state="closed")
    state_after(full, "<>")
    update_settings(project=project, actor=admin, stop_when_agreeing=None)
    settle_early_stop(project.pk)
    assert states_of(closed, full) == ["closed", "judged"]


def test_changing_the_setting_rings_and_the_sweep_asks_once(
    project, admin, monkeypatch, django_capture_on_commit_callbacks
):
    rung = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: rung.append((name, args)))
    with django_capture_on_commit_callbacks(execute=True):
        update_settings(project=project, actor=admin, stop_when_agreeing=3)
    assert rung == [(Job.SETTLE_EARLY_STOP, [project.pk])]
    assert list(behind_early_stop()) == [project]
    settle_early_stop(project.pk)
    assert not behind_early_stop()


def test_the_sweep_rings_for_what_waits_and_does_nothing_of_it_itself(
    project, comparison, admin, monkeypatch
):
    rung = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: rung.append((name, args)))
    waiting = {"cpu": 0}
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda queue: waiting.get(queue, 0))
    state_after(comparison, "<<")
    update_settings(project=project, actor=admin, stop_when_agreeing=3)
    housekeeping.sweep()
    waiting["cpu"] = housekeeping.of_schedule() + 1
    housekeeping.sweep()
    assert rung == [(Job.SETTLE_EARLY_STOP, [project.pk])]
    assert states_of(comparison) == ["judged"]


@pytest.mark.parametrize(("seconds_left", "state"), [(60, "judged"), (-1, "open")])
def test_one_worker_at_a_time_looks_back(project, comparison, admin, seconds_left, state):
    state_after(comparison, "<<")
    update_settings(project=project, actor=admin, stop_when_agreeing=3)
    project.early_stop_held_until = timezone.now() + timedelta(seconds=seconds_left)
    project.save()
    is_free = bool(behind_early_stop())
    settle_early_stop(project.pk)
    assert (is_free, states_of(comparison)) == (state == "open", [state])


def test_a_setting_that_changes_while_somebody_looks_back_is_looked_back_on_anew(
    project, admin, monkeypatch
):
    """The first goes no further than the comparison at which it changed; the second sees both."""
    update_settings(project=project, actor=admin, stop_when_agreeing=None)
    pair = [factories.comparison(factories.prompt(project), overlap=3) for _ in range(2)]
    for one in pair:
        for _ in range(2):
            factories.judgment(one)
    Comparison.objects.update(judgments_counted=2, slots_taken=2)
    monkeypatch.setattr(early_stop, "AT_ONCE", 1)
    update_settings(project=project, actor=admin, stop_when_agreeing=2)

    def settle_and_change(project, keys, settle=early_stop.settle):
        found = settle(project, keys)
        monkeypatch.setattr(early_stop, "settle", settle)
        update_settings(project=project, actor=admin, stop_when_agreeing=3)
        return found

    monkeypatch.setattr(early_stop, "settle", settle_and_change)
    settle_early_stop(project.pk)
    assert list(behind_early_stop()) == [project]
    assert states_of(*pair) == ["judged", "open"]
    settle_early_stop(project.pk)
    assert states_of(*pair) == ["open", "open"]
    events = AuditEvent.objects.filter(verb="project.early_stop_settled").order_by("pk")
    assert [one.data for one in events] == [
        {"ended": 1, "opened": 0},
        {"ended": 0, "opened": 1},
    ]


@pytest.mark.django_db(transaction=True)
def test_looking_back_overlooks_nothing_of_a_batch_that_is_stored_meanwhile(project, comparison):
    Project.objects.update(is_early_stop_settled=False)
    with transaction.atomic():
        take_turns(importing.TURNS, project.pk)
        for _ in range(2):
            factories.judgment(comparison)
        Comparison.objects.update(judgments_counted=2, slots_taken=2)
        other = beside(lambda: settle_early_stop(project.pk))
    other.result()
    assert states_of(comparison) == ["judged"]


def test_what_was_set_before_there_was_looking_back_is_looked_back_on(project):
    factories.project()
    name = "0007_settle_what_was_set_before"
    module = import_module(f"annotation.projects.migrations.{name}")
    with connection.schema_editor() as editor:
        module.Migration(name, "projects").apply(ProjectState(), editor)
    assert list(behind_early_stop()) == [project]


def imported(project, rows, progress=lambda *_: None):
    raw = b"\n".join(json.dumps(row).encode() for row in rows)
    requested = request_import(
        project=project,
        chunks=[raw],
        filename="votes.jsonl",
        actor=None,
        contents=PromptImport.Contents.JUDGMENTS,
        by_worker=False,
    )
    import_here(prompt_import=requested, owner="test", progress=progress)
    assert requested.rows_created == len(rows)


def votes_on(comparison, winners):
    first, second = (one.text for one in comparison.candidates.order_by("pk"))
    return [
        {
            "prompt": comparison.prompt.turns[-1]["content"],
            "response_a": first,
            "response_b": second,
            "winner": winner,
            "labeler": f"person-{at}",
        }
        for at, winner in enumerate(winners)
    ]


@pytest.mark.parametrize(
    ("here", "winners", "state"),
    [("<", "a", "judged"), ("<", "b", "open"), ("", "aa", "judged"), ("<<", "b", "open")],
)
def test_imported_verdicts_end_and_open_comparisons_too(project, here, winners, state):
    comparison = factories.comparison(factories.prompt(project), overlap=5)
    state_after(comparison, here)
    imported(project, votes_on(comparison, winners))
    assert states_of(comparison) == [state]
    assert Comparison.objects.get().judgments_counted == len(here) + len(winners)


def test_an_import_under_way_follows_a_setting_that_changes(project, admin, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 1)
    update_settings(project=project, actor=admin, stop_when_agreeing=None)
    late = factories.comparison(factories.prompt(project), overlap=5)
    assert state_after(late, "<<") == "open"
    early = factories.comparison(factories.prompt(project), overlap=5)

    def switch_on(done, *_):
        if done == 1:
            update_settings(project=project, actor=admin, stop_when_agreeing=2)
            settle_early_stop(project.pk)

    imported(project, [*votes_on(early, "a"), *votes_on(late, "a")], progress=switch_on)
    assert states_of(early, late) == ["open", "judged"]


def states_of(*comparisons):
    for one in comparisons:
        one.refresh_from_db()
    return [one.state for one in comparisons]


def test_what_an_admin_puts_back_stays_ended(comparison, admin):
    from annotation.comparisons.services.comparisons import set_closed

    state_after(comparison, "<<")
    for is_closed in (True, False):
        set_closed(comparison=comparison, is_closed=is_closed, actor=admin)
    assert Comparison.objects.get().state == "judged"
