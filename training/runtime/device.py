"""Where a run computes, how much memory it took, and its failures by name."""

import ctypes
import errno
import os
import platform
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from training.spec.errors import DiskFull, OutOfMemory, UnusableFile
from training.spec.events import Machine

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST_KEPT = 2**30


def pick_device() -> torch.device:
    """CUDA where there is one (torchrun: this process's own), else the CPU.

    On the CPU: a thread for each core that this process may use, shared with the processes beside it.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        return device
    _keep_freed_memory()
    torch.set_num_threads(int(os.environ.get("CONCORD_TORCH_THREADS", "0")) or default_threads())
    return torch.device("cpu")


def leave_half() -> None:
    """Take no more than half of what is free on the device: what trains beside this process may still grow."""
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(free / 2 / total)


def default_threads() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next: returning it costs a tenth of a run's time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(TRIM_THRESHOLD, LARGEST_KEPT)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 instructions; a CPU without is four times slower in it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def machine() -> Machine:
    """What the run computes on."""
    device = pick_device()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        name = f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"
    return Machine(
        host=socket.gethostname(),
        device=name,
        is_gpu=device.type == "cuda",
        torch=str(torch.__version__),
        bfloat16=computes_bfloat16(device),
    )


def _processor() -> str:
    """The processor by its name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine() or "CPU"


def peak_memory_mb() -> float:
    """The most memory this process held: on the device where there is one, else on the host."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def named_failures() -> Iterator[None]:
    """Memory, disk and file failures of any library as OutOfMemory, DiskFull and UnusableFile."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(_memory_advice()) from error
        if is_disk_full(error):
            raise DiskFull(_disk_advice(getattr(error, "filename", None))) from error
        if isinstance(error, OSError) and error.filename is not None:
            raise UnusableFile.of(error) from error
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the host or the device had no memory left; torch says it in words."""
    is_named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    words = str(error).lower()
    return is_named or "allocate memory" in words or "out of memory" in words


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not grow; safetensors says it in words."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, SafetensorError):
        return any(f"os error {number})" in str(error) for number in numbers)
    return isinstance(error, OSError) and error.errno in numbers


def _memory_advice() -> str:
    return (
        f"The run needs more memory than there is (peak so far {peak_memory_mb():.0f} MB). "
        "Lower tokens_per_forward (where it was sampling: rows_at_once), train fewer layers (trainable_layers), "
        "or set lora_rank or gradient_checkpointing."
    )


def _disk_advice(where: object) -> str:
    place = f" at {where}" if where else ""
    return f"The disk is full{place}. Free some space, then resume: the last checkpoint is whole."
