"""Skips are missing data, told as a rate: of all, of a labeler, by reason, under filters, on a comparison's page."""

import csv
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services import queue, skips
from annotation.projects.models import Role
from annotation.quality import items, selectors, services
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report, view_of
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(project):
    return factories.member(project, username="ada")


@pytest.fixture
def bob(project):
    return factories.member(project, username="bob")


@pytest.fixture
def skipping(project, ada, bob):
    """Ada judged three comparisons and skipped one, Bob judged one and skipped two; a repeat and an import apart."""
    for labeler, judged in ((ada, 3), (bob, 1)):
        for _ in range(judged):
            factories.judgment(factories.comparison(factories.prompt(project)), labeler)
    skip(project, ada, "unclear_prompt")
    skip(project, bob, "unclear_prompt")
    skip(project, bob, "language")
    skip(project, bob, "other", takes_place=False, is_repeat=True)
    factories.judgment(factories.comparison(factories.prompt(project)), ada, is_imported=True)
    services.catch_up(project=project)
    return project


def assignment(labeler, comparison, **fields):
    """Not stored yet."""
    return Assignment(
        project_id=comparison.project_id,
        comparison=comparison,
        labeler=labeler,
        shown_order=comparison.candidate_ids,
        lease_until=timezone.now(),
        **fields,
    )


def skip(project, labeler, reason, *, comparison=None, skipped_at=None, **fields):
    row = comparison or factories.comparison(factories.prompt(project))
    told = {"skip_reason": reason, "skipped_at": skipped_at or timezone.now(), **fields}
    assignment(labeler, row, state=Assignment.State.SKIPPED, **told).save()


def rate(project, **filters):
    return computed_report(project, Scope(**filters))["statistics"]["skip_rate"]


def table(response):
    return list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))


def test_the_rate_is_skips_over_skips_and_what_was_judged_here(skipping):
    """Three of 3 + 4, Wilson's interval of 3 in 7: (3/7 + z²/14 ± ...) / (1 + z²/7) = 0.158 to 0.750."""
    found = rate(skipping)
    assert (found["value"], found["n"]) == (pytest.approx(3 / 7), 7)
    assert found["interval"] == [pytest.approx(0.1582, abs=1e-4), pytest.approx(0.7495, abs=1e-4)]


def test_the_live_figures_have_the_same_rate_and_take_a_skip_at_once(skipping, bob):
    assert view_of(skipping, Scope()).report["statistics"]["skip_rate"] == rate(skipping)
    skip(skipping, bob, "upsetting")
    assert view_of(skipping, Scope()).report["statistics"]["skip_rate"]["value"] == 0.5


def test_a_skip_that_was_undone_does_not_count(project, ada):
    factories.comparison(factories.prompt(project))
    held = queue.lease_next_comparison(project=project, labeler=ada)
    skipped = queue.skip_assignment(assignment=held, reason="other")
    assert rate(project)["value"] == 1.0
    skips.undo_skip(assignment=skipped)
    assert rate(project)["reason"].startswith("Nothing was asked here")


def test_a_skip_of_gold_is_apart_as_its_answers_are(project, ada):
    Comparison.objects.filter(pk=factories.comparison(factories.prompt(project)).pk).update(
        kind=Comparison.Kind.GOLD
    )
    gold = Comparison.objects.get(kind=Comparison.Kind.GOLD)
    skip(project, ada, "other", comparison=gold, takes_place=False)
    assert rate(project)["value"] is None


def test_each_labeler_has_a_rate_of_their_own(skipping):
    rows = {one["name"]: one for one in computed_report(skipping, Scope())["labelers"]}
    assert (rows["ada"]["skip_rate"]["value"], rows["ada"]["skip_rate"]["n"]) == (0.25, 4)
    assert rows["bob"]["skip_rate"]["value"] == pytest.approx(2 / 3)


def test_the_reasons_come_with_their_counts_and_shares(skipping):
    found = computed_report(skipping, Scope())["skips"]
    assert [(one["key"], one["skips"], one["n"]) for one in found] == [
        ("unclear_prompt", 2, 3),
        ("language", 1, 3),
    ]


def test_filters_of_labeler_batch_language_and_tag_narrow_the_rate(skipping, ada, bob):
    assert rate(skipping, chosen=(ada.pk,))["value"] == 0.25
    skipping.prompts.update(tags=["dull"])
    assert rate(skipping, tag="dull")["n"] == 7
    assert rate(skipping, tag="keen")["value"] is None
    assert rate(skipping, language="xx")["value"] is None


def test_time_narrows_skips_by_when_they_were_given(skipping, ada):
    skip(skipping, ada, "other", skipped_at=timezone.now() - timedelta(days=40))
    assert rate(skipping, days=30)["n"] == 7
    assert rate(skipping)["n"] == 8


def test_a_guideline_version_has_the_skips_of_its_time(project, ada):
    old = timezone.now() - timedelta(days=9)
    for version in (1, 2):
        made = project.guidelines.create(version=version, text="Read.")
        project.guidelines.filter(pk=made.pk).update(created_at=old + timedelta(days=version))
        row = factories.comparison(factories.prompt(project))
        factories.judgment(row, ada, guideline=made)
    skip(project, ada, "other", skipped_at=old + timedelta(days=1, hours=1))
    services.catch_up(project=project)
    assert rate(project, guideline=1)["value"] == 0.5
    assert rate(project, guideline=2)["value"] == 0.0


