"""The entry exam as admins see it: its settings, and each labeler's path through it."""

from dataclasses import dataclass
from math import isfinite

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.exams import attempt_answers, exam_of, sequential_test
from annotation.comparisons.gold import is_right_answer
from annotation.comparisons.models import Exam, ExamAttempt
from annotation.core.errors import InvalidInput
from annotation.measures.labelers import EntryExam
from annotation.projects.models import Membership, Project, Role

SHARES = ("poor", "good", "false_pass", "false_fail")
ATTEMPTS_MAX, HOURS_MAX = 20, 24 * 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One attempt, answer by answer: ``scores`` is the log-likelihood ratio after each, between the two limits."""

    attempt: ExamAttempt
    answers: list[bool]
    scores: list[float]
    pass_at: float
    fail_at: float

    @property
    def right(self) -> int:
        return sum(self.answers)


def path_of(attempt: ExamAttempt) -> Path:
    """The path that an attempt took under the exam as it is set now."""
    test = sequential_test(exam_of(attempt.project))
    answers = [is_right_answer(one) for one in attempt_answers(attempt)]
    scores, score = [], 0.0
    for right in answers:
        score += test.step_right if right else test.step_wrong
        scores.append(score)
    return Path(
        attempt=attempt,
        answers=answers,
        scores=scores,
        pass_at=test.pass_at,
        fail_at=test.fail_at,
    )


def paths_of(project: Project, labeler_id: int) -> list[Path]:
    """Every attempt of a labeler, the newest first."""
    rows = ExamAttempt.objects.filter(project=project, labeler_id=labeler_id)
    return [path_of(one) for one in rows.select_related("project").order_by("-number")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A labeler who has not passed, with their newest attempt; None where they have not begun."""

    labeler: User
    attempt: ExamAttempt | None


def entrants_of(project: Project) -> list[Entrant]:
    """Who gets training only, by name; two queries."""
    waiting = project.memberships.filter(role=Role.LABELER, qualified_at=None)
    people = [one.user for one in waiting.select_related("user").order_by("user__username")]
    attempts = ExamAttempt.objects.filter(project=project, labeler__in=people).order_by("number")
    newest = {one.labeler_id: one for one in attempts}
    return [Entrant(labeler=one, attempt=newest.get(one.pk)) for one in people]


def is_between_attempts(member: Membership) -> bool:
    """They have taken the exam, and no attempt is open: the next waits, or there is none."""
    attempts = ExamAttempt.objects.filter(project_id=member.project_id, labeler_id=member.user_id)
    states = set(attempts.values_list("state", flat=True))
    return bool(states) and ExamAttempt.State.OPEN not in states


def usual_length(test: EntryExam) -> int:
    """Right answers in a row that pass."""
    steps, score = 0, 0.0
    while score < test.pass_at:
        steps, score = steps + 1, score + test.step_right
    return steps


@transaction.atomic
def set_exam(*, project: Project, actor: User, **settings: object) -> Exam:
    """Change the exam by name; attempts that are over stay as they ended."""
    exam = exam_of(project)
    names = (*SHARES, "attempts_max", "retake_after_hours")
    before = {name: getattr(exam, name) for name in names}
    for name, value in settings.items():
        if name not in names:
            raise InvalidInput.at(name, f"An exam has no setting {name!r}.")
        setattr(exam, name, _share(name, value) if name in SHARES else _whole(name, value))
    if exam.good < exam.poor + 0.05:
        raise InvalidInput.at(
            "good",
            f"The good accuracy ({exam.good:.0%}) must lie at least 5 points above the poor one "
            f"({exam.poor:.0%}), or the exam never ends.",
        )
    exam.save()
    changed = {
        name: [was, getattr(exam, name)]
        for name, was in before.items()
        if was != getattr(exam, name)
    }
    if changed:
        audit.record("exam.changed", exam, actor=actor, **changed)
    return exam


def _share(name: str, value: object) -> float:
    low, high = (0.001, 0.3) if name.startswith("false") else (0.05, 0.99)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and isinstance(value, int | float) and isfinite(value)):
        raise InvalidInput.at(name, f"{name}={str(value)[:60]!r} is not a number.")
    if not low <= value <= high:
        raise InvalidInput.at(name, f"{name}={value} is outside of {low:g} to {high:g}.")
    return float(value)


def _whole(name: str, value: object) -> int:
    low, high = (1, ATTEMPTS_MAX) if name == "attempts_max" else (0, HOURS_MAX)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput.at(
            name, f"{name}={str(value)[:60]!r} is not a whole number from {low} to {high}."
        )
    return value
