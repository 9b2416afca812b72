"""What admins do about labelers and comparisons: shown on history first, kept beside what it changes, undone again."""

import json
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Judgment
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.datasets.services import building, requesting
from annotation.projects.models import Membership, Role
from annotation.quality import acts, adjudication, disputes, gold, numbers, rules, services
from annotation.quality.adjudication import Verdict
from annotation.quality.models import Resolution
from annotation.quality.selectors import stored_report
from tests import factories
from tests.integration.test_gold_and_exam import answered, marked
from workers import quality as tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


def judged(project, *verdicts, **fields):
    """A comparison with one judgment a (labeler, sign)."""
    comparison = factories.comparison(factories.prompt(project), overlap=9)
    tiers = [[pk] for pk in comparison.candidate_ids]
    for labeler, sign in verdicts:
        factories.judgment(
            comparison, labeler, ranking=tiers if sign > 0 else tiers[::-1], **fields
        )
    return comparison


def first_wins(comparison):
    first, second = comparison.candidate_ids
    return Verdict(ranking=[[first], [second]], strengths=[3])


def groups_of(project, admin, query=None):
    """The records of a snapshot built now."""
    snapshot = requesting.request_snapshot(
        project=project, name="now", query=query or {}, actor=admin
    )
    built = building.build_snapshot(snapshot=snapshot, progress=lambda *_: None)
    lines = (Path(built.folder) / "groups.jsonl").read_text().splitlines()
    return built, [json.loads(line) for line in lines]


@pytest.fixture
def contrary(project, labeler):
    """Twelve comparisons: three find the first better, a fast one the second; four more of the fast one alone."""
    three = [factories.member(project) for _ in range(3)]
    for _ in range(12):
        comparison = judged(project, *((one, 1) for one in three), active_ms=60_000)
        tiers = [[pk] for pk in reversed(comparison.candidate_ids)]
        factories.judgment(comparison, labeler, ranking=tiers, active_ms=1_500)
    for _ in range(4):
        judged(project, (labeler, -1), active_ms=60_000)
    return labeler


# Adjudication


def test_an_adjudicated_verdict_leads_in_snapshots_while_the_votes_stay(project, admin, labeler):
    comparison = judged(project, (labeler, -1), (factories.user(), -1))
    adjudication.adjudicate(
        comparison=comparison, cause="labeler_error", verdict=first_wins(comparison), actor=admin
    )
    built, (group,) = groups_of(project, admin)
    first = next(c["id"] for c in group["candidates"] if c["id"] == group["pairs"][0]["chosen"])
    (pair,) = group["pairs"]
    assert (pair["votes_chosen"], pair["votes_rejected"]) == (0, 2)
    assert (pair["soft_label"], pair["margin"]) == (1.0, 3.0)
    assert first == pair["chosen"]
    assert Resolution.objects.get(comparison=comparison).method == "adjudicated"
    assert built.query["is_adjudicated"] is True


def test_a_snapshot_may_be_asked_for_without_adjudication(project, admin, labeler):
    comparison = judged(project, (labeler, -1))
    adjudication.adjudicate(
        comparison=comparison, cause="labeler_error", verdict=first_wins(comparison), actor=admin
    )
    _, (group,) = groups_of(project, admin, {"is_adjudicated": False})
    assert (group["pairs"][0]["votes_chosen"], group["pairs"][0]["votes_rejected"]) == (1, 0)


def test_undoing_an_adjudication_brings_back_the_one_that_it_took_the_place_of(
    project, admin, labeler
):
    comparison = judged(project, (labeler, -1), (factories.member(project), -1))
    tie = Verdict(ranking=[comparison.candidate_ids], strengths=[])
    verdicts = (first_wins(comparison), tie, first_wins(comparison))
    first, second, third = (
        adjudication.adjudicate(
            comparison=comparison, cause="labeler_error", verdict=one, actor=admin
        )
        for one in verdicts
    )
    adjudication.undo_adjudication(made=third, actor=admin)
    assert list(comparison.adjudications.filter(undone_at=None)) == [second]
    adjudication.undo_adjudication(made=second, actor=admin)
    assert list(comparison.adjudications.filter(undone_at=None)) == [first]
    resolution = Resolution.objects.get(comparison=comparison)
    assert (resolution.method, resolution.ranking) == ("adjudicated", first.ranking)
    told = AuditEvent.objects.filter(verb="comparison.adjudication_undone").latest("pk")
    assert told.data["standing"] == first.pk


