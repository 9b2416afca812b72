"""Batches: made of chosen prompts, served by priority, held back while paused or closed."""

import re
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons import claims
from annotation.comparisons.batches import ONE_MORE, batches_of
from annotation.comparisons.models import Assignment, Batch, Comparison
from annotation.comparisons.services import batches, judging, queue
from annotation.comparisons.services.batches import Chosen
from annotation.comparisons.services.comparisons import set_closed
from annotation.comparisons.services.importing import import_here
from annotation.comparisons.services.queue import lease_next_comparison
from annotation.comparisons.verdicts import Answer
from annotation.core.errors import Conflict, InvalidInput
from annotation.overview.selectors import counts_of
from annotation.projects.models import Project, Role
from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_rows
from annotation.quality.latest import latest_of
from tests import factories

pytestmark = pytest.mark.django_db
Contents = PromptImport.Contents


@pytest.fixture
def admin(project, client):
    client.force_login(factories.member(project, Role.ADMIN, username="ada"))
    return client


def actor(project):
    return project.memberships.filter(role=Role.ADMIN).first() or factories.member(
        project, Role.ADMIN
    )


def make(project, **fields):
    user = factories.user()
    return batches.create_batch(
        project=project, actor=user, **{"name": "First", "chosen": Chosen(), **fields}
    )


def test_a_batch_takes_free_comparisons_and_makes_those_that_lack(project):
    tagged = factories.prompt(project, tags=["rice"])
    there = factories.comparison(tagged)
    waiting = factories.prompt(project, tags=["rice"])
    factories.candidate(waiting)
    factories.candidate(waiting)
    other = factories.comparison(factories.prompt(project))
    batch = make(project, chosen=Chosen(tag="rice"), priority=7)
    assert batch.comparisons.count() == 2
    assert set(batch.comparisons.values_list("priority", flat=True)) == {7}
    there.refresh_from_db()
    other.refresh_from_db()
    assert (there.batch, other.batch) == (batch, None)
    assert batch.made_from == {"tag": "rice"}


def test_comparisons_that_are_there_are_taken_from_more_prompts_than_are_paired(
    project, monkeypatch
):
    monkeypatch.setattr(batches, "MOST_PROMPTS", 1)
    for _ in range(3):
        factories.comparison(factories.prompt(project))
    assert make(project).comparisons.count() == 3


@pytest.mark.parametrize("limit", ["MOST_PROMPTS", "MOST_COMPARISONS"])
def test_more_than_a_batch_takes_is_refused_whole(project, monkeypatch, limit):
    monkeypatch.setattr(batches, limit, 1)
    for _ in range(2):
        factories.comparison(factories.prompt(project))
        waiting = factories.prompt(project)
        factories.candidate(waiting)
        factories.candidate(waiting)
    with pytest.raises(InvalidInput, match=r"at most .* narrow it"):
        make(project)
    assert not project.batches.exists()
    assert not project.comparisons.exclude(batch=None).exists()


def test_a_wrong_file_is_out_of_the_queue_by_a_batch_and_comes_back(admin, project):
    """The import is older than those that the form offers by themselves."""
    rows = [{"prompt": "Which?", "response_a": "This.", "response_b": "That."}]
    wrong = request_rows(
        project=project, rows=rows, actor=None, contents=Contents.COMPARISONS, by_worker=False
    )
    import_here(prompt_import=wrong, owner="test", progress=lambda *_told: None)
    PromptImport.objects.filter(pk=wrong.pk).update(status="running")  # more may come
    assert (
        "batches/new" not in admin.get(reverse("prompts-import", args=[project.pk, wrong.pk])).text
    )
    PromptImport.objects.filter(pk=wrong.pk).update(status="done")
    PromptImport.objects.bulk_create(
        PromptImport(project=project, filename="later.jsonl") for _ in range(60)
    )
    page = admin.get(reverse("prompts-import", args=[project.pk, wrong.pk])).text
    address = unescape(re.search(r'href="([^"]*batches/new/[^"]*)"', page)[1])
    form = admin.get(address).context["form"]
    assert (form["prompt_import"].value(), form["name"].value()) == (str(wrong.pk), "rows.jsonl")
    sent = {"name": "Wrong", "priority": 0, "prompt_import": wrong.pk}
    made = admin.post(address, sent)
    assert f">import {wrong.pk}</a>" in admin.get(made.url).text
    [comparison] = project.comparisons.all()
    for state, becomes in (("closed", "held"), ("open", "open")):
        batches.set_state(batch=comparison.batch, state=state, actor=None)
        comparison.refresh_from_db()
        assert comparison.state == becomes


