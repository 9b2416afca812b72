"""`make bench-training`: our trainers beside TRL and `generate`, in one run; a markdown table at the end.

Every measurement is a process of its own on one thread; ours and the peer's take turns, so that both see
the same machine. Times are CPU seconds (the median), FLOPs are counted, memory is that of fresh processes.
`--quick` measures the small model once; `--only reward dpo` measures some rows; `--data` names the folder
with the judged rows.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.training.environments import python_of
from tests.bench.training.material import prepare
from tests.bench.training.meter import Job

REPOSITORY = Path(__file__).parents[3]
PLACE = REPOSITORY / "var" / "bench"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "CONCORD_TORCH_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
RETURNS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is measured, in which unit, for how many steps (by model), against which bars."""

    case: str
    what: str
    unit: str
    peer: str = "trl-1.16"
    steps: tuple[tuple[str, int], ...] = (("llama", 6), ("smollm2", 2))
    bar_cpu: float = 0.0  # at least this many times the peer's units a CPU second
    bar_flops: float = 0.0  # at most this share of the peer's FLOPs
    bar_memory: float = 0.0  # at most this share of the peer's activations
    has_parity: bool = True


ROWS = (
    Row(
        case="reward",
        what="reward model, 8 pairs a batch",
        unit="pairs",
        bar_cpu=4,
        bar_flops=1 / 4,
        bar_memory=1 / 3,
    ),
    Row(
        case="hh_rankings",
        what="K = 4 rankings, HH lengths",
        unit="prompts",
        steps=(("llama", 1),),
        bar_flops=1 / 12,
    ),
    Row(
        case="oasst_rankings",
        what="K = 4 rankings, OASST",
        unit="prompts",
        steps=(("llama", 1),),
    ),
    Row(case="dpo", what="DPO, 8 pairs a batch", unit="pairs", bar_cpu=4),
    Row(case="sft", what="SFT, 8 prompts a batch", unit="prompts"),
    Row(
        case="ppo",
        what="PPO, 32 responses an update",
        unit="responses",
        peer="trl-1.12",
        steps=(("llama", 1),),
        bar_cpu=2.5,
        bar_flops=0.4,
        has_parity=False,
    ),
    Row(
        case="generation",
        what="sampling, 4 responses a prompt",
        unit="useful tokens",
        steps=(("llama", 2), ("smollm2", 1)),
        bar_cpu=2,
        has_parity=False,
    ),
)
MEASURES = {"ppo": ("time", "flops"), "generation": ("time", "flops")}
HEADER = (
    "| what | model | ours a CPU s | peer a CPU s | times | FLOPs, share of peer's | activations, MB "
    "(share) | process, MB | first loss, largest gap | bars |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---|"
)


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def told(python: Path, module: str, job: Job) -> dict[str, Any]:
    """What a measuring process says in its last line; its errors end the run."""
    environment = os.environ | ONE_THREAD | (RETURNS_MEMORY if job.measure == "memory" else {})
    done = subprocess.run(
        [str(python), "-m", f"tests.bench.training.{module}", json.dumps(asdict(job))],
        cwd=REPOSITORY,
        env=environment,
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

    material: Path
    scratch: Path
    repeats: int

    def measure(self, row: Row, model: str, steps: int) -> str:
        sides = ((Path(sys.executable), "ours"), (python_of(row.peer, PLACE), "peer"))

        def both(measure: str, at: int) -> list[dict[str, Any]]:
            job = Job(
                case=row.case,
                model=model,
                measure=measure,
                steps=at,
                material=str(self.material),
                scratch=str(self.scratch),
            )
            return [told(python, module, job) for python, module in sides]

        times = [both("time", steps) for _ in range(self.repeats)]
        found = {"time": times[-1], "flops": both("flops", min(steps, 2))}
        if "memory" in MEASURES.get(row.case, ("memory",)) and steps > 1:
            found["memory"] = both("memory", 2)
        ours, peer = (
            statistics.median(one[side]["units"] / one[side]["cpu"] for one in times)
            for side in (0, 1)
        )
        return line(row, model, ours, peer, found)


def line(
    row: Row, model: str, ours: float, peer: float, found: dict[str, list[dict[str, Any]]]
) -> str:
    times, flops = ours / peer, [one["flops"] / one["units"] for one in found["flops"]]
    flops_share = flops[0] / flops[1]
    bars = [
        ("CPU", row.bar_cpu, times >= row.bar_cpu),
        ("FLOPs", row.bar_flops, flops_share <= row.bar_flops),
    ]
    memory = "–"
    if "memory" in found:
        held = [one["activations_mb"] for one in found["memory"]]
        memory = f"{held[0]:.0f} / {held[1]:.0f} ({held[0] / held[1]:.2f})"
        bars.append(("memory", row.bar_memory, held[0] <= row.bar_memory * held[1]))
    verdicts = [f"{name} {'met' if is_met else 'MISSED'}" for name, bar, is_met in bars if bar]
    mine, theirs = found["time"]
    gap = (
        max(abs(a - b) for a, b in zip(mine["losses"], theirs["losses"], strict=True))
        if row.has_parity
        else 0
    )
    parity = f"{mine['losses'][0]:.6f}, {gap:.0e}" if row.has_parity else _means(row, mine, theirs)
    return (
        f"| {row.what} | {model} | {ours:.2f} {row.unit} | {peer:.2f} | {times:.1f} | {flops_share:.3f} | "
        f"{memory} | {mine['peak_mb']:.0f} / {theirs['peak_mb']:.0f} | {parity} | {', '.join(verdicts) or '–'} |"
    )


def _means(row: Row, mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    if row.case != "generation":
        return "own samples"
    return f"mean length {mine['losses'][0]:.0f} and {theirs['losses'][0]:.0f}"


def command_line(material: Path, scratch: Path) -> list[str]:
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
    run = scratch / "first-step"
    settings = [
        f"model={scratch / 'tiny'}",
        f"data={material / 'llama' / 'pairs-2'}",
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
    parser.add_argument("--only", nargs="*", default=[], choices=[one.case for one in ROWS])
    parser.add_argument("--models", nargs="*", default=["llama", "smollm2"])
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    options = parser.parse_args(arguments)
    models = ["llama"] if options.quick else options.models
    material = prepare(PLACE / "material", options.data, models)
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        bench = Bench(material=material, scratch=Path(scratch), repeats=1 if options.quick else 3)
        show(f"Load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n\n{HEADER}")
        for row in ROWS:
            for model, steps in row.steps:
                if model in models and row.case in (options.only or [row.case]):
                    show(bench.measure(row, model, steps))
        if not options.only:
            show("\n" + "\n".join(command_line(material, Path(scratch))))
    show(f"\nLoad after: {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