def test_an_adjudication_that_was_undone_before_the_next_stays_undone(project, admin, labeler):
    comparison = judged(project, (labeler, -1))
    facts = {"comparison": comparison, "cause": "labeler_error", "actor": admin}
    first = adjudication.adjudicate(verdict=first_wins(comparison), **facts)
    adjudication.undo_adjudication(made=first, actor=admin)
    second = adjudication.adjudicate(verdict=first_wins(comparison), **facts)
    adjudication.undo_adjudication(made=second, actor=admin)
    assert not comparison.adjudications.filter(undone_at=None).exists()
    assert not Resolution.objects.filter(comparison=comparison, method="adjudicated").exists()


def test_undoing_an_adjudication_lets_the_votes_decide_again(project, admin, labeler):
    comparison = judged(project, (labeler, -1), (factories.user(), -1))
    services.refresh_agreement(project=project)
    made = adjudication.adjudicate(
        comparison=comparison, cause="ambiguous", verdict=first_wins(comparison), actor=admin
    )
    adjudication.undo_adjudication(made=made, actor=admin)
    tasks.refresh_agreement(project.pk)
    row = Resolution.objects.get(comparison=comparison)
    assert row.method == "dawid_skene"
    assert row.ranking == [[pk] for pk in reversed(comparison.candidate_ids)]
    with pytest.raises(Conflict, match="undone already"):
        adjudication.undo_adjudication(made=made, actor=admin)


def test_where_the_cause_is_taste_the_soft_label_stays(project, admin, labeler):
    comparison = judged(project, (labeler, 1), (factories.user(), 1), (factories.user(), -1))
    with pytest.raises(InvalidInput, match="votes stay the label"):
        adjudication.adjudicate(
            comparison=comparison, cause="subjective", verdict=first_wins(comparison), actor=admin
        )
    adjudication.adjudicate(
        comparison=comparison, cause="subjective", verdict=adjudication.NO_VERDICT, actor=admin
    )
    _, (group,) = groups_of(project, admin)
    assert group["pairs"][0]["soft_label"] == pytest.approx(2 / 3, abs=1e-6)


# Rules


def test_a_dry_run_counts_what_would_be_dropped_flipped_and_lost(project, contrary):
    """16 judgments of 52; the 12 shared pairs keep their verdict, the 4 of the labeler alone lose it."""
    tried = rules.dry_run(project=project, kind="exclude", params={"labeler": contrary.pk})
    assert (tried.judgments, tried.judgments_dropped) == (52, 16)
    assert (tried.preferences, tried.preferences_flipped, tried.preferences_lost) == (16, 0, 4)
    assert rules.rules_of(project) == []


def test_a_dry_run_tells_flips_from_what_is_even_no_more(project, labeler):
    """One against one is even; two against one is another preference without the two."""
    judged(project, (factories.user(), 1), (labeler, -1))
    tried = rules.dry_run(project=project, kind="exclude", params={"labeler": labeler.pk})
    assert (tried.preferences_flipped, tried.preferences_decided) == (0, 1)


def test_fast_answers_are_left_out_only_of_who_is_wrong_when_fast(project, contrary):
    fast_and_right = factories.member(project)
    for comparison in project.comparisons.all()[:12]:
        factories.judgment(comparison, fast_and_right, active_ms=1_000)
    params = {"seconds": 3, "accuracy_below": 0.6}
    tried = rules.dry_run(project=project, kind="too_fast", params=params)
    assert tried.labelers_left_out == (contrary.pk,)
    assert tried.judgments_dropped == 12


