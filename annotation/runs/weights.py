"""What lies in a model's folder: its weights counted from the headers of its safetensors. No weight is read."""

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from annotation.core import storage
from annotation.registry.models import ModelVersion

LARGEST_HEADER = 100 * 1024**2  # bytes
LAYER = re.compile(r"\.(\d+)\.")  # model.layers.3.mlp.up_proj.weight, h.3.attn.c_attn.weight
FULL_BYTES, HALF_BYTES, FOUR_BIT_BYTES = 4, 2, 0.52  # the last with its scales
HALF = {"float16", "bfloat16"}


class Layer(NamedTuple):
    """One transformer layer: its weights, those of them in matrices, and the sides of the matrices added up."""

    weights: int = 0
    in_matrices: int = 0
    sides: int = 0  # LoRA of rank r trains r times as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Counts of one model: its layers from the bottom up, what lies outside, and how it was stored."""

    layers: tuple[Layer, ...]
    outside: int  # embeddings, last norm, heads
    language_head: int  # of those outside
    is_half: bool  # stored in 16 bits

    @property
    def count(self) -> int:
        return self.outside + sum(one.weights for one in self.layers)

    def of_reward_model(self, lowest: int) -> Self:
        """What a reward model keeps of it: the lowest layers (0: all), and no language head."""
        kept = self.layers[:lowest] if lowest else self.layers
        outside = self.outside - self.language_head
        return replace(self, layers=kept, outside=outside, language_head=0)

    def passed(self, spec: Mapping[str, Any]) -> int:  # Any: settings of many types
        """Weights that a gradient goes through: all, or the top layers that are trained and the head."""
        top = int(spec.get("trainable_layers", 0))
        if not top or top >= len(self.layers):
            return self.count
        return self.language_head + sum(one.weights for one in self.layers[-top:])

    def trained(self, spec: Mapping[str, Any]) -> int:  # Any: as above
        """Weights that change: those passed, or with LoRA two thin matrices for each one of their layers."""
        rank, top = int(spec.get("lora_rank", 0)), int(spec.get("trainable_layers", 0))
        if not rank:
            return self.passed(spec)
        return rank * sum(one.sides for one in self.layers[-top:])

    def bytes_of_one(self, precision: str, *, computes_half: bool) -> int:
        """Of one weight when it is loaded: what a spec's ``precision`` comes to on such a device."""
        is_half = precision == "bfloat16" or (
            precision == "auto" and self.is_half and computes_half
        )
        return HALF_BYTES if is_half else FULL_BYTES

    def held(self, bytes_of_one: int, quantize: str = "none") -> int:
        """Bytes of all weights in memory; ``nf4`` holds the matrices of the layers in 4 bits."""
        small = sum(one.in_matrices for one in self.layers) if quantize != "none" else 0
        return round((self.count - small) * bytes_of_one + small * FOUR_BIT_BYTES)


def weights_of(version: ModelVersion) -> Weights | None:
    """None where its files do not lie here, or are no weights."""
    folder = Path(storage.local_if_here(version.location))
    if not folder.is_absolute() or not folder.is_dir():
        return None
    try:
        found = [one for path in folder.glob("*.safetensors") for one in _tensors(path)]
        return _counted(found, is_half=_stored_as(folder) in HALF) if found else None
    except (OSError, ValueError, struct.error, KeyError, TypeError):
        return None


def _tensors(path: Path) -> Iterator[tuple[str, list[int]]]:
    """Name and shape of each tensor of a file."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > LARGEST_HEADER:
            raise ValueError(f"{path} has a header of {length} bytes.")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise TypeError(f"{path} has a header that is no object.")
    yield from ((name, one["shape"]) for name, one in header.items() if name != "__metadata__")


def _counted(tensors: list[tuple[str, list[int]]], *, is_half: bool) -> Weights:
    layers: dict[int, Layer] = {}
    outside = language_head = 0
    for name, shape in tensors:
        count = math.prod(shape)
        if place := LAYER.search(name):
            at, is_matrix = int(place[1]), len(shape) == 2
            weights, in_matrices, sides = layers.get(at, Layer())
            layers[at] = Layer(
                weights + count, in_matrices + count * is_matrix, sides + sum(shape) * is_matrix
            )
            continue
        outside += count
        language_head += count if name.startswith("lm_head.") else 0
    return Weights(
        layers=tuple(layers[at] for at in sorted(layers)),
        outside=outside,
        language_head=language_head,
        is_half=is_half,
    )


def _stored_as(folder: Path) -> str:
    """The number format that its config names; empty where it names none."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(config, dict):
        raise TypeError(f"{path} holds no object.")
    return str(config.get("dtype") or config.get("torch_dtype") or "")
