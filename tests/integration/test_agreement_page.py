"""Agreement: the report follows the judgments, the page says what it means and what is missing."""

import csv
import json
import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.models import Judgment
from annotation.measures.plackett_luce import Choices, plackett_luce_of_choices
from annotation.measures.statistic import proportion
from annotation.quality import policy_models, resolving, selectors, services, storing, tally, views
from annotation.quality.models import AgreementReport, Resolution
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments
from annotation.quality.selectors import computed_report as report_of_columns
from tests import factories
from workers import quality as tasks

pytestmark = pytest.mark.django_db


def computed_report(project, scope):
    """The report of the judgments as they are now."""
    services.catch_up(project=project)
    return report_of_columns(project, scope)


def judged(project, verdicts, **fields):
    """A comparison and one judgment a (labeler, sign): 1 the first is better, -1 the second, 0 a tie, None all bad."""
    comparison = factories.comparison(factories.prompt(project), overlap=50)
    first, second = comparison.candidate_ids
    tiers = {1: [[first], [second]], -1: [[second], [first]], 0: [[first, second]], None: []}
    for labeler, sign in verdicts:
        factories.judgment(
            comparison, labeler, ranking=tiers[sign], is_all_bad=sign is None, **fields
        )
    return comparison


@pytest.fixture
def busy(project):
    """Forty comparisons judged by three: two agree, the third (simulated) says the opposite in each fourth."""
    two = [factories.user("ada"), factories.user("=HYPERLINK()")]
    third = factories.user("simon", kind="simulated", rule="prefers the longer response")
    for number in range(40):
        sign = (1, -1, 1, 0)[number % 4]
        odd = -sign if number % 4 == 1 else sign
        judged(project, [(two[0], sign), (two[1], sign), (third, odd)], active_ms=60_000)
    return project


def test_the_figures_are_those_of_the_judgments(busy):
    """Of 40 pairs 30 agree fully, 10 by one of three pairs of labelers: (30 + 10/3) / 40."""
    report = computed_report(busy, Scope())
    assert report["statistics"]["percent"]["value"] == pytest.approx((30 + 10 / 3) / 40)
    assert report["statistics"]["tie_rate"]["value"] == pytest.approx(0.25)
    assert report["pairs_shared"] == 40
    assert not report["is_rough"]


def test_the_labelers_table_ranks_the_odd_one_lowest(busy):
    rows = {row["name"]: row for row in computed_report(busy, Scope())["labelers"]}
    assert rows["simon"]["agreement"]["value"] == pytest.approx(0.75)
    assert rows["ada"]["accuracy"]["value"] > rows["simon"]["accuracy"]["value"]
    assert rows["simon"]["rule"] == "prefers the longer response"
    assert rows["ada"]["hours"] == pytest.approx(40 / 60, abs=1e-3)
    assert rows["ada"]["per_hour"] == 60.0


def test_the_shown_order_moves_the_position_effect_and_nothing_else(busy):
    def shown(first_left):
        for judgment in Judgment.objects.select_related("comparison"):
            order = judgment.comparison.candidate_ids
            judgment.shown_order = order if first_left else order[::-1]
            judgment.save(update_fields=["shown_order"])
        return computed_report(busy, Scope())

    left, right = shown(first_left=True), shown(first_left=False)
    positions = [one["statistics"].pop("position_effect")["value"] for one in (left, right)]
    assert positions[0] == pytest.approx(1 - positions[1])
    for report in (left, right):
        report.pop("position")  # of the model that is told which side was left
        for row in report["labelers"]:
            row.pop("left")
    assert left == right


def test_nothing_is_computed_again_until_something_is_new(busy):
    assert services.refresh_agreement(project=busy) is not None
    assert services.refresh_agreement(project=busy) is None
    Judgment.objects.filter(pk=Judgment.objects.first().pk).update(withdrawn_at=timezone.now())
    assert services.refresh_agreement(project=busy) is not None


def test_each_comparison_is_resolved_and_an_adjudicated_one_stays(busy):
    first, second = busy.comparisons.order_by("pk")[:2]
    Resolution.objects.create(
        project=busy, comparison=first, method=Resolution.Method.ADJUDICATED, ranking=[[1]]
    )
    tasks.refresh_agreement(busy.pk)
    assert busy.resolutions.count() == 40
    assert busy.resolutions.get(comparison=first).ranking == [[1]]
    resolved = busy.resolutions.get(comparison=second)
    assert resolved.ranking == [[pk] for pk in reversed(second.candidate_ids)]
    assert 0.5 < resolved.confidence <= 1


def test_a_comparison_that_most_found_bad_resolves_to_that(project):
    judged(project, [(None, None), (None, None), (None, 1)])
    services.catch_up(project=project)
    judged_all = ScopedJudgments(project, Scope()).judged
    resolving.resolve_comparisons(project=project, judged=judged_all, known=None)
    assert project.resolutions.get().is_all_bad


def test_a_resolution_without_judgments_is_forgotten(busy):
    tasks.refresh_agreement(busy.pk)
    gone = busy.comparisons.first()
    gone.judgments.update(withdrawn_at=timezone.now())
    tasks.refresh_agreement(busy.pk)
    assert not busy.resolutions.filter(comparison=gone).exists()


