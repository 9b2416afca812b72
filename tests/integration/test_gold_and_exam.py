"""Gold shows who judges well, and which gold is bad; the entry exam ends as soon as the answers decide it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons import exams
from annotation.comparisons.gold import gold_answers, is_right
from annotation.comparisons.models import (
    Assignment,
    Comparison,
    ExamAttempt,
    GoldItem,
    Judgment,
)
from annotation.comparisons.services import judging
from annotation.comparisons.services.queue import lease_next_comparison
from annotation.core.errors import Conflict, InvalidInput
from annotation.projects.models import Membership, Role
from annotation.quality import gold
from annotation.quality.numbers import GOLD_TOLD_FROM, numbers_of, own_numbers
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report
from annotation.quality.services import catch_up
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return factories.project(must_qualify=True)


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


def marked(project, admin, note=""):
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidate_ids
    gold.mark_gold(comparison=comparison, known_ranking=[[first], [second]], actor=admin, note=note)
    comparison.refresh_from_db()
    return comparison


def answered(comparison, labeler, *, right=True, training=False, **fields):
    order = comparison.candidate_ids if right else comparison.candidate_ids[::-1]
    assignment = Assignment.objects.create(
        project=comparison.project,
        comparison=comparison,
        labeler=labeler,
        shown_order=comparison.candidate_ids,
        lease_until=timezone.now(),
        is_training=training,
        state=Assignment.State.SUBMITTED,
    )
    return factories.judgment(
        comparison,
        labeler,
        assignment=assignment,
        ranking=[[pk] for pk in order],
        is_counted=False,
        **fields,
    )


@pytest.mark.parametrize(
    ("known", "ranking", "strengths", "is_all_bad", "right"),
    [
        ([[1], [2]], [[1], [2]], [3], False, True),
        ([[1], [2]], [[2], [1]], [1], False, False),
        ([[1], [2]], [[1, 2]], [], False, False),
        ([[1, 2]], [[1], [2]], [1], False, True),
        ([[1, 2]], [[1], [2]], [2], False, False),
        ([[1], [2], [3]], [[1], [2, 3]], [1], False, False),
        ([[1], [2, 3]], [[1], [2], [3]], [1, 1], False, True),
        ([], [], [], True, True),
        ([], [[1], [2]], [1], False, False),
        ([[1], [2]], [], [], True, False),
    ],
)
def test_an_answer_is_right_where_it_orders_what_is_known_to_differ(
    known, ranking, strengths, is_all_bad, right
):
    found = is_right(known, ranking=ranking, strengths=strengths, is_all_bad=is_all_bad)
    assert found is right


def test_marking_gold_keeps_what_the_comparison_was_and_unmarking_restores_it(project, admin):
    filled = {"slots_taken": 1, "judgments_counted": 1}
    prompt = factories.prompt(project)
    comparison = factories.comparison(prompt, kind="overlap", state="judged", **filled)
    tiers = [[pk] for pk in comparison.candidate_ids]
    item = gold.mark_gold(comparison=comparison, known_ranking=tiers, actor=admin)
    comparison.refresh_from_db()
    assert (comparison.kind, comparison.state) == ("gold", "open")
    assert comparison.known_ranking == {"ranking": tiers, "is_all_bad": False}
    gold.unmark_gold(item=item, actor=admin)
    comparison.refresh_from_db()
    assert (comparison.kind, comparison.state) == ("overlap", "judged")
    assert comparison.known_ranking is None
    verbs = list(AuditEvent.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["gold.marked", "gold.unmarked"]


def test_a_known_answer_must_name_the_candidates(project, admin):
    comparison = factories.comparison(factories.prompt(project))
    with pytest.raises(InvalidInput, match="exactly once"):
        gold.mark_gold(comparison=comparison, known_ranking=[[1], [2]], actor=admin)


def test_a_bad_gold_item_shows_itself(project, admin):
    """Nine are answered rightly by all six; the tenth wrongly by all: its upper limit is below the others."""
    people = [factories.member(project) for _ in range(6)]
    items = [marked(project, admin) for _ in range(10)]
    for place, comparison in enumerate(items):
        for one in people:
            answered(comparison, one, right=place != 9)
    report = gold.gold_report(project, gold.gold_items(project))
    found = {row.item.pk: row for row in report.rows}
    assert [pk for pk, row in found.items() if row.is_suspicious] == [items[9].pk]
    assert found[items[9].pk].right == 0
    assert report.overall.n == 60


def test_the_labelers_table_and_the_labelers_page_count_the_same_gold(project, admin, labeler):
    """Of five answers three count: one came before its comparison was gold, one is on gold that was retired."""
    answered(marked(project, admin), labeler)
    answered(marked(project, admin), labeler, right=False)
    ranked = factories.comparison(factories.prompt(project), size=3)
    tiers = [[pk] for pk in ranked.candidate_ids]
    gold.mark_gold(comparison=ranked, known_ranking=tiers, actor=admin)
    factories.judgment(ranked, labeler, ranking=[tiers[0], tiers[2], tiers[1]], is_counted=False)
    early = factories.comparison(factories.prompt(project))
    factories.judgment(early, labeler)
    gold.mark_gold(comparison=early, known_ranking=[], actor=admin)
    retired = marked(project, admin)
    answered(retired, labeler)
    gold.retire_gold(item=retired.gold, reason="The known answer is wrong.", actor=admin)
    other = factories.comparison(factories.prompt(project))
    factories.judgment(other, labeler)
    catch_up(project=project)
    row = computed_report(project, Scope(), parts=("labelers",))["labelers"][0]
    own = numbers_of(project, labeler.pk).gold
    assert (row["gold"]["right"], row["gold"]["n"]) == (1, 3)
    assert row["gold"]["value"] == own.value


def test_retired_gold_counts_for_nobody_until_it_is_restored(project, admin, labeler):
    comparison = marked(project, admin)
    answered(comparison, labeler, right=False)
    item = gold.retire_gold(item=comparison.gold, reason="The known answer is wrong.", actor=admin)
    comparison.refresh_from_db()
    assert comparison.state == Comparison.State.CLOSED
    assert gold.gold_report(project, [item]).overall.n == 0
    with pytest.raises(Conflict, match="retired already"):
        gold.retire_gold(item=item, reason="again", actor=admin)
    gold.restore_gold(item=item, actor=admin)
    assert gold.gold_report(project, [item]).overall.n == 1


def test_what_was_judged_before_it_became_gold_is_no_gold_answer(project, admin, labeler):
    comparison = factories.comparison(factories.prompt(project))
    factories.judgment(comparison, labeler)
    tiers = [[pk] for pk in reversed(comparison.candidate_ids)]
    gold.mark_gold(comparison=comparison, known_ranking=tiers, actor=admin)
    assert not gold_answers(project).exists()


def two_days_pass():
    then = timezone.now() - timedelta(days=2)
    GoldItem.objects.update(created_at=then)
    Judgment.objects.update(created_at=then)


def test_labelers_read_gold_as_of_yesterday_so_that_no_answer_and_no_undo_tells_which_it_was(
    project, admin, labeler
):
    given = [answered(marked(project, admin), labeler) for _ in range(GOLD_TOLD_FROM)]
    two_days_pass()
    before = own_numbers(project, labeler).gold
    assert before.n == GOLD_TOLD_FROM
    judging.undo_judgment(judgment=given[0])
    answered(marked(project, admin), labeler, right=False)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"):
        labeler.time_zone = zone
        assert own_numbers(project, labeler).gold == before
    seen_by_admins = numbers_of(project, labeler.pk).gold
    assert (seen_by_admins.n, seen_by_admins.value < before.value) == (GOLD_TOLD_FROM, True)


def test_labelers_are_told_no_share_of_one_known_answer(project, admin, labeler):
    answered(marked(project, admin), labeler)
    two_days_pass()
    assert own_numbers(project, labeler).gold.value is None


def test_importing_known_answers_reports_each_wrong_line(project, admin):
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidate_ids
    text = (
        f"{comparison.pk}, {second} > {first}, cites its source\n\n"
        f"{comparison.pk}, {first}\n"
        f"0, {first} > {second}\n"
        f"x, {first} > {second}\n"
        f"{comparison.pk}, {first} > {first}\n"
    )
    done = gold.import_gold(project=project, text=text, actor=admin)
    comparison.refresh_from_db()
    assert done.taken == 1
    assert [number for number, _ in done.rejected] == [3, 4, 5, 6]
    assert comparison.known_ranking["ranking"] == [[second], [first]]
    assert comparison.gold.note == "cites its source"


def test_of_two_known_answers_to_one_comparison_the_second_is_reported(project, admin):
    comparison = factories.comparison(factories.prompt(project))
    text = f"{comparison.pk}, B > A\n{comparison.pk}, A > B"
    done = gold.import_gold(project=project, text=text, actor=admin)
    comparison.refresh_from_db()
    first, second = comparison.candidate_ids
    assert (done.taken, comparison.known_ranking["ranking"]) == (1, [[second], [first]])
    assert done.rejected == [(2, f"Line 1 gave comparison {comparison.pk} its answer already.")]


def test_an_import_of_known_answers_overwrites_none(project, admin):
    comparison = marked(project, admin, "why")
    said = comparison.known_ranking
    text = f"{comparison.pk}, B > A"
    done = gold.import_gold(project=project, text=text, actor=admin)
    assert (done.taken, done.rejected[0][0]) == (0, 1)
    assert "is gold already, with the known answer A > B" in done.rejected[0][1]
    again = gold.import_gold(project=project, text=f"{comparison.pk}, A > B, else", actor=admin)
    comparison.refresh_from_db()
    assert (again.taken, again.rejected) == (1, [])
    assert (comparison.known_ranking, comparison.gold.note) == (said, "why")
    assert comparison.gold.origin == "hand"


def test_eight_right_answers_pass_the_exam_and_qualify(project, admin, labeler):
    """ln(.9/.6) = 0.405 a right answer; ln(.95/.05) = 2.944 passes: 8 x 0.405 = 3.24, 7 x 0.405 = 2.84."""
    assert exams.standing_of(project=project, labeler_id=labeler.pk).may_train
    told = []
    for _ in range(8):
        judgment = answered(marked(project, admin, "why"), labeler, training=True)
        exams.note_answer(judgment=judgment)
        told.append(exams.feedback_on(judgment))
    assert ["passed" in one.message for one in told] == [False] * 7 + [True]
    assert (told[0].is_right, told[0].note) == (True, "why")
    assert Membership.objects.get(project=project, user=labeler).qualified_at
    assert ExamAttempt.objects.get().state == "passed"


def test_three_wrong_answers_fail_and_the_next_attempt_waits(project, admin, labeler):
    """ln(.1/.4) = -1.386 a wrong answer; below -2.944 after the third."""
    exams.standing_of(project=project, labeler_id=labeler.pk)
    for _ in range(3):
        judgment = answered(marked(project, admin), labeler, right=False, training=True)
        exams.note_answer(judgment=judgment)
    waits = exams.standing_of(project=project, labeler_id=labeler.pk)
    assert not waits.may_train
    assert "again from" in waits.message
    ExamAttempt.objects.update(ended_at=timezone.now() - timedelta(hours=25))
    assert exams.standing_of(project=project, labeler_id=labeler.pk).may_train
    assert ExamAttempt.objects.get(number=2).state == "open"


def test_when_all_attempts_are_used_the_labeler_is_told_whom_to_ask(project, labeler):
    ExamAttempt.objects.create(
        project=project, labeler=labeler, number=3, state="failed", ended_at=timezone.now()
    )
    told = exams.standing_of(project=project, labeler_id=labeler.pk)
    assert not told.may_train
    assert "all 3 attempts" in told.message


def test_an_attempt_looks_only_at_its_own_answers(project, admin, labeler):
    exams.standing_of(project=project, labeler_id=labeler.pk)
    for _ in range(3):
        exams.note_answer(
            judgment=answered(marked(project, admin), labeler, right=False, training=True)
        )
    ExamAttempt.objects.update(ended_at=timezone.now() - timedelta(hours=25))
    exams.standing_of(project=project, labeler_id=labeler.pk)
    for _ in range(8):
        exams.note_answer(judgment=answered(marked(project, admin), labeler, training=True))
    states = list(ExamAttempt.objects.order_by("number").values_list("state", flat=True))
    assert states == ["failed", "passed"]


def _answers(project, labeler, *, right):
    """Take what the queue serves until it serves no training; what came last, and how many were answered."""
    given = 0
    while isinstance(found := lease_next_comparison(project=project, labeler=labeler), Assignment):
        if not found.is_training:
            break
        order = found.comparison.candidate_ids
        ranking = [[pk] for pk in (order if right else order[::-1])]
        judging.submit_judgment(
            assignment=found, client_uuid=uuid4(), ranking=ranking, strengths=[1]
        )
        given += 1
    return found, given


def test_the_queue_trains_until_the_exam_is_passed_and_then_serves_real_work(
    project, admin, labeler
):
    real = factories.comparison(factories.prompt(project))
    for _ in range(12):
        marked(project, admin)
    found, given = _answers(project, labeler, right=True)
    assert (found.comparison_id, given) == (real.pk, 8)


def test_the_queue_says_when_a_failed_exam_may_be_taken_again(project, admin, labeler):
    factories.comparison(factories.prompt(project))
    for _ in range(12):
        marked(project, admin)
    found, given = _answers(project, labeler, right=False)
    assert given == 3
    assert found.reason == "exam_over"
    assert "again from" in found.message


def test_the_gold_page_names_who_has_not_passed_and_leads_to_them(project, admin, labeler, client):
    new = factories.member(project, username="newcomer")
    passed = factories.member(project, username="veteran")
    project.memberships.filter(user=passed).update(qualified_at=timezone.now())
    ExamAttempt.objects.create(project=project, labeler=labeler, number=1, state="failed")
    ExamAttempt.objects.create(project=project, labeler=labeler, number=2, state="open")
    client.force_login(admin)
    page = client.get(reverse("quality-gold", args=[project.pk])).content.decode()
    assert reverse("quality-labeler", args=[project.pk, labeler.pk]) in page
    assert reverse("quality-labeler", args=[project.pk, new.pk]) in page
    assert "2 of 3" in page
    assert "not begun" in page
    assert "veteran" not in page
