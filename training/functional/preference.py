"""Losses on pairs of scores. Weights that sum to one over a step make each sum here a mean.

Shapes: B pairs.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.functional.ties import Ties, tie_log_probabilities


class PairLoss(NamedTuple):
    """The loss, and weighted sums over the pairs: negative log-likelihood, wins, differences."""

    loss: Tensor
    nll: Tensor
    accuracy: Tensor
    difference: Tensor


def bradley_terry_loss(  # noqa: PLR0913 - one argument a term
    chosen_B: Tensor,
    rejected_B: Tensor,
    *,
    weight_B: Tensor,
    label_B: Tensor | None = None,
    margin_B: Tensor | None = None,
    label_smoothing: float = 0.0,
    centering: float = 0.0,
    ties: Ties | None = None,
) -> PairLoss:
    """Negative log-likelihood of the Bradley-Terry model (Ouyang et al. 2022, eq. 1), with additions.

    1. d = chosen - rejected - margin (Llama 2, eq. 2).
    2. p, the probability that chosen is better, is ``label_B`` (1 where None), smoothed to
       p (1 - e) + (1 - p) e.
    3. nll = -p log sigmoid(d) - (1 - p) log sigmoid(-d).
    4. centering times (chosen + rejected)^2 keeps scores near 0 (Eisenstein et al. 2023).
    5. With ``ties`` the votes are three shares, (1 - q) p, q and (1 - q) (1 - p), and nll is their
       cross entropy with the tie model's probabilities at d.

    A pair counts as won with half a win for equal scores.
    """
    difference_B = chosen_B - rejected_B
    logit_B = difference_B if margin_B is None else difference_B - margin_B
    label_B = torch.ones_like(logit_B) if label_B is None else label_B
    label_B = label_B * (1 - label_smoothing) + (1 - label_B) * label_smoothing
    nll_B = _nll(logit_B, label_B, ties)
    nll = (weight_B * nll_B).sum()
    center = (weight_B * (chosen_B + rejected_B).square()).sum()
    won_B = 0.5 + 0.5 * torch.sign(difference_B.detach())
    return PairLoss(
        loss=nll + centering * center,
        nll=nll.detach(),
        accuracy=(weight_B * won_B).sum(),
        difference=(weight_B * difference_B.detach()).sum(),
    )


def _nll(logit_B: Tensor, label_B: Tensor, ties: Ties | None) -> Tensor:
    if ties is None:
        return F.softplus(-logit_B) + (1 - label_B) * logit_B
    decided_B = 1 - ties.share_B
    shares_B3 = torch.stack([decided_B * label_B, ties.share_B, decided_B * (1 - label_B)], -1)
    return -(shares_B3 * tie_log_probabilities(logit_B, ties.free, ties.model)).sum(-1)


def strength_margin(margin_B: Tensor) -> Tensor:
    """Llama 2's margins, 1, 2/3, 1/3, 0, from a mean strength of 3 to 0."""
    return margin_B / 3
