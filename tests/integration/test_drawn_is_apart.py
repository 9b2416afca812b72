"""Comparisons drawn by what a verdict tells are of policies that are alike: apart from agreement, in the ranking."""

import csv
import io

import pytest
from django.urls import reverse

from annotation.comparisons.models import Comparison
from annotation.quality import services, storing, tally
from annotation.quality.policies import gains_between
from annotation.quality.report import headline
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments
from annotation.quality.selectors import computed_report, live_view
from tests import factories

pytestmark = pytest.mark.django_db
PEOPLE = 3


@pytest.fixture
def people():
    return [factories.user(f"labeler-{number}") for number in range(PEOPLE)]


def between(project, sources, many, *, propensity=None, kind="normal"):
    """Comparisons of responses of two policies to prompts of their own."""
    found = []
    for _ in range(many):
        prompt = factories.prompt(project)
        ids = sorted(factories.candidate(prompt, source_name=name).pk for name in sources)
        one = Comparison.objects.create(
            project=project,
            prompt=prompt,
            candidate_ids=ids,
            state="judged",
            kind=kind,
            propensity=propensity,
        )
        found.append(one)
    return found


def prefer(comparison, labeler, source, **fields):
    pks = dict(comparison.prompt.candidates.values_list("source_name", "pk"))
    best = pks.pop(source)
    return factories.judgment(comparison, labeler, ranking=[[best], list(pks.values())], **fields)


@pytest.fixture
def drawn(project, people):
    """Thirty comparisons of a and b on which three agree; ten drawn ones on which one of three says otherwise."""
    for one in between(project, "ab", 30):
        for labeler in people:
            prefer(one, labeler, "a")
    rows = between(project, "ab", 10, propensity=0.02)
    for one in rows:
        for labeler, source in zip(people, "aab", strict=True):
            prefer(one, labeler, source)
    services.catch_up(project=project)
    return rows


def percent(project, **filters):
    found = computed_report(project, Scope(**filters), parts=())["statistics"]["percent"]
    return found["value"], found["n"]


def test_what_was_drawn_lowers_no_figure_of_all(project, drawn):
    """Apart: each of 30 pairs agrees. Alone: 1 of 3 couples of labelers on each of 10. Together: (30 + 10 / 3) / 40."""
    assert percent(project) == (1.0, 30)
    assert percent(project, selected="only") == (pytest.approx(1 / 3), 10)
    assert percent(project, selected="with") == (pytest.approx((30 + 10 / 3) / 40), 40)


def test_live_figures_and_the_stored_report_keep_it_apart_too(project, drawn):
    storing.fold_changes(project=project)
    tally.ensure(project)
    live = tally.fresh(project, headline).figures
    services.refresh_agreement(project=project)
    for report in (live, project.agreement.data):
        figure = report["statistics"]["percent"]
        assert (figure["value"], figure["n"]) == (1.0, 30)
        assert (report["judgments"], report["judgments_drawn"]) == (90, 30)
        assert report["judgments_asked_again"] == 0


def test_the_tally_follows_a_judgment_on_what_was_drawn(project, drawn, people):
    tally.ensure(project)
    another = factories.user("another")
    prefer(drawn[0], another, "b")
    prefer(drawn[1], factories.user("judge", kind="machine"), "b")
    drawn[2].judgments.first().delete()
    prefer(between(project, "ab", 1)[0], another, "a")
    services.catch_up(project=project)
    told = live_view(project).report
    assert (told["judgments"], told["judgments_drawn"]) == (91, 30)
    assert told["pairs_by_machines"] == 0
    assert told == computed_report(project, Scope(), parts=())


def test_the_columns_follow_what_becomes_drawn(project, drawn):
    Comparison.objects.filter(pk=drawn[0].pk).update(propensity=None)
    services.catch_up(project=project)
    assert percent(project) == (pytest.approx((30 + 1 / 3) / 31), 31)


def test_the_random_stratum_of_a_draw_is_drawn_too(project, people):
    """Drawn for agreement among what was drawn by gain: it speaks for that, and not for all."""
    [usual] = between(project, "ab", 1, kind="overlap")
    [drawn] = between(project, "ab", 1, kind="overlap", propensity=0.5)
    for labeler, source in zip(people, "aab", strict=True):
        prefer(usual, labeler, "a")
        prefer(drawn, labeler, source)
    services.catch_up(project=project)
    assert percent(project) == (1.0, 1)


def test_gold_that_was_drawn_is_gold(project, drawn, people):
    Comparison.objects.filter(pk=drawn[0].pk).update(kind="gold")
    services.catch_up(project=project)
    report = computed_report(project, Scope(selected="only"), parts=())
    assert (report["judgments"], report["judgments_drawn"]) == (27, 27)