@pytest.mark.parametrize("named", ["999999", "-1", "x", "9" * 30, ""])
def test_an_import_that_there_is_not_chooses_nothing(admin, project, named):
    address = reverse("comparisons-batch-new", args=[project.pk])
    assert admin.get(address, {"prompt_import": named}).status_code == 200
    sent = {"name": "A", "priority": 0, "prompt_import": named or "0"}
    answer = admin.post(address, sent)
    assert (answer.status_code, list(answer.context["form"].errors)) == (400, ["prompt_import"])


def test_a_count_comes_first_and_makes_nothing(admin, project):
    prompt = factories.prompt(project, category="sums")
    factories.candidate(prompt)
    factories.candidate(prompt)
    factories.comparison(factories.prompt(project, category="sums"))
    page = admin.post(
        reverse("comparisons-batch-new", args=[project.pk]),
        {"name": "", "priority": 0, "category": "sums", "act": "count"},
    ).content.decode()
    assert "2 prompts fit" in page
    assert "1 free comparison, and 1 prompt whose" in page
    assert not Batch.objects.exists()


def test_nothing_to_compare_makes_no_batch(project):
    factories.prompt(project)
    with pytest.raises(Conflict, match="no two responses"):
        make(project)
    with pytest.raises(Conflict, match="No prompt fits"):
        make(project, chosen=Chosen(tag="none"))


def test_two_batches_of_one_name_are_refused(project):
    factories.comparison(factories.prompt(project))
    make(project)
    factories.comparison(factories.prompt(project))
    with pytest.raises(Conflict, match="already"):
        make(project)


def test_a_paused_batch_is_not_served_and_comes_back(project):
    factories.comparison(factories.prompt(project))
    batch, labeler = make(project), factories.member(project)
    batches.set_state(batch=batch, state="paused", actor=labeler)
    assert not isinstance(lease_next_comparison(project=project, labeler=labeler), Assignment)
    batches.set_state(batch=batch, state="open", actor=labeler)
    other = factories.member(project)
    assert isinstance(lease_next_comparison(project=project, labeler=other), Assignment)


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_labeler_reads_what_became_of_the_batch_that_the_rest_is_in(client, project, state):
    prompt = factories.prompt(project)
    factories.comparison(prompt), factories.comparison(prompt)
    batch, labeler = make(project), factories.member(project)
    client.force_login(labeler)
    url = reverse("api-assignment-next", args=[project.pk])
    lease = client.post(url).json()["assignment"]
    batches.set_state(batch=batch, state=state, actor=labeler)
    said = f"What is left is in a batch that an admin has {state}."

    first, second = (one["id"] for one in lease["candidates"])
    told = client.post(
        reverse("api-assignment-judgment", args=[project.pk, lease["id"]]),
        {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [1]},
        content_type="application/json",
    ).json()
    assert told["judgment"]["is_counted"]
    assert told["empty"]["reason"] == f"batch_{state}"
    assert said in told["empty"]["message"]
    assert client.post(url).json()["empty"] == told["empty"]
    assert said in client.get(reverse("comparisons-label", args=[project.pk])).text


def test_every_reason_for_an_empty_queue_has_its_sentence():
    assert set(queue.MESSAGES) == set(queue.EmptyReason)


def test_what_was_withdrawn_stays_withdrawn_when_its_batch_opens_again(project):
    prompt = factories.prompt(project)
    gone, there = factories.comparison(prompt), factories.comparison(prompt)
    batch, user = make(project), factories.user()
    Comparison.objects.filter(pk=gone.pk).update(state="closed")
    batches.set_state(batch=batch, state="closed", actor=user)
    there.refresh_from_db()
    assert there.state == "held"
    batches.set_state(batch=batch, state="open", actor=user)
    states = dict(batch.comparisons.values_list("pk", "state"))
    assert states == {gone.pk: "closed", there.pk: "open"}


@pytest.mark.parametrize(("state", "is_repeated"), [("open", True), ("paused", False)])
def test_what_was_judged_in_a_paused_batch_is_not_asked_again(
    project, monkeypatch, state, is_repeated
):
    monkeypatch.setattr(claims, "REPEAT_AFTER", 1)
    batched = factories.comparison(factories.prompt(project))
    batch, labeler = make(project), factories.member(project)
    factories.comparison(factories.prompt(project)), factories.comparison(factories.prompt(project))
    (second,) = answered(lease_next_comparison(project=project, labeler=labeler)).served.leases
    batches.set_state(batch=batch, state=state, actor=labeler)
    Project.objects.update(repeat_share=1.0)
    (third,) = answered(second.assignment).served.leases
    assert (third.comparison_id == batched.pk) is is_repeated


def answered(assignment):
    ranking = [[pk] for pk in assignment.comparison.candidate_ids]
    return judging.answer_and_serve(
        labeler=assignment.labeler,
        project_id=assignment.project_id,
        assignment_id=assignment.pk,
        answer=Answer(client_uuid=uuid4(), ranking=ranking, strengths=[1]),
    )


