"""Early stop where no single answer decides it: after an import, and when the setting itself changes."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from annotation.audit import services as audit
from annotation.comparisons.batches import state_with_free_places
from annotation.comparisons.models import Comparison
from annotation.comparisons.services.comparisons import having_agreed
from annotation.core.jobs import LEASE_SECONDS
from annotation.core.statements import take_turns
from annotation.projects.models import Project
from annotation.projects.selectors import behind_early_stop
from annotation.prompts.services.importing import TURNS

AT_ONCE = 5_000  # comparisons in a transaction: an answer waits for it at most
LEASE = timedelta(seconds=LEASE_SECONDS)  # renewed after each of them
LEAST = 2  # verdicts that can be equal


class Settled(NamedTuple):
    """How many comparisons were ended, and how many opened again."""

    ended: int = 0
    opened: int = 0


@transaction.atomic
def settle(project: Project, keys: Collection[int]) -> Settled:
    """Give these comparisons the state that their judgments ask for; closed ones and gold stay as they are.

    1. They are locked, so that a verdict given meanwhile waits and sees what became of its comparison.
    2. Only then the setting is read: an import that holds ``project`` goes on for hours.
    """
    rows = Comparison.objects.select_for_update().exclude(kind=Comparison.Kind.GOLD)
    rows = rows.filter(pk__in=keys).exclude(state=Comparison.State.CLOSED).order_by("pk")
    locked = list(rows.values_list("pk", flat=True))
    if not locked:
        return Settled()
    project.refresh_from_db(fields=["stop_when_agreeing"])
    here = Comparison.objects.filter(pk__in=locked)
    agreed = Q(pk__in=having_agreed(project, locked))
    is_over = Q(judgments_counted__gte=F("overlap")) | agreed
    judged = Comparison.State.JUDGED
    opened = here.filter(state=judged).exclude(is_over).update(state=state_with_free_places())
    return Settled(here.filter(is_over).exclude(state=judged).update(state=judged), opened)


def settle_project(*, project: Project) -> Settled:
    """Look back after the setting changed: end what has agreed, open what a stricter setting ended too soon.

    One worker at a time holds the project; whoever changes the setting again takes it from them.
    """
    total, last = Settled(), 0
    held = _held(behind_early_stop().filter(pk=project.pk))
    while held and (chunk := _settle_after(last, project)):
        last, found = chunk
        total = Settled(total.ended + found.ended, total.opened + found.opened)
        held = _held(Project.objects.filter(pk=project.pk, early_stop_held_until=held))
    if held:
        mine = Project.objects.filter(pk=project.pk, early_stop_held_until=held)
        mine.update(is_early_stop_settled=True, early_stop_held_until=None)
    if any(total):
        audit.record("project.early_stop_settled", project, actor=None, **total._asdict())
    return total


def _held(rows: QuerySet[Project]) -> datetime | None:
    """Hold a project for as long as a lease; None where it is not among the rows any more."""
    until = timezone.now() + LEASE
    return until if rows.update(early_stop_held_until=until) else None


@transaction.atomic
def _settle_after(last: int, project: Project) -> tuple[int, Settled] | None:
    """Settle the next comparisons; the last key of them, None at the end.

    Takes turns with imports, which count verdicts in another order of locks, and by the setting they began with.
    """
    take_turns(TURNS, project.pk)
    begun = project.comparisons.filter(
        judgments_counted__gte=LEAST, judgments_counted__lt=F("overlap"), pk__gt=last
    ).order_by("pk")
    keys = list(begun.values_list("pk", flat=True)[:AT_ONCE])
    return (keys[-1], settle(project, keys)) if keys else None
