"""The page of one labeler: its numbers follow the filters, lead to their items, and come as a table."""

import csv
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.models import Assignment, Judgment
from annotation.generation.models import Candidate
from annotation.quality import gold, items, rules, services
from annotation.quality.scope import Scope
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(project):
    return [factories.member(project, username=name) for name in ("ann", "bo", "cy")]


@pytest.fixture
def judged(project, people):
    """Three agree on two code comparisons and on two others, where ann alone says the opposite of one of these."""
    for number in range(4):
        row = factories.comparison(
            factories.prompt(project, tags=["code"] if number < 2 else []), overlap=9
        )
        first, second = row.candidate_ids
        Candidate.objects.filter(pk=first).update(text="A much longer response than the other.")
        for person in people:
            is_odd = number == 3 and person == people[0]
            tiers = [[second], [first]] if is_odd else [[first], [second]]
            factories.judgment(row, person, ranking=tiers, strengths=[3 if number else 1])
    services.refresh_agreement(project=project)
    return project


def page_of(client, project, person, **asked):
    return client.get(reverse("quality-labeler", args=[project.pk, person.pk]), asked)


def measures(page):
    return {one.key: one.one for one in page.context["measures"].rows}


def table(client, route, *keys, **asked):
    answer = client.get(reverse(route, args=keys), asked)
    return list(csv.DictReader(answer.getvalue().decode().splitlines()))


def test_without_filters_the_numbers_are_those_of_the_table_of_labelers(
    client, admin, judged, people
):
    """Ann says what the two others say on three of four, the longer on three, much better on three."""
    found = measures(page_of(client, judged, people[0]))
    assert (found["agreement"]["value"], found["agreement"]["n"]) == (0.75, 4)
    assert found["longer"]["value"] == 0.75
    assert found["strong_rate"]["value"] == 0.75


def test_filters_narrow_the_numbers(client, admin, judged, people):
    found = measures(page_of(client, judged, people[0], tag="code"))
    assert (found["agreement"]["value"], found["agreement"]["n"]) == (1.0, 2)
    assert found["strong_rate"]["value"] == 0.5


def test_filters_that_let_in_nothing_of_a_labeler_say_so(client, admin, judged, people):
    found = measures(page_of(client, judged, people[0], labeler=people[1].pk))
    assert found["agreement"]["reason"].startswith("These filters let in no judgment")


def test_the_page_has_the_filters_and_says_what_they_leave(client, admin, judged, people):
    page = page_of(client, judged, people[0], tag="code").content.decode()
    assert "<option selected>code</option>" in page
    assert "The numbers are of what the filters let in." in page


def test_a_wrong_filter_is_refused(client, admin, judged, people):
    assert page_of(client, judged, people[0], guideline=9).status_code == 400


def test_a_number_leads_to_its_items_under_the_same_filters(client, admin, judged, people):
    page = page_of(client, judged, people[0], tag="code").content.decode()
    items_at = reverse("quality-items", args=[judged.pk])
    assert f"{items_at}?tag=code&amp;of={people[0].pk}&amp;aspect=strong" in page


@pytest.mark.parametrize(("aspect", "count"), [("longer", 3), ("strong", 3), ("apart", 1)])
def test_the_items_behind_a_number_are_those_it_counts(judged, people, aspect, count):
    asked = items.Asked(labeler=people[0].pk, aspect=items.Aspect(aspect))
    assert items.items_of(judged, Scope(), asked, None).total == count


def test_a_skip_shows_at_once_with_its_reason(client, admin, judged, people):
    row = factories.comparison(factories.prompt(judged))
    Assignment.objects.create(
        project=judged,
        comparison=row,
        labeler=people[0],
        state=Assignment.State.SKIPPED,
        shown_order=row.candidate_ids,
        lease_until=timezone.now(),
        skip_reason="needs_expert",
        skipped_at=timezone.now(),
    )
    page = page_of(client, judged, people[0])
    assert (measures(page)["skip_rate"]["value"], measures(page)["skip_rate"]["n"]) == (0.2, 5)
    assert "Needs an expert: 1" in page.content.decode()
    assert measures(page_of(client, judged, people[0], days=7))["skip_rate"]["value"] == 0.2


def test_gold_shows_at_once_and_follows_time(client, admin, judged, people):
    row = factories.comparison(factories.prompt(judged))
    first, second = row.candidate_ids
    gold.mark_gold(comparison=row, known_ranking=[[first], [second]], actor=admin)
    factories.judgment(row, people[0])
    assert measures(page_of(client, judged, people[0]))["gold"]["n"] == 1
    Judgment.objects.filter(comparison=row).update(created_at=timezone.now() - timedelta(days=9))
    assert measures(page_of(client, judged, people[0], days=7))["gold"]["value"] is None


def test_the_numbers_come_as_a_table_with_the_reason_of_what_is_missing(
    client, admin, judged, people
):
    keys = (judged.pk, people[0].pk)
    rows = {one["measure"]: one for one in table(client, "quality-labeler-table", *keys)}
    assert (rows["agreement"]["value"], rows["agreement"]["n"]) == ("0.75", "4")
    assert rows["repeats"]["reason"] == "No comparison came a second time yet."
    rows = {
        one["measure"]: one for one in table(client, "quality-labeler-table", *keys, tag="code")
    }
    assert rows["agreement"]["value"] == "1.0"


def test_a_stranger_has_no_table(client, admin, judged):
    other = factories.user()
    address = reverse("quality-labeler-table", args=[judged.pk, other.pk])
    assert client.get(address).status_code == 404


def test_the_rules_come_as_a_table_that_follows_the_filters(client, admin, judged, people):
    ann, bo, _ = people
    rules.save_rule(
        project=judged, kind="exclude", params={"labeler": ann.pk}, reason="Odd.", actor=admin
    )
    (row,) = table(client, "quality-rules-table", judged.pk)
    assert (row["says"], row["is_on"]) == ("Leave out all judgments of ann.", "True")
    assert (row["concerns"], row["reason"]) == ("ann", "Odd.")
    assert table(client, "quality-rules-table", judged.pk, labeler=bo.pk) == []
    assert "rules.csv" in client.get(reverse("quality-rules", args=[judged.pk])).content.decode()


def test_who_has_not_passed_comes_as_a_table(client, admin, project, people):
    project.must_qualify = True
    project.save(update_fields=["must_qualify"])
    people[1].exam_attempts.create(project=project, number=1, state="failed")
    rows = table(client, "quality-exam-table", project.pk)
    assert [(one["labeler"], one["state"], one["attempt"]) for one in rows] == [
        ("ann", "not begun", ""),
        ("bo", "failed", "1"),
        ("cy", "not begun", ""),
    ]
    assert "exam.csv" in client.get(reverse("quality-gold", args=[project.pk])).content.decode()
