"""Agreement between labelers: every coefficient with its interval, over one table of ratings.

The interval is the labeler jackknife where three labelers or more are present: labelers differ,
and an interval over items alone covers 37 to 75 % where it promises 95. With two labelers it is
the item bootstrap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.special import stdtrit

from annotation.measures import pairs
from annotation.measures.coefficients import (
    BRENNAN_PREDIGER,
    FLEISS,
    GWET,
    NOTHING,
    UNCORRECTED,
    ChanceModel,
    Level,
    alpha,
    alpha_se,
    corrected,
    corrected_se,
    identity_weights,
    linear_weights,
    quadratic_weights,
)
from annotation.measures.labelers import LabelerSummary, labeler_summaries
from annotation.measures.leave_one_out import alpha_se_without_each_labeler
from annotation.measures.live import Tally
from annotation.measures.moments import (
    Moments,
    bootstrap_moments,
    moments_of,
    moments_without_each_labeler,
)
from annotation.measures.statistic import (
    FloatArray,
    IntArray,
    Interval,
    Statistic,
    missing,
    normal_interval,
)
from annotation.measures.table import (
    LabelerCells,
    PatternIndex,
    Patterns,
    RatingTable,
    Scale,
    labeler_cells,
)

Coefficient = Callable[[Moments], FloatArray]

BOOTSTRAPS = 1000
NO_VARIATION = (
    "There is no variation: every label is the same, so chance alone would give full agreement."
)
NO_PAIR = "There is nothing to compare: no item has two ratings."


def jackknife_se(without: FloatArray) -> float:
    """sqrt((L - 1) / L sum (a_-l - mean)^2) over leave-one-out values (Efron and Stein 1981)."""
    kept = len(without)
    return float(np.sqrt((kept - 1) / kept * ((without - without.mean()) ** 2).sum()))


def jackknife_interval(value: float, without: FloatArray, *, confidence: float = 0.95) -> Interval:
    """Student's interval with one degree of freedom fewer than labelers."""
    half = float(stdtrit(len(without) - 1, 0.5 + confidence / 2)) * jackknife_se(without)
    return Interval(value - half, value + half)


def percentile_interval(replicates: FloatArray, *, confidence: float = 0.95) -> Interval | None:
    """The middle of the replicates that have a value; None if fewer than half have one."""
    valued = replicates[~np.isnan(replicates)]
    if 2 * len(valued) < len(replicates):
        return None
    low, high = np.quantile(valued, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))