def alphas(report):
    """Every alpha of a report, and what is like it."""
    found = [report["statistics"]["alpha_ordinal"], report["versions"][0]["alpha_ordinal"]]
    found += [*report["periods"], *report["coefficients"]]
    return [one["value"] for one in found] + [
        row["alpha_without"]["value"] for row in report["labelers"]
    ]


def test_alpha_is_shown_from_thirty_pairs_and_three_labelers_on(busy):
    """Of 40 pairs by three labelers all but what is left without one of them; of 28 pairs nothing."""
    assert None not in alphas(computed_report(busy, Scope()))[:-3]
    some = list(busy.comparisons.order_by("pk")[:12])
    Judgment.objects.filter(comparison__in=some).update(withdrawn_at=timezone.now())
    report = computed_report(busy, Scope())
    assert set(alphas(report)) == {None}
    assert "there are 28 and 3" in report["periods"][0]["reason"]


def test_alpha_of_two_labelers_is_hidden_but_for_the_kappas_of_two(busy):
    Judgment.objects.filter(labeler__username="simon").update(withdrawn_at=timezone.now())
    report = computed_report(busy, Scope())
    shown = {row["name"] for row in report["coefficients"] if row["value"] is not None}
    assert shown == {"Scott’s pi", "Cohen’s kappa"}
    assert report["periods"][0]["value"] is None


@pytest.mark.parametrize("tab", ["agreement", "labelers", "guideline"])
def test_every_tab_shows_the_figures_and_a_plot(client, admin, busy, tab):
    tasks.refresh_agreement(busy.pk)
    content = client.get(reverse(f"quality-{tab}", args=[busy.pk])).content.decode()
    assert "120 judgments by 3 labelers on 40 comparisons" in content
    assert content.count('role="img"') >= 1
    assert content.index('class="tabs"') < content.index('class="figures"')
    assert ('id="brief-alpha_ordinal"' in content) == (tab != "agreement")
    live = reverse("quality-live", args=[busy.pk])
    asked = "&amp;strip=brief" if tab != "agreement" else "state=full"
    assert re.search(rf'hx-get="{live}[^"]*{asked}"', content)
    moved = client.get(live, {"shown": "0", "state": "full", "strip": "brief"}).text
    assert 'id="brief-alpha_ordinal" hx-swap-oob="true"' in moved


def test_the_filters_go_with_the_tabs(client, admin, busy):
    content = client.get(
        reverse("quality-agreement", args=[busy.pk]), {"labelers": "people"}
    ).content.decode()
    assert f'{reverse("quality-labelers", args=[busy.pk])}?labelers=people"' in content


def links_of(client, url, **asked):
    return re.findall(r'href="([^"]+)"', client.get(url, asked).text.replace("&amp;", "&"))


def test_the_filters_go_from_the_labelers_to_their_items_and_on(client, admin, busy):
    ada = User.objects.get(username="ada")
    asked = {"labelers": "people", "since": "2026-01-31"}
    table, items = (reverse(f"quality-{one}", args=[busy.pk]) for one in ("labelers", "items"))
    kept = "labelers=people&since=2026-01-31"
    behind = f"{items}?{kept}&of={ada.pk}&aspect=tie"
    assert behind in links_of(client, table, **asked, tag="")
    found = links_of(client, behind)
    assert f"?{kept}" in found  # all items
    assert f"?{kept}&of={ada.pk}" in found  # beside each judgment
    first = client.get(behind).context["found"].items[0].comparison
    about = reverse("quality-comparison", args=[busy.pk, first.pk])
    assert f"{about}?{kept}#adjudicate" in found
    page = client.get(table, asked).text
    assert '<input type="hidden" name="since" value="2026-01-31">' in page
    assert '<input type="date" name="since" value="2026-01-31"' in page


def test_a_version_is_chosen_beside_the_other_filters(client, admin, project):
    version = project.guidelines.create(version=1, text="x")
    judged(project, [(factories.user(), 1)], guideline=version)
    found = links_of(client, reverse("quality-guideline", args=[project.pk]), days="30")
    assert "?days=30&guideline=1" in found


@pytest.mark.parametrize("tab", ["rules", "gold", "disputes"])
def test_the_filters_stay_over_the_tabs_that_have_none(client, admin, busy, tab):
    asked = {"labelers": "people", "tag": ""}
    found = links_of(client, reverse(f"quality-{tab}", args=[busy.pk]), **asked)
    assert f"{reverse('quality-labelers', args=[busy.pk])}?labelers=people" in found


def test_the_labelers_tab_says_once_what_stands_behind_the_simulated(client, admin, busy):
    same = factories.user("sam", kind="simulated", rule="prefers the longer response")
    factories.judgment(busy.comparisons.first(), labeler=same)
    tasks.refresh_agreement(busy.pk)
    content = client.get(reverse("quality-labelers", args=[busy.pk])).content.decode()
    assert ">simon, sam: prefers the longer response<" in content
    assert "style=" not in content


def test_a_tag_of_the_address_that_no_prompt_has_is_shown_as_chosen(client, admin, busy):
    page = client.get(reverse("quality-agreement", args=[busy.pk]), {"tag": "nope"})
    assert "<option selected>nope</option>" in page.content.decode()


def test_an_empty_project_says_what_is_missing(client, admin, project):
    content = client.get(reverse("quality-agreement", args=[project.pk])).content.decode()
    assert "at least 2 labelers on the same comparison: 0 so far" in content


