"""What a model's folder says of its backbone, read from its config alone."""

import json
from pathlib import Path

from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.preferences import RewardModelSpec

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
    """Raises SpecError where the spec keeps, or trains, more layers than the model in ``folder`` has."""
    there = layer_count(folder)
    if there is None:
        return
    kept = there
    if isinstance(spec, RewardModelSpec) and spec.layers:
        kept = spec.layers
        if kept > there:
            raise SpecError(f"layers: {kept} of the backbone's {there} cannot be kept.")
    if spec.trainable_layers > kept:
        raise SpecError(
            f"trainable_layers: the model has {kept} layers, not {spec.trainable_layers}; 0 trains all."
        )