def test_what_was_said_in_a_batch_stays_once_it_is_closed(project):
    row = factories.comparison(factories.prompt(project))
    batch, labeler = make(project), factories.member(project)
    assignment = lease_next_comparison(project=project, labeler=labeler)
    answer = {"ranking": [[one] for one in row.candidate_ids], "strengths": [1]}
    judging.submit_judgment(assignment=assignment, client_uuid=uuid4(), **answer)
    batches.set_state(batch=batch, state="closed", actor=labeler)
    assert [one.key for one in latest_of(project, labeler.pk, "1").acts] == [None]
    with pytest.raises(Conflict, match="batch of this comparison is closed"):
        judging.undo_last(project=project, labeler=labeler)
    batches.set_state(batch=batch, state="paused", actor=labeler)
    judging.undo_last(project=project, labeler=labeler)
    row.refresh_from_db()
    assert (row.state, row.judgments_counted) == ("held", 0)
    batches.set_state(batch=batch, state="open", actor=labeler)
    row.refresh_from_db()
    assert row.state == "open"


def test_what_is_put_back_into_a_paused_batch_is_held(project):
    row = factories.comparison(factories.prompt(project))
    batch, actor = make(project), factories.user()
    set_closed(comparison=row, is_closed=True, actor=actor)
    batches.set_state(batch=batch, state="paused", actor=actor)
    assert set_closed(comparison=row, is_closed=False, actor=actor).state == "held"


def test_a_labeler_reads_which_batch_is_at_hand_and_how_far_it_is(api, project):
    prompt = factories.prompt(project)
    factories.comparison(prompt, state="judged")
    factories.comparison(prompt)
    project.comparisons.update(batch=project.batches.create(name="Pilot"))
    api.force_authenticate(factories.member(project))
    answer = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.data["batch"] == {"name": "Pilot", "judged": 1, "total": 2}


def test_where_nothing_is_in_a_batch_none_is_at_hand(api, project):
    factories.comparison(factories.prompt(project))
    api.force_authenticate(factories.member(project))
    answer = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.data == {"batch": None, "deadline": None}


@pytest.mark.parametrize("of_batch", [None, "2099-05-01T12:00:00Z"])
def test_the_work_at_hand_is_due_when_its_batch_says_else_its_project(api, project, of_batch):
    Project.objects.update(deadline="2099-06-01T12:00:00Z")
    batch = project.batches.create(name="Pilot", deadline=of_batch)
    factories.comparison(factories.prompt(project), batch=batch)
    api.force_authenticate(factories.member(project))
    answer = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.json()["deadline"] == (of_batch or "2099-06-01T12:00:00Z")


def test_a_batch_that_asks_for_one_more_label_is_not_at_hand(api, project):
    Project.objects.update(deadline="2099-06-01T12:00:00Z")
    batch = project.batches.create(name="One more label", made_from={"asked": ONE_MORE})
    factories.comparison(factories.prompt(project), batch=batch)
    api.force_authenticate(factories.member(project))
    answer = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.json() == {"batch": None, "deadline": "2099-06-01T12:00:00Z"}


def test_the_name_of_what_a_model_contradicts_is_kept_from_labelers(client, project):
    batch = project.batches.create(
        name="Where judge v2 disagrees with people", made_from={"card": 1}
    )
    factories.comparison(factories.prompt(project), batch=batch)
    client.force_login(factories.member(project))
    answer = client.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.json()["batch"] == {"name": "", "judged": 0, "total": 1}
    page = client.get(f"/projects/{project.pk}/label/").text
    assert "0 of 1 complete" in page
    assert "judge v2" not in page


def test_a_batch_in_a_language_that_they_do_not_read_is_not_at_hand(api, project):
    for language, name in (("de", "German"), ("en-GB", "English")):
        batch = project.batches.create(name=name)
        factories.comparison(factories.prompt(project), batch=batch, language=language)
    labeler = factories.member(project)
    project.memberships.filter(user=labeler).update(languages=["en"])
    api.force_authenticate(labeler)
    answer = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.data["batch"]["name"] == "English"


def test_gold_in_hand_does_not_change_the_batch_at_hand(api, project):
    batch = project.batches.create(name="Pilot")
    factories.comparison(factories.prompt(project), batch=batch)
    gold = factories.comparison(factories.prompt(project), kind="gold")
    labeler = factories.member(project)
    project.assignments.create(
        comparison=gold,
        labeler=labeler,
        takes_place=False,
        shown_order=gold.candidate_ids,
        lease_until="2099-01-01T00:00Z",
    )
    api.force_authenticate(labeler)
    answer = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/")
    assert answer.data["batch"]["name"] == "Pilot"


