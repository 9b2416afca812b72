"""Models of ties: three probabilities from the difference x of two scores and one free number t.

Davidson (1970, eq. 2.4): P(first) : P(tie) : P(second) = e^{x/2} : nu : e^{-x/2}, with nu = e^t.
Rao and Kupper (1967): P(first) = s(x - log theta), P(second) = s(-x - log theta), the tie takes
the rest; log theta = softplus(t), so that theta > 1.

Shapes: B pairs; the last dimension 3 is (first, tie, second).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

DAVIDSON, RAO_KUPPER = "davidson", "rao_kupper"
TIE_MODELS = (DAVIDSON, RAO_KUPPER)
LEAST, MOST = 0.01, 0.9  # shares of ties that a start is made for


class TieModel(NamedTuple):
    """A model of ties by name with its parameter: Davidson's nu, or Rao and Kupper's theta."""

    name: str
    parameter: float

    def probabilities(self, difference_B: Tensor) -> Tensor:
        """The probabilities [B, 3] of first, tie and second."""
        free = difference_B.new_tensor(free_number(self.parameter, self.name))
        return tie_log_probabilities(difference_B, free, self.name).exp()


class Ties(NamedTuple):
    """A model of ties by name, its free number, and the share of ties among each pair's votes."""

    model: str
    free: Tensor
    share_B: Tensor


def tie_log_probabilities(difference_B: Tensor, free: Tensor, model: str) -> Tensor:
    """The log-probabilities [B, 3] of first, tie and second."""
    if model == DAVIDSON:
        half_B = difference_B / 2
        return torch.log_softmax(torch.stack([half_B, free.expand_as(half_B), -half_B], -1), -1)
    threshold = F.softplus(free)
    first_B = F.logsigmoid(difference_B - threshold)
    second_B = F.logsigmoid(-difference_B - threshold)
    room = 2 * threshold + torch.log(-torch.expm1(-2 * threshold))  # log(theta^2 - 1)
    return torch.stack([first_B, room + first_B + second_B, second_B], -1)


def tie_parameter(free: float, model: str) -> float:
    """Davidson's nu, or Rao and Kupper's theta."""
    return math.exp(free) if model == DAVIDSON else math.exp(math.log1p(math.exp(free)))


def free_number(parameter: float, model: str) -> float:
    """The free number t of Davidson's nu > 0, or of Rao and Kupper's theta > 1."""
    return math.log(parameter) if model == DAVIDSON else math.log(math.expm1(math.log(parameter)))


def starting_parameter(share: float, model: str) -> float:
    """The parameter with which two equal scores tie as often as ``share`` (kept in 0.01 to 0.9).

    Davidson: nu / (2 + nu) = share. Rao and Kupper: (theta - 1) / (theta + 1) = share.
    """
    share = min(max(share, LEAST), MOST)
    return (2 * share if model == DAVIDSON else 1 + share) / (1 - share)
