"""Reads for snapshots: the prompts of a project in batches, with what was said of their candidates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from django.db.models import Count, Q, QuerySet

from annotation.accounts.models import User
from annotation.comparisons.models import Judgment, Signal
from annotation.comparisons.selectors import PairRow, pair_rows, standing_judgments
from annotation.core import storage
from annotation.core.errors import NotFound
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import SnapshotQuery
from annotation.demonstrations.models import Demonstration
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.quality.adjudication import standing_adjudications
from annotation.quality.scope import LabelerKind
from training.spec.records import SPLITS

PROMPTS_AT_ONCE = 100


def snapshot_for(project: Project, pk: int) -> DatasetSnapshot:
    """The snapshot, if it is this project's."""
    row: DatasetSnapshot | None = project.snapshots.filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such snapshot in this project.")
    return row


def snapshots_of(project: Project) -> QuerySet[DatasetSnapshot]:
    return project.snapshots.order_by("-pk")


def splits_of_newest(project: Project) -> dict[str, Any]:  # Any: JSON
    """Shares and seed of the newest snapshot that was built and leaves something to train on; {} before the first."""
    built = snapshots_of(project).filter(status=DatasetSnapshot.Status.DONE)
    newest = built.exclude(query__train=0).first()
    query = {} if newest is None else newest.query
    return {key: query[key] for key in (*SPLITS, "seed") if key in query}


def folder_of(snapshot: DatasetSnapshot) -> Path:
    """Where its records lie on this machine; brought here where a bucket holds them."""
    return Path(storage.local(snapshot.folder))


def judgments_for(
    project: Project, query: SnapshotQuery, *, up_to: int | None = None
) -> QuerySet[Judgment]:
    """The judgments a query lets in, up to one of them."""
    judgments = standing_judgments(project).filter(query.judgments_q())
    return judgments if up_to is None else judgments.filter(pk__lte=up_to)


def votes_for(project: Project, query: SnapshotQuery) -> QuerySet[Judgment]:
    """The same with the repeats of labelers, which measure them and count for nothing else."""
    rows = Judgment.objects.filter(Q(is_counted=True) | Q(is_repeat=True), query.judgments_q())
    return rows.filter(project=project, withdrawn_at=None)


