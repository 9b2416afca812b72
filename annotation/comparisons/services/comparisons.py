"""What an admin does to comparisons, withdraw one or put it back; and what state its judgments give one."""

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Batch, Comparison
from annotation.core.errors import InvalidInput


@transaction.atomic
def set_closed(*, comparison: Comparison, is_closed: bool, actor: User) -> Comparison:
    """Withdraw a comparison from the queue, or put it back; judgments stay as they are."""
    row = Comparison.objects.select_for_update().get(pk=comparison.pk)
    if is_closed == (row.state == Comparison.State.CLOSED):
        return row
    row.state = Comparison.State.CLOSED if is_closed else state_by_judgments(row)
    row.save(update_fields=["state"])
    verb = "comparison.closed" if is_closed else "comparison.reopened"
    audit.record(verb, row, actor=actor)
    return row


def state_named(state: str) -> bool:
    """Whether a posted state means closed; InvalidInput for what an admin cannot set."""
    if state not in {Comparison.State.OPEN, Comparison.State.CLOSED}:
        raise InvalidInput(f"A comparison can be set to open or closed, not to {state!r}.")
    return state == Comparison.State.CLOSED


def state_by_judgments(row: Comparison) -> Comparison.State:
    """Judged where all places are filled or enough verdicts of people agree; else open, or held by its batch."""
    if row.judgments_counted >= row.overlap or _have_agreed(row):
        return Comparison.State.JUDGED
    is_held = row.batch is not None and row.batch.state != Batch.State.OPEN
    return Comparison.State.HELD if is_held else Comparison.State.OPEN


def _have_agreed(row: Comparison) -> bool:
    enough = row.project.stop_when_agreeing
    if enough is None or row.judgments_counted < enough:
        return False
    standing = row.judgments.filter(is_counted=True, withdrawn_at=None)
    by_people = standing.exclude(labeler__kind=User.Kind.MACHINE).order_by()
    verdicts = list(by_people.values_list("ranking", "is_all_bad"))
    return len(verdicts) >= enough and all(one == verdicts[0] for one in verdicts)
