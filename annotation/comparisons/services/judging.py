"""Taking answers: a judgment is stored once, counted if its lease was live, and can be undone until it is frozen."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import answers, exams, progress, verdicts
from annotation.comparisons.gold import Feedback
from annotation.comparisons.models import Assignment, Batch, Comparison, Judgment
from annotation.comparisons.selectors import (
    assignment_of,
    last_act_of,
    last_judgment_of,
    texts_of,
)
from annotation.comparisons.services import comparisons, queue, skips
from annotation.comparisons.stations import Station, station_from, station_of
from annotation.core import statements
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.core.jobs import Job, ring
from annotation.projects.models import Project

NO_SUCH_VERSION = gettext_lazy(
    "This project's guideline has no version %(version)s; the newest is %(newest)s. Load the page again."
)
NOT_YOURS = gettext_lazy("This assignment does not exist, or it is not yours. Load the next one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that was taken: what was stored, what a labeler in training is told, and what comes next."""

    judgment: Judgment
    is_late: bool  # kept, but its lease had ended
    feedback: Feedback | None
    station: Station
    served: queue.Served


class _Taken(NamedTuple):
    judgment: Judgment
    station: Station
    takes_place: bool
    feedback: Feedback | None = None


def submit_judgment(*, assignment: Assignment, **answer: Unpack[verdicts.AnswerFields]) -> Judgment:
    """Store an answer; the same ``client_uuid`` again gives the same judgment, and stores nothing."""
    project_id, labeler = assignment.project_id, assignment.labeler
    with transaction.atomic():
        taken = _take(verdicts.Answer(**answer), assignment.pk, project_id, labeler)
    return taken.judgment


def answer_and_serve(
    *,
    labeler: User,
    project_id: int,
    assignment_id: int,
    answer: verdicts.Answer,
    ahead: int = 0,
    held: Collection[int] = (),
) -> Answered:
    """Store an answer and lease what comes next: one transaction of three statements."""
    with transaction.atomic():
        taken = _take(answer, assignment_id, project_id, labeler)
        station = taken.station
        claim = queue.claim_for(station, ahead=ahead, held=held, is_answering=True)
        served = queue.lease(station, claim)
    return Answered(
        judgment=taken.judgment,
        is_late=taken.takes_place and not taken.judgment.is_counted,
        feedback=taken.feedback,
        station=station,
        served=served or queue.search(station, claim),
    )


def _take(answer: verdicts.Answer, assignment_id: int, project_id: int, labeler: User) -> _Taken:
    """Take an answer, inside a transaction.

    1. Lock the assignment, so that two sendings of one answer wait for each other.
    2. Check the answer against the comparison, the rubric, the answer scale and the rule for rationales.
    3. Store it, counted if the lease is live, surplus if it ended; audit it: one statement. Ring.
    4. A training answer goes into the entry exam.
    """
    found = answers.lock(
        assignment_id=assignment_id,
        project_id=project_id,
        labeler_id=labeler.pk,
        client_uuid=answer.client_uuid,
        guideline_version=answer.guideline_version,
    )
    if found is None:
        station_of(labeler=labeler, project_id=project_id)  # says so to those who do not label here
        raise NotFound(str(NOT_YOURS))
    row, columns = found
    station = station_from(columns, labeler)
    if replay := _earlier(row, answer, labeler):
        feedback = exams.feedback_on(replay) if row.is_training else None
        return _Taken(replay, station, row.takes_place, feedback)
    _refuse_if_over(row)
    _check(answer, row, station)
    now = timezone.now()
    judgment = _judgment(answer, row, station, now)
    try:
        given = answers.given(row, age_ms=answer.age_ms, now=now)
        stored = answers.store(judgment, locked=row, given=given, now=now)
    except IntegrityError as error:  # the client_uuid elsewhere, or a judgment in an imported file
        raise Conflict(
            "Another judgment of yours on this comparison, or with this client_uuid, was stored at the same "
            "moment; load the next comparison."
        ) from error
    judgment.pk, judgment._state.adding = stored.judgment_id, False  # noqa: SLF001 - as Django does
    judgment.active_ms, judgment.elapsed_ms = stored.active_ms, stored.elapsed_ms
    if stored.is_agreement_due:
        _ring(project_id)
    station = station._replace(done=stored.done)
    if not row.is_training:
        return _Taken(judgment, station, row.takes_place)
    exams.note_answer(judgment=judgment)
    member = station.member
    member.refresh_from_db(fields=["qualified_at"])
    return _Taken(judgment, station, row.takes_place, exams.feedback_on(judgment))


