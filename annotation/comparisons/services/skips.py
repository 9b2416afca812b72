"""Undoing a skip: its comparison is leased again to who skipped it, while it is still open for them.

Why and when it was skipped stays with it until it is answered, so that what is left unanswered is skipped as before.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import progress
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services import queue
from annotation.comparisons.stations import Station, station_of
from annotation.core.errors import Conflict
from annotation.projects.models import Membership, Project

MOST_OPENED = 5  # skips of one labeler in one project that are open again at once
_State, _GOLD = Comparison.State, Comparison.Kind.GOLD
STAYS = gettext_lazy("Your skip stays: %(why)s")
GONE = gettext_lazy("this comparison is withdrawn by now, or its batch is held back.")
FULL = gettext_lazy("other labelers have all places of this comparison by now.")
HANDS_FULL = gettext_lazy("you have others open again. Answer or skip these first.")
NOT_FOR_YOU = gettext_lazy("this comparison is not for you any more.")


@transaction.atomic
def undo_skip(*, assignment: Assignment) -> Assignment | None:
    """Lease a skipped comparison again, in the order shown before; a repeat stays one, gold is served as gold.

    Asked again it is the same lease, or None once that is over. Raises Conflict with the reason where the comparison
    is not open for its labeler any more, they get nothing now, or `MOST_OPENED` are open again.
    """
    station = station_of(labeler=assignment.labeler, project_id=assignment.project_id)
    if empty := queue.why_not_served(station):
        stays = _("Your skip stays as it is.")
        raise Conflict(f"{stays} {empty.message}")
    now = timezone.now()
    row = Assignment.objects.select_for_update(of=("self",)).get(pk=assignment.pk)
    if row.state != Assignment.State.SKIPPED:
        return row if row.state == Assignment.State.LEASED and row.lease_until > now else None
    _refuse_if_hands_are_full(station)
    comparison = Comparison.objects.select_for_update(of=("self",)).get(pk=row.comparison_id)
    if why := _why_not_open(comparison, row, station):
        raise Conflict(STAYS % {"why": why})
    row.takes_place = not row.is_repeat and comparison.kind != _GOLD
    if row.takes_place:
        comparison.slots_taken += 1
        comparison.save(update_fields=["slots_taken"])
    row.state = Assignment.State.LEASED
    row.is_training = station.is_in_training
    row.leased_at = now
    row.lease_until = now + timedelta(seconds=station.project.lease_seconds)
    opened = ["takes_place", "state", "is_training", "leased_at", "lease_until"]
    row.save(update_fields=opened)
    progress.note_undo(row, judgments=0)
    audit.record("assignment.unskipped", row, actor=assignment.labeler)
    return row


@transaction.atomic
def leave_opened(*, project: Project, labeler: User, besides: int = 0) -> None:
    """Skip as before what this labeler has open again, but for one assignment: places go to others."""
    opened = _opened(project.pk, labeler.pk).exclude(pk=besides).order_by("pk")
    for row in opened.select_for_update(of=("self",)).select_related("labeler"):
        queue.give_back_place(row)
        row.state = Assignment.State.SKIPPED
        row.save(update_fields=["state"])
        queue.note_skip(row, labeler=labeler)
        audit.record("assignment.skipped", row, actor=labeler, reason=row.skip_reason)


def _opened(project_id: int, labeler_id: int) -> QuerySet[Assignment]:
    held = Assignment.objects.filter(project_id=project_id, labeler_id=labeler_id)
    return held.filter(
        state=Assignment.State.LEASED, lease_until__gt=timezone.now(), skipped_at__isnull=False
    )


def _refuse_if_hands_are_full(station: Station) -> None:
    """Counted behind a lock, so that many requests at once do not open more."""
    member = Membership.objects.select_for_update(no_key=True).get(pk=station.member.pk)
    if _opened(member.project_id, member.user_id).count() >= MOST_OPENED:
        raise Conflict(STAYS % {"why": HANDS_FULL})


def _why_not_open(comparison: Comparison, row: Assignment, station: Station) -> Promise | None:
    is_gold = comparison.kind == _GOLD
    if comparison.state in (_State.CLOSED, _State.HELD):
        return GONE
    is_ordinary = not is_gold and not row.is_repeat
    if is_ordinary and (
        comparison.state != _State.OPEN or comparison.slots_taken >= comparison.overlap
    ):
        return FULL
    own = Judgment.objects.filter(comparison=comparison, labeler_id=row.labeler_id)
    is_judged = own.filter(is_repeat=row.is_repeat, withdrawn_at=None).exists()
    is_of_training = is_gold and not row.is_repeat
    is_for_others = is_gold if row.is_repeat else station.is_in_training and not is_of_training
    return NOT_FOR_YOU if is_judged or is_for_others else None
