"""What was asked again for what was said of it is doubtful: its further judgments are apart from agreement."""

import pytest
from django.urls import reverse

from annotation.comparisons.models import Comparison
from annotation.comparisons.services.again import ask_again, undo_asking
from annotation.comparisons.services.requeue import requeue
from annotation.quality import services, storing, tally
from annotation.quality.report import headline
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report, live_view
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return [factories.user(f"labeler-{number}") for number in range(4)]


def answered(comparison, labeler, *, second=False, **fields):
    tiers = [[pk] for pk in comparison.candidate_ids]
    return factories.judgment(
        comparison, labeler, ranking=tiers[::-1] if second else tiers, **fields
    )


def some(project, many, *labelers, size=2):
    """Judged comparisons for which all of these labelers prefer the first."""
    found = []
    for _ in range(many):
        places = {name: len(labelers) for name in ("overlap", "slots_taken", "judgments_counted")}
        one = factories.comparison(factories.prompt(project), size=size, state="judged", **places)
        for labeler in labelers:
            answered(one, labeler)
        found.append(one)
    return found


def asked(project, comparisons, admin, name="Again"):
    keys = [one.pk for one in comparisons]
    return ask_again(project=project, name=name, comparisons=keys, made_from={}, actor=admin)


@pytest.fixture
def doubtful(project, people, admin):
    """Forty comparisons on which two agree; forty with one label, asked again and answered otherwise."""
    some(project, 40, *people[:2])
    alone = some(project, 40, people[0])
    services.catch_up(project=project)
    asked(project, alone, admin)
    for one in alone:
        answered(one, people[2], second=True)
    return alone


def percent(project, **filters):
    services.catch_up(project=project)
    found = computed_report(project, Scope(**filters))["statistics"]["percent"]
    return found["value"], found["n"]


def test_what_was_asked_again_lowers_no_figure_of_all(project, doubtful):
    """Apart: 40 of 40 pairs agree. Alone: 0 of 40. Counted too: 40 of 80."""
    assert percent(project) == (1.0, 40)
    assert percent(project, selected="only") == (0.0, 40)
    assert percent(project, selected="with") == (0.5, 80)


def test_live_figures_and_the_stored_report_keep_it_apart_too(project, doubtful):
    storing.fold_changes(project=project)
    tally.ensure(project)
    live = tally.fresh(project, headline).figures
    services.refresh_agreement(project=project)
    for report in (live, project.agreement.data):
        figure = report["statistics"]["percent"]
        assert (figure["value"], figure["n"]) == (1.0, 40)
        assert report["judgments_asked_again"] == 40
        assert report["judgments"] == 120


def test_the_tally_follows_what_is_said_of_one_that_was_asked_again(project, people, admin):
    alone = some(project, 3, people[0])
    services.catch_up(project=project)
    asked(project, alone, admin)
    answered(alone[0], people[1], second=True)
    services.catch_up(project=project)
    told = live_view(project).report
    assert (told["judgments"], told["judgments_asked_again"]) == (3, 1)
    assert told == computed_report(project, Scope(), parts=())


def test_the_labels_from_before_stay_in_the_figures(project, people, admin):
    """Two comparisons of two labels each, one in dispute: agreement stays 1 of 2 whatever a third says."""
    some(project, 1, *people[:2])
    [disputed] = some(project, 1, people[0])
    answered(disputed, people[1], second=True)
    Comparison.objects.filter(pk=disputed.pk).update(overlap=2, slots_taken=2, judgments_counted=2)
    guideline = project.guidelines.create(version=1, text="# One")
    requeue(guideline=guideline, scope="disagreed", actor=admin)
    answered(disputed, people[2])
    assert percent(project) == (0.5, 2)
    assert percent(project, selected="with") == (pytest.approx((1 + 1 / 3) / 2), 2)


def test_a_new_guideline_chooses_by_no_verdict(project, people, admin):
    """What all under an older version is asked again for is that version: 1 of 2 pairs agree under the new one."""
    rows = some(project, 2, people[0])
    guideline = project.guidelines.create(version=1, text="# One")
    requeue(guideline=guideline, scope="before", actor=admin)
    for one, second in zip(rows, (False, True), strict=True):
        answered(one, people[1], guideline=guideline)
        answered(one, people[2], second=second, guideline=guideline)
    assert percent(project) == (0.5, 2)


def test_every_vote_decides_the_preference(project, people, admin):
    [one] = some(project, 1, people[0])
    asked(project, [one], admin)
    for labeler in people[1:]:
        answered(one, labeler, second=True)
    services.refresh_agreement(project=project)
    assert project.resolutions.get().ranking == [[pk] for pk in reversed(one.candidate_ids)]


def test_rankings_of_three_are_apart_too(project, people, admin):
    """Three pairs by two labelers who agree; one more, the other way round, on each."""
    [one] = some(project, 1, *people[:2], size=3)
    asked(project, [one], admin)
    answered(one, people[2], second=True)
    assert percent(project) == (1.0, 3)
    assert percent(project, selected="only") == (pytest.approx(1 / 3), 3)


def test_a_machine_judge_and_a_file_are_asked_nothing(project, people, admin):
    """A machine and a file say the first: with the person before, 1 of 1 pair, and person and machine agree."""
    [one] = some(project, 1, people[0])
    asked(project, [one], admin)
    answered(one, factories.user("judge", kind="machine"))
    answered(one, people[1], is_imported=True)
    assert percent(project) == (1.0, 1)
    report = computed_report(project, Scope())
    assert report["judgments_asked_again"] == 0
    assert report["machine"]["value"] == 1.0


def test_what_is_taken_back_is_chosen_no_more(project, people, admin):
    served, unserved = some(project, 2, people[0])
    batch = asked(project, [served, unserved], admin)
    answered(served, people[1], second=True)
    Comparison.objects.filter(pk=served.pk).update(slots_taken=2, judgments_counted=2)
    undo_asking(project=project, pk=batch.pk, actor=admin)
    marked = project.comparisons.filter(asked_again_at__isnull=False)
    assert list(marked) == [served]


def test_the_page_says_how_many_are_apart_and_why(project, doubtful, client):
    page = client.get(reverse("quality-agreement", args=[project.pk])).text
    assert (
        '<a href="?selected=only">40 more judgments</a> are apart: 40 on what was asked again'
        in page
    )
    page = client.get(reverse("quality-agreement", args=[project.pk]), {"selected": "only"}).text
    assert "These comparisons were selected: asked again because of what was said of them" in page
    assert '<option value="only" selected>alone</option>' in page


def test_the_api_knows_the_filter(project, doubtful, api):
    services.catch_up(project=project)
    url = reverse("api-agreement-detail", args=[project.pk])
    found = api.get(url, {"selected": "only"}).json()["report"]
    assert found["statistics"]["percent"]["value"] == 0.0
    refused = api.get(url, {"selected": "x"})
    assert refused.status_code == 400
    assert "selected='x' is not one of with, only" in refused.text


def test_items_weigh_all_votes(project, people, admin):
    """One vote and two after it was asked again tell of an item what three votes tell."""
    usual, again = some(project, 2, people[0])
    asked(project, [again], admin)
    for one in (usual, again):
        answered(one, people[1], second=True)
        answered(one, people[2], second=True)
    services.catch_up(project=project)
    bits = dict(computed_report(project, Scope(), parts=["items"])["items"]["first"])
    assert bits[again.pk] == bits[usual.pk] > 0
