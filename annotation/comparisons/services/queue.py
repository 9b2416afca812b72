"""The labeling queue: who gets which comparison next, for how long, and what happens when they do not answer.

The statements that hold under concurrency are in `claims.py`; here is what they mean for a labeler.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import answers, claims, exams, progress
from annotation.comparisons.models import Assignment, Comparison
from annotation.comparisons.models.labeling import seconds_until
from annotation.comparisons.selectors import Response
from annotation.comparisons.stations import Station, station_of
from annotation.core.errors import Conflict, InvalidInput, LeaseLost
from annotation.projects import pauses
from annotation.projects.models import Membership, Project
from annotation.prompts.languages import primary_language
from annotation.prompts.models import Prompt


class EmptyReason(StrEnum):
    PAUSED = "paused"
    YOU_ARE_PAUSED = "you_are_paused"
    NOT_QUALIFIED = "not_qualified"
    EXAM_OVER = "exam_over"
    NOTHING_YET = "nothing_yet"
    ALL_JUDGED = "all_judged"
    WITH_OTHERS = "with_others"
    BATCH_PAUSED = "batch_paused"
    BATCH_CLOSED = "batch_closed"
    OTHER_LANGUAGES = "other_languages"
    YOURS_DONE = "yours_done"


MESSAGES = {
    EmptyReason.PAUSED: gettext_lazy(
        "This project is paused. Your work is saved; an admin will start it again."
    ),
    EmptyReason.YOU_ARE_PAUSED: gettext_lazy(
        "An admin has paused your work in this project. What you did is saved; ask them what "
        "comes next."
    ),
    EmptyReason.NOT_QUALIFIED: gettext_lazy(
        "There is no training comparison left for you, and your answers do not decide yet. An admin "
        "of the project can add more, or let you begin."
    ),
    EmptyReason.EXAM_OVER: gettext_lazy("There is no training for you right now."),
    EmptyReason.NOTHING_YET: gettext_lazy(
        "There is nothing to compare yet. Comparisons appear here once responses are generated "
        "or imported."
    ),
    EmptyReason.ALL_JUDGED: gettext_lazy(
        "Everything is judged. Thank you! New comparisons appear here when a new batch begins."
    ),
    EmptyReason.WITH_OTHERS: gettext_lazy(
        "The last comparisons are with other labelers right now. What they do not finish comes "
        "back to the queue."
    ),
    EmptyReason.BATCH_PAUSED: gettext_lazy(
        "What is left is in a batch that an admin has paused. Your work is saved; its "
        "comparisons appear here again when it goes on."
    ),
    EmptyReason.BATCH_CLOSED: gettext_lazy(
        "What is left is in a batch that an admin has closed. Thank you! New comparisons appear "
        "here when a new batch begins."
    ),
    EmptyReason.OTHER_LANGUAGES: gettext_lazy(
        "What is left is in languages that you have not named. New comparisons in yours "
        "appear here; an admin can add a language to your membership."
    ),
    EmptyReason.YOURS_DONE: gettext_lazy(
        "You have done all that you can judge here. What is left waits for other labelers; a new "
        "batch brings you more."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyQueue:
    """Why there is nothing to judge; the message says what happens next, ``ask_again_seconds`` when to look."""

    reason: EmptyReason
    ask_again_seconds: int = 30
    note: str = ""  # what an admin wrote for this labeler

    @property
    def message(self) -> str:
        return f"{MESSAGES[self.reason]} {self.note}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease with the responses to compare in the order drawn, and nothing about where they came from.

    It is read hundreds of times a second, so it is no model; `assignment` makes one of it.
    """

    row: claims.LeaseRow
    project: Project
    labeler: User
    responses: Mapping[int, Response]  # by candidate; none where the client has them

    @property
    def pk(self) -> int:
        return self.row.id

    @property
    def comparison_id(self) -> int:
        return self.row.comparison_id

    @property
    def seconds_left(self) -> int:
        return seconds_until(self.row.lease_until)

    @property
    def assignment(self) -> Assignment:
        """The same as a row of its table; what was not read of it is read when it is asked for."""
        return _assignment(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The live leases of a labeler in the order to show them; ``empty`` says why there are none."""

    leases: list[Lease]
    empty: EmptyQueue | None = None


def lease_next_comparison(*, project: Project, labeler: User) -> Assignment | EmptyQueue:
    """The labeler's live lease if there is one, else a new one on the next comparison, else why there is none."""
    served = serve(station=station_of(labeler=labeler, project_id=project.pk))
    return served.empty or served.leases[0].assignment


def serve(
    *,
    station: Station,
    ahead: int = 0,
    held: Collection[int] = (),
    is_answering: bool = False,
) -> Served:
    """One comparison to judge and up to ``ahead`` more leased for later; a reload changes nothing."""
    claim = claim_for(station, ahead=ahead, held=held, is_answering=is_answering)
    return lease(station, claim) or search(station, claim)


def lease(station: Station, claim: claims.Claim) -> Served | None:
    """What the labeler holds, filled up in one statement; None where that finds nothing.

    Only gold in training; while they answer, by chance one from gold or from their own past.
    """
    if empty := why_not_served(station):
        return Served(leases=[], empty=empty)
    if station.is_in_training:
        rows = claims.claim_gold(claim)
        return _served(rows, station) or Served(
            leases=[], empty=EmptyQueue(reason=EmptyReason.NOT_QUALIFIED)
        )
    rows = _by_chance(station.project, claim) if claim.is_answering else []
    if len(rows) < claim.wanted:
        rows = claims.claim_near(claim)
    return _served(rows, station)


def search(station: Station, claim: claims.Claim) -> Served:
    """After a miss of `lease`: the whole queue is searched, and again once ended leases have given their places back.

    Not inside the transaction of an answer: it locks comparisons of others, whom it could wait for.
    """
    rows, facts = claims.claim_anywhere(claim, is_freed=False)
    if not rows and facts.has_ended and claims.expire(project_id=claim.project_id, now=claim.now):
        rows, facts = claims.claim_anywhere(claim, is_freed=True)
    return _served(rows, station) or Served(leases=[], empty=_why_empty(facts))


def _served(rows: Sequence[claims.LeaseRow], station: Station) -> Served | None:
    return Served(leases=[_lease(row, station) for row in rows]) if rows else None


def claim_for(
    station: Station, *, ahead: int, held: Collection[int], is_answering: bool = False
) -> claims.Claim:
    """What a labeler asks of the queue now."""
    now = timezone.now()
    project, member = station.project, station.member
    return claims.Claim(
        project_id=project.pk,
        labeler_id=member.user_id,
        now=now,
        lease_until=now + timedelta(seconds=project.lease_seconds),
        wanted=1 + ahead,
        held=list(held),
        languages=languages_of(member),
        is_depth_first=project.serving_order == Project.ServingOrder.DEPTH_FIRST,
        is_training=station.is_in_training,
        is_answering=is_answering,
    )


def languages_of(member: Membership) -> list[str]:
    """What the queue asks for: without regions, each once."""
    return sorted({primary_language(one) for one in member.languages})


def _by_chance(project: Project, claim: claims.Claim) -> list[claims.LeaseRow]:
    drawn = random.random()  # noqa: S311 - a share, not a secret
    if drawn < project.gold_share:
        return claims.claim_gold(replace(claim, most=1))
    if drawn < project.gold_share + project.repeat_share:
        return claims.claim_repeat(replace(claim, most=1))
    return []


_ASSIGNMENT = ("is_repeat", "is_training", "takes_place", "shown_order", "leased_at", "lease_until")


def _lease(row: claims.LeaseRow, station: Station) -> Lease:
    responses = map(Response, row.texts, row.are_finished)
    return Lease(
        row=row,
        project=station.project,
        labeler=station.member.user,
        responses=dict(zip(row.shown_order, responses, strict=False)),
    )


def _assignment(lease: Lease) -> Assignment:
    row, project, labeler = lease.row, lease.project, lease.labeler
    prompt = Prompt.from_db("default", ["id", "turns"], [row.prompt_id, row.turns])
    comparison = Comparison.from_db(
        "default",
        ["id", "project_id", "prompt_id", "candidate_ids"],
        [row.comparison_id, project.pk, row.prompt_id, row.candidate_ids],
    )
    comparison.prompt, comparison.project = prompt, project
    assignment = Assignment.from_db(
        "default",
        ["id", "project_id", "comparison_id", "labeler_id", "state", *_ASSIGNMENT],
        [
            row.id,
            project.pk,
            row.comparison_id,
            labeler.pk,
            Assignment.State.LEASED,
            *row[7:10],
            *row[4:7],
        ],
    )
    assignment.comparison, assignment.project, assignment.labeler = comparison, project, labeler
    return assignment


def expire_leases() -> int:
    """End all leases whose time is over, in every project; how many ended. For the sweeper."""
    total = 0
    while ended := claims.expire(project_id=None, now=timezone.now()):
        total += ended
    return total


def end_leases(*, project: Project, labeler: User) -> None:
    """Let all that a labeler holds go to others now; what they answer of it still is surplus."""
    now = timezone.now()
    held = Assignment.objects.filter(project=project, labeler=labeler)
    held.filter(state=Assignment.State.LEASED, lease_until__gt=now).update(lease_until=now)
    claims.expire(project_id=project.pk, now=now)


def extend_lease(*, assignment: Assignment) -> Assignment:
    """Prolong a live lease by one lease time. Raises LeaseLost if it ended, Conflict at the longest time."""
    now = timezone.now()
    lease = timedelta(seconds=assignment.project.lease_seconds)
    until = min(now + lease, assignment.leased_at + claims.LONGEST_LEASES * lease)
    live = Assignment.objects.filter(
        pk=assignment.pk, state=Assignment.State.LEASED, lease_until__gt=now
    )
    if until <= now:
        raise Conflict(_("This comparison was held as long as one may. Answer it now or skip it."))
    if not live.update(lease_until=until):
        raise LeaseLost(_("Your time for this comparison ended. Load the next one."))
    assignment.lease_until = until
    return assignment


@transaction.atomic
def skip_assignment(
    *, assignment: Assignment, reason: str, active_ms: int = 0, age_ms: int = 0
) -> Assignment:
    """Give a comparison back unjudged; it comes back to this labeler only if they undo that. A skip is not a judgment.

    ``active_ms``: time at work on it, ``age_ms``: how long ago it was given, both by the client's clock. The server
    counts no more than passed.
    """
    if reason not in Assignment.SkipReason:
        known = ", ".join(Assignment.SkipReason.values)
        raise InvalidInput(f"There is no reason {reason!r} to skip; choose one of {known}.")
    row = Assignment.objects.select_for_update().get(pk=assignment.pk)
    if row.state == Assignment.State.SKIPPED:
        return row
    if row.state == Assignment.State.SUBMITTED:
        raise Conflict(
            _("You have judged this comparison; undo that first if you want to skip it.")
        )
    if row.state == Assignment.State.LEASED:
        give_back_place(row)
    row.state, row.skip_reason = Assignment.State.SKIPPED, reason
    row.skipped_at = timezone.now()
    row.save(update_fields=["state", "skip_reason", "skipped_at"])
    note_skip(row, labeler=assignment.labeler, active_ms=active_ms, age_ms=age_ms)
    audit.record("assignment.skipped", row, actor=assignment.labeler, reason=reason)
    return row


def note_skip(row: Assignment, *, labeler: User, active_ms: int = 0, age_ms: int = 0) -> None:
    """Keep the time that went into what was skipped: the time of the next answer begins here."""
    given = answers.given(row, age_ms=age_ms, now=timezone.now())
    progress.note_work(
        project_id=row.project_id, labeler=labeler, given=given, active_ms=active_ms, passed=1
    )


def give_back_place(assignment: Assignment) -> None:
    """Free the place that a lease holds in its comparison; gold and repeats hold none."""
    if not assignment.takes_place:
        return
    held = Comparison.objects.filter(pk=assignment.comparison_id, slots_taken__gt=0)
    held.update(slots_taken=F("slots_taken") - 1)


def why_paused(station: Station) -> EmptyQueue | None:
    """What to tell a labeler whose project, or whose own work in it, is paused; None where neither is."""
    if station.project.is_paused or station.project.is_archived:
        return EmptyQueue(reason=EmptyReason.PAUSED)
    if station.member.paused_at is not None:
        note = pauses.told(station.member.pause_reason)
        return EmptyQueue(reason=EmptyReason.YOU_ARE_PAUSED, note=note)
    return None


def why_not_served(station: Station) -> EmptyQueue | None:
    """What to tell a labeler who gets nothing, whatever is in the queue: paused, or their exam is over."""
    if empty := why_paused(station):
        return empty
    if not station.is_in_training:
        return None
    standing = exams.standing_of(project=station.project, labeler_id=station.member.user_id)
    if standing.may_train:
        return None
    return EmptyQueue(reason=EmptyReason.EXAM_OVER, note=standing.message)


def _why_empty(facts: claims.QueueFacts) -> EmptyQueue:
    if not facts.has_any:
        return EmptyQueue(reason=EmptyReason.NOTHING_YET)
    if not facts.has_free:
        return EmptyQueue(reason=_why_full(facts))
    if not facts.has_readable:
        return EmptyQueue(reason=EmptyReason.OTHER_LANGUAGES)
    return EmptyQueue(reason=EmptyReason.YOURS_DONE)


def _why_full(facts: claims.QueueFacts) -> EmptyReason:
    if facts.is_leased:
        return EmptyReason.WITH_OTHERS
    if facts.is_paused:
        return EmptyReason.BATCH_PAUSED
    return EmptyReason.BATCH_CLOSED if facts.is_closed else EmptyReason.ALL_JUDGED
