"""What a model wrote under a constitution: an edit of a candidate, with the model's labeler as its author.

It goes the way of people's edits: under review, or approved at once where an admin or engineer chose to take the
machine's word. Either way its author is a machine, and snapshots let it in only by their rule.
"""

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.demonstrations.services.reviewing import candidate_of
from annotation.demonstrations.services.writing import refuse_empty, typed
from annotation.generation.models import Candidate
from annotation.projects.selectors import current_guideline


@transaction.atomic
def store_machine_edit(
    *, source: Candidate, author: User, text: str, is_reviewed: bool
) -> Demonstration:
    """Keep the text as an edit of ``source``; with ``is_reviewed`` people approve it first.

    Raises InvalidInput where it is empty, or says what the source said.
    """
    known = Demonstration.objects.filter(author=author, source=source).first()
    if known is not None:
        return known
    project, now = source.project, timezone.now()
    text = typed(text).strip()
    row = Demonstration(
        project=project,
        prompt=source.prompt,
        source=source,
        kind=Demonstration.Kind.EDITED,
        author=author,
        state=Demonstration.State.SUBMITTED,
        text=text,
        guideline=current_guideline(project),
        lease_until=now,
        submitted_at=now,
    )
    refuse_empty(row, text)
    row.opening = _opening(source, Opening.State.HELD if is_reviewed else Opening.State.DONE)
    if not is_reviewed:
        row.state, row.candidate = Demonstration.State.APPROVED, candidate_of(row, text)
    row.save()
    Version.objects.create(demonstration=row, text=text, written_by=author)
    audit.record("demonstration.submitted", row, actor=author, is_reviewed=is_reviewed)
    return row


def _opening(source: Candidate, state: Opening.State) -> Opening:
    """A place of its own, so that people's places stay theirs."""
    rows = Opening.objects.filter(prompt=source.prompt, source=source)
    last = rows.aggregate(last=Max("number"))["last"] or 0
    return Opening.objects.create(
        project=source.project, prompt=source.prompt, source=source, number=last + 1, state=state
    )
