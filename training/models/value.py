"""The value head: one float32 number a position, what reward is still to come from there."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.spec.errors import ModelError

VALUE_HEAD_FILE = "value_head.safetensors"


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

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / VALUE_HEAD_FILE)

    def load(self, folder: Path) -> None:
        """Begin as PPO left the head beside a policy. Raises ModelError where there is none that fits."""
        try:
            self.load_state_dict(load_file(folder / VALUE_HEAD_FILE))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(
                f"value_start: {folder} has no {VALUE_HEAD_FILE} that fits ({str(error).splitlines()[0]}). Start "
                "from a policy that PPO made with baseline value, or set value_start to zero."
            ) from error
