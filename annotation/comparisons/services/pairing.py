"""Candidates of prompts become comparisons. Asking twice makes nothing twice."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, product, zip_longest

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import selectors
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.overlap import is_in_overlap
from annotation.core.errors import InvalidInput
from annotation.core.statements import run
from annotation.core.text import canonical, fingerprint
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import Prompt

LARGEST_COMPARISON = 9
ALL_PAIRS_UP_TO = 4  # candidates; the pairs of more grow faster than people can read
PROMPTS_AT_ONCE = 500
Strategy = Project.Pairing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """How comparisons are made. None takes what the project's settings say."""

    strategy: str | None = None
    overlap: int | None = None  # how many people judge each
    priority: int = 0
    kind: Comparison.Kind = Comparison.Kind.NORMAL
    batch: Batch | None = None
    is_across: bool = False  # compares what several policies said; what one alone said waits


def pair_candidates(
    *,
    project: Project,
    prompt: Prompt,
    strategy: str | None = None,
    overlap: int | None = None,
    priority: int = 0,
    kind: Comparison.Kind = Comparison.Kind.NORMAL,
) -> list[Comparison]:
    """Make the comparisons of one prompt's candidates that are not there yet; those that were made."""
    pairing = Pairing(strategy=strategy, overlap=overlap, priority=priority, kind=kind)
    return pair_prompts(project=project, prompt_ids=[prompt.pk], pairing=pairing)


@transaction.atomic
def pair_prompts(
    *, project: Project, prompt_ids: Sequence[int], pairing: Pairing
) -> list[Comparison]:
    """Make the comparisons of these prompts that are not there yet: eight queries, however many prompts.

    Candidates of the same text are not compared, nor is an empty one.
    """
    known = {tuple(ids) for ids in _sets_of(project, prompt_ids)}
    languages = dict(project.prompts.filter(pk__in=prompt_ids).values_list("pk", "language"))
    rows = [
        comparison_row(project, prompt_id, ids, pairing, languages[prompt_id])
        for prompt_id, said in _distinct_candidates(project, prompt_ids).items()
        for ids in _sets_wanted(prompt_id, said, pairing, pairing.strategy or project.pairing)
        if ids not in known
    ]
    return _store(project, prompt_ids, rows)


def _sets_wanted(
    prompt_id: int, said: Mapping[int, int | None], pairing: Pairing, strategy: str
) -> list[tuple[int, ...]]:
    """The sets to compare of one prompt's candidates, of which ``said`` has the policies."""
    if not pairing.is_across:
        return candidate_sets(list(said), strategy)
    by_policy: defaultdict[int | None, list[int]] = defaultdict(list)
    for pk, policy in said.items():
        by_policy[policy].append(pk)
    # By lot: each stands beside each in as many rings as any other.
    policies = sorted(by_policy, key=lambda policy: fingerprint([str(prompt_id), str(policy)]))
    return sets_across([by_policy[one] for one in policies], strategy)


@transaction.atomic
def compare_sets(
    *, project: Project, sets: Mapping[int, Sequence[tuple[int, ...]]], pairing: Pairing
) -> list[Comparison]:
    """Make the comparisons of these candidate ids (each sorted) by prompt that are not there yet."""
    languages = dict(project.prompts.filter(pk__in=sets).values_list("pk", "language"))
    rows = [
        comparison_row(project, prompt_id, ids, pairing, languages[prompt_id])
        for prompt_id, wanted in sets.items()
        for ids in wanted
    ]
    return _store(project, list(sets), rows)


@transaction.atomic
def pair_waiting(*, project: Project, actor: User, strategy: str | None = None) -> int:
    """Make the comparisons of prompts that have candidates and no comparison yet; how many were made."""
    waiting = list(selectors.prompts_to_pair(project).values_list("pk", flat=True))
    pairing = Pairing(strategy=strategy)
    made = sum(
        len(pair_prompts(project=project, prompt_ids=chunk, pairing=pairing))
        for chunk in _chunks(waiting)
    )
    chosen = strategy or project.pairing
    audit.record("comparisons.made", project, actor=actor, strategy=chosen, comparisons=made)
    return made


def comparison_row(
    project: Project, prompt_id: int, ids: tuple[int, ...], pairing: Pairing, language: str
) -> Comparison:
    """One comparison, not stored yet."""
    overlap, kind = drawn_overlap(project, ids, pairing)
    return Comparison(
        project=project,
        prompt_id=prompt_id,
        candidate_ids=list(ids),
        overlap=overlap,
        priority=pairing.batch.priority if pairing.batch else pairing.priority,
        kind=kind,
        batch=pairing.batch,
        language=language,
    )


