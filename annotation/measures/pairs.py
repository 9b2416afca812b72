"""Two labelers side by side: cross tables, Cohen's kappa (weighted too), Conger's kappa."""

from math import isnan

import numpy as np
from scipy.sparse import csr_matrix

from annotation.measures.coefficients import divide
from annotation.measures.moments import pair_agreement
from annotation.measures.statistic import (
    FloatArray,
    IntArray,
    Statistic,
    missing,
    normal_interval,
)
from annotation.measures.table import RatingTable


def cross_tables(table: RatingTable) -> tuple[IntArray, IntArray, FloatArray]:
    """Labelers (first < second) who share items, and their cross tables (pairs x K x K)."""
    width, people = len(table.scale), table.labeler_count
    said = table.labelers.astype(np.int64) * width + table.labels
    shape = (table.item_count, people * width)
    answers = csr_matrix((np.ones(said.size), (table.items, said)), shape=shape)
    shared = (answers.T @ answers).tocoo()
    first, second = shared.row // width, shared.col // width
    once = first < second
    pair, place = np.unique(
        first[once].astype(np.int64) * people + second[once], return_inverse=True
    )
    tables = np.zeros((len(pair), width, width))
    tables[place, shared.row[once] % width, shared.col[once] % width] = shared.data[once]
    if mirror := list(table.scale.mirror):  # each item named both ways
        tables = (tables + tables[:, mirror][:, :, mirror]) / 2
    return pair // people, pair % people, tables


def cohen_values(tables: FloatArray, weights: FloatArray) -> FloatArray:
    """Cohen's kappa of each cross table (1960; weighted 1968); ``nan`` without variation."""
    joint = divide(tables, tables.sum(axis=(-2, -1), keepdims=True))
    rows, columns = joint.sum(axis=-1), joint.sum(axis=-2)
    observed = (joint * weights).sum(axis=(-2, -1))
    expected = ((rows @ weights) * columns).sum(axis=-1)
    return divide(observed - expected, 1 - expected)


def cohen_se(tables: FloatArray, weights: FloatArray) -> FloatArray:
    """Large-sample standard error of each (Fleiss, Cohen and Everitt 1969, Psychological Bulletin 72)."""
    shared = tables.sum(axis=(-2, -1))
    joint = divide(tables, shared[..., None, None])
    rows, columns = joint.sum(axis=-1), joint.sum(axis=-2)
    expected, kappa = ((rows @ weights) * columns).sum(axis=-1), cohen_values(tables, weights)
    means = (columns @ weights.T)[..., :, None] + (rows @ weights)[..., None, :]
    spread = (joint * (weights - means * (1 - kappa)[..., None, None]) ** 2).sum(axis=(-2, -1))
    variance = divide(spread - (kappa - expected * (1 - kappa)) ** 2, (1 - expected) ** 2)
    return np.sqrt(divide(np.maximum(variance, 0.0), shared))


def cohen(table: FloatArray, weights: FloatArray) -> Statistic:
    """Cohen's kappa of one cross table with its 95 % interval."""
    return cohens(table[None], weights)[0]


def cohens(tables: FloatArray, weights: FloatArray) -> list[Statistic]:
    """`cohen` of each cross table, at once."""
    found = zip(
        cohen_values(tables, weights).tolist(),
        cohen_se(tables, weights).tolist(),
        tables.sum(axis=(-2, -1)).astype(np.int64).tolist(),
        strict=True,
    )
    return [_cohen(value, se=se, shared=shared) for value, se, shared in found]


def _cohen(value: float, *, se: float, shared: int) -> Statistic:
    if shared == 0:
        return missing("The two labelers share no item, so they cannot be compared.")
    if isnan(value):
        reason = "There is no variation: chance alone would give full agreement of these labelers."
        return missing(reason, n=shared)
    if se == 0:
        reason = "The shared items show no variation in agreement, so no interval can be given."
        return Statistic(value=value, interval=None, n=shared, reason=reason)
    interval = normal_interval(value, se=se).clipped(-1.0, 1.0)
    return Statistic(value=value, interval=interval, n=shared)


def conger(table: RatingTable, weights: FloatArray) -> tuple[float, float]:
    """Conger's kappa (1980) with its linearised standard error (Gwet 2014, ch. 5).

    Cohen's kappa for any number of labelers: each keeps their own label shares.
    """
    counts = _cross_counts(table.items, table.labels, table.item_count, len(table.scale))
    said = _cross_counts(table.labelers, table.labels, table.labeler_count, len(table.scale))
    own = said / said.sum(axis=1, keepdims=True)
    expected, chance = _conger_chance(table, own, said.sum(axis=1), weights)
    pairable = counts.sum(axis=1) > 1
    observed, coverage = pair_agreement(counts, weights), pairable.mean()
    value = (observed.mean() / coverage - expected) / (1 - expected)
    scores = (observed - expected * pairable) / coverage - 2 * (1 - value) * (chance - expected)
    influence = scores / (1 - expected) - value
    items = len(counts)
    return float(value), float(np.sqrt((influence**2).sum() / (items * (items - 1))))


def _cross_counts(rows: IntArray, columns: IntArray, height: int, width: int) -> FloatArray:
    cells = np.bincount(rows.astype(np.int64) * width + columns, minlength=height * width)
    return cells.reshape(height, width).astype(np.float64)


def _conger_chance(
    table: RatingTable, own: FloatArray, judged: FloatArray, weights: FloatArray
) -> tuple[float, FloatArray]:
    """Agreement by chance, and each item's part in it."""
    people, items, mean = len(own), table.item_count, own.mean(axis=0)
    scatter = (own.T @ own - people * np.outer(mean, mean)) / (people - 1)
    expected = float((weights * (np.outer(mean, mean) - scatter / people)).sum())
    pull = (people * mean - own) @ weights
    level = (pull * own).sum(axis=1)
    moved = pull[table.labelers, table.labels] - level[table.labelers]
    moved *= items / judged[table.labelers]
    part = np.bincount(table.items, weights=moved, minlength=items) + level.sum()
    return expected, part / (people * (people - 1))
