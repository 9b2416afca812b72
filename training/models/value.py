"""The value head: one float32 number a position, what reward is still to come from there."""

import torch
from torch import Tensor, nn


class ValueHead(nn.Module):
    """A linear head on hidden states; it starts at zero, so the first advantages are returns."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden_RD: Tensor) -> Tensor:
        values: Tensor = self.linear(hidden_RD.float())
        return values.squeeze(-1)
