"""Undoing a skip: its comparison is leased again to who skipped it, while it is still open for them."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.audit import services as audit
from annotation.comparisons import progress
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.selectors import Station, station_of
from annotation.comparisons.services import queue
from annotation.core.errors import Conflict

_State, _GOLD = Comparison.State, Comparison.Kind.GOLD
GONE = gettext_lazy("this comparison is withdrawn by now, or its batch is held back.")
FULL = gettext_lazy("other labelers have all places of this comparison by now.")
NOT_FOR_YOU = gettext_lazy("this comparison is not for you any more.")


@transaction.atomic
def undo_skip(*, assignment: Assignment) -> Assignment | None:
    """Lease a skipped comparison again, in the order shown before; a repeat stays one, gold is served as gold.

    Asked again it is the same lease, or None once that is over. Raises Conflict with the reason where the comparison
    is not open for its labeler any more, or they get nothing now.
    """
    station = station_of(labeler=assignment.labeler, project_id=assignment.project_id)
    if empty := queue.why_not_served(station):
        stays = _("Your skip stays as it is.")
        raise Conflict(f"{stays} {empty.message}")
    now = timezone.now()
    row = Assignment.objects.select_for_update(of=("self",)).get(pk=assignment.pk)
    if row.state != Assignment.State.SKIPPED:
        return row if row.state == Assignment.State.LEASED and row.lease_until > now else None
    comparison = Comparison.objects.select_for_update(of=("self",)).get(pk=row.comparison_id)
    if why := _why_not_open(comparison, row, station):
        raise Conflict(_("Your skip stays: %(why)s") % {"why": why})
    row.takes_place = not row.is_repeat and comparison.kind != _GOLD
    if row.takes_place:
        comparison.slots_taken += 1
        comparison.save(update_fields=["slots_taken"])
    row.state, row.skip_reason, row.skipped_at = Assignment.State.LEASED, "", None
    row.is_training = station.is_in_training
    row.leased_at = now
    row.lease_until = now + timedelta(seconds=station.project.lease_seconds)
    opened = ["takes_place", "state", "skip_reason", "skipped_at", "is_training"]
    row.save(update_fields=[*opened, "leased_at", "lease_until"])
    progress.note_undo(row, judgments=0)
    audit.record("assignment.unskipped", row, actor=assignment.labeler)
    return row


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