def test_figures_without_overlap_say_why_they_are_undefined(client, admin, project):
    for _ in range(2):  # two labelers, each on a comparison of their own
        judged(project, [(None, 1)])
    tasks.refresh_agreement(project.pk)
    content = client.get(reverse("quality-agreement", args=[project.pk])).content.decode()
    assert "This needs at least 2 labelers on the same comparison" in content
    assert "nan" not in content.lower().replace("finance", "").replace("brennan", "")


def test_the_page_before_the_first_report_of_many_judgments_rings_and_says_so(
    client, admin, busy, monkeypatch
):
    monkeypatch.setattr(tally, "ROWS_AT_ONCE", 0)
    content = client.get(reverse("quality-agreement", args=[busy.pk])).content.decode()
    assert "Computing the first figures" in content


def test_filters_look_at_a_part_of_the_judgments(client, admin, busy):
    Judgment.objects.filter(labeler__username="ada").update(
        created_at=timezone.now() - timedelta(days=40)
    )
    url = reverse("quality-agreement", args=[busy.pk])
    assert b"40 judgments by 1 labeler" in client.get(url, {"labelers": "simulated"}).content
    assert b"80 judgments by 2 labelers" in client.get(url, {"days": 30}).content
    assert not AgreementReport.objects.exists()


@pytest.mark.parametrize(
    ("zone", "asked", "left"),
    [
        ("Asia/Tokyo", {"since": "2026-03-11"}, ["=HYPERLINK()", "simon"]),
        ("Asia/Tokyo", {"until": "2026-03-11"}, ["=HYPERLINK()", "ada"]),
        ("Asia/Tokyo", {"since": "2026-03-11", "until": "2026-03-11"}, ["=HYPERLINK()"]),
        ("UTC", {"since": "2026-03-11"}, ["simon"]),
        ("UTC", {"since": "2026-03-10", "until": "2026-03-10"}, ["=HYPERLINK()", "ada"]),
        ("UTC", {"days": "1", "until": "2026-03-11"}, []),
    ],
)
def test_a_range_has_whole_days_of_who_asks(client, api, admin, busy, zone, asked, left):
    admin.time_zone = zone
    admin.save()
    moments = {
        "ada": datetime(2026, 3, 10, 14, 59, 59, tzinfo=UTC),  # the last second of a day in Tokyo
        "=HYPERLINK()": datetime(2026, 3, 10, 15, 0, tzinfo=UTC),  # the first of the next
        "simon": datetime(2026, 3, 11, 15, 0, tzinfo=UTC),
    }
    for name, at in moments.items():
        Judgment.objects.filter(labeler__username=name).update(created_at=at)
    keys = {"project_id": busy.pk, "table": "labelers"}
    page = client.get(reverse("quality-labelers", args=[busy.pk]), asked)
    report = api.get(reverse("api-agreement-detail", args=[busy.pk]), asked).json()["report"]
    for rows in (page.context["report"]["labelers"], report["labelers"]):
        assert sorted(row["name"] for row in rows) == left
    table = b"".join(client.get(reverse("quality-table", kwargs=keys), asked)).decode()
    assert len(table.splitlines()) == 1 + len(left)


@pytest.mark.parametrize(
    "asked",
    [
        {"labelers": "aliens"},
        {"days": "-1"},
        {"days": "1e9"},
        {"criterion": "x"},
        {"guideline": 9},
        {"since": "tomorrow"},
        {"until": "2026-02-30"},
        {"until": "9999-12-31"},
        {"since": "2026-03-11", "until": "2026-03-10"},
    ],
)
def test_a_filter_that_is_wrong_is_refused_with_a_sentence(client, api, admin, project, asked):
    assert client.get(reverse("quality-agreement", args=[project.pk]), asked).status_code == 400
    answer = api.get(reverse("api-agreement-detail", args=[project.pk]), asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_few_judgments_have_figures_and_tables_before_a_worker_came(client, admin, busy):
    content = client.get(reverse("quality-labelers", args=[busy.pk])).content.decode()
    assert "120 judgments by 3 labelers on 40 comparisons" in content
    assert "prefers the longer response" in content


def test_the_api_gives_the_report_with_its_age(api, admin, busy):
    tasks.refresh_agreement(busy.pk)
    answer = api.get(reverse("api-agreement-detail", args=[busy.pk])).json()
    assert answer["is_current"]
    assert set(answer["report"]["statistics"]["alpha_ordinal"]) == {
        "value",
        "interval",
        "n",
        "reason",
    }
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize(
    "table",
    ["statistics", "labelers", "matrix", "periods", "versions", "coefficients", "budget"],
)
def test_each_table_is_a_csv_that_runs_no_formula(client, admin, busy, table):
    tasks.refresh_agreement(busy.pk)
    answer = client.get(reverse("quality-table", args=[busy.pk, table]))
    lines = b"".join(answer.streaming_content).decode()
    rows = list(csv.reader(lines.splitlines()))
    assert len(rows) > 1
    assert not any(cell.startswith("=") for row in rows for cell in row)


def pair_of(report, *names):
    """The cell of two labelers in the matrix."""
    ids = {row["id"] for row in report["labelers"] if row["name"] in names}
    return next(one for one in report["matrix"] if {one["first"], one["second"]} == ids)


def test_two_labelers_agree_with_an_interval_beyond_chance_too(busy):
    """30 of 40 verdicts are equal. Named both ways each says first 15, second 15, tie 10: p_e = .34375, so that kappa
    is (.75 - .34375) / .65625 = .619048."""
    cell = pair_of(computed_report(busy, Scope()), "ada", "simon")
    assert cell["agreement"] == proportion(30, n=40, nothing="-").as_json()
    assert (cell["kappa"]["value"], cell["kappa"]["n"]) == (pytest.approx(0.619048, abs=1e-6), 40)
    low, high = cell["kappa"]["interval"]
    assert low < 0.619 < high
    assert pair_of(computed_report(busy, Scope()), "ada", "=HYPERLINK()")["kappa"]["reason"]


def test_the_matrix_shows_each_number_with_its_interval_and_n_without_hover(client, admin, busy):
    tasks.refresh_agreement(busy.pk)
    page = client.get(reverse("quality-labelers", args=[busy.pk])).text
    kappa = pair_of(computed_report(busy, Scope()), "ada", "simon")["kappa"]["interval"]
    assert '75 %<br><span class="muted tiny">60–86 of 40</span>' in page
    ends = " to ".join(f"{one:.2f}" for one in kappa)
    assert f'0.62<br><span class="muted tiny">{ends} of 40</span>' in page


def test_the_table_of_the_matrix_has_the_intervals(client, admin, busy):
    tasks.refresh_agreement(busy.pk)
    answer = client.get(reverse("quality-table", args=[busy.pk, "matrix"]))
    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))
    row = next(one for one in rows if {one["first"], one["second"]} == {"ada", "simon"})
    assert (row["agreement"], row["agreement_n"], row["kappa_n"]) == ("0.75", "40", "40")
    assert float(row["agreement_low"]) < 0.75 < float(row["agreement_high"])
    assert float(row["kappa_low"]) < float(row["kappa"]) < float(row["kappa_high"])


