"""The pages on which admins look after people, and the labeler's own: they show, they act, they say what is wrong."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.audit import services as audit
from annotation.comparisons import exams
from annotation.comparisons.services import queue
from annotation.projects.models import Membership
from annotation.quality import acts, adjudication, disputes, gold, rules, services
from annotation.quality.models import Adjudication, Rule
from tests import factories
from tests.integration.test_gold_and_exam import answered, marked
from tests.integration.test_people_rules import first_wins, judged
from tests.refusals import refusal_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(must_qualify=True)


@pytest.fixture
def labeler(project):
    return factories.member(project, username="lea")


def theirs(labeler):
    client = Client()
    client.force_login(labeler)
    return client


def at(name, project, *keys):
    return reverse(f"quality-{name}", args=[project.pk, *keys])


def post(client, url, **fields):
    """Post and follow; what the next page says."""
    answer = client.post(url, fields, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def refused(client, url, **fields):
    """Post what is not taken; what the page says in the form."""
    answer = client.post(url, fields)
    assert (answer.status_code, list(answer.context["messages"])) == (400, [])
    return refusal_in(answer.text, url)


def test_an_admin_adjudicates_on_the_page_and_takes_it_back(project, admin, client, labeler):
    comparison = judged(project, (labeler, -1), rationale="<script>alert(1)</script>")
    first, second = comparison.candidate_ids
    url = at("comparison", project, comparison.pk)
    page = client.get(url).content.decode()
    assert "B better than A" in page
    assert "<script>alert(1)" not in page
    assert "Say which response is better" in refused(client, url, cause="ambiguous")
    told = post(client, url, cause="labeler_error", verdict=f"{first}:2", note="Look at the date.")
    assert "is adjudicated" in told
    made = Adjudication.objects.get()
    assert (made.ranking, made.strengths) == ([[first], [second]], [2])
    about = client.get(reverse("comparisons-detail", args=[project.pk, comparison.pk])).text
    assert ("Look at the date." in about, f'href="{url}#adjudicate"' in about) == (True, True)
    told = post(client, at("adjudication-undo", project, made.pk))
    assert "taken back" in told
    assert "undone already" in post(client, at("adjudication-undo", project, made.pk))


@pytest.mark.parametrize(
    ("scale", "labels", "beyond", "told"),
    [
        ("five", ["A better", "A slightly better", "about the same"], "3", "up to strength 2"),
        ("three", ["A better", "about the same", "B better"], "2", "up to strength 1"),
        ("two", ["A better", "B better", "all bad"], "tie", "no two responses may be the same"),
    ],
)
def test_a_verdict_has_the_strengths_of_the_answer_scale(
    project, admin, client, scale, labels, beyond, told
):
    project.answer_scale = scale
    project.save()
    comparison = factories.comparison(factories.prompt(project))
    first = comparison.candidate_ids[0]
    url = at("comparison", project, comparison.pk)
    page = client.get(url).text
    offered = re.findall(r'name="verdict" value="[^"]+"> ([^<]+)<', page)
    assert offered[:3] == labels
    verdict = beyond if beyond == "tie" else f"{first}:{beyond}"
    assert told in refused(client, url, cause="ambiguous", verdict=verdict)
    assert not Adjudication.objects.exists()
    assert "is adjudicated" in post(client, url, cause="ambiguous", verdict=f"{first}:1")


def test_no_tie_is_known_where_labelers_have_to_choose(project, admin, client):
    project.answer_scale = "two"
    project.save()
    comparison = factories.comparison(factories.prompt(project), size=3)
    url = at("gold-mark", project, comparison.pk)
    a, b, c = comparison.candidate_ids
    tied = {f"rank-{a}": "1", f"rank-{b}": "1", f"rank-{c}": "2"}
    assert "no two responses may be the same" in refused(client, url, **tied)
    assert "is gold now" in post(client, url, **tied | {f"rank-{b}": "3"})
    assert gold.gold_item(project, comparison.pk).comparison.known_ranking["ranking"] == [
        [a],
        [c],
        [b],
    ]
    assert "the same rank is a tie" not in client.get(at("comparison", project, comparison.pk)).text


def test_the_items_lead_to_their_adjudication(project, admin, client, labeler):
    comparison = judged(project, (labeler, -1), (factories.user(), 1))
    services.refresh_agreement(project=project)
    url = at("comparison", project, comparison.pk)
    page = client.get(at("items", project)).content.decode()
    assert f'href="{url}#adjudicate">Adjudicate<' in page
    post(client, url, cause="subjective")
    assert "See the verdict" in client.get(at("items", project)).content.decode()


def test_an_adjudicated_verdict_becomes_gold_with_one_click(project, admin, client, labeler):
    comparison = judged(project, (labeler, -1))
    adjudication.adjudicate(
        comparison=comparison, cause="ambiguous", verdict=first_wins(comparison), actor=admin
    )
    url = at("gold-mark", project, comparison.pk)
    assert "is gold now" in post(
        client, url, **{"from": "adjudication", "note": "By the guideline."}
    )
    item = gold.gold_item(project, comparison.pk)
    assert item.origin == "adjudicated"
    assert item.comparison.known_ranking["ranking"] == [[pk] for pk in comparison.candidate_ids]


def test_a_ranking_of_many_is_adjudicated_by_ranks(project, admin, client):
    comparison = factories.comparison(factories.prompt(project), size=3)
    url = at("comparison", project, comparison.pk)
    a, b, c = comparison.candidate_ids
    assert "a rank from 1 to 9" in refused(client, url, cause="ambiguous", **{f"rank-{a}": "1"})
    ranks = {f"rank-{a}": "2", f"rank-{b}": "1", f"rank-{c}": "2"}
    post(client, url, cause="ambiguous", **ranks)
    made = Adjudication.objects.get()
    assert (made.ranking, made.strengths) == ([[b], [a, c]], [1])


def form_to(client, url, fields):
    """The form that a refused post comes back with."""
    page = client.post(url, fields).text
    return page.split(f'action="{url}"', 1)[1].split("</form>", 1)[0]


def test_what_was_typed_about_a_pair_stays_where_no_verdict_was_chosen(project, admin, client):
    """Each of the two forms keeps its own."""
    comparison = factories.comparison(factories.prompt(project))
    deciding, marking = (
        at("comparison", project, comparison.pk),
        at("gold-mark", project, comparison.pk),
    )
    typed = {"cause": "ambiguous", "note": "The date <is> wrong."}
    form = form_to(client, deciding, typed)
    assert 'value="ambiguous" required checked>' in form
    assert "The date &lt;is&gt; wrong.</textarea>" in form
    assert client.post(deciding, typed).text.count("The date &lt;is&gt; wrong.") == 1
    assert "It cites.</textarea>" in form_to(client, marking, {"note": "It cites."})
    too_long = {"verdict": f"{comparison.candidate_ids[0]}:1", "note": "x" * 1_001}
    assert f'value="{too_long["verdict"]}" checked>' in form_to(client, marking, too_long)


def test_ranks_that_were_typed_stay_where_one_lacks(project, admin, client):
    comparison = factories.comparison(factories.prompt(project), size=3)
    a, b, c = comparison.candidate_ids
    ranks = {f"rank-{a}": "2", f"rank-{b}": "1", f"rank-{c}": ""}
    for name in ("comparison", "gold-mark"):
        form = form_to(client, at(name, project, comparison.pk), {"cause": "ambiguous", **ranks})
        assert re.findall(r'name="(rank-\d+)" min="1" max="9" value="(\d*)"', form) == [
            *ranks.items()
        ]


def test_a_verdict_refused_beside_one_that_stands_is_in_view(project, admin, client, labeler):
    """The form to decide otherwise is folded away; and what is not to be taken from the verdict stays so."""
    comparison = judged(project, (labeler, -1))
    adjudication.adjudicate(
        comparison=comparison, cause="ambiguous", verdict=first_wins(comparison), actor=admin
    )
    url, marking = at("comparison", project, comparison.pk), at("gold-mark", project, comparison.pk)
    assert (
        "<details open><summary>Decide otherwise" in client.post(url, {"cause": "ambiguous"}).text
    )
    assert 'value="adjudication">' in form_to(client, marking, {"note": "It cites."})
    assert 'value="adjudication" checked>' in client.get(url).text


def test_the_gold_page_shows_a_bad_item_and_retires_it(project, admin, client):
    people = [factories.member(project) for _ in range(5)]
    items = [marked(project, admin) for _ in range(6)]
    for place, comparison in enumerate(items):
        for one in people:
            answered(comparison, one, right=place != 0)
    page = client.get(at("gold", project)).content.decode()
    assert page.count("look at this one") == 1
    url = at("gold-state", project, items[0].pk)
    assert "Write a reason" in post(client, url, state="retired", reason="")
    assert "retired" in post(client, url, state="retired", reason="Both are fine.")
    assert "look at this one" not in client.get(at("gold", project)).content.decode()


def test_the_gold_page_costs_the_same_for_many_items(
    project, admin, client, django_assert_max_num_queries
):
    for _ in range(12):
        marked(project, admin)
    with django_assert_max_num_queries(20):
        client.get(at("gold", project))


def test_known_answers_are_imported_and_wrong_lines_come_back(project, admin, client):
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidate_ids
    text = f"{comparison.pk}, {first} > {second}\nnonsense"
    page = client.post(at("gold", project), {"text": text}).content.decode()
    assert "1 known answer taken, 1 refused" in page
    assert "Line 2" in page


def test_more_known_answers_than_are_taken_at_once_stay_in_the_form(
    project, admin, client, monkeypatch
):
    monkeypatch.setattr(gold, "LINES_MAX", 1)
    answer = client.post(at("gold", project), {"text": "31, A > B\n32, B > A"})
    assert answer.status_code == 400
    form = answer.text.split("<h2>Import known answers</h2>", 1)[1].split("</form>", 1)[0]
    assert 'role="alert" tabindex="-1" autofocus>Send 1 to 1 lines' in form
    assert "31, A &gt; B\n32, B &gt; A</textarea>" in form


def test_the_exam_is_set_in_percent(project, admin, client):
    url = at("exam", project)
    assert "at least 5 points above" in refused(client, url, poor="80", good="82")
    post(client, url, poor="55", good="85", attempts_max="2", false_fail="2.5")
    project.refresh_from_db()
    assert (project.exam.poor, project.exam.good, project.exam.attempts_max) == (0.55, 0.85, 2)
    field = client.get(at("gold", project)).text.split('id="false_fail"', 1)[1].split(">", 1)[0]
    assert 'value="2.5"' in field


def test_an_exam_that_is_refused_keeps_what_was_typed(project, admin, client):
    typed = {
        "poor": "85", "good": "80", "false_pass": "2.5", "false_fail": "7", "attempts_max": "7",
        "retake_after_hours": "5",
    }  # fmt: skip
    form = form_to(client, at("exam", project), typed)
    for name, value in typed.items():
        assert f'value="{value}"' in form.split(f'id="{name}"', 1)[1].split(">", 1)[0]


def test_a_rule_is_tried_before_it_is_saved_and_switched_off_after(project, admin, client, labeler):
    judged(project, (factories.user(), 1), (labeler, -1))
    fields = {"kind": "exclude", "labeler": str(labeler.pk), "since": ""}
    tried = post(client, at("rule-try", project), **fields)
    assert "would drop 1 of 2 judgments." in tried
    assert "Of 1 preference 0 would flip to the other response (0.0 %), 1 be even no more" in tried
    assert "Concerns lea." in tried
    assert not Rule.objects.exists()
    assert "Say why this rule" in post(client, at("rule-save", project), **fields)
    fields["reason"] = "A trial account."
    assert "Rule 1 is on, version 1" in post(client, at("rule-save", project), **fields)
    assert "Rule 1 says this already: it is on." in post(client, at("rule-save", project), **fields)
    assert Rule.objects.count() == 1
    assert "Rule 1 is off" in post(client, at("rule-switch", project, 1), state="off")
    page = client.get(at("rule", project, 1)).content.decode()
    assert "Leave out all judgments of lea." in page


@pytest.mark.parametrize("seconds", ["", "many", "nan", "1e400", "-3"])
def test_a_rule_with_a_wrong_number_is_refused_with_the_number(project, admin, client, seconds):
    fields = {"kind": "too_fast", "seconds": seconds, "accuracy_below": "60"}
    tried = post(client, at("rule-try", project), **fields)
    assert "seconds=" in tried


def test_an_admin_acts_on_a_labeler_and_the_labeler_reads_it(project, admin, client, labeler):
    url = at("act", project, labeler.pk)
    assert "Write a text" in post(client, url, kind="pause", text="")
    post(client, url, kind="pause", text="Let us talk about dates.")
    page = theirs(labeler).get(at("my-work", project)).content.decode()
    assert "Your work here is paused." in page
    assert "Let us talk about dates." in page
    assert acts.acts_on(project, labeler.pk).get().read_at
    done = acts.acts_on(project, labeler.pk).get()
    assert "Undone: pause" in post(client, at("act-undo", project, done.pk))
    assert Membership.objects.get(user=labeler).paused_at is None


def test_the_page_of_a_labeler_draws_the_path_through_the_exam(project, admin, client, labeler):
    project.exam_attempts.create(labeler=labeler, number=1)
    for right in (True, True, False):
        answered(marked(project, admin), labeler, right=right, training=True)
    page = client.get(at("labeler", project, labeler.pk)).content.decode()
    assert 'aria-label="Attempt 1, open: 2 of 3 right."' in page
    assert "Let in without exam" in page


def test_an_appeal_goes_to_the_admins_and_its_outcome_comes_back(project, admin, client, labeler):
    comparison = judged(project, (labeler, -1))
    made = adjudication.adjudicate(
        comparison=comparison, cause="labeler_error", verdict=first_wins(comparison), actor=admin
    )
    me = theirs(labeler)
    about = {"subject": "adjudication", "subject_id": made.pk}
    told = post(me, at("my-dispute", project), **about, text="The date was right.")
    assert "is with the admins" in told
    assert "waiting for an answer" in told
    assert "The date was right." in client.get(at("disputes", project)).content.decode()
    dispute = disputes.disputes_of(project).get()
    url = at("dispute-answer", project, dispute.pk)
    assert "Choose: uphold or decline" in post(client, url, answer="Hm.")
    assert "Answered: upheld" in post(
        client, url, verdict="upheld", answer="You are right.", remedy="yes"
    )
    page = me.get(at("my-work", project)).content.decode()
    assert "upheld: you are right" in page
    assert "You are right." in page
    made.refresh_from_db()
    assert made.undone_at


def test_a_labeler_reads_about_themselves_and_about_nobody_else(project, admin, labeler):
    other = factories.member(project, username="otto")
    for _ in range(3):
        judged(project, (labeler, 1), (other, -1), active_ms=60_000)
    answered(marked(project, admin, "secret note"), labeler, right=False)
    rules.save_rule(project=project, kind="exclude", params={"labeler": other.pk}, actor=admin)
    services.refresh_agreement(project=project)
    page = theirs(labeler).get(at("my-work", project)).content.decode()
    assert "otto" not in page
    assert "secret note" not in page
    assert "Nothing. A note never follows from one answer" in page


def test_who_judged_without_being_a_member_has_a_page_without_acts(project, admin, client):
    machine = factories.user("judge-1", kind="machine")
    judged(project, (machine, 1))
    page = client.get(at("labeler", project, machine.pk)).content.decode()
    assert "came from a file or a machine" in page
    assert "Send the message" not in page
    stranger = factories.user()
    assert client.get(at("labeler", project, stranger.pk)).status_code == 404


def test_the_audit_trail_is_narrowed_and_undoes(project, admin, client, labeler):
    member = acts.labeler_of(project, labeler.pk)
    acts.act(member=member, kind="pause", text="Let us talk.", actor=admin)
    url = reverse("projects-audit", args=[project.pk])
    today = timezone.now().date().isoformat()
    query = {"verb": "labeler.", "actor": admin.pk, "since": today, "until": today}
    page = client.get(url, query).content.decode()
    assert "labeler.pause" in page
    assert at("act-undo", project, acts.acts_on(project, labeler.pk).get().pk) in page
    for wrong in ({"actor": labeler.pk}, {"until": "2020-01-01"}, {"verb": "rule."}):
        assert "Nothing was done that fits" in client.get(url, wrong).content.decode()
    for wrong in ({"actor": "x"}, {"since": "soon"}, {"since": "0001-01-01"}):
        assert client.get(url, wrong).status_code == 400


def test_what_is_undone_is_not_offered_again(project, admin, client, labeler):
    member = acts.labeler_of(project, labeler.pk)
    acts.act(member=member, kind="pause", text="Let us talk.", actor=admin)
    first = acts.acts_on(project, labeler.pk).get()
    acts.undo_act(done=first, actor=admin)
    acts.act(member=member, kind="pause", text="Once more.", actor=admin)
    second = acts.acts_on(project, labeler.pk).first()
    page = client.get(reverse("projects-audit", args=[project.pk])).content.decode()
    assert at("act-undo", project, first.pk) not in page
    assert at("act-undo", project, second.pk) in page
    assert page.count('<span class="tag">undone</span>') == 1


def test_the_hours_come_as_csv(project, labeler):
    judged(project, (labeler, 1), active_ms=1_800_000)
    answer = theirs(labeler).get(at("my-hours", project))
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "day,answers,active_hours"
    assert lines[1].endswith(",1,0.5")


def test_the_api_does_what_the_pages_do(project, admin, api, labeler):
    api.force_authenticate(admin)
    comparison = judged(project, (labeler, -1))
    first, second = comparison.candidate_ids

    def url(name, *keys):
        return reverse(f"api-{name}", args=[project.pk, *keys])

    body = {
        "comparison": comparison.pk,
        "cause": "ambiguous",
        "ranking": [[first], [second]],
        "strengths": [1],
    }
    made = api.post(url("adjudication-list"), body, format="json")
    assert made.status_code == 201
    assert api.delete(url("adjudication-detail", made.json()["id"])).status_code == 204
    rule = {"kind": "exclude", "params": {"labeler": labeler.pk}}
    assert api.post(url("rule-dry-run"), rule, format="json").json()["judgments_dropped"] == 1
    assert api.post(url("rule-list"), rule, format="json").status_code == 201
    off = api.patch(url("rule-detail", 1), {"is_on": False}, format="json").json()
    assert (off["version"], off["is_on"]) == (2, False)
    item = {"comparison": comparison.pk, "ranking": [[second], [first]]}
    assert api.post(url("gold-list"), item, format="json").status_code == 201
    patch = {"is_retired": True, "reason": "No."}
    assert api.patch(url("gold-detail", comparison.pk), patch, format="json").status_code == 200
    assert api.delete(url("gold-detail", comparison.pk)).status_code == 204
    done = api.post(url("act-list", labeler.pk), {"kind": "pause", "text": "Why"}, format="json")
    assert api.delete(url("act-detail", done.json()["id"])).status_code == 204
    exam = api.patch(url("exam-detail"), {"attempts_max": 5}, format="json").json()
    assert exam["attempts_max"] == 5
    api.force_authenticate(labeler)
    mine = api.get(url("my-work")).json()
    assert mine["judgments"] == 1
    assert mine["gold"]["reason"]


def test_who_adjudicates_reads_what_labelers_appeal(project, admin, client, labeler):
    comparison, other = (judged(project, (labeler, -1)) for _ in range(2))
    made = adjudication.adjudicate(
        comparison=comparison, cause="ambiguous", verdict=first_wins(comparison), actor=admin
    )
    disputes.open_dispute(
        project=project,
        labeler=labeler,
        subject="adjudication",
        subject_id=made.pk,
        text="It is the <b>second</b>.",
    )
    adjudication.undo_adjudication(made=made, actor=admin)
    page = client.get(at("comparison", project, comparison.pk)).content.decode()
    assert "It is the &lt;b&gt;second&lt;/b&gt;." in page
    assert (
        "What labelers appeal"
        not in client.get(at("comparison", project, other.pk)).content.decode()
    )


def test_the_trail_can_leave_out_what_labelers_answered(project, admin, client, api, labeler):
    comparison = factories.comparison(factories.prompt(project))
    audit.record("judgment.submitted", factories.judgment(comparison), actor=labeler)
    acts.act(member=acts.labeler_of(project, labeler.pk), kind="message", text="Hi.", actor=admin)
    url = reverse("projects-audit", args=[project.pk])
    told = client.get(url).context["rows"]
    assert {row.event.verb for row in told} >= {"judgment.submitted", "labeler.message"}
    answer = client.get(url, {"answers": "no"})
    verbs = {row.event.verb for row in answer.context["rows"]}
    assert "labeler.message" in verbs
    assert "judgment.submitted" not in verbs
    assert answer.context["query"] == "answers=no"
    api.force_authenticate(admin)
    listed = api.get(reverse("api-audit-list", args=[project.pk]), {"answers": "no"}).json()
    assert "judgment.submitted" not in {one["verb"] for one in listed["results"]}


def test_a_labeler_alone_reads_it_to_themselves_and_the_hours_of_the_table(project, labeler):
    for _ in range(3):
        judged(project, (labeler, 1), active_ms=48_000)
    services.refresh_agreement(project=project)
    page = theirs(labeler).get(at("my-work", project)).content.decode()
    assert "You share no comparison with another labeler yet." in page
    assert "This labeler" not in page
    assert "2 min at work" in page
    assert "<td>2 min</td>" in page


def test_a_rule_saved_before_even_was_told_from_flipped_says_so(project, admin, client, labeler):
    old = {"judgments": 9, "judgments_dropped": 2, "preferences_flipped": 3, "preferences_lost": 1}
    rules.save_rule(project=project, kind="exclude", params={"labeler": labeler.pk}, actor=admin)
    Rule.objects.update(dry_run=old)
    told = "flipped or made even 3"
    assert told in client.get(at("rules", project)).content.decode()
    assert told in client.get(at("rule", project, 1)).content.decode()


@pytest.fixture
def out_of_attempts(project, labeler):
    project.exam_attempts.create(labeler=labeler, number=3, state="failed", ended_at=timezone.now())
    return labeler


def test_an_admin_gives_another_attempt_to_who_has_used_all(
    project, admin, client, out_of_attempts
):
    """The labeler is told that an admin can; the page offers it until an attempt is open."""
    url, keys = at("labeler", project, out_of_attempts.pk), {"labeler_id": out_of_attempts.pk}
    assert ">Another attempt</button>" in client.get(url).text
    told = post(client, at("act", project, out_of_attempts.pk), kind="retrain", text="Once more.")
    assert "Done: retrain" in told
    assert ">Another attempt</button>" not in told
    assert project.exam_attempts.get(state="open").number == 4
    assert exams.standing_of(project=project, **keys).may_train


def test_an_attempt_that_was_given_can_be_taken_back(project, admin, client, out_of_attempts):
    marked(project, admin)
    post(client, at("act", project, out_of_attempts.pk), kind="retrain", text="Once more.")
    held = queue.lease_next_comparison(project=project, labeler=out_of_attempts)
    done = acts.acts_on(project, out_of_attempts.pk).get()
    assert "Undone: retrain" in post(client, at("act-undo", project, done.pk))
    assert list(project.exam_attempts.values_list("number", "state")) == [(3, "failed")]
    held.refresh_from_db()
    assert held.state == "expired"
    assert not exams.standing_of(project=project, labeler_id=out_of_attempts.pk).may_train


def test_who_takes_the_exam_or_has_not_begun_is_offered_no_other_attempt(
    project, admin, client, labeler
):
    url = at("labeler", project, labeler.pk)
    assert "Another attempt" not in client.get(url).text
    project.exam_attempts.create(labeler=labeler, number=1)
    assert "Another attempt" not in client.get(url).text
