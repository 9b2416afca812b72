"""The Plackett-Luce model of a ranking (Plackett 1975; Zhu et al. 2023, eq. 3).

Shapes: K ranked responses, best first.
"""

from itertools import combinations

import torch
from torch import Tensor

from training.functional.preference import PairLoss


def plackett_luce_loss(ranked_K: Tensor, *, weight: float, centering: float = 0.0) -> PairLoss:
    """Negative log-likelihood of choosing the best of what is left, a mean over the K - 1 choices.

    nll = sum_k (log sum_{j >= k} exp(s_j) - s_k) / (K - 1); for two responses it is Bradley-Terry.
    The other numbers are means over all pairs of the ranking, as in `bradley_terry_loss`.
    """
    better, worse = (
        list(side) for side in zip(*combinations(range(len(ranked_K)), 2), strict=True)
    )
    rest_K = ranked_K.flip(0).logcumsumexp(0).flip(0)
    nll = weight * (rest_K - ranked_K)[:-1].mean()
    center = weight * (ranked_K[better] + ranked_K[worse]).square().mean()
    difference_P = (ranked_K[better] - ranked_K[worse]).detach()
    return PairLoss(
        loss=nll + centering * center,
        nll=nll.detach(),
        accuracy=weight * (0.5 + 0.5 * torch.sign(difference_P)).mean(),
        difference=weight * difference_P.mean(),
    )