def test_an_unknown_table_is_not_found(client, admin, project):
    assert client.get(reverse("quality-table", args=[project.pk, "salaries"])).status_code == 404


def test_gold_comparisons_are_apart(project):
    comparison = judged(project, [(None, 1), (None, -1)])
    comparison.kind = "gold"
    comparison.save(update_fields=["kind"])
    assert computed_report(project, Scope())["judgments"] == 0


def test_the_items_tab_begins_where_one_more_judgment_tells_most(client, admin, busy):
    split = judged(busy, [(factories.user(), 1), (factories.user(), -1)], rationale="Shorter.")
    content = client.get(reverse("quality-items", args=[busy.pk])).content.decode()
    first = content.index('id="comparison-')
    assert content[first:].startswith(f'id="comparison-{split.pk}"')
    assert "A better than B" in content
    assert "B better than A" in content
    assert "Shorter." in content


@pytest.mark.parametrize(("aspect", "many"), [("all", 40), ("apart", 10), ("tie", 10), ("left", 0)])
def test_a_number_of_a_labeler_leads_to_its_items(client, admin, busy, aspect, many):
    simon = User.objects.get(username="simon")
    url = reverse("quality-items", args=[busy.pk])
    context = client.get(url, {"of": simon.pk, "aspect": aspect}).context
    assert context["found"].total == many


def test_the_items_under_a_criterion_show_its_verdicts(client, admin, project):
    """Overall A, honest B; another labeler did not answer it."""
    project.criteria.create(name="honest", question="Which is more honest?")
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidate_ids
    honest = {"honest": {"ranking": [[second], [first]], "strengths": [3]}}
    for criteria in (honest, {}):
        factories.judgment(comparison, criteria=criteria)
    url = reverse("quality-items", args=[project.pk])
    page = client.get(url, {"criterion": "honest"})
    [item] = page.context["found"].items
    assert [one.verdict for one in item.said] == ["B much better than A", "no answer"]
    assert item.said[0].others == [("overall", "A better than B")]
    assert "Verdict: honest" in page.text
    [item] = client.get(url).context["found"].items
    assert [one.verdict for one in item.said] == ["A better than B"] * 2
    adjudicated = client.get(reverse("quality-comparison", args=[project.pk, comparison.pk])).text
    detail = client.get(reverse("comparisons-detail", args=[project.pk, comparison.pk])).text
    for page in (adjudicated, detail):
        assert "honest: B much better than A" in page


def apart_of(client, project, name, **filters):
    """How many items lead from a labeler's *With others*, and how many the number itself says they are."""
    labeler = User.objects.get(username=name)
    asked = {"of": labeler.pk, "aspect": "apart", **filters}
    found = client.get(reverse("quality-items", args=[project.pk]), asked).context["found"]
    page = client.get(reverse("quality-labelers", args=[project.pk]), filters)
    [row] = [row for row in page.context["report"]["labelers"] if row["name"] == name]
    return found.total, round(row["agreement"]["n"] * (1 - row["agreement"]["value"]))


def test_who_decided_otherwise_is_held_against_the_votes_of_the_number(client, admin, project):
    """Two people agree on 1 of 2 and two machine judges contradict on both: Ada is apart on 1, with the judges on 2."""
    ada, ben = factories.user("ada"), factories.user("ben")
    judges = [factories.user(kind="machine") for _ in range(2)]
    for sign in (1, -1):
        judged(project, [(ada, 1), (ben, sign), *((one, -1) for one in judges)])
    assert apart_of(client, project, "ada") == (1, 1)
    assert apart_of(client, project, "ada", labelers="all") == (2, 2)


