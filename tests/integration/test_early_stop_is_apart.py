"""Under early stop a third is asked only where the first two differ: what the third says is apart from agreement."""

import pytest
from django.utils import timezone

from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import judgments_on_selected
from annotation.projects.services.projects import update_settings
from annotation.quality import services, storing, tally
from annotation.quality.report import headline
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report
from tests import factories
from workers.comparisons import settle_early_stop

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return [factories.user(f"labeler-{number}") for number in range(4)]


@pytest.fixture
def project():
    return factories.project(overlap=3, stop_when_agreeing=2)


def said(project, people, verdicts, *, size=2, **fields):
    """A comparison whose labelers prefer the first (<) or the last (>), in this order."""
    count = len(verdicts)
    row = factories.comparison(
        factories.prompt(project), size=size, overlap=3, slots_taken=count, judgments_counted=count
    )
    for labeler, verdict in zip(people, verdicts, strict=False):
        tiers = [[pk] for pk in row.candidate_ids]
        ranking = tiers if verdict == "<" else tiers[::-1]
        factories.judgment(row, labeler, ranking=ranking, **fields)
    return row


def percent(project, **filters):
    services.catch_up(project=project)
    found = computed_report(project, Scope(**filters))["statistics"]["percent"]
    return found["value"], found["n"]


@pytest.fixture
def half(project, people):
    """Labelers who agree in half of all pairs: of four comparisons two end at two, two get a third label."""
    return [said(project, people, verdicts) for verdicts in ("<<", ">>", "<><", "><<")]


@pytest.mark.parametrize("size", [2, 3])
def test_agreement_is_that_of_the_first_two(project, people, size):
    """Two of four; with the third labels, each of which sides with one of the two, (1 + 1 + 1/3 + 1/3) / 4."""
    for verdicts in ("<<", ">>", "<><", "><<"):
        said(project, people, verdicts, size=size)
    pairs = 4 * size * (size - 1) // 2
    assert percent(project) == (0.5, pairs)
    assert percent(project, selected="with") == (pytest.approx(2 / 3), pairs)


def test_the_tally_follows_a_third_and_the_undo_of_the_first(project, people, half):
    """Without the first label of the third comparison its other two are the first ones, which differ too."""
    services.catch_up(project=project)
    told = tally.fresh(project, headline).figures
    assert (told["judgments"], told["judgments_asked_again"]) == (8, 2)
    first = half[2].judgments.order_by("pk").first()
    half[2].judgments.filter(pk=first.pk).update(withdrawn_at=timezone.now())
    services.catch_up(project=project)
    told = tally.fresh(project, headline).figures
    assert (told["judgments"], told["judgments_asked_again"]) == (8, 1)
    assert told["statistics"]["percent"]["value"] == 0.5


def test_what_a_machine_judge_said_is_none_of_the_first_two(project, people):
    judge = factories.user("judge", kind="machine")
    said(project, [judge, *people], "<<>")
    services.catch_up(project=project)
    assert computed_report(project, Scope())["judgments_asked_again"] == 0


def test_imported_labels_were_asked_by_nobody_here(project, people):
    said(project, people, "<><", is_imported=True)
    assert percent(project) == (pytest.approx(1 / 3), 1)


def test_another_version_of_the_guideline_begins_anew(project, people):
    """Under each version two labels of one comparison, which differ: 0 of 2 pairs."""
    row = said(project, people, "<>")
    newest = project.guidelines.create(version=1, text="# One")
    for labeler, way in ((people[2], 1), (people[3], -1)):
        ranking = [[pk] for pk in row.candidate_ids][::way]
        factories.judgment(row, labeler, ranking=ranking, guideline=newest)
    assert percent(project) == (0.0, 2)


def test_the_setting_counts_for_what_was_judged_before(project, people, half, admin):
    """Never, and two again: a worker reads those with more than two labels anew."""
    assert percent(project) == (0.5, 4)
    for agreeing, value in ((None, pytest.approx(2 / 3)), (2, 0.5)):
        update_settings(project=project, actor=admin, stop_when_agreeing=agreeing)
        settle_early_stop(project.pk)
        storing.fold_changes(project=project)
        assert percent(project) == (value, 4)


def test_a_snapshot_leaves_it_out_of_its_agreement_too(project, half):
    assert judgments_on_selected(project).count() == 2
    assert Comparison.objects.filter(judgments__in=judgments_on_selected(project)).count() == 2
