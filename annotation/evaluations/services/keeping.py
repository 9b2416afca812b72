"""A run's facts become a card, beside how often the model sides with each labeler and under each criterion.

A run knows votes, not who gave them: who judged the held-out pairs is read here, once, when the run has ended.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import transaction

from annotation.accounts.models import User
from annotation.comparisons.selectors import PairRow, pair_rows
from annotation.datasets.assembly import candidate_name
from annotation.evaluations.models import ModelCard
from annotation.generation.models import Candidate
from annotation.measures.statistic import proportion
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion

PROMPTS_AT_ONCE = 500
FEWEST_OF_A_LABELER = 5  # decided verdicts; fewer say nothing, and could tell who said what
NOTHING = "There is no decided verdict."
Sides = Mapping[tuple[int, int], float]  # (first candidate, second): how far the first scores above


class HeldOutPair(NamedTuple):
    """A pair of `held_out.jsonl`: names of the record, and chosen minus rejected score."""

    prompt: str
    chosen: str
    rejected: str
    difference: float


@transaction.atomic
def keep_card(
    *,
    version: ModelVersion,
    facts: Mapping[str, Any],  # Any: JSON
    held_out: Sequence[HeldOutPair],
) -> ModelCard:
    """Store the card of a version; doing it again replaces it."""
    project = version.project
    votes: defaultdict[int, list[float]] = defaultdict(list)
    criteria: defaultdict[str, list[float]] = defaultdict(list)
    names = list(project.criteria.values_list("name", flat=True)) if held_out else []
    for sides, prompt_ids in _sides(project, held_out):
        for row in pair_rows(project, prompt_ids=prompt_ids):
            votes[row.labeler_id] += _agreed(row, sides)
        for name in names:
            for row in pair_rows(project, criterion=name, prompt_ids=prompt_ids):
                criteria[name] += _agreed(row, sides)
    card, _ = ModelCard.objects.update_or_create(
        version=version,
        defaults={
            "facts": dict(facts),
            "by_labeler": _by_labeler(votes),
            "by_criterion": [
                {"name": name, **_share(criteria[name])} for name in names if criteria[name]
            ],
        },
    )
    return card


def _agreed(row: PairRow, sides: Sides) -> list[float]:
    """Whether the model sides with this verdict, equal scores half; nothing for ties and pairs not held out."""
    difference = sides.get((row.first_id, row.second_id))
    if difference is None or row.strength == 0:
        return []
    if difference == 0:
        return [0.5]
    return [float((difference > 0) == (row.strength > 0))]


def _sides(project: Project, held_out: Sequence[HeldOutPair]) -> Iterator[tuple[Sides, list[int]]]:
    """The scored pairs by candidate ids, some prompts at a time."""
    by_prompt: defaultdict[str, list[HeldOutPair]] = defaultdict(list)
    for pair in held_out:
        by_prompt[pair.prompt].append(pair)
    marks = sorted(by_prompt)
    for start in range(0, len(marks), PROMPTS_AT_ONCE):
        chunk = marks[start : start + PROMPTS_AT_ONCE]
        prompts = dict(
            Prompt.objects.filter(project=project, fingerprint__in=chunk).values_list(
                "pk", "fingerprint"
            )
        )
        keys: defaultdict[str, dict[str, int]] = defaultdict(dict)
        rows = Candidate.objects.filter(prompt__in=list(prompts))
        for pk, prompt_id, mark in rows.values_list("pk", "prompt_id", "fingerprint"):
            keys[prompts[prompt_id]][candidate_name(mark)] = pk
        pairs = [one for mark in chunk for one in by_prompt[mark]]
        yield _by_candidates(pairs, keys), list(prompts)


def _by_candidates(
    pairs: Sequence[HeldOutPair], keys: Mapping[str, Mapping[str, int]]
) -> dict[tuple[int, int], float]:
    found = {}
    for pair in pairs:
        names = keys.get(pair.prompt, {})
        chosen, rejected = names.get(pair.chosen), names.get(pair.rejected)
        if chosen is None or rejected is None:
            continue
        is_first = chosen < rejected
        ids = (chosen, rejected) if is_first else (rejected, chosen)
        found[ids] = pair.difference if is_first else -pair.difference
    return found


def _by_labeler(votes: Mapping[int, list[float]]) -> list[dict[str, Any]]:  # Any: JSON
    """Labelers by number, not by name: a card travels further than the project's pages."""
    kinds = dict(User.objects.filter(pk__in=list(votes)).values_list("pk", "kind"))
    return [
        {"labeler": pk, "kind": kinds.get(pk, ""), **_share(said)}
        for pk, said in sorted(votes.items())
        if len(said) >= FEWEST_OF_A_LABELER
    ]


def _share(agreed: Sequence[float]) -> dict[str, Any]:  # Any: JSON
    return proportion(sum(agreed), n=len(agreed), nothing=NOTHING).as_json()
