"""What one measured process counts: seconds, FLOPs or memory. It imports torch and nothing of either side.

On a CPU seconds are the process's own; on a GPU they are those of the clock, the device waited for,
and the first step, in which kernels are compiled, is left out.
"""

import gc
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

SAID = "measured: "
SWITCH = "CONCORD_ATTENTION"  # of ours: each choice is measured apart

aten = torch.ops.aten


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One measurement in a process of its own: ``measure`` is time, flops, both, memory or losses."""

    case: str
    model: str  # folder under the material
    measure: str
    steps: int
    material: str
    scratch: str
    device: str = "cpu"  # or cuda: then in bfloat16
    given: str = ""  # digest of what the other side left for this one

    @property
    def is_cuda(self) -> bool:
        return self.device == "cuda"

    @property
    def rows_at_once(self) -> int:
        """Responses that are sampled together: 16 keep a core busy."""
        return 64 if self.is_cuda else 16

    @property
    def precision(self) -> str:
        return "bfloat16" if self.is_cuda else "float32"

    @property
    def learned_from(self) -> Path:
        """What ours learned from on this device with this attention, for the peer to learn from too."""
        kernel = os.environ.get(SWITCH, "") or "default"
        return Path(self.folder(f"ppo_losses-{self.device}-{kernel}.json"))

    def folder(self, name: str) -> str:
        return str(Path(self.material) / self.model / name)

    def rows(self, name: str) -> list[Any]:
        """Rows of token ids of all steps, in the order in which both sides learn from them."""
        read: list[Any] = json.loads(
            (Path(self.material) / self.model / f"{name.format(self.steps)}.json").read_text()
        )
        return read


@dataclass(slots=True)
class Meter:
    """Told where work begins, where a forward pass ends and where a step ends; says what it took until the last."""

    measure: str
    is_cuda: bool = False
    losses: list[float] = field(default_factory=list)
    value_losses: list[float] = field(default_factory=list)  # of PPO
    units: float = 0.0  # pairs, tokens, rollouts: what a rate is of
    seconds: float = 0.0
    timed: float = 1.0  # share of the units that the seconds are of
    flops: float = 0.0
    activations_mb: float = 0.0
    device: str = ""
    _began: float = 0.0
    _base_mb: float = 0.0

    def counting(self) -> AbstractContextManager[object]:
        """Around the whole work: counts FLOPs where they are measured."""
        if self.measure not in {"flops", "both"}:
            return nullcontext()
        _count_cpu_attention()
        self._counter = FlopCounterMode(display=False)
        return self._counter

    def begin(self) -> None:
        self._began = self._now()

    def forward_done(self) -> None:
        """The loss is there, nothing was passed backward: what is held now are activations."""
        if self.measure == "memory" and self._base_mb:
            self.activations_mb = max(self.activations_mb, self._peak_mb() - self._base_mb)

    def step(self, loss: float) -> None:
        self.losses.append(loss)
        self.seconds = self._now() - self._began
        if self._counter is not None:
            self.flops = float(self._counter.get_total_flops())
        if self.measure == "memory":
            self._base_mb = self._fresh_peak()
        if self.is_cuda and len(self.losses) == 1:
            self.begin()

    def _now(self) -> float:
        if not self.is_cuda:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def _peak_mb(self) -> float:
        if self.is_cuda:
            return torch.cuda.max_memory_allocated() / 2**20
        return _status_kb("VmHWM") / 1024

    def _fresh_peak(self) -> float:
        """Forget the peak so far; what is held now, in MB."""
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated() / 2**20
        Path("/proc/self/clear_refs").write_text("5")
        return _status_kb("VmRSS") / 1024

    def tell(self) -> None:
        """One line of standard output."""
        if self.is_cuda and len(self.losses) > 1:
            self.timed = 1 - 1 / len(self.losses)
        self.device = torch.cuda.get_device_name() if self.is_cuda else "cpu"
        told = {key: value for key, value in asdict(self).items() if not key.startswith("_")}
        say(told | {"peak_mb": self._peak_mb()})

    _counter: Any = None  # Any: torch's counter of FLOPs, where they are counted


def measure_all(cases: Mapping[str, Callable[[Job, Meter], None]]) -> None:
    """The jobs that the command line names, one after another; a line of standard output each.

    Where there are several, one that fails says so and does not stop the others.
    """
    jobs = [Job(**json.loads(one)) for one in sys.argv[1:]]
    for job in jobs:
        torch.manual_seed(17)
        if job.is_cuda:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        meter = Meter(measure=job.measure, is_cuda=job.is_cuda)
        try:
            cases[job.case](job, meter)
            meter.tell()
        except Exception:
            if len(jobs) == 1:
                raise
            say({"failed": traceback.format_exc()[-3000:]})


def say(told: Mapping[str, object]) -> None:
    """A line of standard output that whoever started the process knows by its beginning."""
    sys.stdout.write(f"\n{SAID}{json.dumps(told)}\n")
    sys.stdout.flush()


def _status_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _count_cpu_attention() -> None:
    """Fused attention on a CPU has no formula in torch: the two products of it, as everywhere else."""
    try:

        @register_flop_formula(aten._scaled_dot_product_flash_attention_for_cpu)
        def forward(query: Any, key: Any, _value: Any, *_: Any, **__: Any) -> int:
            return 2 * _product(query, key)

        @register_flop_formula(aten._scaled_dot_product_flash_attention_for_cpu_backward)
        def backward(_grad: Any, query: Any, key: Any, *_: Any, **__: Any) -> int:
            return 5 * _product(query, key)
    except RuntimeError:  # a later torch brings its own
        return


def _product(query: Any, key: Any) -> int:
    """FLOPs of all scores: batch, heads, S of the query, D, times S of the key, times two."""
    return int(2 * math.prod(query) * key[2])
