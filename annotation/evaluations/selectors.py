"""Reading what models are worth: cards, evaluations, prompts that neither policy was trained on."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from django.db.models import Count, QuerySet
from django.db.models.functions import Length

from annotation.core.errors import NotFound
from annotation.core.jobs import JobModel, waiting_text
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import SnapshotQuery
from annotation.evaluations.models import Evaluation, ModelCard, RewardComparison
from annotation.generation.models import Candidate, PromptOutcome
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion
from training.spec.records import Turn
from training.spec.splits import split_key


def card_of(version: ModelVersion) -> ModelCard | None:
    """The facts that the version's run left; None for a model that was not trained here."""
    return ModelCard.objects.filter(version=version).first()


def card_in(version: ModelVersion) -> ModelCard:
    """The same. Raises NotFound with what to do."""
    card = card_of(version)
    if card is None:
        raise NotFound(
            f"{version} has no card: it was not trained here, or before cards were kept. Train it again."
        )
    return card


def evaluations_of(project: Project) -> QuerySet[Evaluation]:
    """The evaluations of a project, newest first."""
    rows = Evaluation.objects.filter(project=project).order_by("-pk")
    return rows.select_related(
        *["project", "policy__parent", "baseline", "batch", "created_by", "generation"],
        *["baseline_generation", "reward_comparison__reward_model"],
    )


def evaluation_in(project: Project, pk: int) -> Evaluation:
    """One evaluation of the project. Raises NotFound."""
    row = evaluations_of(project).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no evaluation {pk} in {project.name}.")
    return row


def why_it_waits(row: Evaluation) -> str:
    """What it waits for where no worker has taken its next job yet; empty where one works, or people are asked."""
    if row.is_over:
        return ""
    answering = [one for one in (row.generation, row.baseline_generation) if one is not None]
    scoring: RewardComparison | None = getattr(row, "reward_comparison", None)
    jobs: list[JobModel] = [*answering] if row.state == Evaluation.State.ANSWERING else []
    if row.state == Evaluation.State.COMPARING and scoring and not row.is_judged:
        jobs = [scoring]
    if any(one.status == JobModel.Status.RUNNING for one in jobs):
        return ""
    return next(filter(None, map(waiting_text, jobs)), "")


def held_out_prompts(project: Project, versions: Sequence[ModelVersion], *, most: int) -> list[int]:
    """Prompts, the oldest first, that no snapshot behind these versions or their teachers has for training."""
    queries = list(_queries_behind(project, versions).values())
    return list(islice(_held_out(project, queries), most))


def _held_out(project: Project, queries: Sequence[SnapshotQuery]) -> Iterator[int]:
    prompts = Prompt.objects.filter(project=project).order_by("pk").values_list("pk", "turns")
    for pk, turns in prompts.iterator(chunk_size=500):
        key = split_key([Turn(role=one["role"], content=one["content"]) for one in turns])
        if all(query.split_of(key) != "train" for query in queries):
            yield pk


def _queries_behind(
    project: Project, versions: Sequence[ModelVersion]
) -> dict[int | None, SnapshotQuery]:
    """By key, the queries of all snapshots that the versions, their ancestors and their teachers were trained on."""
    keys = {_snapshot_of(one) for one in _behind(versions)}
    rows = DatasetSnapshot.objects.filter(project=project, pk__in=[key for key in keys if key])
    told = rows.values_list("pk", "query")
    return {pk: SnapshotQuery.from_json(query) for pk, query in told}


def _snapshot_of(version: ModelVersion) -> int | None:
    """The key of the snapshot that it was trained on, as its lineage tells."""
    key: int | None = version.lineage.get("snapshot", {}).get("id")
    return key


def trained_behind(version: ModelVersion) -> list[ModelVersion]:
    """The models behind a version that were trained here: its ancestors, its teacher, and what is behind these."""
    return [one for one in _behind([version]) if one != version and "run" in one.lineage]


def are_held_out_behind(version: ModelVersion) -> bool:
    """Whether the prompts that a version's snapshot holds out are known to be held out of all behind it.

    A split is a seeded hash of the prompt, train first: under one seed, a train split that is no larger has no
    prompt that the other holds out. A snapshot that is gone is not known.
    """
    known = _queries_behind(version.project, [version])
    queries = [known.get(_snapshot_of(one)) for one in (version, *trained_behind(version))]
    own = queries[0]
    return own is not None and all(
        one is not None and one.seed == own.seed and one.train <= own.train for one in queries
    )