def test_a_vote_under_another_version_or_of_another_group_is_not_held_against(
    client, admin, project
):
    """Under v1 Ada and Ben agree; under v2 two others contradict, who are in no item of hers."""
    ada, ben, cleo, dora = (factories.user(name) for name in ("ada", "ben", "cleo", "dora"))
    old, new = (project.guidelines.create(version=one, text="x") for one in (1, 2))
    comparison = judged(project, [(ada, 1), (ben, 1)], guideline=old)
    for one in (cleo, dora):
        ranking = [[pk] for pk in reversed(comparison.candidate_ids)]
        factories.judgment(comparison, one, ranking=ranking, guideline=new)
    assert apart_of(client, project, "ada") == (0, 0)


@pytest.mark.parametrize("asked", [{"of": "x"}, {"aspect": "shoe"}, {"page": "-1"}])
def test_a_wrong_question_of_the_items_tab_is_refused(client, admin, project, asked):
    assert client.get(reverse("quality-items", args=[project.pk]), asked).status_code == 400


def test_the_items_tab_asks_no_more_of_the_database_for_more_items(
    client, admin, busy, django_assert_max_num_queries
):
    tasks.refresh_agreement(busy.pk)
    client.get(reverse("quality-items", args=[busy.pk]))
    with django_assert_max_num_queries(33):
        client.get(reverse("quality-items", args=[busy.pk]))


def test_versions_of_the_guideline_are_compared_apart(client, admin, project):
    old, new = (project.guidelines.create(version=at, text="x") for at in (1, 2))
    people = [factories.user() for _ in range(3)]
    for sign in (1, -1) * 20:
        judged(project, [(one, sign) for one in people], guideline=new)
        apart = [(people[0], sign), (people[1], -sign), (people[2], sign)]
        judged(project, apart, guideline=old)
    context = client.get(reverse("quality-guideline", args=[project.pk]) + "?days=30").context
    before, after = context["versions_shown"]
    assert (before["version"], after["version"]) == (1, 2)
    assert before["alpha_ordinal"]["value"] < 0 < after["alpha_ordinal"]["value"]
    assert context["requeue"].comparisons == 40


def test_policies_are_ranked_from_the_verdicts_between_them(client, admin, project):
    strong, weak = factories.policy(project, name="strong"), factories.policy(project, name="weak")
    people = [factories.user() for _ in range(5)]
    for number in range(20):
        comparison = judged(project, [(one, -1 if number % 5 else 1) for one in people])
        first, second = comparison.candidate_ids
        project.candidates.filter(pk=first).update(policy=weak)
        project.candidates.filter(pk=second).update(policy=strong)
    context = client.get(reverse("quality-agreement", args=[project.pk]) + "?days=30").context
    best, worst = context["policies"]
    assert (best["name"], worst["name"]) == ("strong v1", "weak v1")
    assert best["strength"] == pytest.approx(-worst["strength"])
    assert best["strength"] == pytest.approx(math.log(4) / 2, abs=1e-6)


def test_filtered_to_one_labeler_the_page_does_not_ask_for_more_overlap(client, admin, busy):
    content = client.get(
        reverse("quality-agreement", args=[busy.pk]), {"labelers": "simulated"}
    ).content.decode()
    assert "These filters leave one labeler" in content
    assert "Raise the overlap" not in content


def test_a_labeler_who_shares_nothing_has_no_accuracy_and_a_reason(project):
    judged(project, [(factories.user("lone"), 1)])
    two = [factories.user(), factories.user()]
    for sign in (1, -1):
        judged(project, [(one, sign) for one in two])
    row = {one["name"]: one for one in computed_report(project, Scope())["labelers"]}["lone"]
    assert row["accuracy"]["value"] is None
    assert row["accuracy"]["reason"] == "This labeler shares no item with another."
    assert row["hours"] is None


def test_repeats_measure_the_labeler_and_change_no_agreement(busy):
    before = computed_report(busy, Scope())["statistics"]
    ada = User.objects.get(username="ada")
    for comparison in busy.comparisons.order_by("pk")[:8]:
        tiers = [[pk] for pk in comparison.candidate_ids]
        factories.judgment(comparison, ada, ranking=tiers, is_repeat=True, is_counted=False)
    report = computed_report(busy, Scope())
    row = {one["name"]: one for one in report["labelers"]}["ada"]
    assert report["statistics"] == before
    assert (row["repeats"]["n"], row["repeats"]["value"]) == (8, 0.5)


def test_a_judge_who_says_what_most_say_may_replace_people_and_a_contrary_one_may_not(
    client, admin, project
):
    people = [factories.user() for _ in range(4)]
    good, contrary = factories.user("good", kind="machine"), factories.user("bad", kind="machine")
    for number in range(40):
        sign = 1 if number % 3 else -1
        said = [(one, -sign if number % 10 == at else sign) for at, one in enumerate(people)]
        judged(project, [*said, (good, sign), (contrary, -sign)])
    rows = {one["name"]: one for one in computed_report(project, Scope())["judges"]}
    assert rows["good"]["passes"]
    assert rows["good"]["winning_rate"]["n"] == 4
    assert not rows["bad"]["passes"]
    beside = rows["bad"]["people"][0]["advantage"]
    assert (beside["n"], beside["interval"][0] < beside["value"]) == (40, True)
    content = client.get(reverse("quality-agreement", args=[project.pk])).content.decode()
    assert "May a machine judge stand in for people?" in content
    ends = " to ".join(f"{one * 100:.1f}" for one in beside["interval"])
    assert f'{beside["value"] * 100:.1f}<br><span class="muted tiny">{ends} of 40</span>' in content


