"""People and machine judges apart: figures and resolutions are of people, unless somebody asks for more."""

import pytest
from django.urls import reverse

from annotation.core.errors import InvalidInput
from annotation.datasets.query import EVERYBODY, WITHOUT_MACHINES
from annotation.quality import rules, services
from annotation.quality.models import LabelerModel
from annotation.quality.scope import Scope, labelers_q
from annotation.quality.selectors import computed_report
from tests import factories
from tests.integration.test_agreement_page import judged

pytestmark = pytest.mark.django_db


@pytest.fixture
def judge():
    return factories.user("judge", kind="machine")


@pytest.fixture
def apart(project, judge):
    """Forty comparisons: three people agree and the judge says the opposite; four more of the judge alone."""
    people = [factories.user(name) for name in ("ada", "ben", "cleo")]
    for number in range(40):
        sign = 1 if number % 2 else -1
        judged(project, [*((one, sign) for one in people), (judge, -sign)])
    for _ in range(4):
        judged(project, [(judge, 1)])
    services.refresh_agreement(project=project)
    return project


def test_the_usual_figures_are_of_people_and_those_of_all_only_where_asked_for(apart):
    usual, together = (computed_report(apart, Scope(labelers=kind)) for kind in ("", "all"))
    assert (usual["judgments"], usual["labelers_count"], usual["pairs"]) == (120, 3, 40)
    assert usual["statistics"]["percent"]["value"] == 1.0
    assert (together["judgments"], together["labelers_count"], together["pairs"]) == (164, 4, 44)
    assert together["statistics"]["percent"]["value"] == pytest.approx(0.5)
    assert [row["name"] for row in usual["labelers"]] == ["ada", "ben", "cleo"]


@pytest.mark.parametrize("kind", ["", "all", "people"])
def test_people_against_the_machine_judge_is_a_figure_of_its_own(apart, kind):
    """Each of the 40 pairs has three people against one judge who says the opposite; the 4 others have no people."""
    machine = computed_report(apart, Scope(labelers=kind))["machine"]
    assert (machine["value"], machine["n"]) == (0.0, 40)


def test_the_stored_and_the_live_page_show_people(client, admin, apart):
    content = client.get(reverse("quality-agreement", args=[apart.pk])).content.decode()
    assert "120 judgments by 3 labelers on 40 comparisons" in content
    assert "May a machine judge stand in for people?" in content
    content = client.get(
        reverse("quality-agreement", args=[apart.pk]), {"labelers": "all"}
    ).content.decode()
    assert "164 judgments by 4 labelers on 44 comparisons" in content


def test_a_project_of_machine_judges_alone_says_where_they_are(client, admin, project, judge):
    judged(project, [(judge, 1)])
    url = reverse("quality-agreement", args=[project.pk])
    assert "Only machine judges have judged here" in client.get(url).content.decode()
    assert "1 judgment by 1 labeler" in client.get(url, {"labelers": "all"}).content.decode()


def test_the_items_of_a_machine_judge_are_found_without_a_filter(client, admin, apart, judge):
    found = client.get(reverse("quality-items", args=[apart.pk]), {"of": judge.pk}).context["found"]
    assert found.total == 44


def test_people_decide_resolutions(apart):
    assert apart.resolutions.count() == 40
    assert {one.confidence > 0.9 for one in apart.resolutions.all()} == {True}


def test_a_machine_judge_counts_in_resolutions_while_a_rule_says_so(apart, admin, judge):
    """Its four lone comparisons get a verdict; switched off, they lose it again, and the model with it."""
    asked = {"kind": "count_machine", "params": {"labeler": judge.pk}}
    tried = rules.dry_run(project=apart, **asked)
    assert (tried.judgments, tried.judgments_added) == (120, 44)
    assert (tried.preferences_flipped, tried.preferences_gained, tried.preferences_lost) == (
        0,
        4,
        0,
    )
    saved = rules.save_rule(project=apart, actor=admin, **asked)
    services.refresh_agreement(project=apart)
    assert apart.resolutions.count() == 44
    assert judge.pk in LabelerModel.objects.get(project=apart).labeler_ids
    rules.switch_rule(project=apart, series=saved.series, is_on=False, actor=admin)
    services.refresh_agreement(project=apart)
    assert apart.resolutions.count() == 40
    assert judge.pk not in LabelerModel.objects.get(project=apart).labeler_ids


def test_the_figures_stay_those_of_people_under_such_a_rule(apart, admin, judge):
    rules.save_rule(project=apart, kind="count_machine", params={"labeler": judge.pk}, actor=admin)
    report = services.refresh_agreement(project=apart)
    assert report.data["statistics"]["percent"]["value"] == 1.0


def test_a_dry_run_counts_the_preferences_a_machine_judge_would_make_even(project, judge):
    """One person against the judge."""
    judged(project, [(factories.user(), 1), (judge, -1)])
    tried = rules.dry_run(project=project, kind="count_machine", params={"labeler": judge.pk})
    assert (tried.preferences, tried.preferences_evened, tried.preferences_flipped) == (1, 1, 0)


def test_only_a_machine_judge_of_the_project_can_be_counted(apart):
    stranger = factories.user(kind="machine")
    for labeler in (stranger, apart.judgments.first().labeler):
        with pytest.raises(InvalidInput, match="Choose a machine judge"):
            rules.dry_run(project=apart, kind="count_machine", params={"labeler": labeler.pk})


def test_the_page_of_rules_tries_a_machine_judge_on_history(client, admin, apart, judge):
    asked = {"kind": "count_machine", "labeler": judge.pk}
    content = client.post(reverse("quality-rule-try", args=[apart.pk]), asked).content.decode()
    assert "would count 44 more judgments beside 120, which decide 4 pairs" in content
    assert "All 40 preferences would stay as they are." in content
    client.post(reverse("quality-rule-save", args=[apart.pk]), {**asked, "reason": "A trial."})
    content = client.get(reverse("quality-rules", args=[apart.pk])).content.decode()
    assert "Count the verdicts of judge in resolutions" in content


def test_imported_verdicts_of_a_machine_judge_are_a_machine_s(project, judge):
    judged(project, [(judge, 1), (factories.user(), -1)], is_imported=True)
    services.catch_up(project=project)
    counts = [
        computed_report(project, Scope(labelers=kind))["judgments"]
        for kind in ("", "imported", "machine", "people")
    ]
    assert counts == [1, 1, 1, 0]
    kept = project.judgments.filter(labelers_q(WITHOUT_MACHINES))
    assert [one.labeler.kind for one in kept] == ["person"]
    assert project.judgments.filter(labelers_q(EVERYBODY)).count() == 2
