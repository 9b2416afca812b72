"""Reading batches: how far each is, and which is at hand."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from annotation.comparisons.free import free_sql
from annotation.comparisons.models import Assignment, Batch, Comparison
from annotation.core import statements
from annotation.core.errors import NotFound
from annotation.core.text import is_key
from annotation.generation.models import GenerationRun
from annotation.projects.models import Project
from annotation.prompts.models import Prompt, PromptImport

CHART_DAYS = 14
MOST_CHOICES = 200
# What the batches are made to ask for of which admins choose each comparison.
ONE_MORE = "one more label"


def batches_of(project: Project) -> QuerySet[Batch]:
    """The batches of a project with their counts, in one query: open ones first, by priority. Gold is in no count."""
    counted = ~Q(comparisons__state=Comparison.State.CLOSED)
    counted &= ~Q(comparisons__kind=Comparison.Kind.GOLD)
    given = Least("comparisons__judgments_counted", "comparisons__overlap")
    rows = Batch.objects.filter(project=project).select_related("created_by")
    rows = rows.annotate(
        comparisons_all=Count("comparisons", filter=counted),
        comparisons_judged=Count("comparisons", filter=Q(comparisons__state="judged")),
        labels_wanted=Coalesce(Sum(labels_of("comparisons__"), filter=counted), 0),
        labels_given=Coalesce(Sum(given, filter=counted), 0),
    )
    return rows.order_by("-state", "-priority", "-pk")


def asked_for_one_more(project: Project) -> QuerySet[Batch]:
    """The batches of a project whose comparisons admins chose one by one to have one more label."""
    return project.batches.filter(made_from__asked=ONE_MORE)


def labels_of(of: str = "") -> Case:
    """How many labels a comparison gets in all: once it is judged, those that it has."""
    is_judged = Q(**{f"{of}state": Comparison.State.JUDGED})
    return Case(When(is_judged, then=f"{of}judgments_counted"), default=f"{of}overlap")


def state_with_free_places() -> Case:
    """What a comparison becomes when it is to be judged again: open, or held while its batch is not open."""
    batches = Batch.objects.filter(pk=OuterRef("batch")).exclude(state=Batch.State.OPEN)
    return Case(
        When(Exists(batches), then=Value(Comparison.State.HELD)),
        default=Value(Comparison.State.OPEN),
    )


def batch_of(project: Project, pk: int) -> Batch:
    """One batch with its counts; NotFound otherwise."""
    batch = batches_of(project).filter(pk=pk).first()
    if batch is None:
        raise NotFound(f"There is no batch {pk} in {project.name}.")
    return batch


class BatchAtHand(NamedTuple):
    """The batch that a labeler works on, and how far all labelers are with it, in comparisons."""

    name: str
    deadline: datetime | None
    judged: int
    total: int


def batch_at_hand(
    *, project: Project, labeler_id: int, languages: Sequence[str]
) -> BatchAtHand | None:
    """The batch of this labeler's newest lease that takes a place, else of what is served next; None without batches.

    By leases that take a place and not by what is on the screen: gold and repeats stay unseen. ``languages`` are the
    primary ones that they read, none for any. The counts are those of up to a minute ago, so that many labelers cost no
    more than one. That a comparison is asked again, or which model contradicts people on it, is told to nobody who is
    asked: such batches have no name here, and one of comparisons that admins chose one by one is none.
    """
    leases = project.assignments.filter(labeler_id=labeler_id, state=Assignment.State.LEASED)
    leased = leases.filter(takes_place=True).order_by("-pk").values_list("comparison__batch")
    asked = {"project_id": project.pk, "languages": list(languages)}
    front = [pk for pk, *_ in statements.run(free_sql(len(languages), limit=1), asked)]
    served = project.comparisons.filter(pk__in=front).values_list("batch")
    pk = (leased.first() or served.first() or (None,))[0]
    return batch_as_told(pk)


def batch_as_told(pk: int | None) -> BatchAtHand | None:
    """What labelers of a comparison are told of its batch; None where it has none, or one that they do not know."""
    return None if pk is None else _at_hand(pk, int(timezone.now().timestamp() // 60))


@lru_cache(maxsize=1_000)
def _at_hand(pk: int, _minute: int) -> BatchAtHand | None:
    batch = Batch.objects.get(pk=pk)
    if batch.made_from.get("asked") == ONE_MORE:
        return None
    left_out = Q(state=Comparison.State.CLOSED) | Q(kind=Comparison.Kind.GOLD)
    rows = Comparison.objects.filter(batch=pk).exclude(left_out)
    judged = Count("pk", filter=Q(state=Comparison.State.JUDGED))
    counts = rows.aggregate(judged=judged, total=Count("pk"))
    name = "" if "card" in batch.made_from else batch.name
    return BatchAtHand(name, batch.deadline, **counts)


def deadline_of(project: Project, batch: BatchAtHand | None) -> datetime | None:
    """When the work at hand is due: what the batch says, else the project; None where neither does."""
    return (batch.deadline if batch else None) or project.deadline


class Choices(NamedTuple):
    """What the prompts of a project can be chosen by."""

    tags: list[str]
    categories: list[str]
    languages: list[str]
    imports: list[PromptImport]
    runs: list[GenerationRun]


def choices_of(project: Project, *, prompt_import: str = "") -> Choices:
    """The values that occur, so that nobody has to know them by heart: of imports the newest, and the one named."""
    prompts = Prompt.objects.filter(project=project)
    tags = prompts.annotate(tag=_unnested()).values_list("tag", flat=True).distinct()
    imports = PromptImport.objects.filter(project=project).order_by("-pk")
    named = imports.filter(pk=int(prompt_import) if is_key(prompt_import) else 0)
    runs = GenerationRun.objects.filter(project=project).select_related("policy")
    return Choices(
        tags=sorted(tags[:MOST_CHOICES]),
        categories=_values(prompts, "category"),
        languages=_values(prompts, "language"),
        imports=list({one.pk: one for one in (*imports[:50], *named)}.values()),
        runs=list(runs.order_by("-pk")[:50]),
    )


def _unnested() -> Func:
    return Func(F("tags"), function="unnest", output_field=CharField())


def _values(prompts: QuerySet[Prompt], column: str) -> list[str]:
    rows = prompts.exclude(**{column: ""}).values_list(column, flat=True)
    return sorted(rows.distinct()[:MOST_CHOICES])
