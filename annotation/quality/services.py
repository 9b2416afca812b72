"""What is made of judgments: the project's agreement report, and the resolution of each comparison."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import numpy as np
from django.db import transaction

from annotation.projects.models import Project
from annotation.quality import selectors
from annotation.quality.columns import PairColumns
from annotation.quality.models import AgreementReport, Resolution
from annotation.quality.report import report_of
from annotation.quality.scope import Scope
from annotation.quality.truth import pair_posteriors

logger = logging.getLogger(__name__)
ROWS_AT_ONCE = 2_000
Pair = tuple[int, int]
Votes = tuple[dict[Pair, list[int]], int, int]


def refresh_agreement(*, project: Project) -> AgreementReport | None:
    """Compute and store the report, and resolve; None where nothing changed since the last one."""
    newest = selectors.newest_of(project)
    stored = selectors.stored_report(project)
    if stored is not None and (stored.last_judgment_id, stored.judgments_counted) == (
        newest.last_judgment_id,
        newest.judgments,
    ):
        return None
    columns = selectors.columns_for(project, Scope())
    labelers = selectors.labelers_of(columns)
    data = report_of(columns, lengths=selectors.lengths_of(project), labelers=labelers)
    resolve_comparisons(project=project, columns=columns, method=Resolution.Method.DAWID_SKENE)
    report, _ = AgreementReport.objects.update_or_create(
        project=project,
        defaults={
            "last_judgment_id": newest.last_judgment_id,
            "judgments_counted": newest.judgments,
            "data": data,
        },
    )
    logger.info("agreement.refreshed", extra={"project": project.pk, "judgments": newest.judgments})
    return report


def resolve_comparisons(
    *, project: Project, columns: PairColumns, method: Resolution.Method
) -> int:
    """Write the verdict of every judged comparison; what an admin adjudicated stays. The rows written."""
    known = {
        row.comparison_id: row
        for row in Resolution.objects.filter(project=project).iterator(chunk_size=ROWS_AT_ONCE)
    }
    changed = (
        row
        for row in _resolutions(project, columns, method)
        if _is_news(row, known.get(row.comparison_id))
    )
    written = 0
    while batch := list(islice(changed, ROWS_AT_ONCE)):
        _write(batch)
        written += len(batch)
    _forget(known.keys() - set(columns.comparisons.tolist()), project)
    return written


def _forget(comparisons: set[int], project: Project) -> None:
    """Drop the resolutions of comparisons whose last judgment was withdrawn."""
    rows = Resolution.objects.filter(project=project, comparison__in=comparisons)
    rows.exclude(method=Resolution.Method.ADJUDICATED).delete()


@transaction.atomic
def _write(batch: list[Resolution]) -> None:
    Resolution.objects.bulk_create(
        batch,
        update_conflicts=True,
        unique_fields=["comparison"],
        update_fields=["method", "ranking", "is_all_bad", "confidence", "resolved_at"],
    )


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
    project: Project, columns: PairColumns, method: Resolution.Method
) -> Iterator[Resolution]:
    posteriors = pair_posteriors(columns) if method == Resolution.Method.DAWID_SKENE else {}
    votes = _votes_by_comparison(columns)
    for comparison_id, (signs, bad, seen) in votes.items():
        ranking, confidence = _ranked(signs, posteriors)
        is_all_bad = 2 * bad > seen
        yield Resolution(
            project=project,
            comparison_id=comparison_id,
            method=method,
            ranking=[] if is_all_bad else ranking,
            is_all_bad=is_all_bad,
            confidence=round(bad / seen if is_all_bad else confidence, 4),
        )


def _votes_by_comparison(columns: PairColumns) -> dict[int, Votes]:
    """For each comparison: the signs of each of its pairs, how many rows are all bad, how many there are."""
    found: dict[int, Votes] = {}
    listed = (columns.comparisons, columns.first_ids, columns.second_ids)
    rows = (*listed, np.sign(columns.strengths), columns.is_all_bad)
    for comparison, first, second, sign, is_bad in zip(
        *(row.tolist() for row in rows), strict=True
    ):
        signs, bad, seen = found.get(comparison, ({}, 0, 0))
        if not is_bad:
            signs.setdefault((first, second), []).append(sign)
        found[comparison] = (signs, bad + is_bad, seen + 1)
    return found


def _ranked(
    signs: dict[Pair, list[int]], posteriors: dict[Pair, tuple[float, float]]
) -> tuple[list[list[int]], float]:
    """Tiers by pairs won less pairs lost (Copeland), and the mean probability of the pairs' verdicts."""
    score: dict[int, int] = defaultdict(int)
    sure = []
    for (first, second), votes in signs.items():
        lead, probability = _decided(posteriors.get((first, second)), votes)
        score[first] += lead
        score[second] -= lead
        sure.append(probability)
    return _tiers(score), sum(sure) / len(sure) if sure else 0.0


def _decided(posterior: tuple[float, float] | None, votes: list[int]) -> tuple[int, float]:
    """Who leads (1 the first, 0 a tie, -1 the second) and how probable that is."""
    if posterior is not None:
        first, tied = posterior
        shares = {1: first, 0: tied, -1: max(1 - first - tied, 0.0)}
    else:
        shares = {sign: votes.count(sign) / len(votes) for sign in (1, 0, -1)}
    if shares[1] == shares[-1] or shares[0] >= max(shares[1], shares[-1]):
        return 0, shares[0]
    lead = 1 if shares[1] > shares[-1] else -1
    return lead, shares[lead]


def _tiers(score: dict[int, int]) -> list[list[int]]:
    levels: dict[int, list[int]] = defaultdict(list)
    for candidate, points in score.items():
        levels[points].append(candidate)
    return [sorted(levels[points]) for points in sorted(levels, reverse=True)]
