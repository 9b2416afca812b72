"""Rules, disputes and gold have the filters that make sense there, keep the others in the address, and say so."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.models import Comparison
from annotation.quality import gold, rules
from annotation.quality.models import Dispute, LabelerAct, Rule
from tests import factories

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=60)


@pytest.fixture
def people(project):
    return [factories.member(project, username=name) for name in ("ann", "bo")]


def at(tab, project):
    return reverse(f"quality-{tab}", args=[project.pk])


def rows_of(client, tab, project, **asked):
    answer = client.get(reverse(f"quality-{tab}-table", args=[project.pk]), asked)
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def marked(project, admin, **prompt):
    comparison = factories.comparison(factories.prompt(project, **prompt))
    first, second = comparison.candidate_ids
    gold.mark_gold(comparison=comparison, known_ranking=[[first], [second]], actor=admin)
    return comparison


def answered(comparison, labeler, *, right=True, **fields):
    tiers = [[pk] for pk in comparison.candidate_ids]
    ranking = tiers if right else tiers[::-1]
    return factories.judgment(comparison, labeler, ranking=ranking, **fields)


@pytest.fixture
def tested(project, admin, people):
    """Two gold comparisons: ann is right on both, bo wrong on both, a machine judge wrong on the first."""
    first = marked(project, admin, tags=["code"])
    second = marked(project, admin, language="de")
    Comparison.objects.filter(pk=second.pk).update(language="de")
    for one in (first, second):
        answered(one, people[0])
        answered(one, people[1], right=False)
    answered(first, factories.user("judge", kind="machine"), right=False)
    return first, second


def of_gold(page):
    overall = page.context["gold"].overall
    return overall.n, [row.item.pk for row in page.context["gold"].rows]


@pytest.mark.parametrize(
    ("asked", "answers"),
    [({}, 4), ({"labelers": "all"}, 5), ({"labelers": "machine"}, 1), ({"labelers": "people"}, 4)],
)
def test_gold_is_narrowed_by_kind_of_labelers(client, project, tested, asked, answers):
    """Four answers of people, one of a machine judge, who is apart as everywhere."""
    assert of_gold(client.get(at("gold", project), asked))[0] == answers


def test_gold_is_narrowed_by_labeler_group_time_and_version(client, project, tested, people):
    ann, bo = people
    page = client.get(at("gold", project), {"labeler": ann.pk})
    assert [row.right for row in page.context["gold"].rows] == [1, 1]
    assert of_gold(page)[0] == 2
    group = project.labeler_groups.create(name="New")
    group.labelers.add(bo)
    assert of_gold(client.get(at("gold", project), {"group": group.pk}))[0] == 2
    old = bo.judgments.order_by("pk").first()
    newest = project.guidelines.create(version=1, text="Be kind.")
    bo.judgments.exclude(pk=old.pk).update(guideline=newest)
    assert of_gold(client.get(at("gold", project), {"guideline": 1}))[0] == 1
    tomorrow = (timezone.now() + timedelta(days=2)).date().isoformat()
    assert of_gold(client.get(at("gold", project), {"since": tomorrow}))[0] == 0


def test_gold_is_narrowed_by_its_comparison_also_as_a_table(client, project, tested):
    first, second = tested
    assert of_gold(client.get(at("gold", project), {"tag": "code"})) == (2, [first.pk])
    page = client.get(at("gold", project), {"language": "de", "selected": "only"})
    assert of_gold(page) == (2, [second.pk])
    assert f"{reverse('quality-gold-table', args=[project.pk])}?language=de&amp;selected=only" in (
        page.text
    )
    [row] = rows_of(client, "gold", project, language="de", labeler=str(2**31 - 1))
    assert (row["comparison"], row["answers"]) == (str(second.pk), "0")
    nothing = client.get(at("gold", project), {"tag": "none"}).text
    assert "No gold passes these filters." in nothing


@pytest.mark.parametrize("tab", ["gold", "rules", "disputes"])
def test_what_a_page_cannot_filter_by_is_said_and_kept(client, project, admin, tab):
    asked = {"criterion": "overall", "selected": "only", "days": "30"}
    page = client.get(at(tab, project), asked)
    assert "<b>Not applied here: selected comparisons.</b>" in page.text
    assert '<input type="hidden" name="selected" value="only">' in page.text
    assert '<select name="selected">' not in page.text
    assert '<select name="criterion">' not in page.text
    assert f"{at('agreement', project)}?criterion=overall&amp;selected=only&amp;days=30" in (
        page.text
    )
    assert "Not applied here" not in client.get(at(tab, project), {"days": "30"}).text


@pytest.mark.parametrize("tab", ["gold", "rules", "disputes"])
def test_a_filter_that_names_nothing_is_refused(client, project, admin, tab):
    for wrong in ({"batch": "99"}, {"group": "99"}, {"days": "x"}, {"guideline": "7"}):
        assert client.get(at(tab, project), wrong).status_code == 400


@pytest.fixture
def appealed(project, people, admin):
    """ann appeals gold, tagged code, and long ago a pause; bo appeals a pause."""
    ann, bo = people
    comparison = marked(project, admin, tags=["code"])
    made = [(ann, Dispute.Subject.GOLD, comparison.pk)]
    for one in (ann, bo):
        act = LabelerAct.objects.create(
            project=project, labeler=one, kind=LabelerAct.Kind.PAUSE, text="Too fast"
        )
        made.append((one, Dispute.Subject.PAUSE, act.pk))
    rows = [
        Dispute.objects.create(
            project=project, labeler=one, subject=subject, subject_id=pk, text="No."
        )
        for one, subject, pk in made
    ]
    Dispute.objects.filter(pk=rows[1].pk).update(created_at=timezone.now() - LONG_AGO)
    return [row.pk for row in rows]


def test_disputes_are_narrowed_on_the_page_and_as_a_table(client, project, people, appealed):
    gold_one, old_pause, pause = appealed
    for asked, kept in (
        ({"labeler": people[0].pk}, [old_pause, gold_one]),
        ({"days": "30"}, [pause, gold_one]),
        ({"tag": "code"}, [gold_one]),
        ({"labeler": people[1].pk, "tag": "code"}, []),
    ):
        page = client.get(at("disputes", project), asked)
        assert [row[0].pk for row in page.context["rows"]] == kept
        assert page.context["counts"]["open"] == len(kept)
        told = rows_of(client, "disputes", project, **asked)
        assert [int(row["dispute"]) for row in told] == kept
    page = client.get(at("disputes", project), {"state": "declined", "days": "30"}).text
    assert '<input type="hidden" name="state" value="declined">' in page
    assert "None passes these filters." in page


def test_rules_are_narrowed_by_whom_they_concern_and_when_they_were_saved(
    client, project, people, admin
):
    ann, bo = people
    for one in people:
        rules.save_rule(project=project, kind="exclude", params={"labeler": one.pk}, actor=admin)
    Rule.objects.filter(labeler=bo).update(created_at=timezone.now() - LONG_AGO)

    def listed(**asked):
        page = client.get(at("rules", project), asked)
        return [one.labeler_id for one, _sentence, _names in page.context["rules"]]

    assert listed() == [ann.pk, bo.pk]
    assert listed(labeler=bo.pk) == [bo.pk]
    assert listed(days="30") == [ann.pk]
    nothing = client.get(at("rules", project), {"days": "30", "labeler": bo.pk}).text
    assert "No rule passes these filters." in nothing
    chosen = client.get(at("rules", project), {"about": bo.pk}).text
    assert f'<option value="{bo.pk}" selected>bo</option>' in chosen


def over_the_api(client, route, project, **asked):
    return client.get(reverse(f"api-{route}-list", args=[project.pk]), asked).json()


def test_gold_over_the_api_is_narrowed_by_its_comparison(client, project, tested):
    first, second = tested
    told = over_the_api(client, "gold", project, language="de")
    assert [row["comparison"] for row in told["results"]] == [second.pk]
    told = over_the_api(client, "gold", project, tag="code")
    assert [row["comparison"] for row in told["results"]] == [first.pk]


def test_disputes_over_the_api_have_the_filters_of_the_page(client, project, appealed, people):
    told = over_the_api(client, "dispute", project, labeler=people[1].pk)
    assert [row["labeler"] for row in told["results"]] == ["bo"]
    told = over_the_api(client, "dispute", project, tag="code")
    assert [row["subject"] for row in told["results"]] == ["gold"]


def test_rules_over_the_api_have_the_filters_of_the_page(client, project, admin):
    rules.save_rule(
        project=project,
        kind="too_fast",
        params={"seconds": 4, "accuracy_below": 0.6},
        actor=admin,
        reason="Too fast",
    )
    assert len(over_the_api(client, "rule", project)) == 1
    Rule.objects.update(created_at=timezone.now() - LONG_AGO)
    assert over_the_api(client, "rule", project, days=30) == []


@pytest.mark.parametrize(
    ("route", "asked", "told"),
    [
        ("gold", {"labeler": "1"}, "Gold items have no filter labeler"),
        ("rule", {"batch": "1"}, "Rules have no filter batch"),
        ("dispute", {"guideline": "1"}, "Disputes have no filter guideline"),
        ("dispute", {"state": "odd"}, "state='odd' is not one of open, upheld, declined"),
        ("dispute", {"batch": "99"}, "no batch 99"),
    ],
)
def test_what_the_api_cannot_filter_by_is_refused(client, project, admin, route, asked, told):
    assert told in over_the_api(client, route, project, **asked)["error"]["message"]