def _earlier(row: answers.Locked, answer: verdicts.Answer, labeler: User) -> Judgment | None:
    """The judgment that was stored under this client UUID, if it is this labeler's.

    Who waited for the lock sees the new state, but not yet the judgment: it is asked for again.
    """
    is_over = row.state == Assignment.State.SUBMITTED
    if row.earlier_id is None and not is_over:
        return None
    judgment = Judgment.objects.filter(client_uuid=answer.client_uuid).first()
    if judgment and (judgment.labeler_id, judgment.comparison_id) != (
        labeler.pk,
        row.comparison_id,
    ):
        raise Conflict(_("This client_uuid belongs to another judgment; draw a new one."))
    return judgment


def _refuse_if_over(row: answers.Locked) -> None:
    if row.state == Assignment.State.SUBMITTED:
        raise Conflict(_("You have judged this comparison already; undo that first to change it."))
    if row.state == Assignment.State.SKIPPED:
        raise Conflict(_("You have skipped this comparison; load the next one."))


def _check(answer: verdicts.Answer, row: answers.Locked, station: Station) -> None:
    if answer.guideline_version and row.guideline_id is None:
        told = {"version": answer.guideline_version, "newest": station.guideline_version}
        raise InvalidInput.at("guideline_version", str(NO_SUCH_VERSION) % told)
    if answer.is_all_bad:
        verdicts.check_all_bad(answer.ranking, answer.strengths)
    else:
        verdicts.check_ranking(row.candidate_ids, answer.ranking, answer.strengths)
    scale = station.project.answer_scale
    verdicts.check_scale(scale, answer.ranking, answer.strengths)
    known = [one.name for one in station.criteria]
    verdicts.check_criteria(row.candidate_ids, answer.criteria, known, scale)
    if answer.marks:
        texts = texts_of(row.candidate_ids)
        verdicts.check_marks(answer.marks, {pk: len(text) for pk, text in texts.items()})


def _judgment(
    answer: verdicts.Answer, row: answers.Locked, station: Station, now: datetime
) -> Judgment:
    """The judgment of an answer, not stored yet; its active time is as the client says."""
    is_open = row.comparison_state != Comparison.State.CLOSED
    is_live = is_open and row.state == Assignment.State.LEASED and row.lease_until > now
    project = station.project
    return Judgment(
        project=project,
        comparison_id=row.comparison_id,
        assignment_id=row.assignment_id,
        labeler=station.member.user,
        guideline_id=row.guideline_id,
        client_uuid=answer.client_uuid,
        ranking=[sorted(tier) for tier in answer.ranking],
        strengths=list(answer.strengths),
        is_all_bad=answer.is_all_bad,
        criteria=dict(answer.criteria),
        marks=list(answer.marks),
        rationale=verdicts.cleaned_rationale(
            answer.rationale,
            rule=project.rationale_rule,
            scale=project.answer_scale,
            strengths=answer.strengths,
        ),
        is_repeat=row.is_repeat,
        shown_order=row.shown_order,
        active_ms=max(0, min(answer.active_ms, progress.LONGEST_MS)),
        is_counted=row.takes_place and is_live,
        created_at=now,
    )


class Undone(NamedTuple):
    """What is open again after an undo; None where that is over already."""

    assignment: Assignment | None
    was_skipped: bool  # else judged


def undo(
    *,
    project: Project,
    labeler: User,
    client_uuid: UUID | None = None,
    assignment: int | None = None,
) -> Undone:
    """Undo the judgment that came under a UUID, or the skip of an assignment; the newest act where neither is named.

    Raises InvalidInput where both are, else as `undo_sent`, `skips.undo_skip` and `undo_last` do.
    """
    if client_uuid and assignment:
        raise InvalidInput.at("assignment", "Name a judgment or a skip, not both.")
    if client_uuid:
        opened = undo_sent(project=project, labeler=labeler, client_uuid=client_uuid)
        return Undone(opened, was_skipped=False)
    if assignment:
        row = assignment_of(project=project, labeler_id=labeler.pk, pk=assignment)
        return Undone(skips.undo_skip(assignment=row), was_skipped=True)
    return undo_last(project=project, labeler=labeler)


