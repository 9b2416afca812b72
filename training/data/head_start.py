"""Where the heads of a reward model begin: a logistic regression on the backbone's own states (Kumar et al. 2022).

Shapes: B pairs, H heads, D hidden size, N responses, K responses of a group.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.bootstrap import bootstrap_weights
from training.data.packing import rows_under_budget
from training.data.preferences import PairGroup
from training.data.remembered import RememberedStates
from training.functional.probe import fit_direction
from training.runtime.run import Run
from training.spec.preferences import RewardModelSpec


@torch.no_grad()
def fitted_heads(
    states: RememberedStates, rows: list[PairGroup], spec: RewardModelSpec, run: Run
) -> Tensor:
    """Weights [H, D] that order the pairs best by their states as they are before training."""
    pairs = list(_compared(states, rows, spec, run))
    difference_BD = torch.stack([pair.difference_D for pair in pairs])
    label_B = difference_BD.new_tensor([pair.label for pair in pairs])
    weight_BH = difference_BD.new_tensor([pair.weight_H for pair in pairs])
    cluster_B = torch.tensor([pair.group for pair in pairs], device=difference_BD.device)
    directions = [
        fit_direction(difference_BD, label_B, weight_B=weight_B, cluster_B=cluster_B)
        for weight_B in weight_BH.T
    ]
    return torch.stack(directions).float()


class Compared(NamedTuple):
    """A pair's difference of last states, its label, its weight for each head, and its group's number."""

    difference_D: Tensor
    label: float
    weight_H: list[float]
    group: int


def _compared(
    states: RememberedStates, rows: list[PairGroup], spec: RewardModelSpec, run: Run
) -> Iterator[Compared]:
    numbers = itertools.count()
    batches = list(rows_under_budget(rows, spec.tokens_per_forward))
    for batch in run.track(batches, stage="score head", total=len(batches), unit="batches"):
        last_ND = states.last([group.tokens for group in batch]).float()
        last = torch.split(last_ND, [len(one.lengths) for one in batch])
        for group, last_KD, number in zip(batch, last, numbers, strict=False):
            draws = bootstrap_weights(group.tokens.prompt_id, spec)
            for pair in group.pairs:
                yield Compared(
                    last_KD[pair.chosen] - last_KD[pair.rejected],
                    pair.label,
                    [draw * pair.weight / len(group.pairs) for draw in draws],
                    number,
                )
