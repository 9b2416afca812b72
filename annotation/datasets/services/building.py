"""Building a snapshot: one pass over the prompts, in flat memory, into a folder named by its content.

1. Stream the prompts by fingerprint; write each record, hash it, count it.
2. Refuse what cannot be trained on or leaks; write the manifest.
3. Move the folder to its final name: `snapshots/<sha256 of groups.jsonl>`; into the bucket too, where there is one.
4. Freeze the judgments and publish the row, in one transaction that also checks that none came or was withdrawn
   meanwhile (one that was given earlier may be committed later).
"""

import hashlib
import json
import shutil
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import judgments_on_selected, pair_rows
from annotation.core import storage
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.revision import code_revision
from annotation.datasets import selectors
from annotation.datasets.assembly import Totals, group_of
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import Aggregation, SnapshotQuery
from annotation.datasets.votes import Posterior
from annotation.demonstrations.models import Demonstration
from annotation.judges.report import report_of
from annotation.judges.selectors import judges_of
from annotation.measures.agreement import Agreement
from annotation.measures.coefficients import Level
from annotation.projects.models import Project
from annotation.quality.adjudication import adjudicated_pairs
from annotation.quality.columns import TIE, ColumnBuilder, PairColumns, columns_of
from annotation.quality.report import shown_from
from annotation.quality.truth import pair_posteriors
from training.spec.records import GROUPS_FILE, MANIFEST_FILE, SPLITS, group_to_json

FORMAT_VERSION = 2
ATTEMPTS = 3
INCOMING = ".incoming-"
ABANDONED_SECONDS = 86_400
FROZEN_AT_ONCE = 10_000
Progress = Callable[[int, int, str], None]


class Moved(Conflict):
    """Judgments were withdrawn, or committed late, while the snapshot was built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What one pass gave: digest and counts of the records, the judgments and demonstrations it read."""

    sha256: str
    totals: Totals
    columns: PairColumns
    up_to: int
    judgments: int
    demonstrations: "array[int]"  # keys


def build_snapshot(*, snapshot: DatasetSnapshot, progress: Progress) -> DatasetSnapshot:
    """Write the records of a snapshot and publish them. Raises DomainError with what to do."""
    query = SnapshotQuery.from_json(snapshot.query)
    for _ in range(ATTEMPTS - 1):
        try:
            return _build_once(snapshot, query, progress)
        except Moved:
            continue
    return _build_once(snapshot, query, progress)


def _build_once(
    snapshot: DatasetSnapshot, query: SnapshotQuery, progress: Progress
) -> DatasetSnapshot:
    with _incoming_folder() as incoming:
        built = _write_records(incoming / GROUPS_FILE, snapshot, query, progress)
        manifest = _manifest(snapshot, query, built)
        _write_manifest(incoming / MANIFEST_FILE, manifest)
        location = storage.share(_settle(incoming, built.sha256))
    return _publish(snapshot, query, built, manifest=manifest, location=location)


@contextmanager
def _incoming_folder() -> Iterator[Path]:
    _sweep_abandoned(storage.folder("snapshots"))
    folder = Path(tempfile.mkdtemp(dir=storage.folder("snapshots"), prefix=INCOMING))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep_abandoned(parent: Path) -> None:
    """Remove what builds that were killed left a day ago or earlier."""
    for folder in parent.glob(f"{INCOMING}*"):
        with suppress(FileNotFoundError):  # of a build that ended just now
            if folder.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _write_records(
    path: Path, snapshot: DatasetSnapshot, query: SnapshotQuery, progress: Progress
) -> Built:
    project = snapshot.project
    judgments = selectors.judgments_for(project, query)
    up_to = judgments.aggregate(last=Max("pk"))["last"] or 0
    judgments_before = judgments.filter(pk__lte=up_to).count()
    total = max(project.prompts.count(), 1)
    digest, totals, columns = hashlib.sha256(), Totals(), ColumnBuilder()
    demonstrations = array("q")
    posteriors = _posteriors(snapshot, query, up_to)
    adjudicated = adjudicated_pairs(project) if query.decides_by_adjudication else {}
    with path.open("wb") as file:
        materials = selectors.prompt_materials(project, query, up_to=up_to)
        for done, material in enumerate(materials):
            progress(min(done, total - 1), total, "prompts")
            columns.extend(material.rows)
            demonstrations.extend(one.pk for one in material.demonstrations)
            group = group_of(material, query, posteriors, adjudicated)
            if group is None:
                continue
            line = group_to_json(group).encode() + b"\n"
            digest.update(line)
            file.write(line)
            totals.add(group)
    progress(total, total, "prompts")
    _refuse_unusable(totals, up_to)
    return Built(
        sha256=digest.hexdigest(),
        totals=totals,
        columns=columns.build(),
        up_to=up_to,
        judgments=judgments_before,
        demonstrations=demonstrations,
    )


