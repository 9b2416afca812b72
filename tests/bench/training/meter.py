"""What one measured process counts: CPU seconds, FLOPs or memory. It imports torch and nothing of either side."""

import json
import math
import resource
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

aten = torch.ops.aten


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One measurement in a process of its own: ``measure`` is time, flops or memory."""

    case: str
    model: str  # folder under the material
    measure: str
    steps: int
    material: str
    scratch: str

    @classmethod
    def from_arguments(cls) -> "Job":
        return cls(**json.loads(sys.argv[1]))

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
    """Told where work begins, where a forward pass ends and where a step ends; says what it took."""

    measure: str
    losses: list[float] = field(default_factory=list)
    units: float = 0.0  # pairs, tokens, rollouts: what a rate is of
    note: str = ""
    cpu: float = 0.0
    flops: float = 0.0
    activations_mb: float = 0.0
    _began: float = 0.0
    _base_kb: int = 0

    def counting(self) -> AbstractContextManager[object]:
        """Around the whole work: counts FLOPs where they are measured."""
        if self.measure != "flops":
            return nullcontext()
        _count_cpu_attention()
        self._counter = FlopCounterMode(display=False)
        return self._counter

    def begin(self) -> None:
        self._began = time.process_time()

    def forward_done(self) -> None:
        """The loss is there, nothing was passed backward: what is held now are activations."""
        if self.measure == "memory" and self._base_kb:
            held = (_status_kb("VmHWM") - self._base_kb) / 1024
            self.activations_mb = max(self.activations_mb, held)

    def step(self, loss: float) -> None:
        self.losses.append(loss)
        self.cpu = time.process_time() - self._began
        if self.measure == "memory":
            Path("/proc/self/clear_refs").write_text("5")
            self._base_kb = _status_kb("VmRSS")

    def tell(self) -> None:
        """The last line of standard output."""
        if self.measure == "flops":
            self.flops = float(self._counter.get_total_flops())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = {key: value for key, value in asdict(self).items() if not key.startswith("_")}
        sys.stdout.write("\n" + json.dumps(told | {"peak_mb": peak}) + "\n")

    _counter: Any = None


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
