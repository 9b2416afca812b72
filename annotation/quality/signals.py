"""Accept and reject signals of a product: one response at a time, so they rank nothing.

How often responses are accepted, whether people who meet the same response say the same, and whether signals point
where pairwise verdicts point. Signals come from files, now and then, so what all of them come to is kept.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from django.utils import timezone

from annotation.measures.agreement import Agreement
from annotation.measures.bias import ratio, ratio_sums
from annotation.measures.coefficients import Level
from annotation.measures.statistic import Statistic, proportion
from annotation.measures.table import RatingTable, Scale
from annotation.projects.models import Project
from annotation.quality import stored
from annotation.quality.groups import chosen_of
from annotation.quality.models import ColumnStore, SignalReport
from annotation.quality.report import Data, explained, shown_from
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments

SCALE = Scale(("rejected", "accepted"))
NOTHING = "There is no signal yet."
NO_SHARED = "No response has signals of two people."
NO_VERDICT = "People compared no two responses that one was accepted more often of than the other."
Ints = npt.NDArray[np.int64]

_SIGNALS = """
SELECT s.candidate_id, s.labeler_id, s.is_accepted::int, char_length(c.text),
    COALESCE('policy ' || c.policy_id, NULLIF(c.source_name, ''), 'no name')
FROM comparisons_signal s JOIN generation_candidate c ON c.id = s.candidate_id
    JOIN prompts_prompt p ON p.id = s.prompt_id
WHERE s.project_id = %s AND (%s = '' OR p.language = %s) AND (%s = '' OR %s = ANY(p.tags))
    AND (%s::timestamptz IS NULL OR s.created_at >= %s) AND (%s::timestamptz IS NULL OR s.created_at < %s)
    AND (%s OR s.labeler_id = ANY(%s))
ORDER BY s.id"""


def _rows(project: Project, scope: Scope) -> list[tuple[Any, ...]]:  # Any: rows of the database
    begins_at, ends_at = scope.begins_at(timezone.now()), scope.ends_at
    chosen = chosen_of(project, scope)
    asked = (scope.language, scope.tag, begins_at, ends_at)
    filters = [value for value in asked for _ in range(2)]
    return stored.fetched(_SIGNALS, project.pk, *filters, chosen is None, list(chosen or ()))


class Signals:
    """The signals of a project as columns; candidates and sources as codes from 0."""

    def __init__(self, project: Project, scope: Scope) -> None:
        rows = _rows(project, scope)
        numbers = np.array([row[:4] for row in rows], dtype=np.int64).reshape(-1, 4)
        self.candidate_ids, first, codes = np.unique(
            numbers[:, 0], return_index=True, return_inverse=True
        )
        self.candidates: Ints = codes
        self.labeler_ids, self.labelers = np.unique(numbers[:, 1], return_inverse=True)
        self.accepted: Ints = numbers[:, 2]
        self.lengths: Ints = numbers[first, 3]  # of each candidate, in characters
        self.sources, self.source_of = np.unique(
            np.array([row[4] for row in rows], dtype=object).astype(str), return_inverse=True
        )

    def __len__(self) -> int:
        return len(self.accepted)

    @cached_property
    def shares(self) -> npt.NDArray[np.float64]:
        """How often each candidate was accepted."""
        return np.bincount(self.candidates, weights=self.accepted) / np.bincount(self.candidates)

    @cached_property
    def agreement(self) -> Agreement:
        return Agreement(
            RatingTable.from_columns(self.candidates, self.labelers, self.accepted, SCALE)
        )

    def rate(self, kept: npt.NDArray[np.bool_]) -> Statistic:
        return proportion(int(self.accepted[kept].sum()), n=int(kept.sum()), nothing=NOTHING)


def signals_report(project: Project, scope: Scope) -> Data:
    """Figures and the rows of the table of sources; of all signals as they were kept, while nothing came since."""
    if not scope.is_usual:
        return computed_signals(project, scope)
    newest = project.signals.order_by("-pk").values_list("pk", flat=True).first() or 0
    versions = ColumnStore.objects.filter(project=project).values_list("version", flat=True)
    state = {"newest_id": newest, "version": versions.first() or 0}
    kept = SignalReport.objects.filter(project=project, **state).first()
    if kept is not None:
        return dict(kept.data)
    data = computed_signals(project, scope)
    SignalReport.objects.update_or_create(project=project, defaults={**state, "data": data})
    return data


def computed_signals(project: Project, scope: Scope) -> Data:
    """The same from the rows; every figure with interval, n or its reason."""
    signals = Signals(project, scope)
    figures = _figures(signals) | _verdicts(project, scope, signals) if len(signals) else {}
    return {
        "signals": len(signals),
        "responses": len(signals.candidate_ids),
        "people": len(signals.labeler_ids),
        "statistics": {name: one.as_json() for name, one in figures.items()},
        "sources": _sources(signals),
    }


def _figures(signals: Signals) -> dict[str, Statistic]:
    agreement, people = signals.agreement, len(signals.labeler_ids)
    alpha = shown_from(
        agreement.alpha(Level.NOMINAL), items=agreement.items_shared, labelers=people
    )
    is_long = (signals.lengths > np.median(signals.lengths))[signals.candidates]
    return {
        "accepted": signals.rate(np.ones(len(signals), dtype=bool)),
        "accepted_long": signals.rate(is_long),
        "accepted_short": signals.rate(~is_long),
        "same_signal": explained(agreement.percent(), NO_SHARED),
        "alpha_signals": explained(alpha, NO_SHARED),
    }


def _verdicts(project: Project, scope: Scope, signals: Signals) -> dict[str, Statistic]:
    """How often people prefer, of two responses, the one that was accepted more often.

    A verdict counts where it decides, and where the accepted shares differ. The interval is over pairs.
    """
    judged = ScopedJudgments(project, replace(scope, chosen=(), group=0)).votes
    first, second = (judged.of_pairs(side) for side in stored.SIDES)
    gap = _share_of(signals, first) - _share_of(signals, second)
    kept = (judged.strengths != 0) & (np.nan_to_num(gap) != 0)
    same = kept & (np.sign(judged.strengths) == np.sign(gap))
    by_pair = [
        np.bincount(judged.items[mask], minlength=judged.item_count).astype(np.float64)
        for mask in (same, kept)
    ]
    return {"with_verdicts": ratio(ratio_sums(*by_pair), nothing=NO_VERDICT)}


def _share_of(signals: Signals, candidate_ids: Ints) -> npt.NDArray[np.float64]:
    """Of each candidate; NaN for one without signals."""
    known = signals.candidate_ids
    places = np.minimum(np.searchsorted(known, candidate_ids), len(known) - 1)
    return np.where(known[places] == candidate_ids, signals.shares[places], np.nan)


def _sources(signals: Signals) -> list[Data]:
    """Who wrote the responses, the most accepted first."""
    rows = [
        {"source": str(name), **signals.rate(signals.source_of == code).as_json()}
        for code, name in enumerate(signals.sources)
    ]
    return sorted(rows, key=lambda row: (-(row["value"] or 0), row["source"]))


def signals_table(report: Data) -> tuple[list[str], list[list[Any]]]:  # Any: a cell
    """Figures and sources as one table."""
    head = ["figure", "value", "low", "high", "n", "reason"]
    named = [*report["statistics"].items()]
    named += [(f"accepted, {row['source']}", row) for row in report["sources"]]
    rows = [
        [name, one["value"], *(one["interval"] or (None, None)), one["n"], one["reason"]]
        for name, one in named
    ]
    return head, rows
