"""A linear probe: the direction in which the better of two hidden states lies.

Shapes: B pairs, D hidden size.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # of the squared weights, for a mean loss
FOLDS = 5
STEPS_MAX = 100


def fit_direction(
    difference_BD: Tensor, label_B: Tensor, *, weight_B: Tensor, cluster_B: Tensor
) -> Tensor:
    """Weights [D] of a logistic regression of labels in [0, 1] on differences of hidden states.

    The ridge penalty is the one of ``PENALTIES`` that predicts left-out folds best; pairs of one
    cluster (int64, 0 to C - 1) share a fold, and with fewer clusters than folds the strongest
    penalty is taken. Columns are scaled to a weighted mean square of 1 first and back afterwards. Computed
    in float64. Fitting a head before its backbone keeps the features from being spoiled by a
    random one (Kumar et al. 2022, arXiv 2202.10054).
    """
    wide_BD, y_B, weight_B = (one.double() for one in (difference_BD, label_B, weight_B))
    scale_D = (weight_B @ wide_BD.square() / weight_B.sum()).sqrt().clamp_min(1e-8)
    x_BD = wide_BD / scale_D
    fold_B = cluster_B % FOLDS
    penalty = PENALTIES[0]
    if int(cluster_B.max()) + 1 >= FOLDS:
        losses = [_left_out_loss(x_BD, y_B, weight_B, fold_B, one) for one in PENALTIES]
        penalty = PENALTIES[losses.index(min(losses))]
    return _ridge(x_BD, y_B, weight_B, penalty) / scale_D


def _left_out_loss(
    x_BD: Tensor, y_B: Tensor, weight_B: Tensor, fold_B: Tensor, penalty: float
) -> float:
    """The weighted loss of every fold by the weights fitted on the others, summed."""
    total = 0.0
    for fold in range(FOLDS):
        out_B = fold_B == fold
        if out_B.all() or not out_B.any():
            continue
        fitted_D = _ridge(x_BD[~out_B], y_B[~out_B], weight_B[~out_B], penalty)
        total += _loss(x_BD[out_B] @ fitted_D, y_B[out_B], weight_B[out_B]).item()
    return total


def _ridge(x_BD: Tensor, y_B: Tensor, weight_B: Tensor, penalty: float) -> Tensor:
    """The one minimum of the weighted mean loss plus the penalty, by L-BFGS."""
    beta_D = torch.zeros_like(x_BD[0]).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [beta_D],
        max_iter=STEPS_MAX,
        tolerance_grad=1e-8,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _loss(x_BD @ beta_D, y_B, weight_B) / weight_B.sum()
        loss = loss + penalty * beta_D.square().sum()
        loss.backward()  # type: ignore[no-untyped-call] # torch's own
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call] # torch's own
    return beta_D.detach()


def _loss(logit_B: Tensor, y_B: Tensor, weight_B: Tensor) -> Tensor:
    losses_B = F.binary_cross_entropy_with_logits(logit_B, y_B, reduction="none")
    return (weight_B * losses_B).sum()
