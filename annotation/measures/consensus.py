"""What the labels say together: majority, and Dawid-Skene with a confusion matrix a labeler.

Posteriors serve labeler quality, adjudication and filters. They never replace votes in a training
set: a majority label costs reward accuracy that votes and soft labels keep.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from annotation.measures.statistic import FloatArray, IntArray
from annotation.measures.table import RatingTable

SHRINKAGE = 4.0  # labels of the pooled labeler that each confusion row is given beforehand
POOLING_ROUNDS = 3  # then the pooled matrix is held: further rounds are EM with a fixed prior
UNDECIDED = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Majority:
    """The most frequent label of each item; ties are ties, never the first of them."""

    winners: IntArray  # items; UNDECIDED where labels tie for first or there is none
    shares: FloatArray  # items x labels: the soft label; zeros without a label
    tied: npt.NDArray[np.bool_]


def vote_counts(table: RatingTable) -> FloatArray:
    """Items x labels."""
    width = len(table.scale)
    cells = table.items.astype(np.int64) * width + table.labels
    counts = np.bincount(cells, minlength=table.item_count * width)
    return counts.reshape(-1, width).astype(np.float64)


def majority(table: RatingTable) -> Majority:
    """Plurality of votes on each item."""
    counts = vote_counts(table)
    most = counts.max(axis=1, keepdims=True, initial=0)
    leaders = (counts == most).sum(axis=1)
    voted = counts.sum(axis=1)
    winners = np.where((leaders == 1) & (voted > 0), counts.argmax(axis=1), UNDECIDED)
    shares = counts / np.maximum(voted, 1)[:, None]
    return Majority(winners=winners, shares=shares, tied=(leaders > 1) & (voted > 0))


class LabelerModel(StrEnum):
    """What a labeler's errors may look like."""

    CONFUSION = "confusion"  # Dawid and Skene: any row of errors for each true label
    HIERARCHICAL = "hierarchical"  # the same, shrunk to the confusion of all labelers together
    ONE_COIN = "one_coin"  # right with one probability, else any other label alike; classes alike


ROUNDS_MAX = 200
JUDGMENTS_A_ROUND = 50


