"""What an admin does to comparisons, withdraw one or put it back; and what state its judgments give one."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Count, QuerySet

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Batch, Comparison, Judgment
from annotation.comparisons.selectors import judgments_of_people
from annotation.core.errors import Conflict, InvalidInput
from annotation.projects.models import Project


@transaction.atomic
def set_closed(*, comparison: Comparison, is_closed: bool, actor: User) -> Comparison:
    """Withdraw a comparison from the queue, or put it back; judgments stay as they are. Conflict for gold."""
    row = Comparison.objects.select_for_update().get(pk=comparison.pk)
    if row.kind == Comparison.Kind.GOLD:
        raise Conflict(
            "This comparison is gold: retire it, restore it or make it ordinary under Agreement, Gold."
        )
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
    """Judged where all places are filled or enough verdicts of people agree; else open, or held by its batch.

    Gold is open whatever its judgments: everybody may get it, and no batch holds it.
    """
    if row.kind == Comparison.Kind.GOLD:
        return Comparison.State.OPEN
    if row.judgments_counted >= row.overlap or having_agreed(row.project, [row.pk]).exists():
        return Comparison.State.JUDGED
    is_held = row.batch is not None and row.batch.state != Batch.State.OPEN
    return Comparison.State.HELD if is_held else Comparison.State.OPEN


def having_agreed(project: Project, keys: Collection[int]) -> QuerySet[Judgment, int]:
    """Keys of those comparisons that early stop ends: enough people judged them, all alike. None where it is off."""
    judgments = judgments_of_people(project).filter(comparison__in=keys)
    if project.stop_when_agreeing is None:
        judgments = judgments.none()
    # Only all bad ranks nothing, so rankings tell all verdicts apart.
    said = judgments.order_by().values("comparison")
    said = said.annotate(people=Count("pk"), verdicts=Count("ranking", distinct=True))
    agreed = said.filter(people__gte=project.stop_when_agreeing or 0, verdicts=1)
    return agreed.values_list("comparison", flat=True)
