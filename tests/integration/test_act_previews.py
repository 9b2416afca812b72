"""Before an admin pauses a labeler or sends them back to the exam: what it would have meant, told from history."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.models import Judgment
from annotation.comparisons.services.queue import lease_next_comparison
from annotation.measures.labelers import EntryExam
from annotation.projects.models import Membership
from annotation.quality import rules
from annotation.quality.acts import labeler_of
from annotation.quality.models import LabelerAct
from annotation.quality.previews import preview_of, replay
from tests import factories
from tests.integration.test_gold_and_exam import answered, marked
from tests.integration.test_people_rules import judged

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(must_qualify=True)


@pytest.fixture
def lea(project):
    lea = factories.member(project, username="lea")
    Membership.objects.filter(user=lea).update(qualified_at=timezone.now())
    return lea


@pytest.fixture
def history(project, lea):
    """Three pairs that lea tips, one that she alone judged, and one that she judged long ago."""
    one, two = factories.member(project), factories.member(project)
    for _ in range(3):
        judged(project, (one, 1), (two, -1), (lea, 1))
    judged(project, (lea, 1))
    old = judged(project, (lea, 1))
    long_ago = timezone.now() - timedelta(days=31)
    Judgment.objects.filter(comparison=old).update(created_at=long_ago)


def test_a_pause_is_told_from_the_last_thirty_days(project, lea, history):
    found = preview_of(member=labeler_of(project, lea.pk), kind="pause")
    assert (found.judgments, found.judgments_theirs) == (10, 4)
    assert found.share == pytest.approx(0.4)
    assert found.longer == pytest.approx(4 / 6)
    effects = found.dry_run
    assert (effects.judgments_dropped, effects.preferences) == (4, 5)
    assert (effects.preferences_evened, effects.preferences_lost) == (3, 1)
    assert (effects.preferences_kept, effects.preferences_flipped) == (1, 0)
    assert found.exam is None


def test_what_is_in_their_hands_is_counted(project, lea):
    factories.comparison(factories.prompt(project))
    lease_next_comparison(project=project, labeler=lea)
    assert preview_of(member=labeler_of(project, lea.pk), kind="pause").in_hand == 1


def test_the_exam_is_held_on_gold_answers_of_real_work(project, admin, lea):
    """With 60 against 90 % and 5 % of errors three wrong answers in a row fail: 3 ln(.1 / .4) = -4.16 < -2.94."""
    for right in (False, False, False, True):
        answered(marked(project, admin), lea, right=right)
    found = preview_of(member=labeler_of(project, lea.pk), kind="retrain").exam
    assert (found.answers, found.right) == (4, 1)
    assert (found.has_passed, found.decided_after) == (False, 3)


@pytest.mark.parametrize(
    ("rights", "has_passed", "after"),
    [([True] * 9, True, 8), ([False] * 4, False, 3), ([True, False, True], None, None)],
)
def test_a_replay_ends_where_the_exam_would(rights, has_passed, after):
    found = replay(EntryExam(), rights)
    assert (found.has_passed, found.decided_after) == (has_passed, after)
    assert EntryExam().decide(rights) is has_passed


def test_the_page_shows_it_before_the_act_and_writes_nothing(project, admin, client, lea, history):
    url = reverse("quality-act-try", args=[project.pk, lea.pk])
    page = client.post(url, {"kind": "pause", "text": "Let us talk <b>first</b>."}).content.decode()
    assert "4 of 10 judgments of these days would be missing (40 %)" in page
    assert "Of 5 preferences 0 would flip to the other response (0.0 %), 3 become even" in page
    assert "1 have no vote left; 1 would stay." in page
    assert "Let us talk &lt;b&gt;first&lt;/b&gt;." in page
    assert "<h2>What was done</h2>" in page
    assert not LabelerAct.objects.exists()
    part = client.post(url, {"kind": "retrain", "text": "x"}, headers={"HX-Request": "true"})
    assert "They have answered no gold" in part.content.decode()
    assert "<h2>" not in part.content.decode()
    client.post(reverse("quality-act", args=[project.pk, lea.pk]), {"kind": "pause", "text": "x"})
    assert LabelerAct.objects.get().kind == "pause"


def test_where_a_rule_leaves_them_out_already_it_says_so(project, admin, client, lea, history):
    rules.save_rule(project=project, kind="exclude", params={"labeler": lea.pk}, actor=admin)
    url = reverse("quality-act-try", args=[project.pk, lea.pk])
    page = client.post(url, {"kind": "pause", "text": "x"}).content.decode()
    assert "All 3 preferences would stay as they are." in page
    assert "A rule leaves out what they gave, so no preference changes." in page


def test_what_changes_no_work_has_no_dry_run(project, admin, client, lea):
    url = reverse("quality-act-try", args=[project.pk, lea.pk])
    page = client.post(url, {"kind": "message", "text": "x"}).content.decode()
    assert "Only pause, retrain can be tried on history" in page


def test_the_dry_run_over_the_api(project, admin, api, lea, history):
    api.force_authenticate(admin)
    url = reverse("api-act-dry-run", args=[project.pk, lea.pk])
    found = api.post(url, {"kind": "retrain"}, format="json").json()
    assert (found["judgments_theirs"], found["dry_run"]["preferences_lost"]) == (4, 1)
    assert found["exam"]["has_passed"] is None
    assert api.post(url, {"kind": "message"}, format="json").status_code == 400
    other = reverse("api-act-dry-run", args=[project.pk, factories.user().pk])
    assert api.post(other, {"kind": "pause"}, format="json").status_code == 404