def drawn_overlap(
    project: Project, ids: Sequence[int], pairing: Pairing
) -> tuple[int, Comparison.Kind]:
    """How many people judge a comparison, and its kind; where nobody says, the project's random stratum does."""
    if pairing.overlap is not None:
        return pairing.overlap, pairing.kind
    is_drawn = is_in_overlap(project, ids)
    overlap = project.overlap if is_drawn else 1
    is_for_agreement = is_drawn and overlap > 1 and pairing.kind == Comparison.Kind.NORMAL
    return overlap, Comparison.Kind.OVERLAP if is_for_agreement else pairing.kind


def _chunks(prompt_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(prompt_ids), PROMPTS_AT_ONCE):
        yield prompt_ids[start : start + PROMPTS_AT_ONCE]


def candidate_sets(ids: list[int], strategy: str) -> list[tuple[int, ...]]:
    """The sets of candidate ids (each sorted) that a strategy compares."""
    return _sets_in_order(sorted(ids), strategy)


def sets_across(by_policy: Sequence[list[int]], strategy: str) -> list[tuple[int, ...]]:
    """The sets that a strategy compares where several policies answered, from the ids of each; none of one alone.

    Without a choice up to four are compared with those of other policies only. A ring has the policies in turn, and of
    several rankings each has as much of every policy.
    """
    said = [sorted(ids) for ids in by_policy if ids]
    ids = list(chain.from_iterable(said))
    if len(said) < 2:
        return []
    if strategy == Strategy.AUTO and len(ids) <= ALL_PAIRS_UP_TO:
        pairs = chain.from_iterable(product(one, other) for one, other in combinations(said, 2))
        return [(min(pair), max(pair)) for pair in pairs]
    if strategy in {Strategy.AUTO, Strategy.RING}:
        ids = [pk for turn in zip_longest(*said) for pk in turn if pk is not None]
    return _sets_in_order(ids, strategy)


def _sets_in_order(ids: list[int], strategy: str) -> list[tuple[int, ...]]:
    if strategy not in Strategy.values:
        known = ", ".join(Strategy.values)
        raise InvalidInput(f"There is no pairing strategy {strategy!r}; choose one of {known}.")
    if strategy == Strategy.AUTO:
        strategy = Strategy.ALL_PAIRS if len(ids) <= ALL_PAIRS_UP_TO else Strategy.RING
    if len(ids) < 2:
        return []
    if strategy == Strategy.ALL_PAIRS:
        sets: Iterable[Sequence[int]] = combinations(ids, 2)
    elif strategy == Strategy.RING:
        closing = [(ids[0], ids[-1])] if len(ids) > 2 else []
        sets = [*pairwise(ids), *closing]
    else:
        groups = -(-len(ids) // LARGEST_COMPARISON)
        sets = [ids[start::groups] for start in range(groups)]
    return [tuple(sorted(one)) for one in sets]


def new_sets(there: int, added: int, strategy: str) -> int:
    """How many comparisons ``added`` candidates bring to a prompt that has ``there``."""
    sets = candidate_sets(list(range(there + added)), strategy)
    return sum(max(one) >= there for one in sets)


def _sets_of(project: Project, prompt_ids: Sequence[int]) -> Iterator[list[int]]:
    rows = project.comparisons.filter(prompt_id__in=prompt_ids)
    return rows.values_list("candidate_ids", flat=True).iterator()


def _distinct_candidates(
    project: Project, prompt_ids: Sequence[int]
) -> dict[int, dict[int, int | None]]:
    """Candidate ids with their policies by prompt, the oldest of each text; an empty text is not put before people."""
    rows = Candidate.objects.filter(project=project, prompt_id__in=prompt_ids).order_by("-pk")
    oldest: defaultdict[int, dict[str, tuple[int, int | None]]] = defaultdict(dict)
    for prompt_id, pk, policy, text in rows.values_list(
        "prompt_id", "pk", "policy_id", "text"
    ).iterator():
        if text.strip():
            oldest[prompt_id][canonical(text)] = (pk, policy)
    return {prompt_id: dict(texts.values()) for prompt_id, texts in oldest.items()}


def _store(
    project: Project, prompt_ids: Sequence[int], rows: Sequence[Comparison]
) -> list[Comparison]:
    """Store those whose candidates are all still there: a review may be reversed meanwhile."""
    stays = held({pk for row in rows for pk in row.candidate_ids})
    rows = [row for row in rows if stays.issuperset(row.candidate_ids)]
    if not rows:
        return []
    Comparison.objects.bulk_create(rows, ignore_conflicts=True)  # another process may be faster
    wanted = {tuple(row.candidate_ids) for row in rows}
    there = project.comparisons.filter(prompt_id__in=prompt_ids)
    return [row for row in there if tuple(row.candidate_ids) in wanted]


def held(candidate_ids: Collection[int]) -> set[int]:
    """Which of these candidates exist; nobody takes them away before this transaction ends."""
    if not candidate_ids:
        return set()
    statement = "SELECT id FROM generation_candidate WHERE id = ANY(%(ids)s) FOR KEY SHARE"
    return {pk for (pk,) in run(statement, {"ids": list(candidate_ids)})}
