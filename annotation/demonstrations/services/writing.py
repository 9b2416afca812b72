"""The writer's side: lease the next opening, keep the draft, submit, withdraw, skip. No text is ever lost.

A draft that outlives its lease keeps its text. Its author goes on with it as long as nobody else holds the opening.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import progress
from annotation.core.errors import Conflict, InvalidInput, LeaseLost
from annotation.core.text import canonical, with_lines
from annotation.demonstrations import claims
from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.demonstrations.selectors import demonstrations
from annotation.generation.services.storing import storable
from annotation.projects.models import Membership, Project, Role
from annotation.projects.selectors import current_guideline

LEASES = (
    4  # lease times of the project: writing takes longer than judging; every saved draft renews it
)
LONGEST = 100_000  # characters
LARGEST_INTEGER = 2**31 - 1

State = Demonstration.State


class EmptyReason(StrEnum):
    PAUSED = "paused"
    YOU_ARE_PAUSED = "you_are_paused"
    NOTHING_YET = "nothing_yet"
    ALL_WRITTEN = "all_written"
    WITH_OTHERS = "with_others"
    YOURS_DONE = "yours_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToWrite:
    """Why there is nothing to write; the message says what happens next."""

    reason: EmptyReason

    @property
    def message(self) -> str:
        return {
            EmptyReason.PAUSED: _(
                "This project is paused. Your drafts are saved; an admin will start it again."
            ),
            EmptyReason.YOU_ARE_PAUSED: _(
                "Your work in this project is paused; ask one of its admins why. Your drafts are saved."
            ),
            EmptyReason.NOTHING_YET: _(
                "Nobody has asked for demonstrations yet. They appear here once an admin asks for some."
            ),
            EmptyReason.ALL_WRITTEN: _(
                "Everything that was asked for is written. Thank you! What a reviewer returns to you is "
                "in your list."
            ),
            EmptyReason.WITH_OTHERS: _(
                "The last ones are with other writers right now. What they do not finish comes back."
            ),
            EmptyReason.YOURS_DONE: _(
                "You have written all that you can here. What is left waits for other people, or for "
                "another language."
            ),
        }[self.reason]


def lease_next(*, project: Project, author: User) -> Demonstration | NothingToWrite:
    """The author's live draft if there is one, else a new one on the next opening, else why there is none."""
    now = timezone.now()
    claims.expire(now=now)
    if draft := live_draft(project=project, author=author):
        return draft
    claim = claims.Claim(
        project_id=project.pk,
        author_id=author.pk,
        now=now,
        lease_until=now + lease_time(project),
    )
    try:
        with transaction.atomic():
            key = claims.claim_next(claim)
    except IntegrityError:  # another request of the same person was faster
        key = None
    if key is not None:
        return demonstrations(project).get(pk=key)
    return live_draft(project=project, author=author) or _why_empty(project, author)


def live_draft(*, project: Project, author: User) -> Demonstration | None:
    """The newest draft that this person holds; None if there is none, or while the project or they are paused."""
    if project.is_paused or project.is_archived:
        return None
    paused = _paused(project, author)
    mine = demonstrations(project).filter(~Exists(paused), author=author, state=State.DRAFT)
    return mine.filter(lease_until__gt=timezone.now()).order_by("-leased_at", "-pk").first()


def lease_time(project: Project) -> timedelta:
    return timedelta(seconds=LEASES * project.lease_seconds)


def expire_drafts() -> int:
    """End the leases of all drafts whose time is over; how many ended. For the sweeper."""
    total = 0
    while ended := claims.expire(now=timezone.now()):
        total += ended
    return total


