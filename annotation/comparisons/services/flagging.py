"""Flags: what labelers tell the admins about a comparison, and what admins do about it."""

from django.db import transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Assignment, Flag
from annotation.core.errors import InvalidInput, NotFound
from annotation.projects.models import Project

LONGEST_NOTE = 1000


@transaction.atomic
def flag_comparison(*, assignment: Assignment, note: str) -> Flag:
    """Keep a labeler's note about what they were shown; the same note again is the same flag."""
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
    )
    if is_new:
        audit.record("comparison.flagged", flag, actor=assignment.labeler)
    return flag


@transaction.atomic
def resolve_flag(*, project: Project, pk: int, actor: User) -> Flag:
    """Mark a flag as dealt with; twice is once."""
    flag = project.flags.select_for_update().filter(pk=pk).first()
    if flag is None:
        raise NotFound("There is no such flag in this project.")
    if flag.resolved_at is None:
        flag.resolved_at, flag.resolved_by = timezone.now(), actor
        flag.save(update_fields=["resolved_at", "resolved_by"])
        audit.record("flag.resolved", flag, actor=actor)
    return flag