def usual_rounds(table: RatingTable, model: LabelerModel) -> int:
    """Rounds of EM: until it stands still, but for the hierarchical model one per 50 judgments.

    Stopping early is shrinkage too. Run until it stood still, the hierarchical model lost up to 11
    points to majority in 78 simulated cells, where labelers are near chance or gave few judgments;
    so stopped, it loses at most one, gains two on average, and keeps what long series allow.
    """
    if model is not LabelerModel.HIERARCHICAL:
        return ROUNDS_MAX
    people = max(int((np.bincount(table.labelers) > 0).sum()), 1)
    share = len(table.labelers) // people // JUDGMENTS_A_ROUND
    return min(max(share, POOLING_ROUNDS), ROUNDS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Consensus:
    """Estimated truth and labelers."""

    posteriors: FloatArray  # items x labels; the class shares for an item without a label
    class_shares: FloatArray  # labels
    confusions: FloatArray  # labelers x true x said
    objectives: tuple[float, ...]  # log-likelihood plus log prior, after each round under it
    log_likelihood: float
    converged: bool

    @property
    def winners(self) -> IntArray:
        """The most probable label of each item."""
        return np.asarray(self.posteriors.argmax(axis=1))

    @property
    def labeler_accuracies(self) -> FloatArray:
        """Chance that a labeler says the true label: sum_k p_k pi_kk."""
        return np.asarray(np.einsum("k,gkk->g", self.class_shares, self.confusions))


def dawid_skene(
    table: RatingTable,
    *,
    model: LabelerModel = LabelerModel.HIERARCHICAL,
    rounds: int | None = None,
    tolerance: float = 1e-9,
) -> Consensus:
    """Maximum likelihood by EM (Dawid and Skene 1979, Applied Statistics 28).

    1. Start from the vote shares (their eq. 3.1).
    2. M: class shares (2.4) and each labeler's confusion matrix (2.3), shrunk if hierarchical.
    3. E: posteriors of every item (2.5). Repeat 2 and 3 until the objective stands still, or for
       ``rounds`` (see `usual_rounds`).

    Departures: a labeler's several labels on one item count as independent observations, as in
    their data; the hierarchical matrix is (N_g + kappa P) / (N_g. + kappa) with P pooled.
    """
    estimation = _Estimation(table, model)
    objectives: list[float] = []
    converged = False
    limit = usual_rounds(table, model) if rounds is None else rounds
    first = POOLING_ROUNDS - 1 if estimation.pools else 0  # of the rounds that share one objective
    while len(objectives) < limit and not converged:
        objectives.append(estimation.round(len(objectives)))
        settled = len(objectives) > first + 1
        converged = settled and abs(objectives[-1] - objectives[-2]) <= tolerance * (
            1 + abs(objectives[-1])
        )
    return Consensus(
        posteriors=estimation.posteriors,
        class_shares=estimation.class_shares,
        confusions=estimation.confusions,
        objectives=tuple(objectives[first:]),
        log_likelihood=estimation.log_likelihood,
        converged=converged,
    )


class _Estimation:
    """The running state of EM; the judgments are one sparse matrix items x (labeler, label)."""

    def __init__(self, table: RatingTable, model: LabelerModel) -> None:
        self.model = model
        self.pools = model is LabelerModel.HIERARCHICAL
        self.width, self.people = len(table.scale), table.labeler_count
        said = table.labelers.astype(np.int64) * self.width + table.labels
        shape = (table.item_count, self.people * self.width)
        self.judgments = csr_matrix((np.ones(said.size), (table.items, said)), shape=shape)
        votes = vote_counts(table)
        self.labeled = votes.sum(axis=1) > 0
        self.posteriors = np.where(
            self.labeled[:, None], votes / np.maximum(votes.sum(axis=1), 1)[:, None], 0.0
        )
        self.class_shares = np.full(self.width, 1 / self.width)
        self.confusions = np.zeros((self.people, self.width, self.width))
        self.pooled = np.eye(self.width)
        self.log_likelihood = 0.0

    def round(self, number: int) -> float:
        """One M and one E step; the objective at the new parameters."""
        counts = (self.judgments.T @ self.posteriors).reshape(self.people, self.width, self.width)
        said = counts.transpose(0, 2, 1)  # labelers x true x said
        total = max(self.labeled.sum(), 1)
        if self.model is not LabelerModel.ONE_COIN:
            self.class_shares = self.posteriors[self.labeled].sum(axis=0) / total
        if self.pools and number < POOLING_ROUNDS:
            self.pooled = _rows(said.sum(axis=0) + 0.5 / self.width)
        self.confusions = self._maximize(said)
        self._expect()
        return self.log_likelihood + self._log_prior()

    def _maximize(self, said: FloatArray) -> FloatArray:
        if self.model is LabelerModel.ONE_COIN:
            return _one_coin(said)
        if self.pools:
            return _rows(said + SHRINKAGE * self.pooled)
        return _rows(said)

    def _expect(self) -> None:
        floor = np.finfo(float).tiny
        log_confusions = np.log(np.maximum(self.confusions, floor)).transpose(0, 2, 1)
        scores = self.judgments @ log_confusions.reshape(-1, self.width)
        scores += np.log(np.maximum(self.class_shares, floor))
        top = scores.max(axis=1, keepdims=True, initial=-np.inf)
        scores -= top
        np.exp(scores, out=scores)
        norm = scores.sum(axis=1, keepdims=True)
        self.posteriors = scores / norm
        self.log_likelihood = float((np.log(norm) + top)[self.labeled].sum())

    def _log_prior(self) -> float:
        if self.pools:
            return float(SHRINKAGE * (self.pooled * np.log(self.confusions)).sum())
        if self.model is LabelerModel.ONE_COIN:
            accuracy = self.confusions[:, 0, 0]
            return float((np.log(accuracy) + np.log1p(-accuracy)).sum())
        return 0.0


def position_aware(
    table: RatingTable, shown_first: npt.ArrayLike, *, rounds: int | None = None
) -> Consensus:
    """Hierarchical Dawid-Skene in which each labeler has one confusion matrix a shown order.

    A labeler who leans to the left errs otherwise where the first response stood left than where it
    stood right; told apart, the leaning cancels out of the posteriors. Confusions come two a
    labeler: 2 g where the first stood second, 2 g + 1 where it was shown first.
    """
    side = np.asarray(shown_first, dtype=np.int64)
    split = RatingTable.from_columns(
        table.items, table.labelers.astype(np.int64) * 2 + side, table.labels, table.scale
    )
    return dawid_skene(
        split, rounds=usual_rounds(table, LabelerModel.HIERARCHICAL) if rounds is None else rounds
    )


def posteriors_given(
    table: RatingTable, class_shares: FloatArray, confusions: FloatArray
) -> FloatArray:
    """Items x labels: the expectation step under known labelers (Dawid and Skene 1979, eq. 2.5)."""
    floor = np.finfo(float).tiny
    logs = np.log(np.maximum(confusions, floor))
    logs -= logs[:, -1:]  # odds against the last label, which has the score 0
    priors = np.log(np.maximum(class_shares, floor))
    said = table.labelers.astype(np.intp) * len(table.scale) + table.labels
    scores = np.zeros((len(table.scale), table.item_count))
    for true, prior in enumerate(priors[:-1] - priors[-1]):
        weights = logs[:, true].ravel()[said]
        scores[true] = np.bincount(table.items, weights=weights, minlength=table.item_count)
        scores[true] += prior
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return scores.T


def shrunken_confusions(table: RatingTable, posteriors: FloatArray) -> FloatArray:
    """Labelers x true x said: the maximization step (eq. 2.3), shrunk to the pooled labeler."""
    width, people = len(table.scale), table.labeler_count
    said = table.labelers.astype(np.intp) * width + table.labels
    counts = np.stack(
        [
            np.bincount(
                said, weights=posteriors[:, true][table.items], minlength=people * width
            ).reshape(people, width)
            for true in range(width)
        ],
        axis=1,
    )
    pooled = _rows(counts.sum(axis=0) + 0.5 / width)
    return _rows(counts + SHRINKAGE * pooled)


def _rows(counts: FloatArray) -> FloatArray:
    """Each row to probabilities; a row never seen says every label alike."""
    sums = counts.sum(axis=-1, keepdims=True)
    alike = np.full_like(counts, 1 / counts.shape[-1])
    return np.asarray(np.divide(counts, sums, out=alike, where=sums > 0))


def _one_coin(said: FloatArray) -> FloatArray:
    """Accuracy with one right and one wrong label given beforehand, the rest shared evenly."""
    width = said.shape[-1]
    right = np.einsum("gkk->g", said) + 1
    accuracy = right / (said.sum(axis=(1, 2)) + 2)
    wrong = (1 - accuracy) / max(width - 1, 1)
    unit = np.eye(width)
    return np.asarray(accuracy[:, None, None] * unit + wrong[:, None, None] * (1 - unit))
