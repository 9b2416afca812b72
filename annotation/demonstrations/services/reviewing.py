"""The second person's side: approve, approve with changes, return with a note; each can be reversed.

An approved demonstration becomes a candidate. A review names the version it read: a text that changed meanwhile is not
approved unseen.
"""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.selectors import is_compared
from annotation.core.errors import Conflict, Forbidden, InvalidInput
from annotation.core.text import canonical, fingerprint
from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.demonstrations.services.writing import lease_time, refuse_empty, typed
from annotation.generation.models import Candidate

LONGEST_NOTE = 5_000

State = Demonstration.State


@transaction.atomic
def approve(
    *,
    demonstration: Demonstration,
    reviewer: User,
    version: int,
    text: str | None = None,
    note: str = "",
) -> Demonstration:
    """Make the text, or ``text`` in its place, a candidate. ``version`` is the key of the version that was read."""
    row, sent = _under_review(demonstration, reviewer, version)
    final = sent.text if text is None else typed(text).strip()
    refuse_empty(row, final)
    is_changed = canonical(final) != canonical(sent.text)
    if is_changed:
        Version.objects.create(demonstration=row, text=final, written_by=reviewer)
    row.candidate = candidate_of(row, final, writers=[reviewer.pk] if is_changed else [])
    _decide(row, sent, State.APPROVED, reviewer, note)
    Opening.objects.filter(pk=row.opening_id).update(state=Opening.State.DONE)
    audit.record("demonstration.approved", row, actor=reviewer, is_changed=is_changed)
    return row


@transaction.atomic
def send_back(
    *, demonstration: Demonstration, reviewer: User, version: int, note: str
) -> Demonstration:
    """Return the text to its author with a note that says what to mend."""
    row, sent = _under_review(demonstration, reviewer, version)
    if not note.strip():
        raise InvalidInput.at("note", "Say what to mend: the author sees this note.")
    _decide(row, sent, State.RETURNED, reviewer, note)
    audit.record("demonstration.returned", row, actor=reviewer, note=row.review_note)
    return row


@transaction.atomic
def reverse(*, demonstration: Demonstration, actor: User) -> Demonstration:
    """Undo a review: the text waits for review again. Not once a snapshot or a comparison holds it."""
    row = _locked(demonstration)
    _refuse_author(row, actor)
    if row.state not in {State.APPROVED, State.RETURNED}:
        raise Conflict(f"It is {row.state}: there is no review to reverse.")
    if row.frozen_at is not None:
        raise Conflict("A dataset snapshot holds this demonstration, so its review stands.")
    before, sent = row.state, _sent_by_author(row)
    if before == State.RETURNED and row.text != sent.text:
        raise Conflict("The author works on it already; wait for the text they send next.")
    if before == State.APPROVED:
        _remove_candidate(row)
        Opening.objects.filter(pk=row.opening_id).update(state=Opening.State.HELD)
    row.state, row.reviewer, row.reviewed_at, row.review_note = State.SUBMITTED, None, None, ""
    row.text = sent.text
    row.save(update_fields=["state", "reviewer", "reviewed_at", "review_note", "candidate", "text"])
    audit.record("demonstration.review_reversed", row, actor=actor, was=before)
    return row


@transaction.atomic
def release(*, demonstration: Demonstration, actor: User) -> Demonstration:
    """Free an opening that its author does not finish; their text is kept and they may take it up again."""
    row = _locked(demonstration)
    if row.state not in {State.DRAFT, State.RETURNED}:
        raise Conflict(f"It is {row.state}: only a draft or a returned text can be released.")
    row.state, row.lease_until = State.EXPIRED, timezone.now()
    row.save(update_fields=["state", "lease_until"])
    Opening.objects.filter(pk=row.opening_id).update(state=Opening.State.OPEN)
    audit.record("demonstration.released", row, actor=actor)
    return row


def _locked(demonstration: Demonstration) -> Demonstration:
    rows = Demonstration.objects.select_for_update(of=("self",))
    rows = rows.select_related("project", "prompt", "source", "author", "candidate")
    return rows.get(pk=demonstration.pk)


def _under_review(
    demonstration: Demonstration, reviewer: User, version: int
) -> tuple[Demonstration, Version]:
    row = _locked(demonstration)
    _refuse_author(row, reviewer)
    if row.state != State.SUBMITTED:
        raise Conflict(f"It is {row.state}, so there is nothing to review.")
    sent = _sent_by_author(row)
    if sent.pk != version:
        raise Conflict("The author has sent another text meanwhile; load the page and read that.")
    return row, sent


def _refuse_author(row: Demonstration, reviewer: User) -> None:
    if row.author_id == reviewer.pk:
        raise Forbidden("You wrote this; a second person must review it.")


def _sent_by_author(row: Demonstration) -> Version:
    return row.versions.filter(written_by=row.author_id).latest("pk")


def _decide(row: Demonstration, sent: Version, state: State, reviewer: User, note: str) -> None:
    note = note.strip()
    if len(note) > LONGEST_NOTE:
        raise InvalidInput.at(
            "note", f"The note has {len(note)} characters; at most {LONGEST_NOTE}."
        )
    row.state, row.reviewer, row.review_note = state, reviewer, typed(note)
    row.reviewed_at = timezone.now()
    row.lease_until = row.reviewed_at + lease_time(row.project)
    row.save(
        update_fields=[
            "state",
            "reviewer",
            "review_note",
            "reviewed_at",
            "lease_until",
            "candidate",
        ]
    )
    sent.note = row.review_note
    sent.save(update_fields=["note"])


def candidate_of(row: Demonstration, text: str, *, writers: Sequence[int] = ()) -> Candidate:
    """The candidate of this text, which its author and ``writers`` wrote; one that said the same before stays what it
    was, and theirs too.
    """
    candidate, _ = Candidate.objects.select_for_update(of=("self",)).get_or_create(
        prompt=row.prompt,
        fingerprint=fingerprint([text]),
        defaults={
            "project": row.project,
            "source": Candidate.Source.DEMONSTRATION,
            "source_name": row.kind,
            "author": row.author,
            "text": text,
        },
    )
    known = candidate.also_written_by or []
    if more := {row.author_id, *writers} - {candidate.author_id, *known}:
        candidate.also_written_by = [*known, *sorted(more)]
        candidate.save(update_fields=["also_written_by"])
    return candidate


def _remove_candidate(row: Demonstration) -> None:
    """Take the candidate away if it came with this demonstration alone; Conflict if it is compared."""
    candidate, row.candidate = row.candidate, None
    if candidate is None or _is_shared(candidate, row):
        return
    candidate = Candidate.objects.select_for_update().get(pk=candidate.pk)
    if Candidate.objects.filter(is_compared(), pk=candidate.pk).exists():
        raise Conflict("Its candidate is in a comparison already, so the review stands.")
    row.save(update_fields=["candidate"])
    candidate.delete()


def _is_shared(candidate: Candidate, row: Demonstration) -> bool:
    is_theirs = (candidate.source, candidate.author_id) == (
        Candidate.Source.DEMONSTRATION,
        row.author_id,
    )
    return not is_theirs or candidate.demonstrations.exclude(pk=row.pk).exists()
