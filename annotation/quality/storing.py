"""Bringing judgments into the stored columns: what changed since the last time, in flat memory.

1. Take noted changes away (`JudgmentChange`), a batch at a time. 2. Mark what the columns held of
those judgments as dead. 3. Append what the judgments say now, under each criterion. 4. Move the
tally of the figures by the comparisons that few changes are about. All of a batch is one
transaction: a change is in the columns or still noted, never neither.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from django.db import connection, transaction
from django.db.models import F

from annotation.comparisons.models import Judgment
from annotation.comparisons.selectors import OVERALL
from annotation.comparisons.services.early_stop import LEAST
from annotation.core.errors import Conflict
from annotation.projects.models import Project
from annotation.quality import stored, tally
from annotation.quality.models import (
    AgreementTally,
    ColumnStore,
    JudgmentChange,
    LabelerTally,
    PairChunk,
    RowChunk,
)
from annotation.quality.reading import read_judgments, read_pairs, with_marks
from annotation.quality.stored import ROW, Fields, Rows, StoredColumns

BATCH = 20_000  # judgments
CHUNK = 16_384  # rows or pairs a chunk: a change rewrites 300 kB at most
FOLLOWED_MAX = 1_000  # changes in a batch; beyond, counting anew is sooner done
LABELERS_MAX, GUIDELINES_MAX = 65_536, 256
ACTIVE_MAX = 65_535
UNRESOLVED_NAMED = 10_000  # comparisons


class TooManyCodes(Conflict):
    """A project outgrew what one byte or two can number."""


def fold_changes(*, project: Project, at_most: int | None = None) -> int:
    """Bring every noted change into the columns, or about ``at_most`` of them; how many there were."""
    done = 0
    while at_most is None or done < at_most:
        taken = _fold_batch(project)
        if taken == 0:
            break
        done += taken
    return done


def rebuild_columns(*, project: Project) -> int:
    """Forget the columns and fill them anew from the judgments; how many there were."""
    with transaction.atomic():
        for model in (RowChunk, PairChunk, ColumnStore, LabelerTally, AgreementTally):
            model.objects.filter(project=project).delete()
        JudgmentChange.objects.filter(project_id=project.pk).delete()
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO quality_judgmentchange (project_id, judgment_id) "
                "SELECT project_id, id FROM comparisons_judgment WHERE project_id = %s ORDER BY id",
                [project.pk],
            )
    return fold_changes(project=project)


@transaction.atomic
def _fold_batch(project: Project) -> int:
    """One batch; the comparisons it is about wait to be resolved. How many changes it took."""
    if not stored.is_behind(project):
        return 0
    ColumnStore.objects.get_or_create(project=project)
    store = ColumnStore.objects.select_for_update().get(project=project)
    changed = _taken(project)
    if len(changed) == 0:
        return 0
    project.refresh_from_db(fields=["stop_when_agreeing"])  # a fold goes on for minutes
    ids = np.unique(np.concatenate([changed, _later_beside(project, changed)]))
    directory = _Directory(project, store)
    before = _as_they_were(directory, ids)
    touched = directory.bury(ids)
    for criterion in [OVERALL, *project.criteria.values_list("name", flat=True)]:
        found = read_judgments(project, ids, criterion)
        about = np.unique(found["comparison"]).tolist()
        touched.update(about)
        directory.know_pairs(about)
        directory.append(criterion, found)
    _note_unresolved(store, touched)
    version = store.version + 1
    directory.save()
    _follow(directory, ids, before, version)
    return len(changed)


def _as_they_were(directory: "_Directory", ids: npt.NDArray[np.int64]) -> StoredColumns | None:
    """What the columns hold of the comparisons that some changes are about.

    None where the tally has to be counted anew: there is none, the changes are many, or one of the
    judgments is gone, so that nothing says what it was about.
    """
    if len(ids) > FOLLOWED_MAX or not tally.is_followed(directory.store):
        return None
    changed = Judgment.objects.filter(pk__in=ids.tolist()).values_list("comparison_id", flat=True)
    comparisons = list(changed)
    if len(comparisons) < len(ids):
        return None
    about = Judgment.objects.filter(comparison_id__in=set(comparisons))
    rows, judgments = stored.rows_of_judgments(
        directory.project, OVERALL, list(about.values_list("pk", flat=True))
    )
    return directory.columns(rows, judgments)


def _follow(
    directory: "_Directory",
    ids: npt.NDArray[np.int64],
    before: StoredColumns | None,
    version: int,
) -> None:
    """Move the tally to the columns as they are now."""
    if before is None:
        tally.forget(directory.project)
        return
    stay = ~np.isin(before.judgments, ids)
    rows = np.concatenate([before.rows.where(stay).rows(), *directory.appended])
    judgments = np.concatenate([before.judgments[stay], *directory.appended_ids])
    moved = tally.Moved(before, directory.columns(Fields.of(rows), judgments))
    tally.move(store=directory.store, moved=moved, version=version)


def _note_unresolved(store: ColumnStore, comparisons: set[int]) -> None:
    together = comparisons.union(store.unresolved_ids)
    store.is_all_unresolved |= len(together) > UNRESOLVED_NAMED
    store.unresolved_ids = [] if store.is_all_unresolved else sorted(together)


def _taken(project: Project) -> npt.NDArray[np.int64]:
    """The oldest changes, taken out of the journal."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM quality_judgmentchange WHERE id IN (SELECT id FROM quality_judgmentchange "
            "WHERE project_id = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING judgment_id",
            [project.pk, BATCH],
        )
        return np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)


