"""What the agreement page says where figures are lacking, and what stands beside the best possible reward model."""

import csv
import io
import re

import pytest
from django.urls import reverse

from annotation.quality.cards import cards_of, percent
from annotation.quality.report import ceiling_ends
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report
from annotation.quality.services import catch_up
from tests import factories
from tests.integration.test_people_rules import judged

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(overlap=2, overlap_share=0.12)


def notice(client, project) -> str:
    """The sentence above the figures."""
    catch_up(project=project)
    page = client.get(reverse("quality-agreement", args=[project.pk])).content.decode()
    return re.sub(r"<[^>]+>", "", page[page.index("Too little for alpha") :]).split("\n")[0]


def test_where_labelers_are_missing_they_are_asked_for_and_no_overlap(project, admin, client):
    two = [factories.member(project) for _ in range(2)]
    for _ in range(31):
        judged(project, *((one, 1) for one in two))
    told = notice(client, project)
    assert "31 such pairs, by 2 labelers. Invite more labelers under Members." in told
    assert "overlap" not in told


def test_where_pairs_are_missing_labels_are_asked_for_and_no_labelers(project, admin, client):
    three = [factories.member(project) for _ in range(3)]
    judged(project, *((one, 1) for one in three))
    told = notice(client, project)
    assert "More come with the labels" in told
    assert "a larger share" in told
    assert "Invite" not in told
    project.overlap_share = 1
    project.save()
    told = notice(client, project)
    assert "with further comparisons" in told
    assert "a larger share" not in told
    project.overlap = 1
    project.save()
    assert "Let more than one person judge the same" in notice(client, project)


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.0006, "0.1 %"), (0.01, "1 %"), (0.996, "100 %")],
)
def test_a_share_that_is_small_is_not_told_as_none(share, told):
    assert percent(share) == told


def test_one_labeler_alone_is_told_to_invite_others(project):
    judged(project, (factories.member(project), 1))
    catch_up(project=project)
    found = computed_report(project, Scope(), parts=())["statistics"]["percent"]
    assert found["reason"].startswith("One labeler alone has judged so far. Invite others")


def statistic(value, interval):
    return {"value": value, "interval": interval, "n": 241, "reason": None}


def test_the_ceiling_has_the_interval_of_the_agreement_it_follows_from():
    """A = .68: from .68 to (1 + sqrt(.36)) / 2 = .8. At .58 from .58, at .82 to (1 + sqrt(.64)) / 2 = .9."""
    low, high = ceiling_ends(statistic(0.68, [0.58, 0.82]))
    assert (low["value"], high["value"]) == pytest.approx((0.68, 0.8))
    assert (low["interval"], high["interval"][1]) == ([0.58, 0.82], pytest.approx(0.9))
    assert high["interval"][0] == pytest.approx(0.7)
    assert low["n"] == 241


def test_an_interval_that_reaches_below_half_starts_there():
    low, high = ceiling_ends(statistic(0.52, [0.4, 0.68]))
    assert (low["interval"][0], high["interval"][1]) == pytest.approx((0.5, 0.8))
    assert ceiling_ends(statistic(0.4, [0.3, 0.45]))[0]["value"] is None
    assert ceiling_ends(statistic(0.6, None))[1]["interval"] is None


def test_the_card_and_the_table_tell_it(project, admin, client):
    three = [factories.member(project) for _ in range(3)]
    for number in range(40):
        signs = (1, 1, -1 if number % 4 == 0 else 1)
        judged(project, *zip(three, signs, strict=True))
    catch_up(project=project)
    report = computed_report(project, Scope())
    card = cards_of(report, target=0.73, is_filtered=False)[-1]
    assert (card.key, "95 %" in card.detail, "n\u00a0=\u00a0" in card.detail) == (
        "ceiling",
        True,
        True,
    )
    url = reverse("quality-table", args=[project.pk, "statistics"])
    rows = csv.DictReader(io.StringIO(b"".join(client.get(url)).decode()))
    told = {row["statistic"]: row for row in rows}
    assert float(told["ceiling_from"]["value"]) == pytest.approx(report["ceiling"][0])
    assert float(told["ceiling_to"]["value"]) == pytest.approx(report["ceiling"][1])
    assert told["ceiling_to"]["high"]
    assert told["machine"]["reason"] == "No machine judge has judged here."
    factories.policy(
        project,
        kind="reward",
        metrics={"accuracy": {"value": 0.72, "interval": [0.65, 0.78], "n": 198}},
        lineage={"judgments_by_kind": {"people": 6, "simulated": 1713}},
    )
    url = reverse("quality-agreement", args=[project.pk])
    usual, filtered = (client.get(url, asked).text for asked in ({}, {"labelers": "people"}))
    assert "Reward model against simulated labelers and people" in usual
    assert "whatever the filters say" not in usual
    assert "whatever the filters say" in filtered