def test_a_rule_leaves_judgments_out_of_snapshots_and_resolutions_and_deletes_nothing(
    project, admin, contrary
):
    rule = rules.save_rule(
        project=project, kind="exclude", params={"labeler": contrary.pk}, actor=admin
    )
    tasks.refresh_agreement(project.pk)
    assert project.resolutions.count() == 12
    built, groups = groups_of(project, admin)
    assert len(groups) == 12
    assert built.query["exclusions"] == [
        {
            "rule": rule.series,
            "version": 1,
            "labelers": [contrary.pk],
            "since": None,
            "faster_than_ms": 0,
        }
    ]
    assert Judgment.objects.filter(withdrawn_at=None).count() == 52


def test_switched_off_a_rule_gives_everything_back_and_keeps_its_versions(project, admin, contrary):
    rule = rules.save_rule(
        project=project, kind="exclude", params={"labeler": contrary.pk}, actor=admin
    )
    rules.switch_rule(project=project, series=rule.series, is_on=False, actor=admin)
    tasks.refresh_agreement(project.pk)
    assert project.resolutions.count() == 16
    _, groups = groups_of(project, admin)
    assert len(groups) == 16
    versions = rules.versions_of(project, rule.series).values_list("version", "is_on")
    assert list(versions) == [(2, False), (1, True)]


def test_a_rule_from_a_moment_on_keeps_what_came_before(project, admin, contrary):
    since = (timezone.now() + timedelta(seconds=1)).isoformat()
    params = {"labeler": contrary.pk, "since": since}
    tried = rules.dry_run(project=project, kind="exclude", params=params)
    assert tried.judgments_dropped == 0


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("sell", {}),
        ("too_fast", {"seconds": 3}),
        ("too_fast", {"seconds": "3", "accuracy_below": 0.5}),
        ("too_fast", {"seconds": 3, "accuracy_below": 2}),
        ("pause_on_gold", {"failed": 5, "of_last": 3}),
        ("pause_on_gold", {"failed": 1, "of_last": 3, "x": 1}),
        ("exclude", {"labeler": 0}),
        ("exclude", {"labeler": 1, "since": "yesterday"}),
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused(project, kind, params):
    with pytest.raises((InvalidInput, NotFound)):
        rules.dry_run(project=project, kind=kind, params=params)


def test_failed_gold_pauses_once_and_after_a_resume_only_new_failures_do(project, admin, labeler):
    params = {"failed": 2, "of_last": 3}
    rules.save_rule(project=project, kind="pause_on_gold", params=params, actor=admin)
    answered(marked(project, admin), labeler, right=False)
    tasks.refresh_agreement(project.pk)
    member = acts.labeler_of(project, labeler.pk)
    assert member.paused_at is None
    answered(marked(project, admin), labeler, right=False)
    tasks.refresh_agreement(project.pk)
    member.refresh_from_db()
    assert member.paused_at
    assert "2 of your last 3" in member.pause_reason
    acts.act(member=member, kind="resume", text="We talked.", actor=admin)
    tasks.refresh_agreement(project.pk)
    member.refresh_from_db()
    assert member.paused_at is None
    assert acts.acts_on(project, labeler.pk).count() == 2


def test_a_pause_that_an_admin_undid_does_not_come_again_from_the_same_answers(
    project, admin, labeler
):
    params = {"failed": 2, "of_last": 3}
    rules.save_rule(project=project, kind="pause_on_gold", params=params, actor=admin)
    for _ in range(2):
        answered(marked(project, admin), labeler, right=False)
    tasks.refresh_agreement(project.pk)
    (done,) = acts.acts_on(project, labeler.pk)
    acts.undo_act(done=done, actor=admin)
    judged(project, (factories.member(project), 1))
    tasks.refresh_agreement(project.pk)
    assert acts.labeler_of(project, labeler.pk).paused_at is None
    for _ in range(2):
        answered(marked(project, admin), labeler, right=False)
    tasks.refresh_agreement(project.pk)
    assert acts.labeler_of(project, labeler.pk).paused_at


