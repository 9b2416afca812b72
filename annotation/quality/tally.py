"""The live tally of a project: its figures follow each judgment without looking at the others again.

The comparisons that a few changes are about are taken out of the histogram as they were and put in as
they are; what that touches (some patterns, the cells of the labelers who judged them) is written with
the columns, in one transaction. Many changes at once are counted anew from the columns instead.
Machine judges are in none of it but in how often they agree with people.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.selectors import OVERALL
from annotation.measures.live import LiveHistogram, Said, Tally, Vector, tally_of
from annotation.measures.table import RatingTable
from annotation.projects.models import Project
from annotation.quality import stored
from annotation.quality.figures import (
    FORMULAS,
    Counts,
    Figures,
    counts_of,
    tallied_figures,
)
from annotation.quality.judged import (
    JudgedPairs,
    VoteCounts,
    agreement_mask,
    count_votes,
    judged_pairs,
)
from annotation.quality.models import AgreementTally, ColumnStore, LabelerTally, RowChunk
from annotation.quality.stored import StoredColumns

Data = dict[str, Any]  # Any: JSON
SAID = tuple(str(code) for code in range(8))  # the strengths, and all bad
# One cell of a labeler: the place of the pattern, what was said, on how many items.
CELL = np.dtype([("pattern", "<u4"), ("count", "<u4"), ("said", "u1")])
_CELLS = (
    "SELECT labeler_id, cells FROM quality_labelertally WHERE project_id = %s ORDER BY labeler_id"
)
ROWS_AT_ONCE = 20_000  # judged pairs that a page may count anew


class Moved(NamedTuple):
    """Some comparisons as they were in the columns and as they are, complete."""

    before: StoredColumns
    after: StoredColumns


def row_of(project: Project) -> AgreementTally | None:
    return AgreementTally.objects.filter(project=project).first()


def is_lost(project: Project) -> bool:
    """Whether there is nothing that a judgment could move."""
    known = AgreementTally.objects.filter(project=project, formulas=FORMULAS)
    return not known.filter(version__isnull=False).exists()


def is_followed(store: ColumnStore) -> bool:
    """Whether there is a tally that knows what the columns know, so that it can be moved."""
    known = AgreementTally.objects.filter(project=store.project, formulas=FORMULAS)
    return known.filter(version=store.version).exists()


def move(*, store: ColumnStore, moved: Moved, version: int) -> None:
    """Bring the tally from the comparisons as they were to what they are."""
    row = AgreementTally.objects.get(project=store.project)
    both = [judged_pairs(one, agreement_mask(one)) for one in moved]
    machines = machines_among({pk for one in moved for pk in stored.labelers_in(one)})
    counts, histogram = Counts(**row.counts), LiveHistogram(len(SAID))
    for columns, judged, times in zip(moved, both, (-1, 1), strict=True):
        people, votes = judged.without(machines), _votes(columns, machines)
        told = counts_of(people, beside=judged, machines=machines, votes=votes)
        counts = counts.plus(told, times=times)
        for said in _items(people):
            histogram.put(said, times)
    row.counts, row.version = asdict(counts), version
    places = _move_patterns(row, histogram)
    row.save(update_fields=["counts", "version", "vectors", "items"])
    _move_cells(store.project, histogram, places)


def _items(judged: JudgedPairs) -> Iterable[Said]:
    """What was said of each item, by whom."""
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    people = judged.labeler_ids[judged.labelers].tolist()
    for item, labeler, said in zip(
        judged.items.tolist(), people, judged.said.tolist(), strict=True
    ):
        found[item].append((labeler, said))
    return found.values()


def _move_patterns(row: AgreementTally, histogram: LiveHistogram) -> dict[Vector, int]:
    """Add to the items of each pattern, new ones at the end; the places of those that were met."""
    vectors, items = _vectors(row), _numbers(row)
    places = {tuple(vector): at for at, vector in enumerate(vectors.tolist())}
    news = [vector for vector in histogram.patterns if vector not in places]
    places |= {vector: len(vectors) + at for at, vector in enumerate(news)}
    added = np.array(news, dtype=np.int32).reshape(-1, len(SAID))
    items = np.concatenate([items, np.zeros(len(news), dtype=np.int64)])
    for vector, times in histogram.patterns.items():
        items[places[vector]] += times
    row.vectors = np.concatenate([vectors, added]).tobytes()
    row.items = items.tobytes()
    return places


def _move_cells(project: Project, histogram: LiveHistogram, places: dict[Vector, int]) -> None:
    moves: defaultdict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for (labeler, vector, said), times in histogram.cells.items():
        if times:
            moves[labeler][places[vector], said] = times
    known = LabelerTally.objects.filter(project=project, labeler_id__in=list(moves))
    cells = {row.labeler_id: row.cells for row in known}
    rows = [
        LabelerTally(
            project=project, labeler_id=labeler, cells=_moved(bytes(cells.get(labeler, b"")), own)
        )
        for labeler, own in moves.items()
    ]
    LabelerTally.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["project", "labeler_id"],
        update_fields=["cells"],
    )


def _moved(cells: bytes, moves: dict[tuple[int, int], int]) -> bytes:
    old = np.frombuffer(cells, dtype=CELL)
    pairs = zip(old["pattern"].tolist(), old["said"].tolist(), strict=True)
    counts = dict(zip(pairs, old["count"].tolist(), strict=True))
    for key, times in moves.items():
        counts[key] = counts.get(key, 0) + times
    rows = [(pattern, n, said) for (pattern, said), n in counts.items() if n]
    return np.array(rows, dtype=CELL).tobytes()


@transaction.atomic
def ensure(project: Project) -> None:
    """Count everything from the columns, where nothing is known yet or too much changed at once."""
    store = ColumnStore.objects.select_for_update().filter(project=project).first()
    if store is not None and not is_followed(store):
        columns = stored.load_columns(project, OVERALL)
        _count(project, columns, version=store.version)


def _votes(columns: StoredColumns, machines: Iterable[int]) -> VoteCounts:
    """Judgments of all but machine judges that are votes."""
    return count_votes(
        columns, ~stored.among(machines, columns.labeler_ids, columns.rows["labeler"])
    )


def _count(project: Project, columns: StoredColumns, *, version: int) -> None:
    judged = judged_pairs(columns, agreement_mask(columns))
    machines = machines_among(stored.labelers_in(columns))
    people = judged.without(machines)
    table = RatingTable.from_columns(people.items, people.labelers, people.said, SAID)
    tally = tally_of(table)
    votes = _votes(columns, machines)
    counts = counts_of(people, beside=judged, machines=machines, votes=votes)
    AgreementTally.objects.update_or_create(
        project=project,
        defaults={
            "version": version,
            "formulas": FORMULAS,
            "counts": asdict(counts),
            "vectors": tally.vectors.astype(np.int32).tobytes(),
            "items": tally.items.astype(np.int64).tobytes(),
        },
    )
    LabelerTally.objects.filter(project=project).delete()
    LabelerTally.objects.bulk_create(_labeler_rows(project, people, tally), batch_size=2_000)


def _labeler_rows(project: Project, judged: JudgedPairs, tally: Tally) -> Iterable[LabelerTally]:
    """The cells of a batch come by labeler."""
    cells = np.zeros(len(tally.labelers), dtype=CELL)
    cells["pattern"], cells["said"], cells["count"] = tally.patterns, tally.labels, tally.counts
    codes, starts = np.unique(tally.labelers, return_index=True)
    for code, own in zip(codes.tolist(), np.split(cells, starts[1:]), strict=False):
        yield LabelerTally(
            project=project, labeler_id=int(judged.labeler_ids[code]), cells=own.tobytes()
        )


def forget(project: Project) -> None:
    """Too much changed: whoever has time counts anew."""
    AgreementTally.objects.filter(project=project).update(version=None)


def is_small(project: Project) -> bool:
    """Whether a page may count the project anew."""
    rows = RowChunk.objects.filter(project=project).aggregate(rows=Sum("rows"))["rows"]
    return (rows or 0) <= ROWS_AT_ONCE


def machines_among(labeler_ids: Iterable[int]) -> list[int]:
    rows = User.objects.filter(pk__in=labeler_ids, kind=User.Kind.MACHINE)
    return list(rows.values_list("pk", flat=True))


def figures_from(row: AgreementTally) -> Figures:
    """The tally as the figures take it, labelers coded in the order of their ids."""
    found = [(pk, cells) for pk, cells in stored.fetched(_CELLS, row.project_id) if cells]
    cells = np.frombuffer(b"".join(one for _, one in found), dtype=CELL)
    sizes = [len(one) // CELL.itemsize for _, one in found]
    tally = Tally(
        vectors=_vectors(row).astype(np.int64),
        items=_numbers(row),
        labelers=np.repeat(np.arange(len(found)), sizes),
        patterns=cells["pattern"].astype(np.int64),
        labels=cells["said"].astype(np.int64),
        counts=cells["count"].astype(np.int64),
    )
    users = User.objects.filter(pk__in=[pk for pk, _ in found])
    kinds = users.order_by().values_list("kind", flat=True).distinct()
    return tallied_figures(Counts(**row.counts), tally, kinds=kinds)


def _vectors(row: AgreementTally) -> npt.NDArray[np.int32]:
    return np.frombuffer(row.vectors, dtype=np.int32).reshape(-1, len(SAID))


def _numbers(row: AgreementTally) -> npt.NDArray[np.int64]:
    return np.frombuffer(row.items, dtype=np.int64)


@transaction.atomic
def fresh(project: Project, compute: Callable[[Figures], Data]) -> AgreementTally | None:
    """The tally with figures of its version, computed by the first who asks; None where it has to be counted.

    ``compute`` turns what was tallied into figures as JSON.
    """
    row = row_of(project)
    if row is None or not _is_known(row) or row.figures_version == row.version:
        return row if row is not None and _is_known(row) else None
    row = AgreementTally.objects.select_for_update().get(pk=row.pk)
    if _is_known(row) and row.figures_version != row.version:
        row.figures, row.figures_version = compute(figures_from(row)), row.version
        row.figures_at = timezone.now()
        row.save(update_fields=["figures", "figures_version", "figures_at"])
    return row if _is_known(row) else None


def _is_known(row: AgreementTally) -> bool:
    return row.version is not None and row.formulas == FORMULAS