def save_draft(*, demonstration: Demonstration, text: str, active_ms: int = 0) -> Demonstration:
    """Keep what was typed and renew the lease.

    Raises LeaseLost, with the text kept, where another person holds the opening by now.
    """
    text = typed(text)
    with transaction.atomic():
        row = _locked(demonstration)
        _refuse_if_over(row)
        row.text = text
        _spend(row, active_ms)
        row.save(update_fields=["text", "active_ms"])
        is_held = _hold_again(row)
        if row.state == State.DRAFT:
            row.lease_until = timezone.now() + lease_time(row.project)
            row.save(update_fields=["lease_until"])
    if not is_held:
        raise _taken_by_another()
    return row


def submit(
    *, demonstration: Demonstration, client_uuid: UUID, text: str, active_ms: int = 0
) -> Demonstration:
    """Send a text to review; the same ``client_uuid`` again changes nothing and answers the same.

    Raises InvalidInput for a text that says nothing (new), LeaseLost where another person holds the opening by now:
    then the text is kept with the expired draft.
    """
    text = typed(text).strip()
    with transaction.atomic():
        row = _locked(demonstration)
        if _was_sent(row, client_uuid):
            return row
        _refuse_if_over(row)
        refuse_empty(row, text)
        row.text = text
        _spend(row, active_ms)
        row.save(update_fields=["text", "active_ms"])
        is_held = _hold_again(row)
        if is_held:
            _send(row, client_uuid)
    if not is_held:
        raise _taken_by_another()
    return row


@transaction.atomic
def withdraw(*, demonstration: Demonstration) -> Demonstration:
    """Take a submitted text back to go on writing; possible until it is reviewed."""
    row = _locked(demonstration)
    if row.state == State.DRAFT:
        return row
    if row.state != State.SUBMITTED:
        raise Conflict(
            _("It is %(state)s: only what waits for review can be taken back.")
            % {"state": row.get_state_display().lower()}
        )
    row.state = State.RETURNED if row.review_note else State.DRAFT
    row.leased_at = timezone.now()
    row.lease_until = row.leased_at + lease_time(row.project)
    row.save(update_fields=["state", "leased_at", "lease_until"])
    audit.record("demonstration.withdrawn", row, actor=row.author)
    return row


@transaction.atomic
def skip(*, demonstration: Demonstration, reason: str, active_ms: int = 0) -> Demonstration:
    """Give an opening back unwritten; it does not come back to this person. What was typed is kept."""
    if reason not in Demonstration.SkipReason:
        known = ", ".join(Demonstration.SkipReason.values)
        raise InvalidInput.at(
            "reason", f"There is no reason {reason!r} to skip; choose one of {known}."
        )
    row = _locked(demonstration)
    if row.state == State.SKIPPED:
        return row
    _refuse_if_over(row)
    if row.state != State.EXPIRED:
        Opening.objects.filter(pk=row.opening_id).update(state=Opening.State.OPEN)
    _spend(row, active_ms)
    row.state, row.skip_reason = State.SKIPPED, reason
    row.save(update_fields=["state", "skip_reason", "active_ms"])
    audit.record("demonstration.skipped", row, actor=row.author, reason=reason)
    return row


def typed(text: str) -> str:
    """What a person typed, with Unix line ends and nothing that PostgreSQL cannot hold."""
    if len(text) > LONGEST:
        raise InvalidInput.at(
            "text",
            _("This has %(seen)d characters; at most %(most)d can be kept. Shorten it.")
            % {"seen": len(text), "most": LONGEST},
        )
    return with_lines(storable(text))


def refuse_empty(row: Demonstration, text: str) -> None:
    """Refuse a text without words, and an edit that edits nothing."""
    if not canonical(text):
        raise InvalidInput.at("text", _("There is no text yet; write the response first."))
    if row.source is not None and canonical(text) == canonical(row.source.text):
        raise InvalidInput.at(
            "text", _("This is the original unchanged. Edit it, or skip it with “nothing to mend”.")
        )


def _locked(demonstration: Demonstration) -> Demonstration:
    rows = Demonstration.objects.select_for_update(of=("self",))
    return rows.select_related("project", "prompt", "source", "author", "opening").get(
        pk=demonstration.pk
    )


