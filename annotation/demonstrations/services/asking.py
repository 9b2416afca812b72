"""An admin asks for demonstrations: openings to write, or to edit a candidate. Asking twice asks for nothing twice."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.selectors import PairRow, pair_rows
from annotation.core.errors import Conflict, InvalidInput
from annotation.demonstrations.models import Opening
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.prompts.selectors import prompts_of

MOST_AT_ONCE = 2_000  # prompts
MOST_A_PROMPT = 10
PROMPTS_READ_AT_ONCE = 200


class Choose(StrEnum):
    """Which candidate of a judged prompt is put up for editing."""

    LOSING = "losing"  # lost more often than it won, the most of all
    BEST = "best"  # won more often than it lost, the most of all
    ALL_BAD = "all_bad"  # most who saw it said that all were bad


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFilter:
    """Which prompts are asked about: the oldest that fit, at most ``at_most``."""

    search: str = ""
    prompt_source: str = ""
    tag: str = ""
    language: str = ""
    only_all_bad: bool = False  # whose candidates were all found bad
    at_most: int = 100

    def prompts(self, project: Project) -> QuerySet[Prompt]:
        rows = prompts_of(project, search=self.search, source=self.prompt_source)
        rows = rows.filter(tags__contains=[self.tag]) if self.tag else rows
        rows = rows.filter(language=self.language) if self.language else rows
        return rows.order_by("pk")


def ask(  # noqa: PLR0913 - the fields of one request, each named by the caller
    *,
    project: Project,
    actor: User,
    choose: str = "",
    per_prompt: int = 1,
    priority: int = 0,
    search: str = "",
    prompt_source: str = "",
    tag: str = "",
    language: str = "",
    only_all_bad: bool = False,
    at_most: int = 100,
) -> int:
    """Ask people to edit the candidate that ``choose`` names, or without it to write; how many openings are new."""
    wanted = PromptFilter(
        search=search,
        prompt_source=prompt_source,
        tag=tag,
        language=language,
        only_all_bad=only_all_bad,
        at_most=at_most,
    )
    if choose:
        return ask_to_edit(
            project=project, wanted=wanted, choose=choose, priority=priority, actor=actor
        )
    return ask_to_write(
        project=project, wanted=wanted, per_prompt=per_prompt, priority=priority, actor=actor
    )


def count_asked(**fields: Any) -> int:  # Any: as `ask` takes them
    """How many openings `ask` would make now; nothing is made."""
    with transaction.atomic():
        made = ask(**fields)
        transaction.set_rollback(True)
    return made


@transaction.atomic
def ask_to_write(
    *, project: Project, wanted: PromptFilter, per_prompt: int, priority: int = 0, actor: User
) -> int:
    """Open ``per_prompt`` places to write for each prompt that fits; how many are new."""
    _check_between("per_prompt", per_prompt, 1, MOST_A_PROMPT)
    _check(wanted, priority)
    has_enough = project.openings.filter(source=None, number__gte=per_prompt)
    prompts = wanted.prompts(project).exclude(pk__in=has_enough.values("prompt"))
    if wanted.only_all_bad:
        keys = [pk for pk, _ in islice(_chosen(project, prompts, Choose.ALL_BAD), wanted.at_most)]
    else:
        keys = list(prompts.values_list("pk", flat=True)[: wanted.at_most])
    numbers = range(1, per_prompt + 1)
    rows = [
        Opening(project=project, prompt_id=key, number=number, priority=priority, created_by=actor)
        for key in keys
        for number in numbers
    ]
    return _open(project, rows, actor=actor, kind="written", wanted=wanted)


@transaction.atomic
def ask_to_edit(
    *, project: Project, wanted: PromptFilter, choose: str, priority: int = 0, actor: User
) -> int:
    """Open one place to edit a candidate of each judged prompt that fits; how many are new."""
    if choose not in set(Choose):
        known = ", ".join(Choose)
        raise InvalidInput.at("choose", f"There is no choice {choose!r}; use one of {known}.")
    _check(wanted, priority)
    has_one = project.openings.exclude(source=None).values("prompt")
    prompts = wanted.prompts(project).exclude(pk__in=has_one)
    chosen = _chosen(project, prompts, Choose(choose))
    rows = [
        Opening(
            project=project,
            prompt_id=prompt_id,
            source_id=candidate_id,
            priority=priority,
            created_by=actor,
        )
        for prompt_id, candidate_id in islice(chosen, wanted.at_most)
    ]
    return _open(project, rows, actor=actor, kind="edited", wanted=wanted, choose=choose)


@transaction.atomic
def set_closed(*, opening: Opening, is_closed: bool, actor: User) -> Opening:
    """Withdraw an opening that nobody holds, or put it back."""
    before, after = Opening.State.OPEN, Opening.State.CLOSED
    if not is_closed:
        before, after = after, before
    row = Opening.objects.select_for_update().get(pk=opening.pk)
    if row.state == after:
        return row
    if row.state != before:
        raise Conflict(f"This opening is {row.state}; release what is on it first.")
    row.state = after
    row.save(update_fields=["state"])
    audit.record("opening.closed" if is_closed else "opening.reopened", row, actor=actor)
    return row


def _open(
    project: Project,
    rows: list[Opening],
    *,
    actor: User,
    kind: str,
    wanted: PromptFilter,
    **facts: str,
) -> int:
    before = project.openings.count()
    Opening.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)
    made = project.openings.count() - before
    audit.record(
        "demonstrations.asked",
        project,
        actor=actor,
        kind=kind,
        openings=made,
        **asdict(wanted),
        **facts,
    )
    return made


def _check(wanted: PromptFilter, priority: int) -> None:
    _check_between("at_most", wanted.at_most, 1, MOST_AT_ONCE)
    _check_between("priority", priority, -1_000, 1_000)
    for name in ("search", "prompt_source", "tag", "language"):
        if "\0" in getattr(wanted, name):
            raise InvalidInput.at(name, f"{name} holds a NUL character; remove it.")


def _check_between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInput.at(name, f"{name} is {value}; it lies from {low} to {high}.")


def _chosen(
    project: Project, prompts: QuerySet[Prompt], choose: Choose
) -> Iterator[tuple[int, int]]:
    """Prompts in order with the candidate that ``choose`` names in each; read a few prompts at a time."""
    written = Candidate.objects.filter(source=Candidate.Source.DEMONSTRATION, project=project)
    judged = project.judgments.filter(withdrawn_at=None).values("comparison__prompt")
    keys = list(prompts.filter(pk__in=judged).values_list("pk", flat=True))
    for start in range(0, len(keys), PROMPTS_READ_AT_ONCE):
        some = keys[start : start + PROMPTS_READ_AT_ONCE]
        rows: defaultdict[int, list[PairRow]] = defaultdict(list)
        for row in pair_rows(project, where=~Q(comparison__kind="gold"), prompt_ids=some):
            rows[row.prompt_id].append(row)
        by_people = set(written.filter(prompt__in=some).values_list("pk", flat=True))
        for prompt_id in some:
            candidate = _choice(rows[prompt_id], choose, by_people)
            if candidate is not None:
                yield prompt_id, candidate


def _choice(rows: list[PairRow], choose: Choose, by_people: set[int]) -> int | None:
    """One candidate of a prompt, the oldest of equals; None where none is what ``choose`` says."""
    score: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        favor = (row.strength > 0) - (row.strength < 0)
        if choose == Choose.ALL_BAD:
            said = 1 if row.is_all_bad else -1
            first, second = said, said
        else:
            first = favor if choose == Choose.BEST else -favor
            second = -first
        score[row.first_id] += first
        score[row.second_id] += second
    fitting = {pk: value for pk, value in score.items() if value > 0 and pk not in by_people}
    return min(fitting, key=lambda pk: (-fitting[pk], pk), default=None)
