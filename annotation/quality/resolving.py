"""The one verdict that each comparison ends with. What an admin adjudicated stays; votes stay beside it.

People decide. A machine judge counts where a rule of the project says so.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
from django.db import transaction

from annotation.measures.statistic import FloatArray
from annotation.projects.models import Project
from annotation.quality.exclusions import Exclusion, dropped_by
from annotation.quality.judged import JudgedPairs, wide_columns
from annotation.quality.models import ColumnStore, Resolution
from annotation.quality.rules import counted_machines, exclusions_of
from annotation.quality.scoped import counting_judgments
from annotation.quality.stored import SIDES
from annotation.quality.truth import KnownLabelers, item_posteriors

ROWS_AT_ONCE = 2_000
Votes = npt.NDArray[np.int64]


def resolve_changed(
    *, project: Project, store: ColumnStore, known: KnownLabelers | None, everything: bool
) -> int:
    """Resolve the comparisons whose judgments changed, or all under a new model; the rows written."""
    everything = everything or store.is_all_unresolved
    counted = counted_machines(project)
    judged = without_excluded(counting_judgments(project, counted=counted), exclusions_of(project))
    chosen = None if everything else np.array(store.unresolved_ids, dtype=np.int64)
    written = resolve_comparisons(project=project, judged=judged, known=known, chosen=chosen)
    ColumnStore.objects.filter(pk=store.pk, version=store.version).update(
        unresolved_ids=[], is_all_unresolved=False
    )
    return written


def without_excluded(judged: JudgedPairs, exclusions: Sequence[Exclusion]) -> JudgedPairs:
    """The judgments that no rule leaves out."""
    if not exclusions:
        return judged
    return judged.where(~dropped_by(wide_columns(judged), exclusions))


def resolve_comparisons(
    *,
    project: Project,
    judged: JudgedPairs,
    known: KnownLabelers | None,
    chosen: npt.NDArray[np.int64] | None = None,
) -> int:
    """Write the verdict of every judged comparison, or of the chosen ones. The rows written."""
    if chosen is not None:
        judged = judged.where(np.isin(judged.pairs["comparison"], chosen)[judged.pair_codes])
    written, gone = 0, _before(project, chosen)
    rows = _resolutions(project, judged, known)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        gone -= {row.comparison_id for row in batch}
        written += _write(project, batch)
    stale = Resolution.objects.filter(project=project, comparison__in=gone)
    stale.exclude(method=Resolution.Method.ADJUDICATED).delete()
    return written


def _before(project: Project, chosen: npt.NDArray[np.int64] | None) -> set[int]:
    """The comparisons that have a resolution now."""
    rows = Resolution.objects.filter(project=project)
    if chosen is not None:
        rows = rows.filter(comparison__in=chosen.tolist())
    return set(rows.values_list("comparison_id", flat=True).iterator(chunk_size=20_000))


@transaction.atomic
def _write(project: Project, batch: list[Resolution]) -> int:
    ids = [row.comparison_id for row in batch]
    rows = Resolution.objects.filter(project=project, comparison__in=ids)
    known = {row.comparison_id: row for row in rows}
    news = [row for row in batch if _is_news(row, known.get(row.comparison_id))]
    Resolution.objects.bulk_create(
        news,
        update_conflicts=True,
        unique_fields=["comparison"],
        update_fields=["method", "ranking", "is_all_bad", "confidence", "resolved_at"],
    )
    return len(news)


def _is_news(row: Resolution, known: Resolution | None) -> bool:
    if known is None:
        return True
    if known.method == Resolution.Method.ADJUDICATED:
        return False
    return (row.method, row.ranking, row.is_all_bad, row.confidence) != (
        known.method,
        known.ranking,
        known.is_all_bad,
        known.confidence,
    )


def _resolutions(
    project: Project, judged: JudgedPairs, known: KnownLabelers | None
) -> Iterator[Resolution]:
    """By comparison: all bad where most say so, else the tiers of its pairs."""
    method = Resolution.Method.MAJORITY if known is None else Resolution.Method.DAWID_SKENE
    votes = _votes(judged)
    shares = _vote_shares(votes) if known is None else item_posteriors(judged, known)
    comparisons, first, second = (
        judged.pairs[name][judged.item_pairs] for name in ("comparison", *SIDES)
    )
    order = np.argsort(comparisons, kind="stable")
    _, starts = np.unique(comparisons[order], return_index=True)
    for places in np.split(order, starts[1:]) if len(order) else ():
        bad, seen = int(votes[places, 3].sum()), int(votes[places].sum())
        is_all_bad = 2 * bad > seen
        sides = list(zip(first[places].tolist(), second[places].tolist(), strict=True))
        ranking, confidence = _ranked(sides, shares[places], votes[places])
        yield Resolution(
            project=project,
            comparison_id=int(comparisons[places[0]]),
            method=method,
            ranking=[] if is_all_bad else ranking,
            is_all_bad=is_all_bad,
            confidence=round(bad / seen if is_all_bad else confidence, 4),
        )


def _votes(judged: JudgedPairs) -> Votes:
    """Items x (first, tie, second, all bad)."""
    cells = judged.items.astype(np.int64) * 4 + judged.verdicts
    return np.bincount(cells, minlength=judged.item_count * 4).reshape(-1, 4)


def _vote_shares(votes: Votes) -> FloatArray:
    decided = votes[:, :3]
    return np.asarray(decided / np.maximum(decided.sum(axis=1, keepdims=True), 1))


def _ranked(
    pairs: Sequence[tuple[int, int]], shares: FloatArray, votes: Votes
) -> tuple[list[list[int]], float]:
    """Tiers by pairs won less pairs lost (Copeland), and the mean probability of the pairs' verdicts."""
    score: dict[int, int] = defaultdict(int)
    sure = []
    for (one, other), (first, tied, second), seen in zip(
        pairs, shares.tolist(), votes, strict=True
    ):
        if not seen[:3].any():
            continue
        lead = 0 if first == second or tied >= max(first, second) else 1 if first > second else -1
        sure.append({1: first, 0: tied, -1: second}[lead])
        score[one] += lead
        score[other] -= lead
    return _tiers(score), sum(sure) / len(sure) if sure else 0.0


def _tiers(score: dict[int, int]) -> list[list[int]]:
    levels: dict[int, list[int]] = defaultdict(list)
    for candidate, points in score.items():
        levels[points].append(candidate)
    return [sorted(levels[points]) for points in sorted(levels, reverse=True)]
