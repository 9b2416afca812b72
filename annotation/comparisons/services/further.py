"""One further place for comparisons that are judged, marking those chosen by their votes, and taking it back."""

from collections.abc import Iterable, Mapping

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from annotation.comparisons.batches import state_with_free_places
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.services.comparisons import having_agreed
from annotation.projects.models import Project

MOST_LABELS = 50  # of a comparison


def with_room(rows: QuerySet[Comparison]) -> QuerySet[Comparison]:
    """Those that are judged, not gold, and may get a further place."""
    judged = rows.filter(state=Comparison.State.JUDGED, slots_taken__lt=MOST_LABELS)
    return judged.exclude(kind=Comparison.Kind.GOLD)


def give_place(found: QuerySet[Comparison], *, most: int) -> dict[int, int]:
    """Open the first ``most`` with one free place: by key, how many free places they had (they agreed early).

    1. They are locked: whoever comes at the same time waits, and then finds no longer what this one opened.
    2. By what is taken and not by the overlap, of which an early end leaves more than one place.

    Inside a transaction.
    """
    locked = found.select_for_update(no_key=True, of=("self",)).order_by("pk")
    free = F("overlap") - F("slots_taken")
    given = dict(locked.values_list("pk", free)[:most])
    Comparison.objects.filter(pk__in=given).update(
        overlap=F("slots_taken") + 1, state=state_with_free_places()
    )
    return given


def mark_chosen(keys: Iterable[int]) -> None:
    """Keep what is said from now on apart from agreement: these were asked again for what was said of them."""
    rows = Comparison.objects.filter(pk__in=keys, asked_again_at=None)
    rows.update(asked_again_at=timezone.now())


def take_back(project: Project, given: Mapping[int, int]) -> list[int]:
    """Take the place back that nobody has, and let the free ones be as many as they were: of which comparisons.

    Inside a transaction.
    """
    rows = Comparison.objects.filter(pk__in=given, slots_taken__lt=F("overlap"), overlap__gt=1)
    rows = rows.select_for_update(no_key=True).order_by("pk")
    unserved = list(rows.values_list("pk", flat=True))
    agreed = Q(pk__in=having_agreed(project, unserved))
    is_waiting = Q(state__in=(Comparison.State.OPEN, Comparison.State.HELD))
    is_waiting &= ~Q(kind=Comparison.Kind.GOLD)
    for free in {given[pk] for pk in unserved}:
        overlap = F("overlap") - 1 + free
        is_over = (Q(judgments_counted__gte=overlap) | agreed) & is_waiting
        state = Case(When(is_over, then=Value(Comparison.State.JUDGED)), default=F("state"))
        alike = [pk for pk in unserved if given[pk] == free]
        Comparison.objects.filter(pk__in=alike).update(state=state, overlap=overlap)
    _unmark(unserved)
    return unserved


def _unmark(keys: Iterable[int]) -> None:
    """Nobody said anything since these were chosen, and no place is left in which they would."""
    since = Judgment.objects.filter(
        comparison=OuterRef("pk"), created_at__gte=OuterRef("asked_again_at"), withdrawn_at=None
    )
    rows = Comparison.objects.filter(~Exists(since), pk__in=keys, asked_again_at__isnull=False)
    rows.update(asked_again_at=None)
