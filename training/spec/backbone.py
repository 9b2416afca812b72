"""Where a model is said to lie, and what its folder says of its backbone, read from its config alone."""

import json
import re
from pathlib import Path

from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.preferences import RewardModelSpec

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CONFIG_FILE = "config.json"
COUNTS = ("num_hidden_layers", "n_layer", "num_layers")  # Llama and most; GPT-2; a few others


def layer_count(folder: Path) -> int | None:
    """How many transformer layers the model has; None where no config here says so."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    found = (config.get(name) for name in COUNTS)
    return next((one for one in found if type(one) is int), None)


def refuse_more_layers(spec: RunSpec, folder: Path) -> None:
    """Raises SpecError where the spec keeps more of the lowest layers than the model in ``folder`` has."""
    if not isinstance(spec, RewardModelSpec) or not spec.layers:
        return
    there = layer_count(folder)
    if there is not None and spec.layers > there:
        raise SpecError(f"layers: {spec.layers} of the backbone's {there} cannot be kept.")