def undo_last(*, project: Project, labeler: User) -> Undone:
    """Undo the labeler's newest act, a judgment or a skip: its comparison is leased to them again.

    Raises Conflict while they are paused, NotFound where there is nothing to undo.
    """
    judgment = last_judgment_of(project=project, labeler_id=labeler.pk)
    last = last_act_of(judgment, project=project, labeler_id=labeler.pk)
    if last is None:
        raise NotFound(_("You have nothing here to undo."))
    if isinstance(last, Assignment):
        return Undone(skips.undo_skip(assignment=last), was_skipped=True)
    _refuse_while_paused(project, labeler)
    return Undone(undo_judgment(judgment=last), was_skipped=False)


def undo_sent(*, project: Project, labeler: User, client_uuid: UUID) -> Assignment | None:
    """Withdraw the labeler's judgment that came under this UUID; None if it never came, or is judged anew already.

    Conflict while they are paused.
    """
    _refuse_while_paused(project, labeler)
    sent = Judgment.objects.filter(project=project, labeler=labeler, client_uuid=client_uuid)
    judgment = sent.first()
    if judgment is None:
        return None
    if judgment.withdrawn_at is None:
        return undo_judgment(judgment=judgment)
    mine = Assignment.objects.filter(
        labeler=labeler, state=Assignment.State.LEASED, lease_until__gt=timezone.now()
    )
    return mine.filter(comparison=judgment.comparison_id, is_repeat=judgment.is_repeat).first()


def _refuse_while_paused(project: Project, labeler: User) -> None:
    """What is undone must be judged anew, and that nobody may while the project or they are paused."""
    if empty := queue.why_paused(station_of(labeler=labeler, project_id=project.pk)):
        stays = _("Your judgment stays as it is.")
        raise Conflict(f"{stays} {empty.message}")


@transaction.atomic
def undo_judgment(*, judgment: Judgment) -> Assignment:
    """Withdraw a judgment and re-open its assignment.

    Raises Conflict once a snapshot has taken it, an admin has decided its comparison, or its batch is closed.
    """
    row = Assignment.objects.select_for_update(of=("self",)).select_related("project")
    assignment = row.filter(judgment=judgment).first()
    if assignment is not None and assignment.is_training:
        raise Conflict(_("A training answer stays as it is: its known verdict was shown to you."))
    _refuse_once_told(judgment.comparison)
    now = timezone.now()
    standing = Judgment.objects.filter(pk=judgment.pk, withdrawn_at=None, frozen_at=None)
    if assignment is None or not standing.update(withdrawn_at=now, assignment=None):
        raise Conflict(
            _(
                "This judgment can no longer be undone: it is part of a dataset snapshot, or it was undone already."
            )
        )
    if assignment.takes_place:
        _reopen_comparison(judgment)
    assignment.state = Assignment.State.LEASED
    assignment.leased_at = now
    assignment.lease_until = now + timedelta(seconds=assignment.project.lease_seconds)
    assignment.save(update_fields=["state", "leased_at", "lease_until"])
    progress.note_undo(assignment, judgments=1)
    audit.record("judgment.undone", judgment, actor=judgment.labeler)
    ring_agreement(judgment.project_id)
    return assignment


def _refuse_once_told(comparison: Comparison) -> None:
    """What was decided may be known to its labelers; judged anew it would only be copied."""
    if comparison.adjudications.filter(undone_at=None).exists():
        raise Conflict(
            _("An admin has decided this comparison and you can read how; your judgment stays.")
        )
    if comparison.batch and comparison.batch.state == Batch.State.CLOSED:
        raise Conflict(_("The batch of this comparison is closed; your judgment stays as it is."))


def _reopen_comparison(judgment: Judgment) -> None:
    """Take one off the count, or, after a surplus judgment, take a free place for the new lease."""
    row = Comparison.objects.select_for_update(of=("self",)).select_related("project")
    comparison = row.get(pk=judgment.comparison_id)
    is_full = not judgment.is_counted and comparison.slots_taken >= comparison.overlap
    if is_full or comparison.state == Comparison.State.CLOSED:
        raise Conflict(_("This comparison is closed or full by now; your judgment stays as it is."))
    if judgment.is_counted:
        comparison.judgments_counted -= 1
        comparison.state = comparisons.state_by_judgments(comparison)
    else:
        comparison.slots_taken += 1
    comparison.save(update_fields=["judgments_counted", "slots_taken", "state"])


def ring_agreement(project_id: int) -> None:
    """Ring for fresh agreement, at most once in a few seconds; the task starts after those, so it sees the burst."""
    now = timezone.now()
    if statements.run(answers.RING, answers.ring_values(project_id, now)):
        _ring(project_id)


def _ring(project_id: int) -> None:
    ring(Job.REFRESH_AGREEMENT, project_id, in_seconds=answers.RING_EVERY_SECONDS)
