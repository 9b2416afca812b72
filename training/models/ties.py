"""The learned parameter of a model of ties, with an optimizer of its own.

It starts where equal scores would tie as often as the pairs do, and takes far larger steps than
weights do: it is one number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from training.functional.ties import (
    TIE_MODELS,
    Ties,
    free_number,
    starting_parameter,
    tie_parameter,
)
from training.runtime.checkpoint import State
from training.runtime.optimize import Optimizer
from training.spec.preferences import RewardModelSpec

TIE_LEARNING_RATE = 0.05
PREFIX = "ties."


class LearnedTies:
    """A model of ties in training."""

    def __init__(
        self, share: float, spec: RewardModelSpec, *, steps: int, device: torch.device
    ) -> None:
        """``share`` is that of ties in all votes."""
        self.model = spec.ties
        start = free_number(starting_parameter(share, self.model), self.model)
        self.free = nn.Parameter(torch.tensor(start, device=device))
        own = replace(spec, learning_rate=TIE_LEARNING_RATE, weight_decay=0.0)
        self._optimizer = Optimizer({"free": self.free}, own, steps=steps)

    @property
    def parameter(self) -> float:
        """Davidson's nu, or Rao and Kupper's theta."""
        return tie_parameter(self.free.item(), self.model)

    def of(self, shares: Sequence[float]) -> Ties:
        """The terms of a loss over pairs with these shares of ties."""
        return Ties(self.model, self.free, self.free.new_tensor(shares))

    def step(self) -> float:
        """Apply the gradient that losses left in the free number; the new parameter."""
        self._optimizer.step()
        return self.parameter

    def tensors(self) -> dict[str, Tensor]:
        return {f"{PREFIX}{name}": one for name, one in self._optimizer.tensors().items()}

    def restore(self, state: State) -> None:
        mine: Mapping[str, Tensor] = {
            name.removeprefix(PREFIX): one
            for name, one in state.tensors.items()
            if name.startswith(PREFIX)
        }
        self._optimizer.restore(mine, steps_done=state.step)


def learned_ties(
    shares: Sequence[float], spec: RewardModelSpec, *, steps: int, device: torch.device
) -> LearnedTies | None:
    """What the spec learns of ties; None where it has no model of them."""
    if spec.ties not in TIE_MODELS:
        return None
    return LearnedTies(sum(shares) / len(shares), spec, steps=steps, device=device)