def _posteriors(
    snapshot: DatasetSnapshot, query: SnapshotQuery, up_to: int
) -> dict[tuple[int, int], Posterior]:
    if query.aggregation != Aggregation.DAWID_SKENE:
        return {}
    where = query.judgments_q() & Q(pk__lte=up_to)
    rows = pair_rows(snapshot.project, criterion=query.criterion, where=where)
    return pair_posteriors(columns_of(rows))


def _refuse_unusable(totals: Totals, up_to: int) -> None:
    if leak := totals.last_turns.leaks():
        raise Conflict(f"{leak} last user turns are in two splits; the snapshot would leak.")
    if totals.pairs == 0 and totals.demonstrations == 0 and totals.signals == 0:
        seen = "none of its judgments" if up_to else "no judgment"
        raise InvalidInput(
            f"This snapshot would hold no usable pair and no demonstration: {seen} passed its filters and rules. "
            "Label more comparisons, or let in more labelers, guideline versions, ties or demonstrations."
        )


def _manifest(
    snapshot: DatasetSnapshot, query: SnapshotQuery, built: Built
) -> dict[str, Any]:  # Any: JSON
    project = snapshot.project
    guidelines = selectors.guidelines_of(project, query, up_to=built.up_to)
    return {
        "format_version": FORMAT_VERSION,
        "sha256": built.sha256,
        "project": {"id": project.pk, "name": project.name},
        "query": query.as_json(),
        **built.totals.as_json(),
        "agreement": _agreement(project, built.columns),
        "judgments": {"count": built.judgments, "last_id": built.up_to},
        "labelers": {
            "count": len(built.columns.labeler_ids),
            "judgments_by_kind": selectors.judgments_by_kind(project, query, up_to=built.up_to),
        },
        "guideline_versions": sorted(int(version) for version in guidelines if version != "none"),
        "judgments_by_guideline": guidelines,
        "code_revision": code_revision(),
        "warnings": [
            *_warnings(built.totals),
            *_unfit_judges(project, query, up_to=built.up_to),
        ],
    }


def _agreement(project: Project, snapshot: PairColumns) -> dict[str, Any]:  # Any: JSON
    """Of what is no judgment on a selected comparison: people agree less on those."""
    selected = judgments_on_selected(project).values_list("pk", flat=True)
    is_selected = np.isin(snapshot.judgments, np.fromiter(selected.iterator(), dtype=np.int64))
    columns = snapshot.where(~is_selected)
    verdicts, strengths = Agreement(columns.verdict_table()), Agreement(columns.strength_table())
    people = len(np.unique(columns.labelers))
    shared = {"items": verdicts.items_shared, "labelers": people}
    return {
        "alpha_ordinal": shown_from(strengths.alpha(Level.ORDINAL), **shared).as_json(),
        "alpha_nominal": shown_from(verdicts.alpha(Level.NOMINAL), **shared).as_json(),
        "percent": verdicts.percent().as_json(),
        "percent_without_ties": verdicts.percent_without(TIE).as_json(),
        "judgments_selected": len(np.unique(snapshot.judgments[is_selected])),
    }


