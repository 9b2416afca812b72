"""The labeling API and page: what a labeler is given, what they send, and what never reaches them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.projects.models import Criterion, Project, Role
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return factories.project(overlap=1, min_reading_seconds=0)


@pytest.fixture
def as_labeler(api: APIClient, labeler) -> APIClient:
    api.force_authenticate(labeler)
    return api


@pytest.fixture
def page(labeler) -> Client:
    client = Client()
    client.force_login(labeler)
    return client


def comparisons(project: Project, count: int, **fields: Any) -> list[Comparison]:
    return [factories.comparison(factories.prompt(project), **fields) for _ in range(count)]


def ask_next(client: APIClient, project: Project, query: str = "") -> dict[str, Any]:
    response = client.post(reverse("api-assignment-next", args=[project.pk]) + query)
    assert response.status_code == 200, response.data
    return response.json()


def act(name: str, project: Project, assignment: dict[str, Any]) -> str:
    return reverse(name, args=[project.pk, assignment["id"]])


def answer(assignment: dict[str, Any], **fields: Any) -> dict[str, Any]:
    first, second = (one["id"] for one in assignment["candidates"])
    given = {"client_uuid": str(uuid4()), "ranking": [[first], [second]], "strengths": [2]}
    return {**given, **fields}


def submit(client: APIClient, project: Project, assignment: dict[str, Any], **fields: Any) -> Any:
    url = act("api-assignment-judgment", project, assignment)
    return client.post(url, answer(assignment, **fields), format="json")


def test_a_comparison_is_leased_judged_and_followed_by_the_next(as_labeler, project):
    comparisons(project, 2)
    assignment = ask_next(as_labeler, project)["assignment"]
    reply = submit(as_labeler, project, assignment).json()
    assert reply["judgment"]["strengths"] == [2]
    assert reply["message"] == "Saved."
    assert reply["assignment"]["id"] != assignment["id"]
    assert reply["progress"] == {"judged_today": 1, "remaining": 1, "is_more": False}


def test_the_last_judgment_is_followed_by_the_reason_for_an_empty_queue(as_labeler, project):
    comparisons(project, 1)
    reply = submit(as_labeler, project, ask_next(as_labeler, project)["assignment"]).json()
    assert reply["assignment"] is None
    assert reply["empty"]["reason"] == "all_judged"


def test_a_replayed_answer_is_answered_the_same(as_labeler, project):
    comparisons(project, 1)
    assignment = ask_next(as_labeler, project)["assignment"]
    uuid = str(uuid4())
    replies = [submit(as_labeler, project, assignment, client_uuid=uuid) for _ in range(2)]
    assert replies[0].json()["judgment"] == replies[1].json()["judgment"]
    assert Judgment.objects.count() == 1


def test_a_late_answer_is_kept_and_said_to_be_surplus(as_labeler, project):
    comparisons(project, 1)
    assignment = ask_next(as_labeler, project)["assignment"]
    Assignment.objects.update(lease_until="2026-01-01T00:00Z")
    reply = submit(as_labeler, project, assignment).json()
    assert reply["judgment"]["is_counted"] is False
    assert "not counted" in reply["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"client_uuid": "x"},
        {"ranking": "left"},
        {"ranking": [["left"], ["right"]]},
        {"ranking": [[1], [2]]},
        {"strengths": [9]},
        {"strengths": ["much"]},
        {"criteria": {"honest": {"ranking": [[1]], "strengths": []}}},
        {"criteria": {"honest": []}},
        {"rationale": "a\x00b"},
        {"rationale": "a" * 10_001},
        {"active_ms": -1},
        {"active_ms": 10**30, "ranking": []},
        {"is_all_bad": True},
    ],
)
def test_a_bad_answer_is_refused_with_a_reason_and_stores_nothing(as_labeler, project, fields):
    comparisons(project, 1)
    response = submit(as_labeler, project, ask_next(as_labeler, project)["assignment"], **fields)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert not Judgment.objects.exists()


@pytest.mark.parametrize("number", [2**63, 10**30])
def test_an_answer_to_a_number_beyond_all_keys_is_not_found(as_labeler, project, number):
    comparisons(project, 1)
    assignment = ask_next(as_labeler, project)["assignment"]
    response = submit(as_labeler, project, assignment | {"id": number})
    assert response.status_code == 404


def test_an_active_time_beyond_any_clock_is_capped(as_labeler, project):
    comparisons(project, 1)
    assignment = ask_next(as_labeler, project)["assignment"]
    assert submit(as_labeler, project, assignment, active_ms=10**30).status_code == 200


def ids_of(rows: list[dict[str, Any]]) -> list[int]:
    return [one["id"] for one in rows]


def test_two_comparisons_ahead_are_leased_and_kept_full_by_each_answer(as_labeler, project):
    comparisons(project, 5)
    first = ask_next(as_labeler, project, "?ahead=2")
    held = ids_of(first["ahead"])
    assert ids_of(first["leases"]) == [first["assignment"]["id"], *held]
    url = act("api-assignment-judgment", project, first["assignment"])
    query = f"?ahead=2&held={held[0]},{held[1]}"
    reply = as_labeler.post(url + query, answer(first["assignment"]), format="json").json()
    assert reply["ahead"] == []
    assert ids_of(reply["leases"]) == [*held, reply["assignment"]["id"]]
    assert Assignment.objects.filter(state="leased").count() == 3


def test_with_nothing_new_to_lease_what_is_held_stays_and_the_queue_is_not_called_empty(
    as_labeler, project
):
    comparisons(project, 2)
    held = ids_of(ask_next(as_labeler, project, "?ahead=2")["leases"])
    reply = ask_next(as_labeler, project, f"?ahead=2&held={held[0]},{held[1]}")
    assert (reply["assignment"], reply["empty"]) == (None, None)
    assert ids_of(reply["leases"]) == held


@pytest.mark.parametrize("query", ["?ahead=3", "?ahead=x", "?held=1,x", "?held=" + "1," * 50 + "1"])
def test_a_wish_that_cannot_be_read_is_refused_with_its_field(as_labeler, project, query):
    response = as_labeler.post(reverse("api-assignment-next", args=[project.pk]) + query)
    assert response.status_code == 400
    assert response.json()["error"]["fields"]


def test_what_waits_ahead_is_renewed_by_an_answer(as_labeler, project):
    comparisons(project, 3)
    first = ask_next(as_labeler, project, "?ahead=1")
    soon = timezone.now() + timedelta(seconds=20)
    Assignment.objects.update(lease_until=soon)
    submit(as_labeler, project, first["assignment"])
    assert Assignment.objects.get(pk=first["ahead"][0]["id"]).lease_until > soon


def test_a_flag_reaches_the_admins_and_is_resolved(as_labeler, project):
    comparisons(project, 1)
    assignment = ask_next(as_labeler, project)["assignment"]
    url = act("api-assignment-flag", project, assignment)
    for _ in range(2):  # sent again by an impatient hand
        assert as_labeler.post(url, {"note": "Both are in French."}).status_code == 201
    as_labeler.force_authenticate(factories.member(project, Role.ADMIN))
    flags = reverse("api-flag-list", args=[project.pk])
    (flag,) = as_labeler.get(flags, {"state": "open"}).json()["results"]
    assert flag["note"] == "Both are in French."
    resolve = reverse("api-flag-resolve", args=[project.pk, flag["id"]])
    assert as_labeler.post(resolve).json()["resolved_by"]
    assert as_labeler.get(flags, {"state": "open"}).json()["results"] == []
    assert as_labeler.get(flags, {"state": "shut"}).status_code == 400


@pytest.mark.parametrize("note", ["", "   ", "a" * 1001])
def test_a_flag_says_something(as_labeler, project, note):
    comparisons(project, 1)
    url = act("api-assignment-flag", project, ask_next(as_labeler, project)["assignment"])
    assert as_labeler.post(url, {"note": note}).status_code == 400


def test_marks_are_kept_and_lie_within_the_text(as_labeler, project):
    comparisons(project, 2)
    assignment = ask_next(as_labeler, project)["assignment"]
    first = assignment["candidates"][0]
    mark = {"candidate": first["id"], "start": 0, "end": len(first["text"]), "kind": "good"}
    for wrong in ({"end": 999}, {"start": 5, "end": 5}, {"candidate": 1}, {"kind": "odd"}):
        refused = submit(as_labeler, project, assignment, marks=[{**mark, **wrong}])
        assert refused.status_code == 400, wrong
    assert submit(as_labeler, project, assignment, marks=[mark]).json()["judgment"]["marks"] == [
        mark
    ]


def test_an_undo_by_uuid_may_be_sent_again_and_takes_nothing_else_back(as_labeler, project):
    comparisons(project, 3)
    uuid = str(uuid4())
    first = ask_next(as_labeler, project)["assignment"]
    second = submit(as_labeler, project, first).json()["assignment"]
    submit(as_labeler, project, second, client_uuid=uuid)
    address = reverse("api-judgment-undo", args=[project.pk])
    for _ in range(2):
        reply = as_labeler.post(address, {"client_uuid": uuid}, format="json").json()
        assert second["id"] in [one["id"] for one in reply["leases"]]
    as_labeler.post(address, {"client_uuid": str(uuid4())}, format="json")
    assert Judgment.objects.get(withdrawn_at=None).assignment_id == first["id"]


def test_skip_extend_and_undo_by_api(as_labeler, project):
    comparisons(project, 2)
    first = ask_next(as_labeler, project)["assignment"]
    assert as_labeler.post(act("api-assignment-lease", project, first)).status_code == 200
    skipped = as_labeler.post(act("api-assignment-skip", project, first), {"reason": "language"})
    second = skipped.json()["assignment"]
    submit(as_labeler, project, second)
    undone = as_labeler.post(reverse("api-judgment-undo", args=[project.pk])).json()
    assert undone["assignment"]["id"] == second["id"]


def test_every_act_may_say_how_long_it_waited_in_the_browser(as_labeler, project):
    """The page adds ``age_ms`` to the body of all that it sends."""
    comparisons(project, 2)
    first = ask_next(as_labeler, project)["assignment"]
    flag = {"note": "Cut off.", "age_ms": 5}
    flagged = as_labeler.post(act("api-assignment-flag", project, first), flag, format="json")
    assert flagged.status_code == 201
    submit(as_labeler, project, first, client_uuid=(uuid := str(uuid4())), age_ms=5)
    undo = {"client_uuid": uuid, "age_ms": 5}
    undone = as_labeler.post(reverse("api-judgment-undo", args=[project.pk]), undo, format="json")
    assert undone.json()["reopened"] == first["id"]
    skip = {"reason": "language", "age_ms": 5}
    skipped = as_labeler.post(act("api-assignment-skip", project, first), skip, format="json")
    assert skipped.status_code == 200


def test_an_assignment_of_someone_else_does_not_exist_for_you(as_labeler, project):
    comparisons(project, 1)
    assignment = ask_next(as_labeler, project)["assignment"]
    as_labeler.force_authenticate(factories.member(project))
    assert submit(as_labeler, project, assignment).status_code == 404


def test_a_word_diff_marks_what_only_one_has(as_labeler, project):
    prompt = factories.prompt(project)
    texts = ["the <b>red</b> fox sat down", "the <b>blue</b> fox sat down"]
    rows = [factories.candidate(prompt, text) for text in texts]
    ids = sorted(one.pk for one in rows)
    Comparison.objects.create(project=project, prompt=prompt, candidate_ids=ids)
    assignment = ask_next(as_labeler, project)["assignment"]
    marked = as_labeler.get(act("api-assignment-diff", project, assignment)).json()["candidates"]
    assert "<mark>red</mark>" in marked[str(rows[0].pk)]
    assert "<b>" not in marked[str(rows[0].pk)]


def test_responses_without_much_in_common_have_no_diff(as_labeler, project):
    (comparison,) = comparisons(project, 1)
    comparison.candidates.filter(pk=comparison.candidate_ids[0]).update(text="Wholly other words!")
    assignment = ask_next(as_labeler, project)["assignment"]
    reply = as_labeler.get(act("api-assignment-diff", project, assignment)).json()
    assert reply["candidates"] is None


def test_no_model_name_and_no_side_reaches_the_labeler(as_labeler, project, page):
    prompt = factories.prompt(project)
    policy = factories.policy(project, name="secret-policy-7b")
    origin: dict[str, Any] = {"policy": policy, "source_name": policy.name, "source": "policy"}
    ids = sorted(factories.candidate(prompt, **origin).pk for _ in range(2))
    Comparison.objects.create(project=project, prompt=prompt, candidate_ids=ids)
    payload = str(ask_next(as_labeler, project, "?bench=1"))
    html = page.get(reverse("comparisons-label", args=[project.pk])).content.decode()
    assert "secret-policy" not in payload + html
    assert not {"source", "policy", "left", "right", "position"} & set(
        ask_next(as_labeler, project)["assignment"]["candidates"][0]
    )


def test_a_reply_holds_the_html_of_each_lease_once_and_only_if_asked(as_labeler, project):
    comparisons(project, 3)
    told = ask_next(as_labeler, project, "?bench=1&ahead=2")
    for lease in [told["assignment"], *told["ahead"]]:
        assert f'data-assignment="{lease["id"]}"' in lease["bench"]
        assert str(told).count(f'data-assignment="{lease["id"]}"') == 1
    assert ask_next(as_labeler, project)["assignment"]["bench"] == ""


def test_the_page_serves_a_plain_form_that_works_without_scripts(page, project):
    (comparison,) = comparisons(project, 1)
    url = reverse("comparisons-label", args=[project.pk])
    html = page.get(url).content.decode()
    better, other = comparison.candidate_ids
    assert f'value="{better}:3"' in html
    assert "checked" not in html
    form = {
        "assignment": Assignment.objects.get().pk,
        "client_uuid": str(uuid4()),
        "overall": f"{better}:3",
    }
    assert page.post(url, form).status_code == 302
    judgment = Judgment.objects.get()
    assert (judgment.ranking, judgment.strengths) == ([[better], [other]], [3])


def test_the_plain_form_ranks_more_than_two_with_ties_and_gaps(page, project):
    (comparison,) = comparisons(project, 1, size=4)
    url = reverse("comparisons-label", args=[project.pk])
    page.get(url)
    a, b, c, d = comparison.candidate_ids
    form = {"assignment": Assignment.objects.get().pk, "client_uuid": str(uuid4())}
    ranks = {f"rank-{a}": 1, f"rank-{b}": 3, f"rank-{c}": 3, f"rank-{d}": 9}
    page.post(url, {**form, **ranks})
    judgment = Judgment.objects.get()
    assert (judgment.ranking, judgment.strengths) == ([[a], [b, c], [d]], [2, 3])


def test_the_plain_form_ranks_by_criteria_too_within_the_scale(page, project):
    Criterion.objects.create(project=project, name="follows-2-formats", question="Which more?")
    project.answer_scale = "five"
    project.save()
    (comparison,) = comparisons(project, 1, size=3)
    url = reverse("comparisons-label", args=[project.pk])
    assert page.get(url).text.count('name="criterion-') == 3
    ids = comparison.candidate_ids
    form = {"assignment": Assignment.objects.get().pk, "client_uuid": str(uuid4())}
    form |= {f"rank-{pk}": rank for pk, rank in zip(ids, (1, 2, 3), strict=True)}
    some = {f"criterion-{ids[0]}-follows-2-formats": 1}
    assert "Rank every response under" in page.post(url, {**form, **some}, follow=True).text
    ranks = zip(ids, (4, 1, 1), strict=True)
    page.post(url, {**form, **{f"criterion-{pk}-follows-2-formats": rank for pk, rank in ranks}})
    assert Judgment.objects.get().criteria == {
        "follows-2-formats": {"ranking": [[ids[1], ids[2]], [ids[0]]], "strengths": [2]}
    }


@pytest.mark.parametrize("verdict", ["", "left", "0:3", "9999999:1", "tie:1"])
def test_a_plain_form_without_a_verdict_comes_back_with_a_sentence(page, project, verdict):
    comparisons(project, 1)
    url = reverse("comparisons-label", args=[project.pk])
    page.get(url)
    form = {
        "assignment": Assignment.objects.get().pk,
        "client_uuid": str(uuid4()),
        "overall": verdict,
    }
    html = page.post(url, form, follow=True).content.decode()
    assert "Choose which response is better" in html
    assert not Judgment.objects.exists()


def test_criteria_of_the_rubric_are_asked_and_kept(page, project):
    Criterion.objects.create(project=project, name="honest", question="Which is more honest?")
    (comparison,) = comparisons(project, 1)
    url = reverse("comparisons-label", args=[project.pk])
    assert "Which is more honest?" in page.get(url).content.decode()
    form = {
        "assignment": Assignment.objects.get().pk,
        "client_uuid": str(uuid4()),
        "overall": "all_bad",
        "criterion-honest": "tie",
    }
    page.post(url, form)
    judgment = Judgment.objects.get()
    assert judgment.is_all_bad
    assert judgment.criteria == {"honest": {"ranking": [comparison.candidate_ids], "strengths": []}}


def test_an_empty_queue_is_a_page_with_its_reason(page, project):
    html = page.get(reverse("comparisons-label", args=[project.pk])).content.decode()
    assert "There is nothing to compare yet" in html


def test_a_hostile_response_is_inert_on_the_page(page, project):
    (comparison,) = comparisons(project, 1)
    attack = "<script>alert(1)</script> ![x](https://evil.example/x.png)"
    comparison.candidates.update(text=attack)
    html = page.get(reverse("comparisons-label", args=[project.pk])).content.decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html


def test_an_admin_sees_filters_closes_and_opens_comparisons(client, project):
    client.force_login(factories.member(project, Role.ADMIN))
    comparison, _other = comparisons(project, 2)
    detail = reverse("comparisons-detail", args=[project.pk, comparison.pk])
    state = reverse("comparisons-state", args=[project.pk, comparison.pk])
    assert client.post(state, {"state": "closed"}).headers["Location"] == detail
    closed = client.get(reverse("comparisons-list", args=[project.pk]), {"state": "closed"})
    assert detail in closed.content.decode()
    assert "&amp;&amp;" not in closed.text
    listed = reverse("comparisons-list", args=[project.pk])
    refused = client.get(listed, {"state": "zzz"})
    assert (refused.status_code, "is not one of open, judged" in refused.text) == (400, True)
    searches = (str(comparison.pk), comparison.prompt.turns[-1]["content"], "no such words")
    assert [detail in client.get(listed, {"search": one}).text for one in searches] == [
        True,
        True,
        False,
    ]
    client.post(state, {"state": "open"})
    comparison.refresh_from_db()
    assert comparison.state == "open"
    assert client.post(state, {"state": "gone"}).status_code == 400


def test_the_list_of_comparisons_costs_the_same_for_few_and_many(
    client, project, django_assert_max_num_queries
):
    client.force_login(factories.member(project, Role.ADMIN))
    comparisons(project, 12)
    with django_assert_max_num_queries(10):
        client.get(reverse("comparisons-list", args=[project.pk]))


def test_an_admin_pairs_the_candidates_of_a_prompt(api, project):
    api.force_authenticate(factories.member(project, Role.ADMIN))
    prompt = factories.prompt(project)
    factories.candidate(prompt)
    factories.candidate(prompt)
    url = reverse("api-comparison-list", args=[project.pk])
    made = api.post(url, {"prompt": prompt.pk, "strategy": "ring"}, format="json")
    assert made.status_code == 201
    assert len(made.json()) == 1
    assert len(api.get(url).json()["results"]) == 1


def test_judging_through_the_api_costs_the_same_after_a_long_day(
    as_labeler, project, django_assert_max_num_queries
):
    comparisons(project, 6)
    for _ in range(4):
        submit(as_labeler, project, ask_next(as_labeler, project)["assignment"])
    assignment = ask_next(as_labeler, project)["assignment"]
    with django_assert_max_num_queries(21):
        submit(as_labeler, project, assignment)