def test_a_labeler_who_goes_in_circles_is_seen(project):
    """Of a, b, c: one labeler says a > b > c > a, the other a > b > c and a > c."""
    prompt = factories.prompt(project)
    a, b, c = (factories.candidate(prompt) for _ in range(3))
    round_about, straight = factories.user("round"), factories.user("straight")
    for winner, loser, last in ((a, b, 1), (b, c, 1), (c, a, -1)):
        row = project.comparisons.create(
            prompt=prompt, candidate_ids=sorted([winner.pk, loser.pk]), overlap=2
        )
        tiers = [[winner.pk], [loser.pk]]
        factories.judgment(row, round_about, ranking=tiers)
        factories.judgment(row, straight, ranking=tiers[::last])
    rows = {one["name"]: one for one in computed_report(project, Scope())["labelers"]}
    assert (rows["round"]["cycles"]["value"], rows["round"]["cycles"]["n"]) == (1.0, 1)
    assert (rows["straight"]["cycles"]["value"], rows["straight"]["cycles"]["n"]) == (0.0, 1)


def test_a_policy_that_wins_by_length_alone_wins_half_at_equal_length(project):
    """The longer response wins three times in four, whoever wrote it; "long" mostly writes the longer one."""
    people = [factories.user() for _ in range(2)]
    policies = [factories.policy(project, name=name) for name in ("long", "short")]
    for number in range(80):
        long_gap = 100 if number % 5 else -100
        comparison = judged(
            project,
            [(one, (1 if number % 4 else -1) * (1 if long_gap > 0 else -1)) for one in people],
        )
        first, second = comparison.candidate_ids
        for pk, policy, length in (
            (first, policies[0], 200 + long_gap),
            (second, policies[1], 200),
        ):
            project.candidates.filter(pk=pk).update(policy=policy, text="x" * length)
    rows = computed_report(project, Scope())["policies"]["rows"]
    best = max(rows, key=lambda row: row["strength"])
    assert best["win_rate"]["value"] > 0.6
    low, high = best["equal_length"]["interval"]
    assert low < 0.5 < high


def test_labels_still_to_give_shrink_with_the_width_asked_for(busy):
    services.catch_up(project=busy)
    budget = selectors.view_of(busy, Scope(days=30)).report["budget"]
    assert [row["half_width"] for row in budget] == [0.01, 0.02, 0.03, 0.05, 0.1]
    pairs = [row["pairs"] for row in budget]
    assert pairs == sorted(pairs, reverse=True)
    assert budget[-1]["pairs_lacking"] == max(0, budget[-1]["pairs"] - 40)


def test_of_many_labelers_the_named_and_the_busiest_come_first(client, admin, busy, monkeypatch):
    monkeypatch.setattr(views, "LABELERS_SHOWN", 2)
    url = reverse("quality-labelers", args=[busy.pk])
    content = client.get(url).content.decode()
    assert "2 of 3: those outside the limits, then the busiest" in content
    assert len(client.get(url, {"rows": "all"}).context["labelers_shown"]) == 3


def test_chosen_labelers_are_compared_with_each_other_alone(client, admin, busy):
    ids = User.objects.filter(username__in=["ada", "simon"]).values_list("pk", flat=True)
    url = reverse("quality-labelers", args=[busy.pk])
    content = client.get(url, {"labeler": list(ids)}).content.decode()
    assert "80 judgments by 2 labelers" in content
    assert "only ada, simon" in content
    assert client.get(url, {"labeler": ",".join(map(str, ids))}).content.decode().count("80 judg")
    assert client.get(url, {"labeler": "x"}).status_code == 400


def test_policies_stand_in_the_same_order_under_every_model(client, admin, project):
    """The strong one wins six of eight decided verdicts, shown left and 100 characters longer in half of them."""
    strong, weak = factories.policy(project, name="strong"), factories.policy(project, name="weak")
    people = [factories.user() for _ in range(5)]
    for number in range(40):
        signs = [(0, 0, 1, 1, -1, -1, -1, -1, -1, -1)[(number + 2 * at) % 10] for at in range(5)]
        comparison = judged(project, zip(people, signs, strict=True))
        first, second = comparison.candidate_ids
        text = "x" * (300 if number % 2 else 100)
        project.candidates.filter(pk=first).update(policy=weak, text="x" * 200)
        project.candidates.filter(pk=second).update(policy=strong, text=text)
        Judgment.objects.filter(comparison=comparison).update(
            shown_order=[first, second] if number % 4 < 2 else [second, first]
        )
    url = reverse("quality-agreement", args=[project.pk]) + "?days=30"
    page = client.get(url)
    assert page.context["models"] == []
    assert 'href="?days=30&amp;models=fit#models"' in page.text
    context = client.get(f"{url}&models=fit").context
    assert context["query"] == "days=30"
    best, worst = context["models"]
    assert (best["name"], worst["name"]) == ("strong v1", "weak v1")
    columns = [one["key"] for one in context["report"]["models"]["models"]]
    assert [one["model"] for one in best["strengths"]] == columns
    davidson, bradley_terry, rao_kupper, scale, crowd = best["strengths"]
    for one in (davidson, bradley_terry, rao_kupper, crowd):
        assert one["value"] == pytest.approx(math.log(3) / 2, rel=0.35)
    assert scale["interval"][0] < scale["value"] < scale["interval"][1]
    effects = context["report"]["models"]["effects"]
    assert [one["name"] for one in effects] == ["Shown on the left", "Longer by 1,000 characters"]
    assert {one["interval"][0] < 0 < one["interval"][1] for one in effects} == {True}
    table = client.get(reverse("quality-table", args=[project.pk, "models"]) + "?days=30")
    assert len(b"".join(table.streaming_content).splitlines()) == 1 + 2 * 5 + 2