class Coefficients:
    """The coefficients of a histogram of patterns; what several of them need is computed once."""

    def __init__(
        self,
        patterns: Patterns,
        *,
        scale: Scale,
        labeler_count: int,
        seed: int = 0,
        bootstraps: int = BOOTSTRAPS,
    ) -> None:
        self.patterns = patterns
        self.scale = scale
        self.labeler_count = labeler_count
        self.seed = seed
        self.bootstraps = bootstraps
        self.identity = identity_weights(len(scale))

    @cached_property
    def cells(self) -> LabelerCells:
        """Who said what on items of which pattern."""
        raise NotImplementedError

    @cached_property
    def items_shared(self) -> int:
        """Items with two labels or more."""
        return int(self.patterns.items[self.patterns.sizes > 1].sum())

    @cached_property
    def moments(self) -> Moments:
        return moments_of(self.patterns, self.identity)

    @cached_property
    def resampled(self) -> Moments:
        return bootstrap_moments(
            self.patterns, self.identity, replicates=self.bootstraps, seed=self.seed
        )

    @cached_property
    def without_each_labeler(self) -> Moments:
        return moments_without_each_labeler(
            self.patterns, self.cells, self.identity, labeler_count=self.labeler_count
        )

    @cached_property
    def labelers_present(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self._who(self.cells.labelers)

    @cached_property
    def labelers_sharing(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Who labeled an item that another labeled too: the units of the jackknife."""
        is_shared = self.patterns.sizes > 1
        labelers = self.cells.labelers
        return self._who(labelers if is_shared.all() else labelers[is_shared[self.cells.patterns]])

    def _who(self, labelers: IntArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        found = np.zeros(self.labeler_count, dtype=bool)
        found[labelers] = True
        return found

    def percent(self) -> Statistic:
        """The share of agreeing pairs of labels on an item, averaged over items."""
        share = self._chance_corrected(UNCORRECTED)
        return self._statistic(share, lowest=0.0)

    def without_label(self, label: int) -> "Coefficients":
        """The same judgments less those that say ``label``: agreement without ties."""
        return _WithoutLabel(self, label)

    def percent_without(self, label: int) -> Statistic:
        """Percent agreement among the labels that are not ``label``."""
        return self.without_label(label).percent()

    def fleiss(self) -> Statistic:
        """Fleiss' kappa, with label shares averaged over items (Gwet's form for uneven items)."""
        return self._statistic(self._chance_corrected(FLEISS))

    def brennan_prediger(self) -> Statistic:
        """Brennan and Prediger's kappa; PABAK with two labels."""
        return self._statistic(self._chance_corrected(BRENNAN_PREDIGER))

    def gwet(self, weights: FloatArray | None = None) -> Statistic:
        """Gwet's AC1; AC2 where agreement weights are given."""
        if len(self.scale) < 2:
            return missing("The scale has one label only: declare the labels not given too.")
        if weights is None:
            return self._statistic(self._chance_corrected(GWET))
        weighted = moments_of(self.patterns, weights)
        pairable = int(weighted.pairable)
        value = float(corrected(weighted, weights, GWET, self.scale))
        if np.isnan(value):
            return missing(NO_PAIR if pairable == 0 else NO_VARIATION, n=pairable)
        se = corrected_se(self.patterns, weights, GWET, self.scale)
        if np.isnan(se):
            reason = "The items vary too little to estimate an interval."
            return Statistic(value=value, interval=None, n=pairable, reason=reason)
        interval = normal_interval(value, se=se).clipped(-1.0, 1.0)
        return Statistic(value=value, interval=interval, n=pairable)

    def alpha(self, level: Level) -> Statistic:
        """Krippendorff's alpha under the metric of ``level``."""
        if level in (Level.INTERVAL, Level.RATIO) and self.scale.numbers() is None:
            names = ", ".join(self.scale.names[:5])
            return missing(f"The level {level} needs numbers as labels; these are {names}.")
        return self._statistic(partial(alpha, level=level, scale=self.scale))

    def alpha_without_each_labeler(self, level: Level) -> FloatArray:
        """One value a labeler, ``nan`` where the rest shows no variation or shares no item."""
        return alpha(self.without_each_labeler, level, self.scale)

    def alpha_of_the_others(self, level: Level) -> list[Statistic]:
        """The same for each labeler with its interval over items, and the items that the others share."""
        values = self.alpha_without_each_labeler(level)
        errors = alpha_se_without_each_labeler(
            self.patterns,
            self.cells,
            labeler_count=self.labeler_count,
            level=level,
            scale=self.scale,
        )
        shared = self.without_each_labeler.pairable.tolist()
        return [
            _with_error(float(value), se=float(se), n=round(n))
            for value, se, n in zip(values, errors, shared, strict=True)
        ]

    def alpha_over_items(self, level: Level) -> Interval | None:
        """Alpha's interval by linearisation over items: other items, the same labelers."""
        value = float(alpha(self.moments, level, self.scale))
        se = alpha_se(self.patterns, level, self.scale)
        if np.isnan(value) or np.isnan(se):
            return None
        return normal_interval(value, se=se).clipped(-1.0, 1.0)

    def _chance_corrected(self, model: ChanceModel) -> Coefficient:
        return partial(corrected, weights=self.identity, model=model, scale=self.scale)

    def _statistic(self, coefficient: Coefficient, *, lowest: float = -1.0) -> Statistic:
        pairable = int(self.moments.pairable)
        if pairable == 0:
            return missing(NO_PAIR)
        value = float(coefficient(self.moments))
        if np.isnan(value):
            return missing(NO_VARIATION, n=pairable)
        interval = self._interval(coefficient, value)
        if interval is None or interval.high - interval.low <= NOTHING:
            reason = "Neither labelers nor items vary enough to estimate an interval."
            return Statistic(value=value, interval=None, n=pairable, reason=reason)
        interval = interval.clipped(lowest, 1.0)
        return Statistic(value=value, interval=interval, n=pairable)

    def _interval(self, coefficient: Coefficient, value: float) -> Interval | None:
        if self.labelers_sharing.sum() >= 3:
            without = coefficient(self.without_each_labeler)[self.labelers_sharing]
            if not np.isnan(without).any():
                return jackknife_interval(value, without)
        return percentile_interval(coefficient(self.resampled))


class Agreement(Coefficients):
    """The coefficients of one table of ratings."""

    def __init__(self, table: RatingTable, *, seed: int = 0, bootstraps: int = BOOTSTRAPS) -> None:
        self.table = table
        self.index = PatternIndex(table)
        super().__init__(
            self.index.patterns,
            scale=table.scale,
            labeler_count=table.labeler_count,
            seed=seed,
            bootstraps=bootstraps,
        )

    @cached_property
    def cells(self) -> LabelerCells:
        return labeler_cells(self.table, self.index)

    def cohen(self, level: Level = Level.NOMINAL) -> Statistic:
        """Cohen's kappa of two labelers; weights linear for ordinal, quadratic for interval."""
        present = np.flatnonzero(self.labelers_present)
        if len(present) != 2:
            return missing(
                f"Cohen's kappa compares exactly two labelers; this table has {len(present)}."
            )
        _, _, tables = pairs.cross_tables(self.table)
        if len(tables) == 0:
            return missing("The two labelers share no item, so they cannot be compared.")
        return pairs.cohen(tables[0], self._cohen_weights(level))

    def labelers(self) -> tuple[LabelerSummary, ...]:
        """Each labeler beside the others and against the estimated truth."""
        return labeler_summaries(self.table, patterns=self.patterns, cells=self.cells)

    def _cohen_weights(self, level: Level) -> FloatArray:
        places = np.arange(len(self.table.scale), dtype=np.float64)
        if level is Level.NOMINAL:
            return self.identity
        if level is Level.ORDINAL:
            return linear_weights(places)
        numbers = self.table.scale.numbers()
        return quadratic_weights(places if numbers is None else numbers)


class TalliedAgreement(Coefficients):
    """The coefficients of a histogram that was counted elsewhere."""

    def __init__(
        self, tally: Tally, *, scale: Scale, seed: int = 0, bootstraps: int = BOOTSTRAPS
    ) -> None:
        self._tally = tally
        super().__init__(
            tally.as_patterns(),
            scale=scale,
            labeler_count=int(tally.labelers.max(initial=-1)) + 1,
            seed=seed,
            bootstraps=bootstraps,
        )

    @cached_property
    def cells(self) -> LabelerCells:
        return self._tally.as_cells()


class _WithoutLabel(Coefficients):
    """The histogram of another, one label left out of it."""

    def __init__(self, whole: Coefficients, label: int) -> None:
        self._whole, self._label = whole, label
        super().__init__(
            whole.patterns.without_label(label),
            scale=whole.scale,
            labeler_count=whole.labeler_count,
            seed=whole.seed,
            bootstraps=whole.bootstraps,
        )

    @cached_property
    def cells(self) -> LabelerCells:
        cells = self._whole.cells
        kept = cells.labels != self._label
        return LabelerCells(
            labelers=cells.labelers[kept],
            patterns=cells.patterns[kept],
            labels=cells.labels[kept],
            counts=cells.counts[kept],
        )


def _with_error(value: float, *, se: float, n: int) -> Statistic:
    if np.isnan(value):
        return missing(NO_VARIATION if n else NO_PAIR, n=n)
    if np.isnan(se) or se == 0:
        reason = "The items vary too little to estimate an interval."
        return Statistic(value=value, interval=None, n=n, reason=reason)
    return Statistic(value=value, interval=normal_interval(value, se=se).clipped(-1.0, 1.0), n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSummary:
    """What a page or a report shows of one table."""

    level: Level
    percent_agreement: Statistic
    krippendorff_alpha: Statistic
    fleiss_kappa: Statistic
    gwet_ac1: Statistic
    cohen_kappa: Statistic
    cohen_kappa_weighted: Statistic
    labelers: tuple[LabelerSummary, ...]


def summary(
    table: RatingTable, *, level: Level = Level.NOMINAL, seed: int = 0, bootstraps: int = BOOTSTRAPS
) -> AgreementSummary:
    """All at once. Alpha and weighted Cohen heed ``level``; the other kappas compare names."""
    agreement = Agreement(table, seed=seed, bootstraps=bootstraps)
    return AgreementSummary(
        level=level,
        percent_agreement=agreement.percent(),
        krippendorff_alpha=agreement.alpha(level),
        fleiss_kappa=agreement.fleiss(),
        gwet_ac1=agreement.gwet(),
        cohen_kappa=agreement.cohen(),
        cohen_kappa_weighted=agreement.cohen(level),
        labelers=agreement.labelers(),
    )
