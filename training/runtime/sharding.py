"""Sharded weights (FSDP2): every process keeps a part of each layer, with its moments and its master.

A layer is gathered as a pass enters it, forward or backward, and dropped behind it; its gradients
are reduced to their parts. That is done by all processes together, so each must make as many
passes as the others: `behind` says how many empty ones are left to make. What lies outside the
layers (embeddings, the last norm, heads) stays whole in each process.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch import distributed as processes
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from training.runtime.distributed import most_of_all, rank, world
from training.spec.base import RunSpec


def shard_layers(layers: nn.ModuleList, device: torch.device) -> None:
    """Let every process keep a part of each layer; its parameters become others of the same names."""
    mesh = init_device_mesh(device.type, (world(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)


def is_sharding(spec: RunSpec) -> bool:
    """Whether the run shards: several processes, and a spec that says so."""
    return spec.sharding == "full" and world() > 1


def behind(passes: int, spec: RunSpec) -> int:
    """How many passes another process is to make more; 0 where none waits for the others.

    Asked before the passes: this question too is one that all processes ask together.
    """
    return most_of_all(passes) - passes if is_sharding(spec) else 0


@contextmanager
def whole_layers(model: nn.Module) -> Iterator[None]:
    """Inside, layers are whole in every process, so that passes wait for nobody (no gradients)."""
    sharded = [one for one in model.modules() if isinstance(one, FSDPModule)]
    for one in sharded:
        one.unshard()
        one.set_reshard_after_forward(False)
    try:
        yield
    finally:
        for one in sharded:
            one.set_reshard_after_forward(True)
            one.reshard()


def own(weight: Tensor) -> Tensor:
    """What this process keeps of a weight, in the same memory: all of it where it is not sharded."""
    if not isinstance(weight, DTensor):
        return weight
    part: Tensor = weight.to_local()
    return part.detach()


def own_gradient(weight: Tensor) -> Tensor | None:
    """The gradient of `own`. Sharded ones are sums over processes here (FSDP makes means)."""
    gradient = weight.grad
    return gradient.to_local() * world() if isinstance(gradient, DTensor) else gradient


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """What this process keeps of a whole tensor that belongs to the weight ``like``."""
    if not isinstance(like, DTensor) or whole.shape != like.shape:
        return whole
    parts = whole.chunk(world())  # FSDP's Shard(0): the last processes may have less, or nothing
    return parts[rank()] if rank() < len(parts) else whole[:0]


def gathered(part: Tensor, like: Tensor) -> Tensor:
    """The whole of which this is the part, in the host's memory of the first process; others keep the part.

    All processes ask together. A device has room for one whole weight at a time, not for all.
    """
    if not isinstance(like, DTensor) or part.shape != own(like).shape:
        return part
    whole: Tensor = DTensor.from_local(
        part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride()
    ).full_tensor()
    return part if rank() else whole.cpu()


def exchange(weight: nn.Parameter, values: Tensor) -> Tensor:
    """Put values into a weight (its part); what was there before."""
    if not isinstance(weight, DTensor):
        before, weight.data = weight.data, values
        return before
    kept = own(weight).clone()
    own(weight).copy_(values)
    return kept


def is_sharded(model: nn.Module) -> bool:
    return processes.is_initialized() and any(
        isinstance(one, FSDPModule) for one in model.modules()
    )
