"""Sums over items that every agreement coefficient is a function of, for many replicates at once.

A replicate is the data itself, a bootstrap sample, or the data without one labeler. Leading axes
run over replicates, K is the number of labels.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from annotation.measures.statistic import FloatArray, IntArray
from annotation.measures.table import LabelerCells, Patterns

BLOCK_CELLS = 4_000_000  # features held at once: 32 MB


class Moments(NamedTuple):
    """Totals over items; ``pairable`` items have two labels or more."""

    items: FloatArray  # (...,) items with a label
    pairable: FloatArray  # (...,)
    agreement: FloatArray  # (...,) sum over pairable items of their share of agreeing pairs
    shares: FloatArray  # (..., K) sum over items of the share of each label
    coincidences: FloatArray  # (..., K, K) Krippendorff's matrix, pairable items only


def pair_agreement(counts: FloatArray, weights: FloatArray) -> FloatArray:
    """Share of agreeing pairs in each row; 0 where there is no pair.

    sum_k c_k (c*_k - 1) / (m (m - 1)) with c* = c W (Gwet 2014, Handbook, eq. 2.10).
    """
    sizes = counts.sum(axis=1)
    pairs = sizes * (sizes - 1)
    agreeing = (counts * (counts @ weights - 1)).sum(axis=1)
    return np.asarray(np.divide(agreeing, pairs, out=np.zeros_like(pairs), where=sizes > 1))


def label_shares(counts: FloatArray) -> FloatArray:
    """The share of each label in each row; 0 in an empty row."""
    sizes = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0))


def _features(counts: FloatArray, weights: FloatArray) -> FloatArray:
    """What one item of each pattern adds: items, pairable, agreement, shares, coincidences."""
    sizes = counts.sum(axis=1)
    pairable = sizes > 1
    couples = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(counts.shape[1])
    couples[:, diagonal, diagonal] -= counts
    scale = np.divide(1.0, sizes - 1, out=np.zeros_like(sizes), where=pairable)
    couples *= scale[:, None, None]
    scalars = (sizes > 0, pairable, pair_agreement(counts, weights))
    return np.hstack(
        [np.column_stack(scalars), label_shares(counts), couples.reshape(len(counts), -1)]
    )


def _totals(
    how_many: FloatArray | csr_matrix, counts: FloatArray, weights: FloatArray
) -> FloatArray:
    """Features summed with the multiplicities ``how_many`` (replicates x patterns), in blocks."""
    width = counts.shape[1]
    total = np.zeros((how_many.shape[0], 3 + width + width * width))
    step = max(1, BLOCK_CELLS // (width * width))
    for start in range(0, len(counts), step):
        block = slice(start, start + step)
        total += how_many[:, block] @ _features(counts[block], weights)
    return total


def _unpack(totals: FloatArray, width: int) -> Moments:
    return Moments(
        items=totals[..., 0],
        pairable=totals[..., 1],
        agreement=totals[..., 2],
        shares=totals[..., 3 : 3 + width],
        coincidences=totals[..., 3 + width :].reshape(*totals.shape[:-1], width, width),
    )


def moments_of(patterns: Patterns, weights: FloatArray) -> Moments:
    """The data itself: no leading axis."""
    totals = _totals(patterns.items[None, :], patterns.counts, weights)[0]
    return _unpack(totals, patterns.label_count)


def bootstrap_moments(
    patterns: Patterns, weights: FloatArray, *, replicates: int, seed: int
) -> Moments:
    """Items drawn with replacement, exactly: a multinomial draw over their patterns."""
    generator = np.random.default_rng(seed)
    drawn = int(patterns.items.sum())
    chances = patterns.items / patterns.items.sum()
    step = max(1, BLOCK_CELLS // len(chances))
    blocks = [
        _totals(
            generator.multinomial(drawn, chances, size=min(step, replicates - done)).astype(float),
            patterns.counts,
            weights,
        )
        for done in range(0, replicates, step)
    ]
    return _unpack(np.vstack(blocks), patterns.label_count)


def clustered_bootstrap_moments(
    patterns: Patterns,
    of_item: IntArray,
    clusters: IntArray,
    weights: FloatArray,
    *,
    replicates: int,
    seed: int,
) -> Moments:
    """Clusters of items (prompts) drawn with replacement, all items of a drawn cluster with it.

    ``of_item`` is each item's pattern (-1 for none), ``clusters`` its cluster, from 0. Items of one
    prompt are alike, so an interval over items alone is too narrow (Davison and Hinkley 1997, sec. 3.8).
    """
    generator = np.random.default_rng(seed)
    shown, chances = _distinct_clusters(of_item, clusters, len(patterns.items))
    size = int(clusters.max(initial=-1)) + 1
    step = max(1, BLOCK_CELLS // len(chances))
    blocks = []
    for done in range(0, replicates, step):
        drawn = generator.multinomial(size, chances, size=min(step, replicates - done))
        blocks.append(_totals(np.asarray(drawn @ shown), patterns.counts, weights))
    return _unpack(np.vstack(blocks), patterns.label_count)


def _distinct_clusters(
    of_item: IntArray, clusters: IntArray, kinds: int
) -> tuple[csr_matrix, FloatArray]:
    """Distinct clusters x patterns, and the share of the clusters that each stands for.

    Clusters with the same items are drawn together, exactly. Equal ones have equal sums of 63 random
    bits a pattern; that two others have is a chance of 1e-9 for a hundred thousand.
    """
    has_one = of_item >= 0
    size = int(clusters.max(initial=-1)) + 1
    ones = np.ones(int(has_one.sum()))
    shown = csr_matrix((ones, (clusters[has_one], of_item[has_one])), shape=(size, kinds))
    marks = np.random.default_rng(0).integers(0, 2**63, size=kinds, dtype=np.int64)
    sums = shown.astype(np.int64) @ marks
    _, first, times = np.unique(sums, return_index=True, return_counts=True)
    return shown[first], times / size


def moments_without_each_labeler(
    patterns: Patterns, cells: LabelerCells, weights: FloatArray, *, labeler_count: int
) -> Moments:
    """The data without labeler 0, 1, ...: one leading axis, exact.

    Where a labeler said k on items of pattern c, those items move to the pattern c - e_k.
    """
    width = patterns.label_count
    moves, place = moves_of(patterns, cells)
    before = patterns.counts[moves // width]
    after = before.copy()
    after[np.arange(len(moves)), moves % width] -= 1
    everything = _totals(patterns.items[None, :], patterns.counts, weights)
    moved = _histogram(cells.labelers, place, cells.counts, (labeler_count, len(moves)))
    return _unpack(everything + _changes(moved, before, after, weights), width)


def moves_of(patterns: Patterns, cells: LabelerCells) -> tuple[IntArray, IntArray]:
    """Which label leaves which pattern, as pattern * labels + label, in order; the place of each cell among them."""
    codes = cells.patterns * patterns.label_count + cells.labels
    is_met = np.zeros(len(patterns.items) * patterns.label_count, dtype=bool)
    is_met[codes] = True
    return np.flatnonzero(is_met), (np.cumsum(is_met) - 1)[codes]


def _histogram(
    rows: IntArray, columns: IntArray, counts: FloatArray, shape: tuple[int, int]
) -> FloatArray | csr_matrix:
    """A dense table where it fits into a block, for the speed of dense products."""
    if shape[0] * shape[1] > BLOCK_CELLS:
        return csr_matrix((counts, (rows, columns)), shape=shape)
    flat = np.bincount(rows * shape[1] + columns, weights=counts, minlength=shape[0] * shape[1])
    return np.asarray(flat.reshape(shape))


def _changes(
    moved: FloatArray | csr_matrix, before: FloatArray, after: FloatArray, weights: FloatArray
) -> FloatArray:
    """What each replicate's totals change by where items move, in blocks."""
    width = before.shape[1]
    total = np.zeros((moved.shape[0], 3 + width + width * width))
    step = max(1, BLOCK_CELLS // (width * width))
    for start in range(0, len(before), step):
        block = slice(start, start + step)
        gain = _features(after[block], weights) - _features(before[block], weights)
        total += moved[:, block] @ gain
    return total
