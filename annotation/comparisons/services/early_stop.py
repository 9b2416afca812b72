"""Early stop where no single answer decides it: after an import, and when the setting itself changes."""

from collections.abc import Collection
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Q

from annotation.audit import services as audit
from annotation.comparisons.batches import state_with_free_places
from annotation.comparisons.models import Comparison
from annotation.comparisons.services.comparisons import having_agreed
from annotation.projects.models import Project
from annotation.projects.selectors import behind_early_stop

AT_ONCE = 5_000  # comparisons in a transaction: an answer waits for it at most
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

    One that changes meanwhile stays unsettled: the sweep comes back to it.
    """
    wanted, last, ended, opened = project.stop_when_agreeing, 0, 0, 0
    begun = project.comparisons.filter(
        judgments_counted__gte=LEAST, judgments_counted__lt=F("overlap")
    ).order_by("pk")
    while keys := list(begun.filter(pk__gt=last).values_list("pk", flat=True)[:AT_ONCE]):
        found = settle(project, keys)
        ended, opened, last = ended + found.ended, opened + found.opened, keys[-1]
    followed = Project.objects.filter(pk=project.pk, stop_when_agreeing=wanted)
    if followed.update(is_early_stop_settled=True) and (ended or opened):
        audit.record("project.early_stop_settled", project, actor=None, ended=ended, opened=opened)
    return Settled(ended, opened)


def settle_all() -> None:
    """Every project whose setting changed; harmless in any number."""
    for project in behind_early_stop():
        settle_project(project=project)
