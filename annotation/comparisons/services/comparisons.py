"""What an admin does to comparisons: withdraw one, or put it back."""

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
    row.state = Comparison.State.CLOSED if is_closed else _state_by_count(row)
    row.save(update_fields=["state"])
    verb = "comparison.closed" if is_closed else "comparison.reopened"
    audit.record(verb, row, actor=actor)
    return row


def state_named(state: str) -> bool:
    """Whether a posted state means closed; InvalidInput for what an admin cannot set."""
    if state not in {Comparison.State.OPEN, Comparison.State.CLOSED}:
        raise InvalidInput(f"A comparison can be set to open or closed, not to {state!r}.")
    return state == Comparison.State.CLOSED


def _state_by_count(row: Comparison) -> Comparison.State:
    if row.judgments_counted >= row.overlap:
        return Comparison.State.JUDGED
    is_held = row.batch is not None and row.batch.state != Batch.State.OPEN
    return Comparison.State.HELD if is_held else Comparison.State.OPEN
