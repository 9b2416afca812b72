"""Several processes as one run: `torchrun -m training run DIR`, gloo on CPUs and nccl on GPUs.

Every process holds the whole model and knows the whole batch of a step. It takes its share of the
groups, balanced by tokens, with the weights they have in the whole batch; sums of gradients and of
metrics over the processes are then those of one process. The first process alone writes.
"""

import os
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as processes

from training.spec.errors import SpecError

Item = TypeVar("Item", bound=Sized)
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


def refuse_several(kind: str) -> None:
    """Raise SpecError where an algorithm knows one process only."""
    if world() > 1:
        raise SpecError(
            f"kind: {kind} trains in one process, and torchrun started {world()}. Start it with "
            "`python -m training run`; sft, reward_model and dpo train in several."
        )


def my_share(items: Sequence[Item]) -> list[Item]:
    """What this process takes of a batch: the longest first, each to whoever has least; in order."""
    if world() == 1:
        return list(items)
    loads = [0] * world()
    mine = []
    for place in sorted(range(len(items)), key=lambda at: (-len(items[at]), at)):
        taker = loads.index(min(loads))
        loads[taker] += len(items[place])
        if taker == rank():
            mine.append(place)
    return [items[place] for place in sorted(mine)]


def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in each of them."""
    if world() == 1:
        return values
    total = values.detach().clone()
    processes.all_reduce(total)
    return total


def total_of(
    parts: Sequence[Sequence[Tensor]], *, width: int, device: torch.device
) -> tuple[Tensor, ...]:
    """The sums of ``width`` numbers over the parts of all processes; one may have no part."""
    rows = [torch.stack([one.detach().float() for one in part]) for part in parts]
    mine = torch.stack(rows).sum(0) if rows else torch.zeros(width, device=device)
    return summed(mine).unbind()


def sum_gradients(weights: Sequence[Tensor]) -> None:
    """Put the sum over all processes into each gradient; a process without one gives zeros."""
    if world() == 1:
        return
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
    flat = summed(torch.cat([one.flatten() for one in gradients]))
    pieces = torch.split(flat, [one.numel() for one in gradients])
    for weight, piece in zip(weights, pieces, strict=True):
        weight.grad = piece.view_as(weight)


def anyone(is_true: bool) -> bool:
    """Whether it is true in any process; all of them learn the same."""
    if world() == 1:
        return is_true
    told = torch.tensor([float(is_true)], device=_device())
    return bool(summed(told).item())


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world() > 1:
        processes.barrier()


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if _is_nccl() else torch.device("cpu")


def _is_nccl() -> bool:
    return str(processes.get_backend()) == "nccl"