def test_training_answers_pause_nobody(project, admin, labeler):
    params = {"failed": 1, "of_last": 1}
    rules.save_rule(project=project, kind="pause_on_gold", params=params, actor=admin)
    answered(marked(project, admin), labeler, right=False, training=True)
    tasks.refresh_agreement(project.pk)
    assert acts.labeler_of(project, labeler.pk).paused_at is None


def test_a_gold_minimum_needs_the_whole_interval_below_it(project, admin, labeler):
    other = factories.member(project)
    for number in range(12):
        comparison = marked(project, admin)
        answered(comparison, labeler, right=False)
        answered(comparison, other, right=number % 3 != 0)
    judged(project, (labeler, 1), (other, 1))
    params = {"accuracy": 0.7, "answers": 5}
    tried = rules.dry_run(project=project, kind="gold_minimum", params=params)
    assert tried.labelers_left_out == (labeler.pk,)


# Acts


@pytest.mark.parametrize("kind", ["pause", "qualify"])
def test_an_act_changes_the_membership_and_its_undo_puts_it_back(project, admin, labeler, kind):
    member = acts.labeler_of(project, labeler.pk)
    before = Membership.objects.filter(pk=member.pk).values().get()
    done = acts.act(member=member, kind=kind, text="for a reason", actor=admin)
    assert Membership.objects.filter(pk=member.pk).values().get() != before
    acts.undo_act(done=done, actor=admin)
    assert Membership.objects.filter(pk=member.pk).values().get() == before
    with pytest.raises(Conflict, match="undone already"):
        acts.undo_act(done=done, actor=admin)


def test_an_act_is_undone_before_those_that_stand_on_it(project, admin, labeler):
    member = acts.labeler_of(project, labeler.pk)
    paused = acts.act(member=member, kind="pause", text="why", actor=admin)
    acts.act(member=member, kind="resume", text="why", actor=admin)
    with pytest.raises(Conflict, match="undo that first"):
        acts.undo_act(done=paused, actor=admin)


def test_an_act_needs_a_text_that_the_labeler_will_read(project, admin, labeler):
    member = acts.labeler_of(project, labeler.pk)
    with pytest.raises(InvalidInput, match="Write a text"):
        acts.act(member=member, kind="message", text="  ", actor=admin)


def test_retraining_opens_another_attempt_and_takes_the_qualification(project, admin, labeler):
    member = acts.labeler_of(project, labeler.pk)
    with pytest.raises(Conflict, match="no entry exam"):
        acts.act(member=member, kind="retrain", text="why", actor=admin)
    project.must_qualify = True
    project.save()
    acts.act(member=member, kind="qualify", text="knows it", actor=admin)
    acts.act(member=member, kind="retrain", text="guideline 3 is new", actor=admin)
    member.refresh_from_db()
    assert member.qualified_at is None
    assert project.exam_attempts.get().state == "open"


# Disputes


def test_a_labeler_appeals_an_adjudication_and_an_admin_takes_it_back(project, admin, labeler):
    comparison = judged(project, (labeler, -1))
    made = adjudication.adjudicate(
        comparison=comparison, cause="labeler_error", verdict=first_wins(comparison), actor=admin
    )
    dispute = disputes.open_dispute(
        project=project, labeler=labeler, subject="adjudication", subject_id=made.pk, text="No."
    )
    disputes.answer_dispute(
        dispute=dispute, is_upheld=True, answer="You are right.", actor=admin, is_remedied=True
    )
    made.refresh_from_db()
    dispute.refresh_from_db()
    assert made.undone_at
    assert (dispute.state, dispute.answer) == ("upheld", "You are right.")
    assert disputes.counts_of(project) == {"open": 0, "upheld": 1, "declined": 0}
    disputes.reopen_dispute(dispute=dispute, actor=admin)
    assert disputes.counts_of(project)["open"] == 1


