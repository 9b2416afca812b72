"""Ways to spoil a model's folder, the records of a snapshot, and the disk."""

import json
import resource
from contextlib import contextmanager

import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.conftest import judged_group, write_groups
from training.models.load import save_model
from training.models.reward import new_reward_model


def lines(*rows) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def rewrite(path, change) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_bytes(lines(*(row | change(row) for row in rows)))


def tied(row):
    return {"pairs": [pair | {"is_tie": True, "soft_label": 0.5} for pair in row["pairs"]]}


def three_rows(path) -> None:
    write_groups(path.parent, [judged_group(4 * number) for number in range(3)])


def overflow(model) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors["model.norm.weight"][0] = float("inf")
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def cut(path, size) -> None:
    path.write_bytes(path.read_bytes()[:size])


def with_head(folder) -> None:
    loaded = new_reward_model(str(folder), precision="float32", device=torch.device("cpu"), seed=1)
    save_model(loaded, folder)


@contextmanager
def no_room_above(size: int):
    """No file of this process grows beyond ``size`` bytes: to a writer, the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