def test_machine_judges_and_imports_are_told_apart_from_people(skipping):
    judge = factories.user("judge", kind="machine")
    skip(skipping, judge, "other")
    assert rate(skipping)["n"] == 7
    assert rate(skipping, labelers="all")["n"] == 8
    assert rate(skipping, labelers="imported")["reason"].startswith("Nothing was asked here")


def test_what_was_drawn_counts_and_stands_alone_under_its_filter(skipping, ada):
    drawn = factories.comparison(factories.prompt(skipping), propensity=0.5)
    factories.judgment(drawn, ada)
    other = factories.comparison(factories.prompt(skipping), propensity=0.5)
    factories.judgment(other, ada)
    skip(skipping, factories.member(skipping), "other", comparison=drawn)
    services.catch_up(project=skipping)
    assert rate(skipping)["n"] == 10
    assert rate(skipping, selected="only")["value"] == pytest.approx(1 / 3)
    assert view_of(skipping, Scope()).report["statistics"]["skip_rate"]["n"] == 10


def test_a_criterion_has_no_rate_and_says_why(skipping):
    skipping.criteria.create(name="harmless", question="Which is less harmful?")
    services.catch_up(project=skipping)
    assert "whole comparison" in rate(skipping, criterion="harmless")["reason"]


def test_the_number_of_a_labeler_leads_to_what_they_skipped(skipping, bob):
    asked = items.Asked(labeler=bob.pk, aspect=items.Aspect.SKIPPED)
    found = items.items_of(skipping, Scope(), asked, None)
    mine = Assignment.objects.filter(labeler=bob, takes_place=True)
    assert {one.comparison.pk for one in found.items} == set(
        mine.values_list("comparison_id", flat=True)
    )


def test_page_and_tables_tell_the_rate_and_the_reasons(skipping, client):
    client.force_login(factories.member(skipping, Role.ADMIN))
    page = client.get(reverse("quality-labelers", args=[skipping.pk]))
    assert "Unclear prompt" in page.content.decode()
    assert "43 %" in client.get(reverse("quality-agreement", args=[skipping.pk])).content.decode()
    rows = table(client.get(reverse("quality-table", args=[skipping.pk, "statistics"])))
    assert [one["n"] for one in rows if one["statistic"] == "skip_rate"] == ["7"]
    rows = table(client.get(reverse("quality-table", args=[skipping.pk, "skips"])))
    assert [(one["why"], one["skips"]) for one in rows] == [
        ("unclear_prompt", "2"),
        ("language", "1"),
    ]


def test_who_only_skipped_is_named_beside_the_table(skipping, client):
    cleo = factories.member(skipping, username="cleo")
    skip(skipping, cleo, "needs_expert")
    skip(skipping, factories.user("judge", kind="machine"), "other")
    assert computed_report(skipping, Scope())["only_skipped"] == [
        {"id": cleo.pk, "name": "cleo", "skips": 1}
    ]
    client.force_login(factories.member(skipping, Role.ADMIN))
    page = client.get(reverse("quality-labelers", args=[skipping.pk])).content.decode()
    assert "Judged nothing and skipped" in page
    told = client.get(reverse("quality-labeler", args=[skipping.pk, cleo.pk])).content.decode()
    assert "Needs an expert" in told


def test_the_api_has_the_rate_and_the_reasons(skipping, client):
    client.force_login(factories.member(skipping, Role.ENGINEER))
    address = reverse("api-agreement-detail", args=[skipping.pk])
    report = client.get(address).json()["report"]
    assert report["statistics"]["skip_rate"]["n"] == 7
    assert report["skips"][0]["key"] == "unclear_prompt"


def test_the_page_of_a_comparison_tells_who_skipped_it_and_why(project, ada, client):
    row = factories.comparison(factories.prompt(project))
    skip(project, ada, "needs_expert", comparison=row)
    client.force_login(factories.member(project, Role.ADMIN))
    page = client.get(reverse("quality-comparison", args=[project.pk, row.pk])).content.decode()
    assert "Who skipped it" in page
    assert "Needs an expert" in page


def test_live_figures_count_skips_in_one_query_whatever_their_number(skipping, bob):
    def queries():
        with CaptureQueriesContext(connection) as told:
            selectors.live_view(skipping)
        return sum("skip_reason" in one["sql"] for one in told)

    assert queries() == 1
    skip(skipping, bob, "upsetting")
    assert queries() == 1


def test_skips_of_a_project_are_read_off_their_index(skipping, ada):
    """Among 2,000 answers, as the statistics of the table tell the planner."""
    prompt = factories.prompt(skipping)
    asked = [
        Comparison(project=skipping, prompt=prompt, candidate_ids=[1, 2 + n]) for n in range(2_000)
    ]
    Assignment.objects.bulk_create(
        assignment(ada, one, state=Assignment.State.SUBMITTED)
        for one in Comparison.objects.bulk_create(asked)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE comparisons_assignment")
    rows = selectors.standing_skips(skipping, Scope())
    plan = rows.order_by().values_list("labeler_id", "skip_reason").explain()
    assert "skips_by_project" in plan


def test_an_edited_judgment_moves_no_count_of_those_given_here(skipping):
    Judgment.objects.filter(is_imported=False).first().delete()
    services.catch_up(project=skipping)
    assert view_of(skipping, Scope()).report["judgments_given_here"] == 3
