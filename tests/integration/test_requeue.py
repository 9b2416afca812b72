"""A new guideline version asks again: counted first, one further slot each, taken back while unserved."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.comparisons.models import Assignment, Comparison, Requeue
from annotation.comparisons.services.queue import lease_next_comparison
from annotation.comparisons.services.requeue import requeue, requeued_by, undo_requeue
from annotation.core.errors import Conflict, InvalidInput
from annotation.projects.guidelines import difference
from annotation.projects.services import projects
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return projects.create_project(name="Ours", actor=factories.user(is_staff=True))


def judged(project, *, flipped: bool = False, **fields) -> Comparison:
    """Judged by two, who differ if ``flipped``."""
    one = factories.comparison(
        factories.prompt(project), overlap=2, slots_taken=2, judgments_counted=2, state="judged"
    )
    other = [[pk] for pk in reversed(one.candidate_ids)] if flipped else None
    factories.judgment(one, **fields)
    factories.judgment(one, **({"ranking": other} if other else {}), **fields)
    return one


def test_what_disagreed_gets_a_slot_for_someone_else(project):
    judged(project)
    apart = judged(project, flipped=True)
    new = projects.publish_guideline(project=project, text="# Two", actor=project.created_by)
    row = requeue(guideline=new, scope="disagreed", actor=project.created_by)
    assert row.comparison_ids == [apart.pk]
    apart.refresh_from_db()
    assert (apart.overlap, apart.state) == (3, "open")
    given = lease_next_comparison(project=project, labeler=factories.member(project))
    assert given.comparison_id == apart.pk


def test_an_order_and_all_bad_are_different_verdicts(project):
    one, agreed = judged(project), judged(project)
    factories.judgment(one, is_all_bad=True)
    factories.judgment(agreed)
    found = requeued_by(project.guidelines.get(), scope="disagreed")
    assert list(found) == [one]


@pytest.mark.parametrize(("state", "is_asked"), [("open", 1), ("paused", 1), ("closed", 0)])
def test_a_closed_batch_is_not_asked_again_and_a_paused_one_waits(project, state, is_asked):
    one = judged(project, flipped=True)
    Comparison.objects.update(batch=project.batches.create(name="First", state=state))
    found = requeued_by(project.guidelines.get(), scope="disagreed")
    assert list(found) == [one] * is_asked


def test_a_machine_judge_makes_no_disagreement(project):
    one = judged(project)
    other = [[pk] for pk in reversed(one.candidate_ids)]
    factories.judgment(one, ranking=other, labeler=factories.user(kind="machine"))
    assert not requeued_by(project.guidelines.get(), scope="disagreed").exists()


def test_what_was_judged_under_a_version_is_asked_again(project):
    first = project.guidelines.get()
    under = judged(project, guideline=first)
    judged(project)
    found = requeued_by(first, scope="judged_under", judged_under=first)
    assert list(found) == [under]


def test_what_was_judged_before_a_version_alone_is_asked_again_once(client, project):
    first, admin = project.guidelines.get(), project.created_by
    old, half_known = judged(project, guideline=first), judged(project, guideline=first)
    waiting = judged(project, guideline=first)  # its third label comes under the new version
    Comparison.objects.filter(pk=waiting.pk).update(overlap=3, state="open")
    imported = judged(project)
    new = projects.publish_guideline(project=project, text="# Two", actor=admin)
    factories.judgment(half_known, guideline=new)
    assert set(requeued_by(new, scope="before")) == {old, imported}
    assert not requeued_by(first, scope="before").filter(pk=old.pk).exists()
    client.force_login(admin)
    listed = client.get(reverse("comparisons-list", args=[project.pk]), {"before": 2})
    assert {one.pk for one in listed.context["page"]} == {old.pk, imported.pk}
    url = reverse("comparisons-requeue", args=[project.pk, 2])
    counted = client.get(url, {"counted": "yes"}).content.decode()
    assert "<b>2</b> judged before version 2 only" in counted
    client.post(url, {"scope": "before"})
    assert sorted(Requeue.objects.get().comparison_ids) == sorted([old.pk, imported.pk])
    assert not requeued_by(new, scope="before").exists()  # they wait for it already
    undo_requeue(project=project, pk=Requeue.objects.get().pk, actor=admin)
    assert set(requeued_by(new, scope="before")) == {old, imported}


@pytest.mark.parametrize("before", ["x", "-1", "٣", "9" * 25])
def test_a_version_that_is_no_number_narrows_nothing(client, project, before):
    client.force_login(project.created_by)
    url = reverse("comparisons-list", args=[project.pk])
    assert client.get(url, {"before": before}).status_code == 200
    assert client.get(url, {"before": 7}).status_code == 404


def test_an_undo_takes_back_only_what_nobody_has(project):
    one, two = judged(project, flipped=True), judged(project, flipped=True)
    new = projects.publish_guideline(project=project, text="# Two", actor=project.created_by)
    row = requeue(guideline=new, scope="disagreed", actor=project.created_by)
    lease = lease_next_comparison(project=project, labeler=factories.member(project))
    assert isinstance(lease, Assignment)
    assert undo_requeue(project=project, pk=row.pk, actor=project.created_by) == 1
    states = sorted(
        Comparison.objects.filter(pk__in=[one.pk, two.pk]).values_list("overlap", "state")
    )
    assert states == [(2, "judged"), (3, "open")]
    with pytest.raises(Conflict, match="undone already"):
        undo_requeue(project=project, pk=row.pk, actor=project.created_by)


def test_what_agreed_early_gets_one_slot_and_the_undo_gives_back_what_it_had(project):
    projects.update_settings(project=project, actor=project.created_by, stop_when_agreeing=2)
    judged(project)
    judged(project)
    Comparison.objects.update(overlap=5)
    new = projects.publish_guideline(project=project, text="# Two", actor=project.created_by)
    found = requeue(guideline=new, scope="before", actor=project.created_by)
    states = Comparison.objects.order_by("pk").values_list("overlap", "slots_taken", "state")
    assert list(states.all()) == [(3, 2, "open"), (3, 2, "open")]
    lease_next_comparison(project=project, labeler=factories.member(project))
    assert undo_requeue(project=project, pk=found.pk, actor=project.created_by) == 1
    assert list(states.all()) == [(3, 3, "open"), (5, 2, "judged")]


def test_a_comparison_with_the_most_labels_gets_no_further_one(project):
    Comparison.objects.filter(pk=judged(project).pk).update(overlap=50, slots_taken=50)
    early = judged(project)
    Comparison.objects.filter(pk=early.pk).update(overlap=50)
    assert list(requeued_by(project.guidelines.get(), scope="before")) == [early]


def test_gold_and_withdrawn_comparisons_are_not_asked_again(project):
    gold, gone = judged(project, flipped=True), judged(project, flipped=True)
    Comparison.objects.filter(pk=gold.pk).update(kind="gold")
    Comparison.objects.filter(pk=gone.pk).update(state="closed")
    assert not requeued_by(project.guidelines.get(), scope="disagreed").exists()
    with pytest.raises(Conflict, match="No comparison fits"):
        requeue(guideline=project.guidelines.get(), scope="disagreed", actor=project.created_by)


def test_a_scope_that_is_none_is_refused(project):
    with pytest.raises(InvalidInput, match="disagreed"):
        requeued_by(project.guidelines.get(), scope="everything")


def test_publishing_leads_to_the_choices_and_the_button_queues(client, project):
    judged(project, flipped=True)
    client.force_login(project.created_by)
    page = client.post(
        reverse("projects-guideline", args=[project.pk]), {"text": "# Only this"}, follow=True
    ).content.decode()
    assert "where labelers gave different verdicts" in page
    assert "<ins>+ # Only this</ins>" in page
    assert not Requeue.objects.exists()
    client.post(reverse("comparisons-requeue", args=[project.pk, 2]), {"scope": "disagreed"})
    row = Requeue.objects.get()
    client.post(reverse("comparisons-requeue-undo", args=[project.pk, row.pk]))
    row.refresh_from_db()
    assert row.undone_at is not None
    assert client.get(reverse("comparisons-requeue", args=[project.pk, 9])).status_code == 404


def test_the_page_is_there_before_its_counts(client, project):
    """At a million comparisons each count takes a second; the page asks for them, and its buttons do not wait."""
    judged(project, guideline=project.guidelines.get())
    projects.publish_guideline(project=project, text="# Two", actor=project.created_by)
    client.force_login(project.created_by)
    url = reverse("comparisons-requeue", args=[project.pk, 2])
    with CaptureQueriesContext(connection) as asked:
        page = client.get(url).content.decode()
    assert "comparisons_judgment" not in str([one["sql"] for one in asked])
    counts = reverse("comparisons-requeue-counts", args=[project.pk, 2])
    assert f'hx-get="{counts}"' in page
    assert "<b>…</b> judged under version 1" in page
    part = client.get(counts).content.decode()
    assert "<b>1</b> judged under version 1" in part
    assert "<b>0</b> where labelers gave different verdicts" in part
    assert (part.count("<b>0</b>"), part.count("Queue these again")) == (1, part.count("<b>1</b>"))
    assert "hx-get" not in part
    assert (
        client.get(reverse("comparisons-requeue-counts", args=[project.pk, 9])).status_code == 404
    )


def test_the_counts_of_a_requeue_are_a_table(client, project):
    judged(project, guideline=project.guidelines.get())
    projects.publish_guideline(project=project, text="# Two", actor=project.created_by)
    client.force_login(project.created_by)
    url = reverse("comparisons-requeue-table", args=[project.pk, 2])
    answer = client.get(url)
    assert answer["Content-Disposition"] == 'attachment; filename="ask-again-version-2.csv"'
    assert answer.getvalue().decode().splitlines() == [
        "choice,which,comparisons",
        "before,judged before version 2 only,1",
        "disagreed,where labelers gave different verdicts,0",
        "judged_under:1,judged under version 1,1",
    ]
    part = client.get(reverse("comparisons-requeue-counts", args=[project.pk, 2])).content.decode()
    assert f'href="{url}"' in part
    assert client.post(url).status_code == 405
    missing = reverse("comparisons-requeue-table", args=[project.pk, 9])
    assert client.get(missing).status_code == 404


def test_a_difference_keeps_two_lines_around_and_names_the_gap():
    before = "\n".join(str(one) for one in range(20))
    after = before.replace("3\n", "three\n", 1).replace("18", "eighteen")
    kinds = [line.kind for line in difference(before, after)]
    assert kinds.count("gone") == kinds.count("new") == 2
    assert kinds.count("gap") == 1
    assert difference("a", "a") == []


def test_the_api_counts_queues_and_takes_back(api, project):
    admin, first = project.created_by, project.guidelines.get()
    old = judged(project, guideline=first)
    projects.publish_guideline(project=project, text="# Two", actor=admin)
    api.force_authenticate(admin)
    listed = reverse("api-requeue-list", args=[project.pk])
    asked = {"guideline": 2, "scope": "judged_under", "judged_under": 1}
    tried = api.post(reverse("api-requeue-dry-run", args=[project.pk]), asked, format="json")
    assert tried.json() == {"comparisons": 1}
    assert not Requeue.objects.exists()
    made = api.post(listed, asked, format="json").json()
    assert (made["guideline"], made["judged_under"], made["comparisons"]) == (2, 1, 1)
    old.refresh_from_db()
    assert (old.overlap, old.state) == (3, "open")
    one = reverse("api-requeue-detail", args=[project.pk, made["id"]])
    assert api.delete(one).json() == {"comparisons": 1}
    assert api.delete(one).status_code == 409
    assert [row["undone_at"] is not None for row in api.get(listed).json()] == [True]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"guideline": 9, "scope": "before"}, 404),
        ({"guideline": 1, "scope": "judged_under"}, 400),
        ({"guideline": 1, "scope": "judged_under", "judged_under": 7}, 404),
        ({"guideline": 1, "scope": "before", "judged_under": 1}, 400),
        ({"guideline": 1, "scope": "disagreed", "judged_under": 1}, 400),
        ({"guideline": 1, "scope": "everything"}, 400),
        ({"guideline": 2**31, "scope": "before"}, 400),
        ({"guideline": 1, "scope": "before"}, 409),
    ],
)
def test_what_cannot_be_queued_again_is_refused_with_a_sentence(api, project, asked, status):
    api.force_authenticate(project.created_by)
    url = reverse("api-requeue-list", args=[project.pk])
    answer = api.post(url, asked, format="json")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
