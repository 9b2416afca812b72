"""Items, gold and disputes as CSV: what all pages of a list show."""

import csv

import pytest
from django.urls import reverse

from annotation.quality import disputes, gold, items, services
from annotation.quality.models import Dispute, LabelerAct
from tests import factories

pytestmark = pytest.mark.django_db
ROUTES = ["quality-items-table", "quality-gold-table", "quality-disputes-table"]


def table(client, route, project, query=""):
    answer = client.get(reverse(route, args=[project.pk]) + query)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(answer.getvalue().decode().splitlines()))


def disagreed(project, *labelers):
    """A comparison whose labelers chose the first and the second in turn."""
    comparison = factories.comparison(factories.prompt(project), overlap=9)
    first, second = comparison.candidate_ids
    for place, labeler in enumerate(labelers):
        tiers = [[second], [first]] if place % 2 else [[first], [second]]
        factories.judgment(comparison, labeler, ranking=tiers, rationale="=1+1")
    return comparison


def test_the_items_are_one_table_of_all_pages_in_the_order_of_the_page(client, admin, project):
    ann, bo = factories.user("ann"), factories.user("bo")
    made = {disagreed(project, ann, bo).pk for _ in range(12)}
    alone = disagreed(project, ann)
    services.catch_up(project=project)
    rows = table(client, "quality-items-table", project)
    assert {int(row["comparison"]) for row in rows} == {*made, alone.pk}
    assert len(rows) == 25
    shown = client.get(reverse("quality-items", args=[project.pk])).context["found"].items
    order = list(dict.fromkeys(int(row["comparison"]) for row in rows))
    assert order[:10] == [one.comparison.pk for one in shown]
    assert {(row["labeler"], row["verdict"]) for row in rows} == {
        ("ann", "A better than B"),
        ("bo", "B better than A"),
    }
    assert {row["rationale"] for row in rows} == {"'=1+1"}
    assert all(float(row["bits"]) >= 0 for row in rows)


def test_the_items_of_one_labeler_are_a_table_under_the_same_address(client, admin, project):
    ann, bo = factories.user("ann"), factories.user("bo")
    disagreed(project, ann)
    both = disagreed(project, ann, bo)
    services.catch_up(project=project)
    rows = table(client, "quality-items-table", project, f"?of={bo.pk}")
    assert {row["comparison"] for row in rows} == {str(both.pk)}
    page = client.get(reverse("quality-items", args=[project.pk]) + f"?of={bo.pk}&page=1")
    assert f'/items.csv?of={bo.pk}">CSV' in page.content.decode()


@pytest.mark.parametrize("whose", ["", "?of={}"])
def test_the_table_has_the_items_beyond_the_last_page(client, admin, project, monkeypatch, whose):
    monkeypatch.setattr(items, "LISTED", 2)
    monkeypatch.setattr(items, "AT_ONCE", 2)
    bo = factories.user("bo")
    made = [str(disagreed(project, bo).pk) for _ in range(5)]
    services.catch_up(project=project)
    rows = table(client, "quality-items-table", project, whose.format(bo.pk))
    assert [row["comparison"] for row in rows] == made[::-1]  # equal ones newest first


def test_a_filter_that_names_nothing_here_is_refused(client, admin, project):
    answer = client.get(reverse("quality-items-table", args=[project.pk]) + "?criterion=charm")
    assert answer.status_code == 400
    assert "no criterion" in answer.text


def test_all_gold_is_a_table_with_how_it_was_answered(client, admin, project):
    comparison = factories.comparison(factories.prompt(project, "Name a color."))
    first, second = comparison.candidate_ids
    gold.mark_gold(comparison=comparison, known_ranking=[[first], [second]], actor=admin)
    factories.judgment(comparison, ranking=[[first], [second]])
    factories.judgment(comparison, ranking=[[second], [first]])
    other = factories.comparison(factories.prompt(project))
    tiers = [list(other.candidate_ids)]
    item = gold.mark_gold(comparison=other, known_ranking=tiers, actor=admin)
    gold.retire_gold(item=item, reason="Too easy", actor=admin)
    row, retired = table(client, "quality-gold-table", project)
    assert (row["prompt"], row["known"]) == ("Name a color.", "A > B")
    assert (row["right"], row["answers"], row["retired_at"]) == ("1", "2", "")
    assert float(row["low"]) < float(row["accuracy"]) < float(row["high"])
    assert (retired["known"], retired["retire_reason"]) == ("A = B", "Too easy")


def test_the_disputes_of_a_state_are_a_table(client, admin, project):
    labeler = factories.member(project, username="ann")
    whose = {"project": project, "labeler": labeler}
    for text in ("I was ill.", "=cmd()"):
        pause = LabelerAct.objects.create(**whose, kind=LabelerAct.Kind.PAUSE, text="Too fast")
        about = {"subject": Dispute.Subject.PAUSE, "subject_id": pause.pk}
        Dispute.objects.create(**whose, **about, text=text)
    first = Dispute.objects.order_by("pk").first()
    disputes.answer_dispute(dispute=first, is_upheld=False, answer="No.", actor=admin)
    [row] = table(client, "quality-disputes-table", project)
    assert (row["labeler"], row["text"], row["state"]) == ("ann", "'=cmd()", "open")
    assert row["about"] == "Paused: Too fast"
    [row] = table(client, "quality-disputes-table", project, "?state=declined")
    assert (row["answer"], row["answered_by"]) == ("No.", admin.username)


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_but_an_admin_downloads_them(client, project, route):
    client.force_login(factories.member(project))
    assert client.get(reverse(route, args=[project.pk])).status_code in {403, 404}


@pytest.mark.parametrize("route", ROUTES)
def test_a_table_is_not_posted_to(client, admin, project, route):
    assert client.post(reverse(route, args=[project.pk])).status_code == 405