def _warnings(totals: Totals) -> list[str]:
    empty = [name for name in SPLITS if not totals.pairs_by_split[name]]
    found = [f"The split {name} holds no pair; add prompts or change the shares." for name in empty]
    if totals.pairs == 0:
        found = ["There is no pair here: this trains SFT or KTO and no reward model."]
    elif totals.preferences + totals.edit_preferences == 0:
        found.append("Every pair is a tie: a reward model has nothing to learn from these.")
    return found


def _unfit_judges(project: Project, query: SnapshotQuery, *, up_to: int) -> list[str]:
    """A sentence for each judge whose verdicts go in and who is no labeler by its report."""
    machines = selectors.judgments_for(project, query, up_to=up_to).filter(
        labeler__kind=User.Kind.MACHINE
    )
    judges = judges_of(project).filter(labeler__in=machines.order_by().values("labeler"))
    found = ((judge.name, report_of(judge).fitness) for judge in judges)
    return [
        f"Verdicts of the machine judge {name} go in, which is unfit as a labeler: {' '.join(fitness.reasons)}"
        for name, fitness in found
        if fitness.state == "unfit"
    ]


def _write_manifest(path: Path, manifest: dict[str, Any]) -> None:  # Any: JSON
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def _settle(incoming: Path, sha256: str) -> Path:
    """Give the folder its final name; one that is there already holds the same records."""
    folder = storage.folder("snapshots") / sha256
    if (folder / GROUPS_FILE).is_file():
        return folder
    for path in incoming.iterdir():
        path.chmod(0o444)
    incoming.chmod(0o755)
    try:
        incoming.rename(folder)
    except OSError:
        if not (
            folder / GROUPS_FILE
        ).is_file():  # else another build of the same records was faster
            raise
    return folder


@transaction.atomic
def _publish(
    snapshot: DatasetSnapshot,
    query: SnapshotQuery,
    built: Built,
    *,
    manifest: dict[str, Any],  # Any: JSON
    location: str,
) -> DatasetSnapshot:
    judgments = selectors.judgments_for(snapshot.project, query, up_to=built.up_to)
    loose = judgments.filter(frozen_at=None).order_by().values("pk")
    Judgment.objects.filter(pk__in=loose, withdrawn_at=None).update(frozen_at=timezone.now())
    if judgments.exclude(frozen_at=None).count() != built.judgments:
        raise Moved("Judgments changed while the snapshot was built; request it again.")
    _freeze_tests(snapshot.project, query, up_to=built.up_to)
    _freeze_demonstrations(built.demonstrations)
    content = {
        "sha256": built.sha256,
        "rows": built.totals.groups,
        "pairs": built.totals.pairs,
        "splits": manifest["splits"],
        "manifest": manifest,
        "folder": location,
    }
    DatasetSnapshot.objects.filter(pk=snapshot.pk).update(**content)
    audit.record("snapshot.built", snapshot, actor=snapshot.created_by, sha256=built.sha256)
    snapshot.refresh_from_db()
    return snapshot


def _freeze_tests(project: Project, query: SnapshotQuery, *, up_to: int) -> None:
    """Answers to gold and to what is asked again, beside those of the same labelers that went in.

    No snapshot takes them; they would show themselves where they alone are open to undo, or closed to it.
    """
    answers = Judgment.objects.filter(query.givers_q(), project=project, pk__lte=up_to)
    answers = answers.filter(frozen_at=None)
    tests = Q(comparison__kind=Comparison.Kind.GOLD) | Q(is_repeat=True)
    answers.filter(tests, withdrawn_at=None).update(frozen_at=timezone.now())


def _freeze_demonstrations(keys: "array[int]") -> None:
    """Their reviews can no longer be reversed. Raises Moved where one was reversed meanwhile."""
    for start in range(0, len(keys), FROZEN_AT_ONCE):
        some = keys[start : start + FROZEN_AT_ONCE].tolist()
        standing = Demonstration.objects.filter(pk__in=some, state=Demonstration.State.APPROVED)
        if standing.update(frozen_at=Coalesce("frozen_at", timezone.now())) != len(some):
            raise Moved("A review was reversed while the snapshot was built; request it again.")