def test_what_was_drawn_and_asked_again_is_told_once(project, drawn, people):
    Comparison.objects.filter(pk=drawn[0].pk).update(asked_again_at=drawn[0].created_at)
    prefer(drawn[0], factories.user("another"), "b")
    services.catch_up(project=project)
    report = computed_report(project, Scope(), parts=())
    assert (report["judgments_drawn"], report["judgments_asked_again"]) == (31, 0)


def test_verdicts_of_machine_judges_on_it_are_apart_too(project, drawn, people):
    """A judge contradicts people on the drawn pair alone: 1 of 1 without it, 1 of 2 with it."""
    judge = factories.user("judge", kind="machine")
    [usual] = between(project, "ab", 1)
    [alike] = between(project, "ab", 1, propensity=0.02)
    for one, said in ((usual, "a"), (alike, "b")):
        prefer(one, people[0], "a")
        prefer(one, judge, said)
    services.catch_up(project=project)
    apart = computed_report(project, Scope(), parts=())["machine"]
    together = computed_report(project, Scope(selected="with"), parts=())["machine"]
    assert (apart["value"], apart["n"]) == (1.0, 1)
    assert (together["value"], together["n"]) == (0.5, 2)


def test_policies_are_ranked_by_all_and_win_rates_leave_it_out(project, people):
    """a beats b in 6 of 8 as made; drawn ones add 4 of 8: 10 of 16 for the strengths, a win rate of 6 of 8."""
    rows = [
        *((one, "aaaaaabb"[at]) for at, one in enumerate(between(project, "ab", 8))),
        *(
            (one, "aaaabbbb"[at])
            for at, one in enumerate(between(project, "ab", 8, propensity=0.1))
        ),
    ]
    for one, source in rows:
        prefer(one, people[0], source)
    services.catch_up(project=project)
    part = computed_report(project, Scope(), parts=["policies"])["policies"]
    best = part["rows"][0]
    assert (best["source"], best["wins"], best["losses"], part["verdicts"]) == ("a", 10, 6, 16)
    assert best["win_rate"]["value"] == 6 / 8
    counted = computed_report(project, Scope(selected="with"), parts=["policies"])["policies"]
    assert counted["rows"][0]["win_rate"]["value"] == 10 / 16


def test_what_was_drawn_tells_of_the_next_draw(project, people):
    """Verdicts on what was drawn make the difference better known, so that another tells less."""
    for at, one in enumerate(between(project, "ab", 8)):
        prefer(one, people[0], "aaaaaabb"[at])
    services.catch_up(project=project)
    before = gains_between(ScopedJudgments(project, Scope()).ranked)["a", "b"]
    for at, one in enumerate(between(project, "ab", 8, propensity=0.1)):
        prefer(one, people[0], "aaaaaabb"[at])
    services.catch_up(project=project)
    after = gains_between(ScopedJudgments(project, Scope()).ranked)["a", "b"]
    assert 0 < after < before


def test_every_vote_on_it_decides_the_preference(project, drawn):
    services.refresh_agreement(project=project)
    assert project.resolutions.filter(comparison__in=drawn).count() == len(drawn)


def test_the_page_the_api_and_tables_know_it(project, drawn, admin, client, api):
    page = client.get(reverse("quality-agreement", args=[project.pk])).text
    assert (
        '<a href="?selected=only">30 more judgments</a> are apart: 30 on what was drawn by' in page
    )
    page = client.get(reverse("quality-agreement", args=[project.pk]), {"selected": "only"}).text
    assert "drawn by what a verdict tells of two policies, most of them" in page
    assert '<option value="only" selected>alone</option>' in page
    url = reverse("api-agreement-detail", args=[project.pk])
    report = api.get(url).json()["report"]
    assert (report["judgments_drawn"], report["statistics"]["percent"]["value"]) == (30, 1.0)
    alone = api.get(url, {"selected": "only"}).json()["report"]
    assert alone["statistics"]["percent"]["value"] == pytest.approx(1 / 3)
    refused = api.get(url, {"selected": "x"})
    assert refused.status_code == 400
    assert "selected='x' is not one of with, only" in refused.text
    table = reverse("quality-table", args=[project.pk, "statistics"])
    told = {}
    for selected in ("", "only"):
        answer = client.get(table, {"selected": selected})
        text = b"".join(answer.streaming_content).decode() if answer.streaming else answer.text
        rows = list(csv.DictReader(io.StringIO(text)))
        told[selected] = next(row["value"] for row in rows if "percent" in row.values())
    assert float(told[""]) == 1.0
    assert float(told["only"]) == pytest.approx(1 / 3)
