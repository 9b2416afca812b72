"""Batches: made of the prompts that a filter chooses, served by their priority, paused, closed and renamed as one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain, count

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.pairing import PROMPTS_AT_ONCE, Pairing, pair_prompts
from annotation.core.errors import Conflict, InvalidInput
from annotation.generation.models import Candidate
from annotation.generation.selectors import held_for_others
from annotation.projects.models import Project
from annotation.prompts.models import Prompt

MOST_PROMPTS = 10_000  # to be paired in one request
MOST_COMPARISONS = 100_000  # taken by one: some seconds
LONGEST_NAME = 120
_UNPAIRED = ~Exists(Comparison.objects.filter(prompt=OuterRef("pk"))) & ~held_for_others()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which prompts a batch is made of; what is empty does not narrow."""

    tag: str = ""
    category: str = ""
    language: str = ""
    prompt_import: int | None = None
    generation_run: int | None = None

    def facts(self) -> dict[str, str | int]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a batch would hold."""

    prompts: int
    comparisons_there: int
    prompts_to_pair: int


def prompts_chosen(project: Project, chosen: Chosen) -> QuerySet[Prompt]:
    """The prompts that the filter names, the oldest first."""
    rows = Prompt.objects.filter(project=project)
    rows = rows.filter(tags__contains=[chosen.tag]) if chosen.tag else rows
    rows = rows.filter(category=chosen.category) if chosen.category else rows
    rows = rows.filter(language=chosen.language) if chosen.language else rows
    if chosen.prompt_import:
        rows = rows.filter(prompt_import_id=chosen.prompt_import)
    if chosen.generation_run:
        asked = Candidate.objects.filter(prompt=OuterRef("pk"), run_id=chosen.generation_run)
        rows = rows.filter(Exists(asked))
    return rows.order_by("pk")


def preview(project: Project, chosen: Chosen) -> Preview:
    """Count what a batch would hold, and make nothing."""
    prompts = prompts_chosen(project, chosen)
    responses = Candidate.objects.filter(prompt=OuterRef("pk"))
    first = responses.order_by("pk").values("pk")[:1]
    two = Exists(responses.exclude(pk__in=first))
    return Preview(
        prompts=prompts.count(),
        comparisons_there=free_comparisons(project, prompts).count(),
        prompts_to_pair=prompts.filter(_UNPAIRED, two).count(),
    )


@transaction.atomic
def create_batch(
    *,
    project: Project,
    name: str,
    chosen: Chosen,
    actor: User | None,
    priority: int = 0,
    deadline: datetime | None = None,
    strategy: str | None = None,
) -> Batch:
    """Take the open comparisons of the chosen prompts that are in no batch, and pair the prompts that have none yet.

    Raises Conflict where that comes to nothing: an empty batch helps nobody.
    """
    batch = Batch(
        project=project,
        name=name.strip(),
        priority=priority,
        deadline=deadline,
        made_from=chosen.facts(),
        created_by=actor,
    )
    _store(batch)
    prompts = prompts_chosen(project, chosen)
    unpaired = prompts.filter(_UNPAIRED).values_list("pk", flat=True)
    lacking = list(unpaired[: MOST_PROMPTS + 1])
    free = free_comparisons(project, prompts)
    if len(lacking) > MOST_PROMPTS or free[MOST_COMPARISONS : MOST_COMPARISONS + 1].exists():
        raise InvalidInput(
            f"A batch is made of at most {MOST_PROMPTS:,} prompts without comparisons and {MOST_COMPARISONS:,} "
            "comparisons, and the filter chooses more; narrow it, and make several batches."
        )
    taken = free.update(batch=batch, priority=priority)
    pairing = Pairing(strategy=strategy, batch=batch)
    made = sum(
        len(pair_prompts(project=project, prompt_ids=chunk, pairing=pairing))
        for chunk in _chunks(lacking)
    )
    if not taken + made:
        raise Conflict(_nothing(prompts.count()))
    audit.record("batch.made", batch, actor=actor, name=batch.name, taken=taken, made=made)
    return batch


def free_name(project: Project, name: str) -> str:
    """The name with the least number behind it that no batch of the project has, and none where it is free."""
    taken = set(project.batches.values_list("name", flat=True))
    endings = chain([""], (f" ({number})" for number in count(2)))
    names = (name[: LONGEST_NAME - len(ending)] + ending for ending in endings)
    return next(one for one in names if one not in taken)


@transaction.atomic
def open_batch(
    *,
    project: Project,
    name: str,
    made_from: dict[str, int | str],
    actor: User | None,
    priority: int = 0,
) -> Batch:
    """An empty batch, for comparisons that are made by hand of other services."""
    batch = Batch(
        project=project, name=name, priority=priority, made_from=made_from, created_by=actor
    )
    _store(batch)
    audit.record("batch.made", batch, actor=actor, name=batch.name, **made_from)
    return batch


@transaction.atomic
def update_batch(
    *, batch: Batch, actor: User, name: str, priority: int, deadline: datetime | None
) -> Batch:
    """Rename, move in the queue, set the deadline."""
    row = Batch.objects.select_for_update().get(pk=batch.pk)
    fresh = {"name": name.strip(), "priority": priority, "deadline": deadline}
    before = {field: str(getattr(row, field)) for field in fresh}
    for field, value in fresh.items():
        setattr(row, field, value)
    _store(row)
    row.comparisons.exclude(priority=priority).update(priority=priority)
    after = {field: str(value) for field, value in fresh.items()}
    audit.record("batch.changed", row, actor=actor, before=before, after=after)
    return row


@transaction.atomic
def set_state(*, batch: Batch, state: str, actor: User | None) -> Batch:
    """Pause, close or open: comparisons of a batch that is not open are held back.

    Those withdrawn stay withdrawn, and gold is served on: it belongs to the project.
    """
    if state not in Batch.State.values:
        known = ", ".join(Batch.State.values)
        raise InvalidInput.at("state", f"A batch has no state {state!r}; choose one of {known}.")
    row = Batch.objects.select_for_update().get(pk=batch.pk)
    if row.state == state:
        return row
    was, row.state = row.state, state
    row.save(update_fields=["state"])
    states, rows = Comparison.State, row.comparisons.exclude(kind=Comparison.Kind.GOLD)
    if state == Batch.State.OPEN:
        rows.filter(state=states.HELD).update(state=states.OPEN)
    else:
        rows.filter(state=states.OPEN).update(state=states.HELD)
    audit.record("batch.state", row, actor=actor, was=was, state=state)
    return row


def _store(batch: Batch) -> None:
    try:
        batch.full_clean(exclude=["created_by", "made_from", "asked_again"])
    except ValidationError as error:
        if "__all__" in error.message_dict:
            raise Conflict(
                f"There is a batch {batch.name!r} already; choose another name."
            ) from error
        field, texts = next(iter(error.message_dict.items()))
        raise InvalidInput.at(field, " ".join(texts)) from error
    batch.save()


def free_comparisons(
    project: Project, prompts: Sequence[int] | QuerySet[Prompt]
) -> QuerySet[Comparison]:
    """The open comparisons of these prompts that a new batch of them takes."""
    rows = project.comparisons.filter(batch=None, state=Comparison.State.OPEN)
    return rows.filter(prompt__in=prompts).exclude(kind=Comparison.Kind.GOLD)


def _chunks(prompts: list[int]) -> list[list[int]]:
    return [prompts[at : at + PROMPTS_AT_ONCE] for at in range(0, len(prompts), PROMPTS_AT_ONCE)]


def _nothing(prompts: int) -> str:
    if not prompts:
        return "No prompt fits this filter; nothing was made."
    who = (
        "The prompt of this filter has"
        if prompts == 1
        else f"The {prompts:,} prompts of this filter have"
    )
    return (
        f"{who} no comparison that is open and in no batch, "
        "and no two responses that are not compared yet; ask a policy for more responses first."
    )
