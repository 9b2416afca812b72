"""The entry exam: training on gold comparisons, decided by a sequential test as soon as the answers suffice.

It lies here, below quality, because the queue asks who may train and tells every answer. What admins do with gold and
with the exam's verdicts is in `annotation/quality`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.gold import Feedback, gold_answers, is_right_answer, known_tiers
from annotation.comparisons.models import Assignment, Exam, ExamAttempt, GoldItem, Judgment
from annotation.measures.labelers import EntryExam
from annotation.projects.models import Membership, Project, Role


def attempt_answers(attempt: ExamAttempt) -> list[Judgment]:
    """The training answers of one attempt, oldest first."""
    rows = gold_answers(attempt.project).filter(
        labeler_id=attempt.labeler_id,
        assignment__is_training=True,
        created_at__gte=attempt.started_at,
    )
    if attempt.ended_at is not None:
        rows = rows.filter(created_at__lte=attempt.ended_at)
    return list(rows)


def exam_of(project: Project) -> Exam:
    """The project's exam; the usual one where nobody has set another."""
    return Exam.objects.filter(project=project).first() or Exam(project=project)


def sequential_test(exam: Exam) -> EntryExam:
    """The sequential test behind an exam."""
    return EntryExam(
        p0=exam.poor, p1=exam.good, false_pass=exam.false_pass, false_fail=exam.false_fail
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an unqualified labeler stands: may they train now, and if not, what to tell them."""

    may_train: bool
    message: str = ""
    retake_at: datetime | None = None


def standing_of(*, project: Project, labeler_id: int) -> Standing:
    """Who may train now; opens an attempt where one may begin."""
    attempts = ExamAttempt.objects.filter(project=project, labeler_id=labeler_id)
    last = attempts.order_by("-number").first()
    if last is None:
        return _begin(project, labeler_id, number=1)
    if last.state == ExamAttempt.State.OPEN:
        return Standing(may_train=True)
    exam = exam_of(project)
    if last.number >= exam.attempts_max:
        return Standing(may_train=False, message=_no_more(exam))
    retake_at = (last.ended_at or last.started_at) + timedelta(hours=exam.retake_after_hours)
    if retake_at > timezone.now():
        return Standing(may_train=False, message=_wait_until(retake_at), retake_at=retake_at)
    return _begin(project, labeler_id, number=last.number + 1)


def _begin(project: Project, labeler_id: int, *, number: int) -> Standing:
    try:
        with transaction.atomic():
            ExamAttempt.objects.create(project=project, labeler_id=labeler_id, number=number)
    except IntegrityError:
        pass  # another request of theirs has just begun it
    return Standing(may_train=True)


def _no_more(exam: Exam) -> str:
    return _(
        "You have used all %(attempts)s attempts of the entry exam. Thank you for trying; an admin "
        "of the project can give you another."
    ) % {"attempts": exam.attempts_max}


def _wait_until(retake_at: datetime) -> str:
    told = date_format(timezone.localtime(retake_at), "j M Y, H:i e")
    return _("You may take the entry exam again from %(time)s on.") % {"time": told}


@transaction.atomic
def note_answer(*, judgment: Judgment) -> None:
    """Take a training answer into the exam, and end the attempt where the answers decide it.

    1. The attempt is locked, so that two answers sent at once are counted one after the other.
    2. Its answers are read again: gold that was retired counts no more.
    3. Passed: the labeler is qualified from now on. Failed: the next attempt waits as the exam says.
    """
    attempts = ExamAttempt.objects.select_for_update().filter(
        project_id=judgment.project_id,
        labeler_id=judgment.labeler_id,
        state=ExamAttempt.State.OPEN,
    )
    attempt = attempts.first()
    verdict = None if attempt is None else _verdict(attempt)
    if attempt is not None and verdict is not None:
        end_attempt(attempt=attempt, has_passed=verdict, actor=judgment.labeler)


def feedback_on(judgment: Judgment) -> Feedback:
    """What a labeler is told after a training answer: the known verdict, why, and whether it ended the exam."""
    tiers = known_tiers(judgment.comparison)
    item = GoldItem.objects.filter(comparison_id=judgment.comparison_id).first()
    ended = ExamAttempt.objects.filter(
        project_id=judgment.project_id,
        labeler_id=judgment.labeler_id,
        started_at__lte=judgment.created_at,
        ended_at__gte=judgment.created_at,
    ).first()
    told = [item.note if item else "", _told(ended) if ended and _is_last(judgment, ended) else ""]
    return Feedback(
        is_right=is_right_answer(judgment),
        ranking=tiers,
        is_all_bad=not tiers,
        note=" ".join(one for one in told if one),
    )


def _is_last(judgment: Judgment, attempt: ExamAttempt) -> bool:
    answers = attempt_answers(attempt)
    return bool(answers) and answers[-1].pk == judgment.pk


def _verdict(attempt: ExamAttempt) -> bool | None:
    answers = [is_right_answer(one) for one in attempt_answers(attempt)]
    return sequential_test(exam_of(attempt.project)).decide(answers)


def _told(attempt: ExamAttempt) -> str:
    if attempt.state == ExamAttempt.State.PASSED:
        return _("You have passed the entry exam. What comes next is real work.")
    return _("This attempt at the entry exam is over: too many answers differ from what is known.")


def end_attempt(*, attempt: ExamAttempt, has_passed: bool, actor: User | None) -> None:
    """Close an attempt; who passed is qualified. Training leased ahead is taken back: it holds no place."""
    now = timezone.now()
    attempt.state = ExamAttempt.State.PASSED if has_passed else ExamAttempt.State.FAILED
    attempt.ended_at = now
    attempt.save(update_fields=["state", "ended_at"])
    if has_passed:
        member = Membership.objects.filter(
            project_id=attempt.project_id, user_id=attempt.labeler_id, role=Role.LABELER
        )
        member.update(qualified_at=now)
    waiting = Assignment.objects.filter(
        project_id=attempt.project_id,
        labeler_id=attempt.labeler_id,
        is_training=True,
        state=Assignment.State.LEASED,
    )
    waiting.update(state=Assignment.State.EXPIRED)
    audit.record(f"exam.{attempt.state}", attempt, actor=actor, number=attempt.number)
