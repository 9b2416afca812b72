"""Losses that turn preferences into a policy without a reward model in between.

All take log-ratios: log pi(y | x) - log ref(y | x), summed over the tokens of a response (IPO: their
mean). The implicit reward is beta times the log-ratio (Rafailov et al. 2023, eq. 5).

Shapes: B pairs, N responses.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def direct_preference_losses(
    chosen_B: Tensor,
    rejected_B: Tensor,
    *,
    loss: str,
    beta: float,
    label_noise: float = 0.0,
    label_B: Tensor | None = None,
) -> Tensor:
    """The loss [B] of each pair; d = chosen - rejected, e = ``label_noise``.

    - sigmoid: -p log sigmoid(beta d) - (1 - p) log sigmoid(-beta d), where p is ``label_B`` or 1
      (Rafailov et al. 2023, eq. 7).
    - conservative: the same with p = 1 - e (Mitchell 2023).
    - robust: (-(1 - e) log sigmoid(beta d) + e log sigmoid(-beta d)) / (1 - 2 e): its expectation
      under flipped labels is the loss without flips (Chowdhury et al. 2024, eq. 9).
    - ipo: (d - 1 / (2 beta))^2 (Azar et al. 2024, eq. 17).
    - hinge: max(0, 1 - beta d) (Zhao et al. 2023, SLiC, with log-ratios).
    """
    difference_B = chosen_B - rejected_B
    won_B, lost_B = F.logsigmoid(beta * difference_B), F.logsigmoid(-beta * difference_B)
    match loss:
        case "sigmoid":
            label_B = torch.ones_like(difference_B) if label_B is None else label_B
            return -label_B * won_B - (1 - label_B) * lost_B
        case "conservative":
            return -(1 - label_noise) * won_B - label_noise * lost_B
        case "robust":
            return (-(1 - label_noise) * won_B + label_noise * lost_B) / (1 - 2 * label_noise)
        case "ipo":
            return (difference_B - 1 / (2 * beta)).square()
        case "hinge":
            return torch.relu(1 - beta * difference_B)
    raise ValueError(f"There is no loss {loss!r}.")


def kahneman_tversky_losses(
    logratio_N: Tensor,
    is_good_N: Tensor,
    *,
    reference_point: Tensor,
    beta: float,
) -> Tensor:
    """1 - sigmoid(beta (r - z)) of a good response, 1 - sigmoid(beta (z - r)) of a bad one [N].

    r is the log-ratio and z the ``reference_point``, an estimate of KL(pi || ref) that takes no
    gradient (Ethayarajh et al. 2024, eq. 8).
    """
    gain_N = beta * (logratio_N - reference_point)
    return 1 - torch.sigmoid(torch.where(is_good_N, gain_N, -gain_N))


def mismatched_kl(logratio_N: Tensor) -> Tensor:
    """The reference point of KTO: the mean log-ratio of responses to other prompts, at least 0."""
    if not len(logratio_N):
        return logratio_N.new_zeros(())
    return logratio_N.detach().mean().clamp(min=0)