def _refuse_if_over(row: Demonstration) -> None:
    if row.state == State.SUBMITTED:
        raise Conflict(_("This waits for review; take it back first to change it."))
    if row.state == State.APPROVED:
        raise Conflict(_("This is approved; ask its reviewer to reopen it if it must change."))
    if row.state == State.SKIPPED:
        raise Conflict(_("You have skipped this one; load the next."))


def _was_sent(row: Demonstration, client_uuid: UUID) -> bool:
    version = Version.objects.filter(client_uuid=client_uuid).first()
    if version and version.demonstration_id != row.pk:
        raise Conflict("This client_uuid belongs to another demonstration; draw a new one.")
    return version is not None


def _hold_again(row: Demonstration) -> bool:
    """Whether the opening is the author's; an expired draft takes it back if it is free."""
    if row.state != State.EXPIRED:
        return True
    try:
        with transaction.atomic():
            free = Opening.objects.filter(pk=row.opening_id, state=Opening.State.OPEN)
            if not free.update(state=Opening.State.HELD):
                return False
            row.state, row.leased_at = State.DRAFT, timezone.now()
            row.save(update_fields=["state", "leased_at"])
    except IntegrityError:  # they hold another opening of the same prompt
        row.state = State.EXPIRED
        return False
    return True


def _send(row: Demonstration, client_uuid: UUID) -> None:
    row.state, row.submitted_at = State.SUBMITTED, timezone.now()
    row.guideline = current_guideline(row.project)
    row.save(update_fields=["state", "submitted_at", "guideline"])
    try:
        with transaction.atomic():
            Version.objects.create(
                demonstration=row, client_uuid=client_uuid, text=row.text, written_by=row.author
            )
    except IntegrityError as error:
        raise Conflict(
            "This client_uuid belongs to another demonstration; draw a new one."
        ) from error
    audit.record("demonstration.submitted", row, actor=row.author, characters=len(row.text))


def _spend(row: Demonstration, active_ms: int) -> None:
    """Add active time, to the text and to its author's hours: no more than passed since their last act here.

    Without any the clock goes on: what passed may be that of a comparison which they have open too.
    """
    if not active_ms:
        return
    given = progress.Given(timezone.now(), row.leased_at)
    counted = progress.note_work(
        project_id=row.project_id, labeler=row.author, given=given, active_ms=active_ms
    )
    row.active_ms = min(row.active_ms + counted, LARGEST_INTEGER)


def _taken_by_another() -> LeaseLost:
    return LeaseLost(
        _("Your time ended and another person writes this now. Your text is kept in your list.")
    )


def _paused(project: Project, author: User) -> QuerySet[Membership]:
    return project.memberships.filter(user=author, role=Role.LABELER, paused_at__isnull=False)


def _why_empty(project: Project, author: User) -> NothingToWrite:
    openings = Opening.objects.filter(project=OuterRef("pk"))
    unfinished = openings.filter(state__in=(Opening.State.OPEN, Opening.State.HELD))
    me = _paused(project, author)
    facts = Project.objects.filter(pk=project.pk).values_list(
        "is_paused",
        "is_archived",
        Exists(me),
        Exists(openings.exclude(state=Opening.State.CLOSED)),
        Exists(unfinished),
        Exists(unfinished.filter(state=Opening.State.OPEN)),
    )
    is_paused, is_archived, am_i_paused, has_any, has_unfinished, has_free = facts.get()
    reasons = (
        (is_paused or is_archived, EmptyReason.PAUSED),
        (am_i_paused, EmptyReason.YOU_ARE_PAUSED),
        (not has_any, EmptyReason.NOTHING_YET),
        (not has_unfinished, EmptyReason.ALL_WRITTEN),
        (has_free, EmptyReason.YOURS_DONE),
    )
    first = next((reason for holds, reason in reasons if holds), EmptyReason.WITH_OTHERS)
    return NothingToWrite(reason=first)
