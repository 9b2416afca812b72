"""A new guideline asks again: comparisons judged before it get one further slot. Undone while nobody has taken it."""

from django.db import transaction
from django.db.models import (
    Exists,
    F,
    Func,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    TextField,
)
from django.db.models.functions import Cast, Collate
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Batch, Comparison, Judgment, Requeue
from annotation.comparisons.selectors import judgments_of_people
from annotation.comparisons.services.further import (
    give_place,
    mark_chosen,
    take_back,
    with_room,
)
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Guideline, Project

MOST_COMPARISONS = 100_000


def requeued_by(
    guideline: Guideline, *, scope: str, judged_under: Guideline | None = None
) -> QuerySet[Comparison]:
    """The comparisons that a scope names: those that have all their labels, not gold, with room for a further one.

    What waits for a label gets it under the newest version anyway, also where an earlier re-queue made it wait. A batch
    that is closed would hold a further one back for good.
    """
    if judged_under is not None and scope in (Requeue.Scope.DISAGREED, Requeue.Scope.BEFORE):
        raise InvalidInput.at(
            "judged_under",
            f"An earlier version goes with the scope {Requeue.Scope.JUDGED_UNDER} alone; leave it out with {scope}.",
        )
    if scope == Requeue.Scope.DISAGREED:
        found = _disagreed(guideline.project)
    elif scope == Requeue.Scope.BEFORE:
        found = _judged_before(guideline)
    elif scope == Requeue.Scope.JUDGED_UNDER and judged_under is not None:
        found = Q(
            pk__in=_judged(guideline.project).filter(guideline=judged_under).values("comparison")
        )
    else:
        known = ", ".join(Requeue.Scope.values)
        raise InvalidInput.at(
            "scope",
            f"Choose {known}; {Requeue.Scope.JUDGED_UNDER} needs the version. {scope!r} was sent.",
        )
    judged = with_room(guideline.project.comparisons.filter(found))
    return judged.exclude(batch__state=Batch.State.CLOSED)


def _judged(project: Project) -> QuerySet[Judgment]:
    return judgments_of_people(project).order_by()


def _disagreed(project: Project) -> Q:
    """At least two different orders; where all are bad there is none.

    By the least and the greatest text of an order: to count different ones the database would sort all judgments. Where
    most comparisons have one label, only those with more are looked at.
    """
    order = Collate(Cast("ranking", TextField()), "C")
    several = _judged(project).filter(comparison__judgments_counted__gt=1)
    rows = several.values("comparison").annotate(least=Min(order), most=Max(order))
    return Q(pk__in=rows.exclude(least=F("most")).values("comparison"))


def _judged_before(guideline: Guideline) -> Q:
    """Judged, and never under this version or a later one."""
    versions = guideline.project.guidelines.filter(version__gte=guideline.version)
    on_it = _judged(guideline.project).filter(comparison=OuterRef("pk"))
    is_known = Exists(on_it.filter(guideline_id__in=list(versions.values_list("pk", flat=True))))
    return Q(Exists(on_it), ~is_known)


def requeues_of(project: Project) -> QuerySet[Requeue]:
    """What was queued again, the newest first, each with ``comparisons``: how many, without the list of them."""
    many = Func(F("comparison_ids"), function="cardinality", output_field=IntegerField())
    rows = project.requeues.select_related("guideline", "judged_under", "created_by")
    return rows.annotate(comparisons=many).defer("comparison_ids", "places_free").order_by("-pk")


@transaction.atomic
def requeue(
    *,
    guideline: Guideline,
    scope: str,
    actor: User,
    judged_under: Guideline | None = None,
) -> Requeue:
    """Give each a further slot and open it again. Whoever judged it does not get it a second time."""
    project = guideline.project
    found = requeued_by(guideline, scope=scope, judged_under=judged_under)
    given = give_place(found, most=MOST_COMPARISONS + 1)
    if not given:
        raise Conflict("No comparison fits; nothing was queued again.")
    if len(given) > MOST_COMPARISONS:
        raise InvalidInput(f"These are more than {MOST_COMPARISONS:,} comparisons; choose fewer.")
    if scope == Requeue.Scope.DISAGREED:
        mark_chosen(given)
    row = Requeue.objects.create(
        project=project,
        guideline=guideline,
        scope=scope,
        judged_under=judged_under,
        comparison_ids=list(given),
        places_free=list(given.values()),
        created_by=actor,
    )
    audit.record("guideline.requeued", row, actor=actor, scope=scope, comparisons=len(given))
    return row


@transaction.atomic
def undo_requeue(*, project: Project, pk: int, actor: User) -> int:
    """Take back the slots that nobody has taken; those served meanwhile stay. How many were taken back."""
    row = Requeue.objects.select_for_update().filter(project=project, pk=pk).first()
    if row is None:
        raise NotFound("There is no such re-queue in this project.")
    if row.undone_at is not None:
        raise Conflict("This re-queue was undone already.")
    had = row.places_free or [0] * len(row.comparison_ids)
    taken_back = len(take_back(project, dict(zip(row.comparison_ids, had, strict=True))))
    row.undone_at = timezone.now()
    row.save(update_fields=["undone_at"])
    audit.record("guideline.requeue_undone", row, actor=actor, comparisons=taken_back)
    return taken_back
