"""How sure alpha of the others is, for each labeler who is left out, all at once."""

import numpy as np

from annotation.measures.coefficients import NOTHING, Level, distances
from annotation.measures.moments import BLOCK_CELLS, moves_of
from annotation.measures.statistic import FloatArray
from annotation.measures.table import LabelerCells, Patterns, Scale


def alpha_se_without_each_labeler(
    patterns: Patterns, cells: LabelerCells, *, labeler_count: int, level: Level, scale: Scale
) -> FloatArray:
    """The linearised standard error over items (Gwet 2014, ch. 5) of `alpha_without_each_labeler`.

    One value a labeler, as `coefficients.alpha_se` gives it of the others' patterns; ``nan`` where the
    rest shows no variation. Where a labeler said k on items of pattern c, those move to c - e_k.
    """
    width = patterns.label_count
    moves, of_cell = moves_of(patterns, cells)
    after = patterns.counts[moves // width].copy()
    after[np.arange(len(after)), moves % width] -= 1
    kinds, place = np.unique(np.concatenate([patterns.counts, after]), axis=0, return_inverse=True)
    place = place.ravel()
    before, moved_to = place[: len(patterns.items)], place[len(patterns.items) :][of_cell]
    whole = np.bincount(before, weights=patterns.items, minlength=len(kinds))
    step = max(1, BLOCK_CELLS // max(len(kinds), width * width))
    found = np.full(labeler_count, np.nan)
    for start in range(0, labeler_count, step):
        size = min(step, labeler_count - start)
        own = (cells.labelers >= start) & (cells.labelers < start + size)
        rows = (cells.labelers[own] - start) * len(kinds)
        counts, flat = cells.counts[own], size * len(kinds)
        change = np.bincount(rows + moved_to[own], weights=counts, minlength=flat).astype(
            np.float64
        )
        change -= np.bincount(rows + before[cells.patterns[own]], weights=counts, minlength=flat)
        items: FloatArray = whole + change.reshape(size, len(kinds))
        found[start : start + size] = _standard_errors(kinds, items, level, scale)
    return found


def _standard_errors(
    kinds: FloatArray, items: FloatArray, level: Level, scale: Scale
) -> FloatArray:
    """`coefficients.weighted_alpha_se` with a leading axis: ``items`` are replicates x patterns."""
    used = kinds.sum(axis=1) > 1
    kinds, items = kinds[used], items[:, used]
    sizes, total = kinds.sum(axis=1), items.sum(axis=1)
    metric = distances(scale.unsided(items @ kinds), level, scale)
    widest = np.maximum(metric.max(axis=(1, 2), initial=0.0), np.finfo(float).tiny)
    weights = 1 - metric / widest[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = items @ sizes / total
        shares = scale.unsided(items @ kinds / (total * mean)[:, None])
        toward = np.einsum("gkl,gl->gk", weights, shares)
        expected = (toward * shares).sum(axis=1)[:, None]
        squares = (kinds[:, :, None] * kinds[:, None, :]).reshape(len(kinds), kinds.shape[1] ** 2)
        alike = weights.reshape(len(weights), kinds.shape[1] ** 2) @ squares.T  # c' W c
        agreement = (alike - sizes) / (sizes * (sizes - 1)) * sizes / mean[:, None]
        seen = (items * agreement).sum(axis=1) / total
        value = (seen[:, None] - expected) / (1 - expected)
        small = 1 / (items @ sizes)
        excess = (sizes - mean[:, None]) / mean[:, None]
        observed = agreement - ((1 - small) * seen + small)[:, None] * excess
        chance = toward @ kinds.T / mean[:, None] - expected * excess
        scores = observed - expected - 2 * (1 - value) * (chance - expected)
        influence = scores / (1 - expected) - value
        errors = np.sqrt((items * influence**2).sum(axis=1) / (total * (total - 1)))
    return np.where((1 - expected[:, 0] > NOTHING) & np.isfinite(errors), errors, np.nan)