def test_a_model_that_cannot_be_fitted_says_why(project, monkeypatch):
    """A policy that always wins has no finite strength; beyond its bound a model is not fitted at all."""
    monkeypatch.setattr(policy_models, "VERDICTS_MAX", 2)
    policies = [factories.policy(project, name=name) for name in ("ever", "never")]
    for _ in range(3):
        comparison = judged(project, [(factories.user(), 1)])
        for pk, policy in zip(comparison.candidate_ids, policies, strict=True):
            project.candidates.filter(pk=pk).update(policy=policy)
    found = computed_report(project, Scope())["models"]["rows"][0]["strengths"]
    assert found[0]["reason"]
    assert "at most" in found[-1]["reason"]
    assert {one["value"] for one in found} == {None}


def test_rankings_of_three_rank_policies_by_plackett_luce(client, admin, project):
    """Each of five rankings is two choices, of three and of two; where b and c are tied there is one."""
    models = [factories.policy(project, name=name) for name in "abc"]
    orders = ["abc", "abc", "acb", "a=", "bac", "bca"]
    for order in orders:
        comparison = factories.comparison(factories.prompt(project), size=3)
        ids = dict(zip("abc", comparison.candidate_ids, strict=True))
        for name, model in zip("abc", models, strict=True):
            project.candidates.filter(pk=ids[name]).update(policy=model)
        tiers = [[ids["a"]], [ids["b"], ids["c"]]] if order == "a=" else [[ids[x]] for x in order]
        factories.judgment(comparison, ranking=tiers)
    part = computed_report(project, Scope())["models"]
    assert part["models"][-1]["name"] == "Plackett-Luce"
    found = {row["source"]: row["strengths"][-1] for row in part["rows"]}
    rankings = [[0, 1, 2]] * 2 + [[0, 2, 1], [1, 0, 2], [1, 2, 0]]
    stages = [*rankings, *([a, b] for _, a, b in rankings)]
    rows = [at for at, stage in enumerate([*stages, [0, 1, 2]]) for _ in stage]
    members = [one for stage in [*stages, [0, 1, 2]] for one in stage]
    choices = Choices.of([stage[0] for stage in stages] + [0], np.array(rows), np.array(members), 3)
    by_hand, _ = plackett_luce_of_choices(choices)
    for at, model in enumerate(models):
        one = found[f"policy {model.pk}"]
        assert one["value"] == pytest.approx(by_hand[at])
        assert one["n"] == len(orders)
        assert one["interval"][0] < one["value"] < one["interval"][1]
    content = client.get(reverse("quality-agreement", args=[project.pk])).content.decode()
    assert "Places that several share are left out" in content


def test_alpha_over_prompts_is_shown_where_a_prompt_has_several_comparisons(busy):
    names = {row["name"] for row in computed_report(busy, Scope())["coefficients"]}
    assert not any("over prompts" in name for name in names)
    prompts = list(busy.prompts.order_by("pk"))
    for comparison, prompt in zip(busy.comparisons.order_by("pk"), prompts[:20] * 2, strict=True):
        busy.comparisons.filter(pk=comparison.pk).update(prompt=prompt)
    storing.rebuild_columns(project=busy)
    report = computed_report(busy, Scope())
    one = next(row for row in report["coefficients"] if "over prompts" in row["name"])
    assert one["value"] == report["statistics"]["alpha_ordinal"]["value"]
    assert one["n"] == 20
    assert one["interval"][0] < one["value"] < one["interval"][1]


def test_the_better_response_is_found_more_often_on_the_side_that_labelers_lean_to(
    client, admin, project
):
    """Three labelers; where the better response stands right, one in four (another each time) chooses the left."""
    people = [factories.user() for _ in range(3)]
    for number in range(48):
        is_left, sign = number % 2 == 0, 1 if number % 4 < 2 else -1
        wrong = number // 2 % 4 if not is_left else 3
        comparison = judged(
            project, [(one, -sign if at == wrong else sign) for at, one in enumerate(people)]
        )
        better, other = comparison.candidate_ids[:: 1 if sign == 1 else -1]
        Judgment.objects.filter(comparison=comparison).update(
            shown_order=[better, other] if is_left else [other, better]
        )
    left, right, changed = computed_report(project, Scope())["position"]
    assert left["value"] == pytest.approx(1.0, abs=0.01)
    assert right["value"] == pytest.approx(0.75, abs=0.01)
    assert (changed["value"], changed["n"]) == (0.0, 48)
    content = client.get(reverse("quality-labelers", args=[project.pk])).content.decode()
    assert "The same, where it stood right" in content


