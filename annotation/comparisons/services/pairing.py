"""Candidates of one prompt become comparisons. Asking twice makes nothing twice."""

from enum import StrEnum
from itertools import combinations, pairwise

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import selectors
from annotation.comparisons.models import Comparison
from annotation.core.errors import InvalidInput
from annotation.core.text import canonical
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import Prompt

LARGEST_COMPARISON = 9


class Strategy(StrEnum):
    """Which sets of candidates are compared."""

    ALL_PAIRS = "all_pairs"  # each two
    RING = "ring"  # each with the next, the last with the first: connected, and linear in the candidates
    ONE_RANKING = "one_ranking"  # all together; more than nine in groups of about equal size


@transaction.atomic
def pair_candidates(
    *,
    project: Project,
    prompt: Prompt,
    strategy: str = Strategy.ALL_PAIRS,
    overlap: int | None = None,
    priority: int = 0,
    kind: Comparison.Kind = Comparison.Kind.NORMAL,
) -> list[Comparison]:
    """Make the comparisons of a prompt's candidates that are not there yet; those that were made.

    ``overlap`` is how many people judge each; None takes the project's. Candidates of the same text are not compared.
    """
    sets = candidate_sets(_distinct_candidates(project, prompt), strategy)
    there = project.comparisons.filter(prompt=prompt).values_list("candidate_ids", flat=True)
    known = {tuple(ids) for ids in there}
    rows = [
        Comparison(
            project=project,
            prompt=prompt,
            candidate_ids=list(ids),
            overlap=overlap or project.overlap,
            priority=priority,
            kind=kind,
        )
        for ids in sets
        if ids not in known
    ]
    Comparison.objects.bulk_create(rows, ignore_conflicts=True)  # another process may be faster
    return _link_candidates(project, prompt, [row.candidate_ids for row in rows])


@transaction.atomic
def pair_waiting(*, project: Project, strategy: str, actor: User) -> int:
    """Make the comparisons of prompts that have candidates and no comparison yet; how many were made."""
    waiting = selectors.prompts_to_pair(project)
    made = sum(
        len(pair_candidates(project=project, prompt=prompt, strategy=strategy))
        for prompt in waiting
    )
    audit.record("comparisons.made", project, actor=actor, strategy=strategy, comparisons=made)
    return made


def candidate_sets(ids: list[int], strategy: str) -> list[tuple[int, ...]]:
    """The sets of candidate ids (each sorted) that a strategy compares."""
    if strategy not in set(Strategy):
        known = ", ".join(Strategy)
        raise InvalidInput(f"There is no pairing strategy {strategy!r}; choose one of {known}.")
    ids = sorted(ids)
    if len(ids) < 2:
        return []
    if strategy == Strategy.ALL_PAIRS:
        return list(combinations(ids, 2))
    if strategy == Strategy.RING:
        closing = [(ids[0], ids[-1])] if len(ids) > 2 else []
        return [*pairwise(ids), *closing]
    groups = -(-len(ids) // LARGEST_COMPARISON)
    return [tuple(ids[start::groups]) for start in range(groups)]


def _distinct_candidates(project: Project, prompt: Prompt) -> list[int]:
    """Ids of the prompt's candidates, the oldest of each text; an empty text is not put before people."""
    rows = Candidate.objects.filter(project=project, prompt=prompt).order_by("-pk")
    oldest = {canonical(text): pk for pk, text in rows.values_list("pk", "text") if text.strip()}
    return list(oldest.values())


def _link_candidates(project: Project, prompt: Prompt, sets: list[list[int]]) -> list[Comparison]:
    wanted = {tuple(ids) for ids in sets}
    there = project.comparisons.filter(prompt=prompt) if wanted else Comparison.objects.none()
    made = [row for row in there if tuple(row.candidate_ids) in wanted]
    for row in made:
        row.candidates.add(*row.candidate_ids)
    return made