def _behind(versions: Iterable[ModelVersion]) -> Iterator[ModelVersion]:
    """The versions, the ones that each started from, the reward models that taught them, and what is behind these."""
    waiting, seen = deque(versions), set[int]()
    while waiting:
        version = waiting.popleft()
        if version.pk in seen:
            continue
        seen.add(version.pk)
        yield version
        if version.parent is not None:
            waiting.append(version.parent)
        if teacher := version.lineage.get("reward_model"):
            waiting.extend(
                ModelVersion.objects.filter(project=version.project_id, pk=teacher["id"])
            )


class PromptsCut(NamedTuple):
    """How many of the prompts were longer than each of the two reads: it answered a part."""

    policy: int
    baseline: int


def prompts_cut(row: Evaluation) -> PromptsCut:
    """Of one evaluation."""
    return prompts_cut_of([row])[row.pk]


def prompts_cut_of(rows: Sequence[Evaluation]) -> dict[int, PromptsCut]:
    """Of several evaluations by key, read at once."""
    cut = PromptOutcome.objects.filter(prompt_tokens_cut__gt=0, run_id__in=_runs_of(rows))
    counts = dict(cut.values_list("run_id").annotate(Count("pk")))
    return {
        row.pk: PromptsCut(
            *(counts.get(run, 0) for run in (row.generation_id, row.baseline_generation_id))
        )
        for row in rows
    }


class Answer(NamedTuple):
    """What is counted of an answer."""

    candidate_id: int
    characters: int


Pairs = dict[int, tuple[Answer, Answer]]  # by prompt: what the policy answered, and the baseline


def pairs_of(rows: Sequence[Evaluation]) -> dict[int, Pairs]:
    """The answers to compare of several evaluations by key, read at once; prompts that lack one are left out."""
    said: dict[int, dict[int, Answer]] = {run: {} for run in _runs_of(rows)}
    told = Candidate.objects.filter(run_id__in=said).order_by("pk")
    for run, prompt, pk, characters in told.values_list(
        "run_id", "prompt_id", "pk", Length("text")
    ):
        said[run][prompt] = Answer(pk, characters)
    for run, prompt, one in _repeated(said):
        said[run][prompt] = one
    return {row.pk: _pairs(row, said) for row in rows}


def _repeated(
    said: Mapping[int, Mapping[int, Answer]],
) -> Iterator[tuple[int, int, Answer]]:
    """By run and prompt what was said before, in another run or by somebody else; ``said`` is what was new."""
    told = PromptOutcome.objects.filter(run_id__in=said).exclude(candidate_ids=[])
    first = [
        (run, prompt, keys[0])
        for run, prompt, keys in told.values_list("run_id", "prompt_id", "candidate_ids")
        if prompt not in said[run] or said[run][prompt].candidate_id != keys[0]
    ]
    there = Candidate.objects.filter(pk__in=[pk for _, _, pk in first])
    characters = dict(there.values_list("pk", Length("text")))
    for run, prompt, pk in first:
        if pk in characters:  # else it was taken back since
            yield run, prompt, Answer(pk, characters[pk])


def equal_in(pairs: Iterable[tuple[object, object]]) -> int:
    """To how many prompts both gave the same answer."""
    return sum(ours == theirs for ours, theirs in pairs)


def _pairs(row: Evaluation, said: Mapping[int, Mapping[int, Answer]]) -> Pairs:
    ours = said.get(row.generation_id or 0, {})
    theirs = said.get(row.baseline_generation_id or 0, {})
    return {prompt: (one, theirs[prompt]) for prompt, one in ours.items() if prompt in theirs}


def _runs_of(rows: Iterable[Evaluation]) -> list[int]:
    both = ((row.generation_id, row.baseline_generation_id) for row in rows)
    return [run for run in chain.from_iterable(both) if run is not None]


def answers_of(row: Evaluation) -> dict[int, tuple[Candidate, Candidate]]:
    """The policy's and the baseline's answer by prompt, whole; prompts that lack one of them are left out."""
    pairs = pairs_of([row])[row.pk]
    keys = {one.candidate_id for pair in pairs.values() for one in pair}
    whole = Candidate.objects.select_related("prompt").in_bulk(keys)
    return {
        prompt: (whole[ours.candidate_id], whole[theirs.candidate_id])
        for prompt, (ours, theirs) in pairs.items()
    }