@pytest.mark.parametrize("tab", ["agreement", "guideline"])
def test_where_every_period_is_hidden_the_plot_gives_way_to_the_reason(client, admin, project, tab):
    people = [factories.user() for _ in range(3)]
    for sign in (1, -1, 1, 0):
        judged(project, [(one, sign) for one in people])
    response = client.get(reverse(f"quality-{tab}", args=[project.pk]))
    assert response.context["alpha_over_time"] is None
    content = response.content.decode()
    assert "No day can be shown yet. The day with most pairs, from" in content
    assert "there are 4 and 3." in content


def test_a_number_of_a_labeler_without_a_value_says_why_in_the_table_and_without_a_mouse(
    busy, client
):
    services.refresh_agreement(project=busy)
    client.force_login(factories.member(busy, "admin"))
    answer = client.get(reverse("quality-table", args=[busy.pk, "labelers"]))
    rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert {row["gold_reason"] for row in rows} == {"No gold comparison was shown."}
    assert {row["agreement_reason"] for row in rows} == {""}
    page = client.get(reverse("quality-labelers", args=[busy.pk])).content.decode()
    assert re.search(r"<details[^>]*><summary[^>]*>–</summary>No gold comparison was shown", page)


def test_how_a_labeler_uses_the_scale_has_its_n_and_interval(client, admin, busy):
    """Simon ties 10 of 40 verdicts; without him two agree on everything, so nothing varies."""
    report = computed_report(busy, Scope())
    simon = next(row for row in report["labelers"] if row["name"] == "simon")
    assert (simon["tie_rate"]["value"], simon["tie_rate"]["n"]) == (0.25, 40)
    low, high = simon["tie_rate"]["interval"]
    assert 0 < low < 0.25 < high < 1
    assert simon["strong_rate"]["n"] == 30  # of what is decided
    url = reverse("quality-table", args=[busy.pk, "labelers"])
    rows = csv.DictReader(b"".join(client.get(url).streaming_content).decode().splitlines())
    assert {row["tie_rate_n"] for row in rows} == {"40"}


def test_alpha_of_the_others_has_an_interval(client, admin, busy):
    fourth = factories.user("fourth")
    for comparison in busy.comparisons.order_by("pk"):
        first, second = comparison.candidate_ids
        order = [[first], [second]] if comparison.pk % 3 else [[second], [first]]
        factories.judgment(comparison, fourth, ranking=order)
    report = computed_report(busy, Scope())
    for row in report["labelers"]:
        low, high = row["alpha_without"]["interval"]
        assert low < row["alpha_without"]["value"] < high
        assert row["alpha_without"]["n"] == 40


@pytest.mark.parametrize("tab", ["items", "guideline"])
def test_a_stored_view_reads_no_judged_rows(client, admin, busy, tab):
    """What grows with the judgments is computed with the report, and read from it."""
    tasks.refresh_agreement(busy.pk)
    with CaptureQueriesContext(connection) as asked:
        context = client.get(reverse(f"quality-{tab}", args=[busy.pk])).context
    assert context["requeue" if tab == "guideline" else "found"] is not None
    assert context["report"]["labelers"] == []  # not asked for
    assert not [one["sql"] for one in asked if "chunk" in str(one["sql"])]


def test_the_stored_order_of_items_is_that_of_a_filtered_view(client, admin, busy):
    split = judged(busy, [(factories.user(), 1), (factories.user(), -1)])
    tasks.refresh_agreement(busy.pk)
    url = reverse("quality-items", args=[busy.pk])
    stored, anew = (client.get(url + query).context["found"] for query in ("", "?days=30"))
    assert [one.comparison.pk for one in stored.items] == [one.comparison.pk for one in anew.items]
    assert stored.items[0].comparison.pk == split.pk
    assert stored.total == anew.total == 41


def test_a_version_that_came_after_the_count_asks_for_all_judgments(client, admin, busy):
    tasks.refresh_agreement(busy.pk)
    newest = busy.guidelines.create(version=99, text="Be fairer.")
    requeue = client.get(reverse("quality-guideline", args=[busy.pk])).context["requeue"]
    assert (requeue.version, requeue.comparisons, requeue.judgments) == (99, 40, 120)
    judged(busy, [(factories.user(), 1)], guideline=newest)
    tasks.refresh_agreement(busy.pk)
    requeue = client.get(reverse("quality-guideline", args=[busy.pk])).context["requeue"]
    assert (requeue.comparisons, requeue.judgments) == (40, 120)


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ([True], "no item has two ratings"),
        ([False, False], "No decided verdict has its shown order"),
        ([True, False], "No item has two verdicts whose shown order is known"),
    ],
)
def test_a_truth_that_is_told_no_side_says_what_is_missing(project, orders, reason):
    """One verdict; two without their order; two of which one has it."""
    comparison = factories.comparison(factories.prompt(project))
    for is_known in orders:
        factories.judgment(comparison, shown_order=comparison.candidate_ids if is_known else [])
    for one in computed_report(project, Scope())["position"]:
        assert one["value"] is None
        assert reason in one["reason"]