def demonstrations_for(project: Project, query: SnapshotQuery) -> QuerySet[Demonstration]:
    """The approved demonstrations a query reads; none if it wants neither texts nor edits."""
    rows = Demonstration.objects.filter(
        query.authors_q(), project=project, state=Demonstration.State.APPROVED
    ).exclude(candidate=None)
    if query.demonstrations:
        return rows
    return rows.exclude(source=None) if query.takes_edits else rows.none()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a query would take in now."""

    judgments: int
    labelers: int
    comparisons: int
    prompts: int
    rules: int = 0  # that leave something out
    adjudicated: int = 0  # comparisons of the project that an admin decided
    demonstrations: int = 0
    edit_preferences: int = 0


def preview_of(project: Project, query: SnapshotQuery) -> Preview:
    counts = judgments_for(project, query).aggregate(
        judgments=Count("pk"),
        labelers=Count("labeler", distinct=True),
        comparisons=Count("comparison", distinct=True),
        prompts=Count("comparison__prompt", distinct=True),
    )
    adjudicated = standing_adjudications(project) if query.decides_by_adjudication else None
    approved = demonstrations_for(project, query)
    is_edit = Q(kind=Demonstration.Kind.EDITED)
    return Preview(
        **counts,
        demonstrations=approved.count() if query.demonstrations else 0,
        edit_preferences=approved.filter(is_edit).count() if query.takes_edits else 0,
        rules=len(query.exclusions),
        adjudicated=0 if adjudicated is None else adjudicated.count(),
    )


def judgments_by_kind(project: Project, query: SnapshotQuery, *, up_to: int) -> dict[str, int]:
    """How many judgments each kind of labeler gave."""
    rows = judgments_for(project, query, up_to=up_to)
    names = {"person": LabelerKind.PEOPLE}
    found: dict[str, int] = {}
    for kind, is_imported, count in (
        rows.order_by().values_list("labeler__kind", "is_imported").annotate(count=Count("pk"))
    ):
        name = LabelerKind.IMPORTED if is_imported else LabelerKind(names.get(kind, kind))
        found[name.value] = found.get(name.value, 0) + count
    return found


def guidelines_of(project: Project, query: SnapshotQuery, *, up_to: int) -> dict[str, int]:
    """How many judgments followed each guideline version; "none" for those that followed none."""
    rows = judgments_for(project, query, up_to=up_to).order_by()
    counts = rows.values_list("guideline__version").annotate(count=Count("pk"))
    return {str(version or "none"): count for version, count in sorted(counts, key=str)}


def signals_for(project: Project, query: SnapshotQuery) -> QuerySet[Signal]:
    """The unpaired signals that a query lets in: they come from files, follow no guideline, and have no criterion."""
    is_wanted = LabelerKind.IMPORTED in query.labelers and query.criterion == "overall"
    rows = project.signals.all()
    return rows if is_wanted and not query.guideline_versions else rows.none()


class DemonstrationColumns(NamedTuple):
    """What a record needs of an approved demonstration."""

    pk: int
    candidate_id: int
    source_id: int | None  # what was edited
    kind: str
    by_machine: bool


class CandidateColumns(NamedTuple):
    """What a record needs of a candidate."""

    pk: int
    fingerprint: str
    source: str
    author_id: int | None
    text: str
    is_finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMaterial:
    """One prompt with its candidates, its pair rows and its approved demonstrations."""

    pk: int
    fingerprint: str
    turns: list[dict[str, Any]]  # Any: JSON
    candidates: list[CandidateColumns]
    rows: list[PairRow]
    demonstrations: list[DemonstrationColumns]
    signals: list[tuple[int, bool]]  # candidate, whether it was accepted
    machines: frozenset[int] = frozenset()  # labelers that are machines
    criterion_rows: Mapping[str, list[PairRow]] = field(default_factory=dict)


def prompt_materials(
    project: Project, query: SnapshotQuery, *, up_to: int
) -> Iterator[PromptMaterial]:
    """Every prompt of the project by fingerprint, a few at a time: memory does not grow with the project."""
    after, machines = "", machines_of(project, query)
    names = criteria_of(project, query)
    while batch := _prompts_after(project, after):
        under = _rows_under(project, names, [pk for pk, _, _ in batch], query, up_to)
        for material in _materials(project, batch, query, up_to):
            yield replace(material, machines=machines, criterion_rows=under.get(material.pk, {}))
        after = batch[-1][1]


def criteria_of(project: Project, query: SnapshotQuery) -> list[str]:
    """The criteria whose verdicts go beside the overall ones; none where one criterion is the subject itself."""
    if query.criterion != "overall":
        return []
    return list(project.criteria.order_by("name").values_list("name", flat=True))


def _rows_under(
    project: Project, names: list[str], prompt_ids: list[int], query: SnapshotQuery, up_to: int
) -> dict[int, dict[str, list[PairRow]]]:
    """What was said under each criterion, by prompt."""
    found: dict[int, dict[str, list[PairRow]]] = {}
    where = query.judgments_q() & Q(pk__lte=up_to)
    for name in names:
        for row in pair_rows(project, criterion=name, where=where, prompt_ids=prompt_ids):
            found.setdefault(row.prompt_id, {}).setdefault(name, []).append(row)
    return found


def machines_of(project: Project, query: SnapshotQuery) -> frozenset[int]:
    """The machine judges whose verdicts a query may let in."""
    if LabelerKind.MACHINE not in query.labelers:
        return frozenset()
    rows = judgments_for(project, query).filter(labeler__kind=User.Kind.MACHINE)
    return frozenset(rows.order_by().values_list("labeler_id", flat=True).distinct())


def _prompts_after(project: Project, after: str) -> list[tuple[int, str, list[dict[str, Any]]]]:
    rows = project.prompts.filter(fingerprint__gt=after).order_by("fingerprint")
    return list(rows.values_list("pk", "fingerprint", "turns")[:PROMPTS_AT_ONCE])


def _materials(
    project: Project,
    batch: list[tuple[int, str, list[dict[str, Any]]]],
    query: SnapshotQuery,
    up_to: int,
) -> Iterator[PromptMaterial]:
    keys = [pk for pk, _, _ in batch]
    rows: dict[int, list[PairRow]] = {pk: [] for pk in keys}
    where = query.judgments_q() & Q(pk__lte=up_to)
    for row in pair_rows(project, criterion=query.criterion, where=where, prompt_ids=keys):
        rows[row.prompt_id].append(row)
    candidates: dict[int, list[CandidateColumns]] = {pk: [] for pk in keys}
    found = Candidate.objects.filter(project=project, prompt_id__in=keys).order_by("fingerprint")
    for prompt_id, *told in found.values_list("prompt_id", *CandidateColumns._fields):
        candidates[prompt_id].append(CandidateColumns._make(told))
    written: dict[int, list[DemonstrationColumns]] = {pk: [] for pk in keys}
    approved = demonstrations_for(project, query).filter(prompt_id__in=keys).order_by("pk")
    columns = ("prompt_id", "pk", "candidate_id", "source_id", "kind", "author__kind")
    for prompt_id, pk, candidate_id, source_id, kind, author_kind in approved.values_list(*columns):
        by_machine = author_kind == User.Kind.MACHINE
        one_written = DemonstrationColumns(pk, candidate_id, source_id, kind, by_machine)
        written[prompt_id].append(one_written)
    signals: dict[int, list[tuple[int, bool]]] = {pk: [] for pk in keys}
    told = signals_for(project, query).filter(prompt_id__in=keys)
    columns_told = told.values_list("prompt_id", "candidate_id", "is_accepted")
    for prompt_id, candidate_id, is_accepted in columns_told:
        signals[prompt_id].append((candidate_id, is_accepted))
    for pk, fingerprint, turns in batch:
        yield PromptMaterial(
            pk=pk,
            fingerprint=fingerprint,
            turns=turns,
            candidates=candidates[pk],
            rows=rows[pk],
            demonstrations=written[pk],
            signals=signals[pk],
        )
