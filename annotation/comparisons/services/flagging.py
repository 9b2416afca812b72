"""Flags: what labelers tell the admins about a comparison, and what admins do about it."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Assignment, Flag
from annotation.core.errors import Conflict, InvalidInput

LONGEST_NOTE = 1000


@transaction.atomic
def flag_comparison(*, assignment: Assignment, note: str) -> Flag:
    """Keep a labeler's note about what they were shown; the same note again is the same flag while that is open."""
    text = note.strip()
    if not text or len(text) > LONGEST_NOTE or "\x00" in text:
        raise InvalidInput.at(
            "note", f"Say in 1 to {LONGEST_NOTE} characters what is wrong; there are {len(text)}."
        )
    flag, is_new = Flag.objects.get_or_create(
        project_id=assignment.project_id,
        comparison_id=assignment.comparison_id,
        labeler_id=assignment.labeler_id,
        note=text,
        resolved_at=None,
    )
    if is_new:
        audit.record(
            "comparison.flagged",
            flag,
            actor=assignment.labeler,
            comparison=flag.comparison_id,
            note=text,
        )
    return flag


@transaction.atomic
def resolve_flag(*, flag: Flag, actor: User, answer: str = "") -> Flag:
    """Mark a flag as dealt with; its labeler reads the answer. Raises Conflict where it was already."""
    text = answer.strip()
    if len(text) > LONGEST_NOTE or "\x00" in text:
        raise InvalidInput.at(
            "answer", f"Answer in at most {LONGEST_NOTE} characters; there are {len(text)}."
        )
    is_open = Flag.objects.filter(pk=flag.pk, resolved_at=None)
    if not is_open.update(resolved_at=timezone.now(), resolved_by=actor, answer=text):
        raise Conflict("This flag is resolved already; open it again to change the answer.")
    audit.record("flag.resolved", flag, actor=actor, answer=text)
    flag.refresh_from_db()
    return flag


@transaction.atomic
def reopen_flag(*, flag: Flag, actor: User) -> Flag:
    """Take the end of a flag back, and its answer with it. Raises Conflict where it, or the same note anew, is open."""
    is_over = Flag.objects.filter(pk=flag.pk, resolved_at__isnull=False)
    try:
        with transaction.atomic():
            is_changed = is_over.update(resolved_at=None, resolved_by=None, answer="")
    except IntegrityError as error:
        raise Conflict(
            "The labeler flagged the same again after this was resolved; answer that flag."
        ) from error
    if not is_changed:
        raise Conflict("This flag is open already.")
    audit.record("flag.reopened", flag, actor=actor, answer=flag.answer)
    flag.refresh_from_db()
    return flag
