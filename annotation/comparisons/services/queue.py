"""The labeling queue: who gets which comparison next, for how long, and what happens when they do not answer.

The statements that hold under concurrency are in `claims.py`; here is what they mean for a labeler.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import claims
from annotation.comparisons.models import Assignment, Comparison
from annotation.core.errors import Conflict, InvalidInput, LeaseLost
from annotation.projects.models import Project

LONGEST_LEASES = 8  # a lease may be extended up to this many lease times


class EmptyReason(StrEnum):
    PAUSED = "paused"
    NOTHING_YET = "nothing_yet"
    ALL_JUDGED = "all_judged"
    WITH_OTHERS = "with_others"
    YOURS_DONE = "yours_done"


MESSAGES = {
    EmptyReason.PAUSED: "This project is paused. Your work is saved; an admin will start it again.",
    EmptyReason.NOTHING_YET: "There is nothing to compare yet. Comparisons appear here once responses are generated "
    "or imported.",
    EmptyReason.ALL_JUDGED: "Everything is judged. Thank you! New comparisons appear here when a new batch begins.",
    EmptyReason.WITH_OTHERS: "The last comparisons are with other labelers right now. What they do not finish comes "
    "back to the queue.",
    EmptyReason.YOURS_DONE: "You have done all that you can judge here. What is left waits for other labelers; a new "
    "batch brings you more.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyQueue:
    """Why there is nothing to judge; the message says what happens next, ``ask_again_seconds`` when to look."""

    reason: EmptyReason
    ask_again_seconds: int = 30

    @property
    def message(self) -> str:
        return MESSAGES[self.reason]


def lease_next_comparison(*, project: Project, labeler: User) -> Assignment | EmptyQueue:
    """The labeler's live lease if there is one, else a new one on the next comparison, else why there is none.

    1. Leases that ended give their places back.
    2. A live lease is returned again: a reload changes nothing.
    3. One statement finds, locks and leases; on a miss the whole queue is searched, if that was not just done.
    """
    now = timezone.now()
    claims.expire(project_id=project.pk, now=now)
    if lease := live_lease(project=project, labeler=labeler):
        return lease
    claim = claims.Claim(
        project_id=project.pk,
        labeler_id=labeler.pk,
        now=now,
        lease_until=now + timedelta(seconds=project.lease_seconds),
    )
    key = claims.claim_near(claim) or claims.claim_anywhere(claim)
    return _assignments().get(pk=key) if key else _why_empty(project)


def live_lease(*, project: Project, labeler: User) -> Assignment | None:
    """The newest lease that this labeler holds in a project that is not paused; None if there is none."""
    mine = _assignments().filter(project=project, labeler=labeler, state=Assignment.State.LEASED)
    live = mine.filter(
        lease_until__gt=timezone.now(), project__is_paused=False, project__is_archived=False
    )
    return live.order_by("-leased_at", "-pk").first()


def expire_leases() -> int:
    """End all leases whose time is over, in every project; how many ended. For the sweeper."""
    total = 0
    while ended := claims.expire(project_id=None, now=timezone.now()):
        total += ended
    return total


def extend_lease(*, assignment: Assignment) -> Assignment:
    """Prolong a live lease by one lease time. Raises LeaseLost if it ended, Conflict at the longest time."""
    now = timezone.now()
    lease = timedelta(seconds=assignment.project.lease_seconds)
    until = min(now + lease, assignment.leased_at + LONGEST_LEASES * lease)
    live = Assignment.objects.filter(
        pk=assignment.pk, state=Assignment.State.LEASED, lease_until__gt=now
    )
    if until <= now:
        raise Conflict("This comparison was held as long as one may. Answer it now or skip it.")
    if not live.update(lease_until=until):
        raise LeaseLost("Your time for this comparison ended. Load the next one.")
    assignment.lease_until = until
    return assignment


@transaction.atomic
def skip_assignment(*, assignment: Assignment, reason: str) -> Assignment:
    """Give a comparison back unjudged; it never comes back to this labeler. A skip is not a judgment."""
    if reason not in Assignment.SkipReason:
        known = ", ".join(Assignment.SkipReason.values)
        raise InvalidInput(f"There is no reason {reason!r} to skip; choose one of {known}.")
    row = Assignment.objects.select_for_update().get(pk=assignment.pk)
    if row.state == Assignment.State.SKIPPED:
        return row
    if row.state == Assignment.State.SUBMITTED:
        raise Conflict("You have judged this comparison; undo that first if you want to skip it.")
    if row.state == Assignment.State.LEASED:
        give_back_place(row)
    row.state, row.skip_reason = Assignment.State.SKIPPED, reason
    row.save(update_fields=["state", "skip_reason"])
    audit.record("assignment.skipped", row, actor=assignment.labeler, reason=reason)
    return row


def give_back_place(assignment: Assignment) -> None:
    """Free the place that a lease holds in its comparison."""
    held = Comparison.objects.filter(pk=assignment.comparison_id, slots_taken__gt=0)
    held.update(slots_taken=F("slots_taken") - 1)


def _assignments() -> QuerySet[Assignment]:
    return Assignment.objects.select_related("project", "comparison__prompt", "labeler")


def _why_empty(project: Project) -> EmptyQueue:
    everything = Comparison.objects.filter(project=OuterRef("pk"))
    unfinished = everything.filter(state=Comparison.State.OPEN)
    facts = Project.objects.filter(pk=project.pk).values_list(
        "is_paused",
        "is_archived",
        Exists(everything),
        Exists(unfinished),
        Exists(unfinished.filter(slots_taken__lt=F("overlap"))),
    )
    is_paused, is_archived, has_any, has_open, has_free = facts.get()
    if is_paused or is_archived:
        return EmptyQueue(reason=EmptyReason.PAUSED)
    if not has_any:
        return EmptyQueue(reason=EmptyReason.NOTHING_YET)
    if not has_open:
        return EmptyQueue(reason=EmptyReason.ALL_JUDGED)
    return EmptyQueue(reason=EmptyReason.YOURS_DONE if has_free else EmptyReason.WITH_OTHERS)