def _later_beside(project: Project, changed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Later judgments of the same comparisons: under early stop it depends on those before whether they are apart."""
    if not project.stop_when_agreeing:
        return np.zeros(0, dtype=np.int64)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT later.id FROM comparisons_judgment j JOIN comparisons_judgment later "
            "ON later.comparison_id = j.comparison_id AND later.id > j.id WHERE j.id = ANY(%s)",
            [changed.tolist()],
        )
        return np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)


def note_further(project: Project) -> None:
    """Note what the setting of early stop decides about: what was said of comparisons that it may have gone on with."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO quality_judgmentchange (project_id, judgment_id) "
            "SELECT j.project_id, j.id FROM comparisons_judgment j JOIN comparisons_comparison c "
            "ON c.id = j.comparison_id WHERE j.project_id = %s AND c.judgments_counted > %s ORDER BY j.id",
            [project.pk, LEAST],
        )


class _Directory:
    """The chunks and codes of a project while a batch is folded in."""

    def __init__(self, project: Project, store: ColumnStore) -> None:
        self.project, self.store = project, store
        self.pairs = stored.load_pairs(project)
        self.changed_pairs: set[int] = set()
        self.appended: list[Rows] = []  # overall
        self.appended_ids: list[npt.NDArray[np.int64]] = []
        self._index()

    def columns(self, rows: Fields, judgments: npt.NDArray[np.int64]) -> StoredColumns:
        """Some rows with all that is known of their codes now."""
        return StoredColumns(
            rows=rows,
            judgments=judgments,
            pairs=Fields.of(self.pairs),
            labeler_ids=tuple(self.store.labeler_ids),
            guideline_ids=tuple(self.store.guideline_ids),
            languages=tuple(self.store.languages),
            sources=tuple(self.store.sources),
            version=0,
        )

    def _index(self) -> None:
        """Comparison ids in order, and the code of the first pair of each."""
        self.known, self.first_pair = np.unique(self.pairs["comparison"], return_index=True)

    def know_pairs(self, comparisons: Sequence[int]) -> None:
        """Add the pairs of comparisons not met before; renew what may change of those known."""
        if not comparisons:
            return
        fresh = read_pairs(self.store, comparisons)
        is_known = np.isin(fresh["comparison"], self.known)
        self._renew(fresh[is_known])
        before = len(self.pairs)
        self.pairs = np.concatenate([self.pairs, with_marks(fresh[~is_known])])
        self.changed_pairs.update(range(before // CHUNK, -(-len(self.pairs) // CHUNK)))
        self._index()

    def _renew(self, rows: Rows) -> None:
        if len(rows) == 0:
            return
        _, first = np.unique(rows["comparison"], return_index=True)
        sizes = np.diff([*first, len(rows)])
        starts = self.first_pair[np.searchsorted(self.known, rows["comparison"][first])]
        within = np.arange(len(rows)) - np.repeat(first, sizes)
        codes = np.repeat(starts, sizes) + within
        rows = _marked_as(self.pairs[codes], rows)
        moved = self.pairs[codes] != rows
        if moved.any():
            self.pairs = self.pairs.copy()
            self.pairs[codes[moved]] = rows[moved]
            self.changed_pairs.update((codes[moved] // CHUNK).tolist())

    def codes_of(self, found: Rows) -> npt.NDArray[np.int64]:
        places = np.searchsorted(self.known, found["comparison"])
        return np.asarray(self.first_pair[places] + found["pair_of"])

    def bury(self, ids: npt.NDArray[np.int64]) -> set[int]:
        """Mark the rows of these judgments as dead; the comparisons they were about."""
        chunks = RowChunk.objects.filter(
            project=self.project, first_id__lte=int(ids[-1]), last_id__gte=int(ids[0])
        )
        touched = set[int]()
        for chunk in chunks.iterator(chunk_size=8):
            rows = Fields.of_chunks([chunk.fields]).rows()
            hit = np.isin(chunk.first_id + rows["judgment"].astype(np.int64), ids)
            hit &= (rows["said"] & stored.DEAD) == 0
            if hit.any():
                rows["said"][hit] |= stored.DEAD
                chunk.fields = stored.as_stored(rows)
                chunk.save(update_fields=["fields"])
                touched.update(self.pairs["comparison"][rows["pair"][hit]].tolist())
        return touched

    def append(self, criterion: str, found: Rows) -> None:
        """Write rows behind those of the criterion: fill its last chunk, then begin others."""
        if len(found) == 0:
            return
        rows = self._encoded(found)
        ids = found["judgment"]
        if criterion == OVERALL:
            self.appended.append(rows.copy())
            self.appended_ids.append(ids)
        chunks = RowChunk.objects.filter(project=self.project, criterion=criterion)
        last = chunks.order_by("-number").first()
        number = 0
        if last is not None:
            number = last.number + 1
            if last.rows < CHUNK:
                old = Fields.of_chunks([last.fields]).rows()
                ids = np.concatenate([last.first_id + old["judgment"].astype(np.int64), ids])
                rows = np.concatenate([old, rows])
                number = last.number
                last.delete()
        RowChunk.objects.bulk_create(
            [
                _chunk(self.project, criterion, number + step, rows[part], ids[part])
                for step, part in enumerate(_parts(len(rows)))
            ]
        )

    def _encoded(self, found: Rows) -> Rows:
        rows = np.zeros(len(found), dtype=ROW)
        rows["pair"] = self.codes_of(found)
        rows["given_at"] = found["given_at"]
        rows["active"] = np.minimum(found["active"], ACTIVE_MAX)
        rows["said"] = found["said"]
        labelers = _codes_in(self.store.labeler_ids, found["labeler"], LABELERS_MAX, "labelers")
        versions = self.store.guideline_ids
        rows["labeler"] = labelers
        rows["guideline"] = _codes_in(versions, found["guideline"], GUIDELINES_MAX, "guidelines")
        return rows

    def save(self) -> None:
        for number in sorted(self.changed_pairs):
            part = self.pairs[number * CHUNK : (number + 1) * CHUNK]
            PairChunk.objects.update_or_create(
                project=self.project,
                number=number,
                defaults={"pairs": len(part), "data": part.tobytes()},
            )
        self.store.version = F("version") + 1
        self.store.save()


def _marked_as(known: Rows, rows: Rows) -> Rows:
    """Pairs with the marks that are known of them; read again where a text has another length."""
    marked = rows.copy()
    for name in (f"{side}_{mark}" for side in stored.SIDES for mark in stored.MARKS):
        marked[name] = known[name]
    lengths = [known[f"{side}_length"] != rows[f"{side}_length"] for side in stored.SIDES]
    is_other = np.logical_or(*lengths)
    marked[is_other] = with_marks(marked[is_other])
    return marked


def _parts(size: int) -> Iterable[slice]:
    return (slice(start, start + CHUNK) for start in range(0, size, CHUNK))


def _chunk(
    project: Project, criterion: str, number: int, rows: Rows, ids: npt.NDArray[np.int64]
) -> RowChunk:
    first = int(ids.min())
    rows["judgment"] = ids - first
    return RowChunk(
        project=project,
        criterion=criterion,
        number=number,
        rows=len(rows),
        first_id=first,
        last_id=int(ids.max()),
        fields=stored.as_stored(rows),
    )


def _codes_in(
    known: list[int], ids: npt.NDArray[np.int64], most: int, what: str
) -> npt.NDArray[np.int64]:
    """The place of each id in the list, which grows by those not met before."""
    distinct, places = np.unique(ids, return_inverse=True)
    met = {pk: code for code, pk in enumerate(known)}
    for pk in distinct.tolist():
        if pk not in met:
            met[pk] = len(known)
            known.append(pk)
    if len(known) > most:
        raise TooManyCodes(
            f"A project's agreement takes {most} {what} at most; this has {len(known)}."
        )
    return np.array([met[pk] for pk in distinct.tolist()], dtype=np.int64)[places]