def test_only_what_concerns_a_labeler_can_be_appealed_and_only_once(project, admin, labeler):
    comparison = judged(project, (labeler, -1))
    made = adjudication.adjudicate(
        comparison=comparison, cause="labeler_error", verdict=first_wins(comparison), actor=admin
    )
    about = {"project": project, "subject": "adjudication", "subject_id": made.pk, "text": "No."}
    with pytest.raises(NotFound):
        disputes.open_dispute(labeler=factories.member(project), **about)
    disputes.open_dispute(labeler=labeler, **about)
    with pytest.raises(Conflict, match="appealed this already"):
        disputes.open_dispute(labeler=labeler, **about)


def test_real_gold_cannot_be_appealed_because_it_is_never_told(project, admin, labeler):
    real, training = marked(project, admin), marked(project, admin)
    answered(real, labeler, right=False)
    answered(training, labeler, right=False, training=True)
    about = {"project": project, "labeler": labeler, "subject": "gold", "text": "No."}
    with pytest.raises(NotFound):
        disputes.open_dispute(subject_id=real.pk, **about)
    dispute = disputes.open_dispute(subject_id=training.pk, **about)
    disputes.answer_dispute(
        dispute=dispute, is_upheld=True, answer="It is.", actor=admin, is_remedied=True
    )
    assert gold.gold_item(project, training.pk).retired_at


def test_an_exclusion_is_appealed_and_switched_off(project, admin, contrary):
    rule = rules.save_rule(
        project=project, kind="exclude", params={"labeler": contrary.pk}, actor=admin
    )
    dispute = disputes.open_dispute(
        project=project,
        labeler=contrary,
        subject="exclusion",
        subject_id=rule.series,
        text="I read the guideline of that day.",
    )
    disputes.answer_dispute(
        dispute=dispute, is_upheld=True, answer="Indeed.", actor=admin, is_remedied=True
    )
    assert rules.exclusions_of(project) == ()
    verbs = set(AuditEvent.objects.values_list("verb", flat=True))
    assert {"rule.saved", "dispute.opened", "dispute.upheld", "rule.switched_off"} <= verbs


# Numbers


def test_fast_and_accurate_is_no_concern_fast_and_wrong_is(project, contrary):
    Judgment.objects.filter(labeler=contrary, active_ms=1_500).update(active_ms=100)  # 220 a second
    services.refresh_agreement(project=project)
    found = numbers.numbers_of(project, contrary.pk)
    assert found.fast.value == pytest.approx(12 / 16)
    (row,) = [one for one in stored_report(project).data["labelers"] if one["id"] == contrary.pk]
    assert found.fast.as_json() == row["fast"]
    assert [one.key for one in found.concerns] == ["too_fast"]
    Judgment.objects.filter(labeler=contrary).update(active_ms=60_000)
    assert numbers.numbers_of(project, contrary.pk).concerns == ()


def test_a_repeat_that_follows_the_side_is_told_from_one_that_follows_the_response(
    project, labeler
):
    for sign in (1, -1):
        comparison = judged(project, (labeler, 1), shown_order=[])
        order = comparison.candidate_ids
        Judgment.objects.filter(comparison=comparison).update(shown_order=order)
        tiers = [[pk] for pk in order]
        factories.judgment(
            comparison,
            labeler,
            ranking=tiers if sign > 0 else tiers[::-1],
            is_repeat=True,
            is_counted=False,
            shown_order=order[::-1],
        )
    repeats = numbers.repeats_of(project, labeler.pk)
    assert (repeats.same.value, repeats.same.n, repeats.followed_side) == (0.5, 2, 1)


def test_the_hours_statement_counts_undone_work_as_time(project, labeler):
    judged(project, (labeler, 1), active_ms=1_800_000)
    judged(project, (labeler, 1), active_ms=1_800_000, withdrawn_at=timezone.now())
    (day,) = numbers.days_of(project, labeler.pk, zone=ZoneInfo("UTC"))
    assert (day.judgments, day.hours) == (1, 1.0)


def test_the_numbers_of_a_labeler_cost_the_same_however_much_they_did(
    project, labeler, django_assert_max_num_queries
):
    for _ in range(3):
        judged(project, (labeler, 1), (factories.user(), 1), active_ms=1_000)
    with django_assert_max_num_queries(11):
        numbers.numbers_of(project, labeler.pk)
