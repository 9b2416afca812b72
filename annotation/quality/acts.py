"""What admins and rules do about one labeler: a message, a pause, retraining, letting in. Each can be undone."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import ExamAttempt
from annotation.comparisons.services.queue import end_leases
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Membership, Project, Role
from annotation.quality.models import LabelerAct, Rule
from annotation.quality.words import needed

TEXT_MAX, PAUSE_REASON_MAX = 1000, 300
Kind = LabelerAct.Kind
_FIELDS = ("qualified_at", "paused_at", "pause_reason")


def labeler_of(project: Project, labeler_id: int) -> Membership:
    """The membership of one labeler; NotFound for anyone else."""
    rows = Membership.objects.filter(project=project, role=Role.LABELER, user_id=labeler_id)
    row = rows.select_related("user", "project").first()
    if row is None:
        raise NotFound("There is no such labeler in this project.")
    return row


def judge_of(project: Project, labeler_id: int) -> Membership:
    """As `labeler_of`, and for who judged without being a member (imports, machine judges): an unsaved row."""
    if project.judgments.filter(labeler_id=labeler_id).exists():
        rows = Membership.objects.filter(project=project, role=Role.LABELER, user_id=labeler_id)
        found = rows.select_related("user", "project").first()
        user = User.objects.get(pk=labeler_id)
        return found or Membership(project=project, user=user, role=Role.LABELER)
    return labeler_of(project, labeler_id)


@transaction.atomic
def act(
    *, member: Membership, kind: str, text: str, actor: User | None, rule: Rule | None = None
) -> LabelerAct:
    """Do one thing about a labeler, with a text that they will read. Raises Conflict where it changes nothing.

    1. Lock the membership. 2. Check and write what the act changes. 3. Keep what was, for undo. 4. Audit.
    """
    if kind not in Kind:
        raise InvalidInput(f"There is no act {kind!r}; there are {', '.join(Kind.values)}.")
    told = needed(text, "text", PAUSE_REASON_MAX if kind == Kind.PAUSE else TEXT_MAX)
    rows = Membership.objects.select_for_update(of=("self",)).select_related("project", "user")
    row = rows.get(pk=member.pk)
    before = {name: _plain(getattr(row, name)) for name in _FIELDS}
    before["attempt"] = _last_attempt(row)
    _CHANGES[Kind(kind)](row)
    row.pause_reason = told if kind == Kind.PAUSE else row.pause_reason
    row.save(update_fields=_FIELDS)
    done = LabelerAct.objects.create(
        project_id=row.project_id,
        labeler_id=row.user_id,
        kind=kind,
        text=told,
        rule=rule,
        before=before,
        created_by=actor,
    )
    audit.record(f"labeler.{kind}", done, actor=actor, labeler=member.user.username, text=told)
    return done


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _message(row: Membership) -> None:
    """Changes nothing: the act is the message."""


def _pause(row: Membership) -> None:
    if row.paused_at:
        raise Conflict("This labeler is paused already.")
    row.paused_at = timezone.now()


def _resume(row: Membership) -> None:
    if not row.paused_at:
        raise Conflict("This labeler is not paused.")
    row.paused_at, row.pause_reason = None, ""


def _retrain(row: Membership) -> None:
    if not row.project.must_qualify:
        raise Conflict(
            "This project asks for no entry exam, so there is none to take again. Turn it on in the "
            "settings first."
        )
    row.qualified_at = None
    end_leases(project=row.project, labeler=row.user)  # of real work: it is not for them now
    if not _attempts(row).filter(state=ExamAttempt.State.OPEN).exists():
        ExamAttempt.objects.create(
            project_id=row.project_id, labeler_id=row.user_id, number=_last_attempt(row) + 1
        )


def _attempts(member: Membership) -> QuerySet[ExamAttempt]:
    return ExamAttempt.objects.filter(project_id=member.project_id, labeler_id=member.user_id)


def _last_attempt(member: Membership) -> int:
    last = _attempts(member).aggregate(last=Max("number"))["last"]
    return int(last or 0)


def _qualify(row: Membership) -> None:
    if row.qualified_at:
        raise Conflict("This labeler is qualified already.")
    row.qualified_at = timezone.now()


_CHANGES: dict[LabelerAct.Kind, Callable[[Membership], None]] = {
    Kind.MESSAGE: _message,
    Kind.PAUSE: _pause,
    Kind.RESUME: _resume,
    Kind.RETRAIN: _retrain,
    Kind.QUALIFY: _qualify,
}


@transaction.atomic
def undo_act(*, done: LabelerAct, actor: User) -> None:
    """Put back what the act changed. Raises Conflict where a later act on the same labeler stands on it."""
    row = Membership.objects.select_for_update().filter(
        project_id=done.project_id, user_id=done.labeler_id, role=Role.LABELER
    )
    member = row.first()
    later = LabelerAct.objects.filter(
        project_id=done.project_id, labeler_id=done.labeler_id, undone_at=None, pk__gt=done.pk
    )
    if member is None:
        raise NotFound("This labeler is no longer a member of the project.")
    if done.kind != Kind.MESSAGE and later.exclude(kind=Kind.MESSAGE).exists():
        raise Conflict("Something later was done about this labeler; undo that first.")
    if not LabelerAct.objects.filter(pk=done.pk, undone_at=None).update(undone_at=timezone.now()):
        raise Conflict("This was undone already.")
    if done.kind != Kind.MESSAGE:
        _put_back(member, done)
    audit.record(f"labeler.{done.kind}_undone", done, actor=actor, act=done.pk)


def _put_back(member: Membership, done: LabelerAct) -> None:
    """Only the fields that this kind of act writes: an exam passed meanwhile stays passed."""
    names = {
        Kind.PAUSE: ("paused_at", "pause_reason"),
        Kind.RESUME: ("paused_at", "pause_reason"),
        Kind.RETRAIN: ("qualified_at",),
        Kind.QUALIFY: ("qualified_at",),
    }[Kind(done.kind)]
    for name in names:
        was = done.before[name]
        is_time = name.endswith("_at") and was is not None
        setattr(member, name, parse_datetime(str(was)) if is_time else was)
    member.save(update_fields=names)
    if done.kind == Kind.RETRAIN and "attempt" in done.before:
        _close_attempt(member, after=done.before["attempt"])


def _close_attempt(member: Membership, *, after: int) -> None:
    """Take back the attempt that retraining opened, unless it is decided; its answers stay as training."""
    opened = _attempts(member).filter(state=ExamAttempt.State.OPEN, number=after + 1)
    if opened.delete()[0]:
        end_leases(project=member.project, labeler=member.user)


def acts_on(project: Project, labeler_id: int) -> QuerySet[LabelerAct]:
    """What was done about a labeler, the newest first."""
    rows = LabelerAct.objects.filter(project=project, labeler_id=labeler_id)
    return rows.select_related("created_by", "rule").order_by("-pk")


def act_of(project: Project, pk: int) -> LabelerAct:
    """One act in the project; NotFound otherwise."""
    row = LabelerAct.objects.filter(project=project, pk=pk).first()
    if row is None:
        raise NotFound("There is no such act in this project.")
    return row


def read_messages(*, project: Project, labeler: User) -> int:
    """Mark as read what a labeler has had on the screen; how many were new."""
    mine = LabelerAct.objects.filter(project=project, labeler=labeler, read_at=None)
    return mine.update(read_at=timezone.now())
