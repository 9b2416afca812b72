"""Judging the labelers: against the others, against the estimated truth, against gold."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from annotation.measures.consensus import dawid_skene
from annotation.measures.statistic import (
    FloatArray,
    IntArray,
    Interval,
    Statistic,
    missing,
    proportion,
)
from annotation.measures.table import LabelerCells, Patterns, RatingTable


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelerSummary:
    """One labeler beside the others."""

    labeler: int
    items: int
    agreement: Statistic  # with the plurality of the others, where it has one
    accuracy: Statistic  # against the truth that Dawid-Skene estimates


def agreement_with_others(
    patterns: Patterns, cells: LabelerCells, *, labeler_count: int
) -> tuple[IntArray, IntArray]:
    """Labels that equal the strict plurality of the OTHER labelers, and labels so scored.

    Where the others tie for first, or there is none, the label is not scored.
    """
    others = patterns.counts[cells.patterns].copy()
    others[np.arange(len(others)), cells.labels] -= 1
    most = others.max(axis=1, initial=0)
    decided = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    right = decided & (others.argmax(axis=1) == cells.labels)
    scored = np.bincount(cells.labelers, weights=cells.counts * decided, minlength=labeler_count)
    hits = np.bincount(cells.labelers, weights=cells.counts * right, minlength=labeler_count)
    return hits.astype(np.int64), scored.astype(np.int64)


def labeler_summaries(
    table: RatingTable, *, patterns: Patterns, cells: LabelerCells
) -> tuple[LabelerSummary, ...]:
    """Every labeler of the table that labeled anything, in the order of their codes.

    The interval of an accuracy takes the estimated truth as given, so it is too narrow where
    labelers are few.
    """
    people = table.labeler_count
    items = np.bincount(table.labelers, minlength=people)
    hits, scored = agreement_with_others(patterns, cells, labeler_count=people)
    alone = "No item of this labeler has other labels with a clear majority."
    accuracies = dawid_skene(table).labeler_accuracies if (patterns.sizes > 1).any() else None
    return tuple(
        LabelerSummary(
            labeler=int(labeler),
            items=int(items[labeler]),
            agreement=proportion(int(hits[labeler]), n=int(scored[labeler]), nothing=alone),
            accuracy=_accuracy(accuracies, int(labeler), n=int(items[labeler])),
        )
        for labeler in np.flatnonzero(items)
    )


def _accuracy(accuracies: FloatArray | None, labeler: int, *, n: int) -> Statistic:
    if accuracies is None:
        return missing("The truth cannot be estimated: no item has two ratings.", n=n)
    return proportion(float(accuracies[labeler]) * n, n=n, nothing="This labeler labeled nothing.")


def gold_accuracy(right: int, *, shown: int, prior: tuple[float, float] = (1.0, 1.0)) -> Statistic:
    """Mean and central 95 % of the Beta posterior of a labeler's accuracy on gold."""
    a, b = prior[0] + right, prior[1] + shown - right
    interval = Interval(float(betaincinv(a, b, 0.025)), float(betaincinv(a, b, 0.975)))
    return Statistic(value=a / (a + b), interval=interval, n=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryExam:
    """Wald's sequential probability ratio test (1945) of a poor labeler (p0) against a good one."""

    p0: float = 0.6
    p1: float = 0.9
    false_pass: float = 0.05
    false_fail: float = 0.05

    @property
    def step_right(self) -> float:
        return log(self.p1 / self.p0)

    @property
    def step_wrong(self) -> float:
        return log((1 - self.p1) / (1 - self.p0))

    @property
    def pass_at(self) -> float:
        return log((1 - self.false_fail) / self.false_pass)

    @property
    def fail_at(self) -> float:
        return log(self.false_fail / (1 - self.false_pass))

    def decide(self, answers: Sequence[bool]) -> bool | None:
        """True passed, False failed, at the first crossing; None while undecided."""
        score = 0.0
        for right in answers:
            score += self.step_right if right else self.step_wrong
            if score >= self.pass_at:
                return True
            if score <= self.fail_at:
                return False
        return None


def adjusted_p_values(p_values: npt.ArrayLike) -> FloatArray:
    """Benjamini and Hochberg (1995): the false discovery rate at which each is rejected."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    stepped = np.minimum.accumulate(np.minimum(p[order] * len(p) / ranks, 1.0))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def circular_triads(beats: npt.ArrayLike) -> int:
    """Triples a > b > c > a in a full tournament: n(n-1)(2n-1)/12 - sum(wins^2)/2.

    Kendall and Babington Smith (1940), Biometrika 31.
    """
    wins = np.asarray(beats).sum(axis=1)
    size = len(wins)
    return round(size * (size - 1) * (2 * size - 1) / 12 - float((wins**2).sum()) / 2)


def consistence(beats: npt.ArrayLike) -> float:
    """Zeta = 1 - d / d_max: 1 without circular triads, 0 with as many as there can be."""
    size = len(np.asarray(beats))
    most = (size**3 - (size if size % 2 else 4 * size)) / 24
    return 1 - circular_triads(beats) / most
