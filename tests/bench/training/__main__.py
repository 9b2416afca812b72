"""`make bench-training`: our trainers beside TRL and `generate`, in one run; a markdown table at the end.

Every measurement is a process of its own on one thread; ours and the peer's take turns, so that both see
the same machine. Times are CPU seconds (the median), FLOPs are counted, memory is that of fresh processes.
What a process told is kept in var/bench/told.json until the code of its side changes: a run that was
ended goes on where it was, and `--fresh` forgets. `--quick` measures the small model, each time once, with
FLOPs counted in the same process; `--only reward dpo` measures some rows; `--data` names the folder with
the judged rows. `--device cuda` measures SmolLM2-135M and a Llama of 1.2 billion random weights in bfloat16
by the clock, and adds tokens a second and the share of the GPU's peak (MFU).
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.training.environments import python_of
from tests.bench.training.material import padding_of_all, prepare, write_rows
from tests.bench.training.meter import Job
from tests.bench.training.rows import CPU_MODELS, CUDA_MODELS, ROWS, Row
from tests.bench.training.table import Found, header, line

REPOSITORY = Path(__file__).parents[3]
PLACE = REPOSITORY / "var" / "bench"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "CONCORD_TORCH_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
RETURNS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
BOTH_READ = [Path(__file__).parent / name for name in ("material.py", "meter.py")]
CODE = {
    "ours": [
        *BOTH_READ,
        Path(__file__).parent / "ours.py",
        *(REPOSITORY / "training").rglob("*.py"),
    ],
    "peer": [*BOTH_READ, Path(__file__).parent / "peer.py"],
}


def show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256(b"".join(one.read_bytes() for one in sorted(paths)))
    return whole.hexdigest()[:12]


class Memory:
    """What measuring processes told, by job and by the code that they ran."""

    def __init__(self, path: Path, *, is_fresh: bool) -> None:
        self._path = path
        self._code = {side: digest(paths) for side, paths in CODE.items()}
        if is_fresh:
            path.unlink(missing_ok=True)

    def told(self, python: Path, side: str, job: Job, *, turn: int) -> dict[str, Any]:
        """What a process says of this job; it is only started where it has not said it before."""
        named = asdict(job) | {"material": "", "scratch": ""}
        key = " ".join(map(str, [side, self._code[side], turn, *named.values()]))
        if key not in self._kept():
            told = _told(python, side, job) | {"load": os.getloadavg()[0]}
            self._path.write_text(json.dumps(self._kept() | {key: told}, indent=1))
        return self._kept()[key]

    def _kept(self) -> dict[str, dict[str, Any]]:
        """Read anew each time: another run may be measuring other rows."""
        if not self._path.is_file():
            return {}
        kept: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        return kept


def _told(python: Path, module: str, job: Job) -> dict[str, Any]:
    """The last line of a measuring process; its errors end the run."""
    environment = os.environ | (RETURNS_MEMORY if job.measure == "memory" else {})
    done = subprocess.run(
        [str(python), "-m", f"tests.bench.training.{module}", json.dumps(asdict(job))],
        cwd=REPOSITORY,
        env=environment | ({} if job.is_cuda else ONE_THREAD),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{module} {job.case} failed:\n{done.stderr[-3000:]}")
    last: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return last


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where everything lies, and how often times are taken."""

    data: Path
    scratch: Path
    memory: Memory
    device: str
    turns: int  # 0: once, with FLOPs counted in the same process

    def measure(self, row: Row, model: str) -> str:
        steps = row.steps(model, self.device)
        padding = write_rows(PLACE / "material" / model, self.data, row.rows, steps)
        sides = {"ours": Path(sys.executable), "peer": python_of(row.peer, PLACE)}

        def both(measure: str, *, turn: int = 0) -> list[dict[str, Any]]:
            job = Job(
                case=row.case,
                model=model,
                measure=measure,
                steps=steps,
                material=str(PLACE / "material"),
                scratch=str(self.scratch),
                device=self.device,
            )
            return [
                self.memory.told(python, side, job, turn=turn) for side, python in sides.items()
            ]

        times = [both("time", turn=turn) for turn in range(self.turns)] or [both("both")]
        flops = both("flops") if self.turns else times[0]
        memory = both("memory") if row.has_memory and steps > 1 else []
        return line(row, model, padding, Found(times, flops, memory), device=self.device)


def command_line(data: Path, scratch: Path) -> list[str]:
    """How long `--help` takes, and a tiny reward run until its first step (process start included)."""
    command = [sys.executable, "-m", "training"]
    environment = os.environ | ONE_THREAD
    walls = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [*command, "--help"], cwd=REPOSITORY, env=environment, capture_output=True, check=True
        )
        walls.append(time.perf_counter() - began)
    from training.models.tiny import tiny_llama, tiny_tokenizer

    tiny_llama().save_pretrained(scratch / "tiny")
    tiny_tokenizer().save_pretrained(scratch / "tiny")
    write_rows(PLACE / "material" / "llama", data, "pairs", 2)
    run = scratch / "first-step"
    settings = [
        f"model={scratch / 'tiny'}",
        f"data={PLACE / 'material' / 'llama' / 'pairs-2'}",
        "max_steps=1",
    ]
    words = [word for one in settings for word in ("--set", one)]
    subprocess.run([*command, "new", "reward_model", str(run), *words], cwd=REPOSITORY, check=True)
    began = time.time()
    subprocess.run([*command, "run", str(run)], cwd=REPOSITORY, env=environment, check=True)
    events = [json.loads(one) for one in (run / "events.jsonl").read_text().splitlines()]
    first = next(one["at"] for one in events if one["kind"] == "metrics") - began
    return [
        f"`python -m training --help`: {min(walls):.2f} s (bar 0.3 s: {'met' if min(walls) < 0.3 else 'MISSED'})",
        f"a tiny reward run's first step: after {first:.1f} s (bar 5 s: {'met' if first < 5 else 'MISSED'})",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench-training", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small model, each time once")
    parser.add_argument("--turns", type=int, default=3, help="how often each time is taken")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--only", nargs="*", default=[], choices=[one.case for one in ROWS])
    parser.add_argument("--models", nargs="*", default=[], choices=[*CPU_MODELS, *CUDA_MODELS])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    options = parser.parse_args(arguments)
    usual = CUDA_MODELS if options.device == "cuda" else CPU_MODELS
    models = options.models or (usual[:1] if options.quick else usual)
    prepare(PLACE / "material", options.data, models)
    memory = Memory(PLACE / "told.json", is_fresh=options.fresh)
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        bench = Bench(
            data=options.data,
            scratch=Path(scratch),
            memory=memory,
            device=options.device,
            turns=0 if options.quick else options.turns,
        )
        show(header(options.device))
        for row in ROWS:
            for model in models:
                if row.case in (options.only or [row.case]):
                    show(bench.measure(row, model))
        if not options.only:
            show("\n" + "\n".join(command_line(options.data, Path(scratch))))
    for model in models:
        of_all = padding_of_all(PLACE / "material" / model, options.data)
        show(f"Padding over all pairs of HH, 8 a batch, {model}: {of_all:.2f} times the tokens.")


if __name__ == "__main__":
    main()
