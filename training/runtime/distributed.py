"""Several processes as one run: `torchrun -m training run DIR`, gloo on CPUs and nccl on GPUs.

Every process holds the whole model (or a part of each layer: `sharding`) and knows the whole batch
of a step. It takes its share of the groups, balanced by tokens, with the weights they have in the
whole batch; sums of gradients and of metrics over the processes are then those of one process. The
first process alone writes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as processes

Item = TypeVar("Item", bound=Sized)
Key = TypeVar("Key")
Value = TypeVar("Value")
PATIENCE = timedelta(hours=6)  # the others wait while the first one writes a checkpoint


def world() -> int:
    """How many processes there are; 1 without torchrun."""
    return processes.get_world_size() if processes.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return processes.get_rank() if processes.is_initialized() else 0


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun started; nothing where it did not, or where that is done."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or processes.is_initialized():
        yield
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    processes.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        processes.destroy_process_group()


def my_share(items: Sequence[Item]) -> list[Item]:
    """What this process takes of a batch."""
    return shares(items)[rank()]


def shares(items: Sequence[Item]) -> list[list[Item]]:
    """What each process takes of a batch: the longest first, each to whoever has least; in order."""
    loads = [0] * world()
    taken: list[list[int]] = [[] for _ in loads]
    for place in sorted(range(len(items)), key=lambda at: (-len(items[at]), at)):
        taker = loads.index(min(loads))
        loads[taker] += len(items[place])
        taken[taker].append(place)
    return [[items[place] for place in sorted(places)] for places in taken]


def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in each of them."""
    if world() == 1:
        return values
    total = values.detach().clone()
    processes.all_reduce(total)
    return total


def total_of(parts: Sequence[Sequence[Tensor]], *, width: int) -> tuple[Tensor, ...]:
    """The sums of ``width`` numbers over the parts of all processes; one may have no part."""
    rows = [torch.stack([one.detach().float() for one in part]) for part in parts]
    mine = torch.stack(rows).sum(0) if rows else torch.zeros(width, device=_device())
    return summed(mine).unbind()


def count_of_all(mine: int) -> float:
    """The sum of a number over all processes."""
    if world() == 1:
        return float(mine)
    return summed(torch.tensor(float(mine), dtype=torch.float64, device=_device())).item()


def most_of_all(mine: int) -> int:
    """The largest of a number over all processes."""
    if world() == 1:
        return mine
    return max(_sizes_of_all(mine))


def everyones(pieces: Sequence[Tensor], *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Flat pieces end to end, those of the first process first; a process may have none."""
    mine = torch.cat(list(pieces)) if pieces else torch.zeros(0, dtype=dtype, device=_device())
    if world() == 1:
        return mine
    sizes = _sizes_of_all(len(mine))
    padded = mine.new_zeros(max(sizes))
    padded[: len(mine)] = mine
    found = [torch.empty_like(padded) for _ in sizes]
    processes.all_gather(found, padded)
    return torch.cat([one[:size] for one, size in zip(found, sizes, strict=True)])


def own_part(whole: Tensor, size: int) -> Tensor:
    """The ``size`` entries of this process in what `everyones` laid end to end."""
    if world() == 1:
        return whole
    start = sum(_sizes_of_all(size)[: rank()])
    return whole[start : start + size]


def told_by_all(mine: Mapping[Key, Value]) -> dict[Key, Value]:
    """The entries of all processes in each of them."""
    if world() == 1:
        return dict(mine)
    told: list[dict[Key, Value]] = [{} for _ in range(world())]
    processes.all_gather_object(told, dict(mine))
    return {key: value for one in told for key, value in one.items()}


def _sizes_of_all(size: int) -> list[int]:
    sizes = [torch.zeros(1, dtype=torch.int64, device=_device()) for _ in range(world())]
    processes.all_gather(sizes, torch.tensor([size], device=_device()))
    return [int(one) for one in sizes]


def sum_gradients(weights: Sequence[Tensor]) -> None:
    """Put the sum over all processes into each gradient; a process without one gives zeros."""
    if world() == 1 or not weights:
        return
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
    flat = summed(torch.cat([one.flatten() for one in gradients]))
    pieces = torch.split(flat, [one.numel() for one in gradients])
    for weight, piece in zip(weights, pieces, strict=True):
        weight.grad = piece.view_as(weight)


def anyone(*are_true: bool) -> tuple[bool, ...]:
    """Whether each is true in any process; all of them learn the same."""
    if world() == 1:
        return are_true
    told = torch.tensor([float(one) for one in are_true], device=_device())
    return tuple(bool(one) for one in summed(told).tolist())


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world() > 1:
        processes.barrier()


def _device() -> torch.device:
    """Where this process keeps what it tells the others."""
    is_nccl = processes.is_initialized() and str(processes.get_backend()) == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if is_nccl else torch.device("cpu")