def test_gold_is_no_part_of_how_far_a_batch_is(api, project):
    batch = project.batches.create(name="Pilot")
    filled = {"judgments_counted": 1, "slots_taken": 1}
    factories.comparison(factories.prompt(project), batch=batch, state="judged", **filled)
    factories.comparison(factories.prompt(project), batch=batch, kind="gold")
    counted = batches_of(project).get()
    assert (counted.comparisons_all, counted.comparisons_judged) == (1, 1)
    assert (counted.labels_given, counted.labels_wanted) == (1, 1)
    assert counts_of(project).open_comparisons == 0
    factories.comparison(factories.prompt(project), batch=batch)
    api.force_authenticate(factories.member(project))
    at_hand = api.get(f"/api/v1/projects/{project.pk}/batches/at-hand/").data["batch"]
    assert (at_hand["judged"], at_hand["total"]) == (1, 2)


def test_a_new_priority_moves_all_its_comparisons(project):
    factories.comparison(factories.prompt(project))
    batch = make(project)
    batches.update_batch(batch=batch, actor=factories.user(), name="Now", priority=9, deadline=None)
    assert batch.comparisons.get().priority == 9


def test_a_state_that_is_none_is_refused_with_those_there_are(project):
    factories.comparison(factories.prompt(project))
    with pytest.raises(InvalidInput, match="open, paused, closed"):
        batches.set_state(batch=make(project), state="gone", actor=factories.user())


def test_the_pages_show_how_far_and_when(admin, project):
    prompt, labeler = factories.prompt(project), factories.member(project)
    for _ in range(4):
        factories.comparison(prompt, overlap=2)
    batch = make(project, deadline=timezone.now() + timedelta(hours=1))
    for ago, one in enumerate(batch.comparisons.all()[:3]):
        row = factories.judgment(one, labeler)
        type(row).objects.filter(pk=row.pk).update(
            created_at=timezone.now() - timedelta(days=ago, minutes=1)
        )
        Comparison.objects.filter(pk=one.pk).update(judgments_counted=1, slots_taken=1)
    assert "3 of 8" in admin.get(reverse("comparisons-batches", args=[project.pk])).content.decode()
    page = admin.get(reverse("comparisons-batch", args=[project.pk, batch.pk])).content.decode()
    assert "3 of 8 labels" in page
    assert "At the pace of the last 3 days" in page
    assert "late" in page
    overview = admin.get(reverse("overview-project", args=[project.pk])).text
    assert "3 of 8 labels" in overview
    assert "At the pace of the last 3 days it is done on <b>" in overview
    listed = admin.get(reverse("comparisons-list", args=[project.pk]), {"batch": batch.pk})
    assert "4 comparisons" in listed.content.decode()


def test_a_batch_is_renamed_and_paused_on_its_page(admin, project):
    factories.comparison(factories.prompt(project))
    batch = make(project)
    admin.post(
        reverse("comparisons-batch", args=[project.pk, batch.pk]),
        {"name": "Urgent", "priority": 5, "deadline": "2030-01-02T03:04"},
    )
    admin.post(reverse("comparisons-batch-state", args=[project.pk, batch.pk]), {"state": "paused"})
    batch.refresh_from_db()
    assert (batch.name, batch.priority, batch.state) == ("Urgent", 5, "paused")
    assert batch.deadline.year == 2030


def test_the_api_makes_lists_and_closes_batches(api, project):
    factories.comparison(factories.prompt(project, language="de"))
    api.force_authenticate(factories.member(project, Role.ADMIN))
    url = reverse("api-batch-list", args=[project.pk])
    made = api.post(url, {"name": "German", "language": "de"}, format="json").json()
    assert (made["comparisons_all"], made["labels_wanted"]) == (1, 1)
    detail = reverse("api-batch-detail", args=[project.pk, made["id"]])
    answer = api.patch(detail, {"state": "closed", "priority": 3}, format="json").json()
    assert (answer["state"], answer["priority"], answer["name"]) == ("closed", 3, "German")
    assert [one["id"] for one in api.get(url).json()] == [made["id"]]
    assert api.post(url, {"name": "x", "priority": 1000}, format="json").status_code == 400


def test_a_patch_of_a_batch_that_is_refused_changes_nothing(api, project):
    batch = Batch.objects.create(project=project, name="First")
    Batch.objects.create(project=project, name="Second")
    api.force_authenticate(factories.member(project, Role.ADMIN))
    detail = reverse("api-batch-detail", args=[project.pk, batch.pk])
    sent = {"state": "closed", "name": "Second"}
    assert api.patch(detail, sent, format="json").status_code == 409
    batch.refresh_from_db()
    assert (batch.state, batch.name) == ("open", "First")


def test_ten_batches_are_listed_in_one_query(project, django_assert_num_queries):
    for number in range(10):
        factories.comparison(factories.prompt(project))
        make(project, name=str(number))
    with django_assert_num_queries(1):
        assert [one.labels_wanted for one in batches_of(project)] == [1] * 10
