"""`make bench-training`: our trainers beside TRL and `generate`, in one run; a markdown table at the end.

Every measurement is a process of its own on one thread; ours and the peer's take turns, so that both see
the same machine. Times are CPU seconds (the median), FLOPs are counted, memory is that of fresh processes.
What a process told is kept in var/bench/told.json until the code of its side changes: a run that was
ended goes on where it was, and `--fresh` forgets. `--quick` measures the small model, each time once, with
FLOPs counted in the same process; `--only reward dpo` measures some rows; `--data` names the folder with
the judged rows. `--device cuda` measures SmolLM2-135M and a Llama of 1.2 billion random weights in bfloat16
by the clock, those of a side in one process (libraries load and kernels compile once), and adds tokens a second
and the share of the GPU's peak (MFU). `--peers` names a folder of environments that were made by hand, for a
machine without a network.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.bench.training.environments import PEERS, given_python, python_of
from tests.bench.training.material import Padding, padding_of_all, prepare, write_rows
from tests.bench.training.meter import SAID, SWITCH, Job
from tests.bench.training.rows import CPU_MODELS, CUDA_MODELS, ROWS, Row
from tests.bench.training.table import Found, Told, header, line
from tests.real_data import REAL_DATA

REPOSITORY = Path(__file__).parents[3]
PLACE = REPOSITORY / "var" / "bench"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "CONCORD_TORCH_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
RETURNS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
COUNTED = {SWITCH: "sdpa"}  # a compiled kernel's FLOPs are not seen
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
        self._failed: dict[str, str] = {}
        self._code = {side: digest(paths) for side, paths in CODE.items()}
        if is_fresh:
            path.unlink(missing_ok=True)

    def told(self, python: Path, side: str, job: Job, *, turn: int) -> Told:
        """What a process says of this job; it is only started where it has not said it before.

        Raises MeasuringError where that failed, also where it did before in this run.
        """
        key = self._key(side, job, turn)
        if key not in self._failed:
            self.learn(python, side, [job], turn=turn)
        if key in self._failed:
            raise MeasuringError(f"{side} {job.case} {job.model} failed: {self._failed[key]}")
        return self._kept()[key]

    def learn(self, python: Path, side: str, jobs: Sequence[Job], *, turn: int) -> None:
        """Have one process do those of the jobs of which nothing is kept."""
        wanted = [job for job in jobs if self._key(side, job, turn) not in self._kept()]
        for job, told in zip(wanted, _told(python, side, wanted), strict=False):
            key = self._key(side, job, turn)
            if "failed" in told:
                self._failed[key] = told["failed"]
                continue
            told["load"] = os.getloadavg()[0]
            self._path.write_text(json.dumps(self._kept() | {key: told}, indent=1))

    def _key(self, side: str, job: Job, turn: int) -> str:
        named = asdict(job) | {"material": "", "scratch": ""}
        kernel = [os.environ.get(SWITCH, "")] if side == "ours" else []
        return " ".join(map(str, [side, self._code[side], turn, *named.values(), *kernel]))

    def _kept(self) -> dict[str, Told]:
        """Read anew each time: another run may be measuring other rows."""
        if not self._path.is_file():
            return {}
        kept: dict[str, Told] = json.loads(self._path.read_text())
        return kept


class MeasuringError(RuntimeError):
    """A measurement came to no end."""


def _told(python: Path, module: str, jobs: Sequence[Job]) -> Iterator[Told]:
    """What a process says of its jobs, as it says it."""
    if not jobs:
        return
    first = jobs[0]
    environment = os.environ | ({} if first.is_cuda else ONE_THREAD)
    if first.measure != "time":
        environment |= RETURNS_MEMORY
    if first.measure == "flops":
        environment |= COUNTED
    words = [json.dumps(asdict(job)) for job in jobs]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [str(python), "-m", f"tests.bench.training.{module}", *words],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        for text in process.stdout or ():
            if text.startswith(SAID):
                yield json.loads(text.removeprefix(SAID))
        if process.wait():
            errors.seek(0)
            yield {"failed": f"the process ended.\n{errors.read()[-3000:]}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where everything lies, and how often times are taken."""

    data: Path
    scratch: Path
    memory: Memory
    device: str
    turns: int  # 0: once, with FLOPs counted in the same process
    peers: Path | None  # where their environments are, where they are not to be made

    def measure_ahead(self, rows: Sequence[Row], models: Sequence[str]) -> None:
        """On a GPU: all jobs of a side in one process, so that libraries load and kernels compile once."""
        for model in models:
            for row in rows:
                self._write_rows(row, model)
        measures = [("time", turn) for turn in range(self.turns)] + [("flops", 0), ("memory", 0)]
        for measure, turn in measures:
            for side, peer in (("ours", ""), *(("peer", one) for one in PEERS)):
                jobs = [
                    self._job(row, model, measure)
                    for model in models
                    for row in rows
                    if peer in {"", row.peer} and (measure != "memory" or row.has_memory)
                ]
                if jobs:
                    self.memory.learn(self._python(side, peer), side, jobs, turn=turn)

    def measure(self, row: Row, model: str) -> str:
        steps = row.steps(model, self.device)
        padding = self._write_rows(row, model)

        def both(measure: str, *, turn: int = 0) -> list[Told]:
            job = self._job(row, model, measure)
            return [
                self.memory.told(self._python(side, row.peer), side, job, turn=turn)
                for side in ("ours", "peer")
            ]

        times = [both("time", turn=turn) for turn in range(self.turns)] or [both("both")]
        flops = both("flops") if self.turns else times[0]
        memory = both("memory") if row.has_memory and steps > 1 else []
        found = Found(times, flops, memory, self._losses(row, model) if row.losses else ())
        return line(row, model, padding, found, device=self.device)

    def _losses(self, row: Row, model: str) -> list[Told]:
        """Of one update on one batch: ours draws it and leaves it for the peer."""
        write_rows(PLACE / "material" / model, self.data, row.rows, 1)
        job = replace(self._job(row, model, "losses"), case=row.losses, steps=1)
        mine = self.memory.told(self._python("ours", row.peer), "ours", job, turn=0)
        theirs = replace(job, given=digest([job.learned_from]))
        return [mine, self.memory.told(self._python("peer", row.peer), "peer", theirs, turn=0)]

    def _python(self, side: str, peer: str) -> Path:
        if side == "ours":
            return Path(sys.executable)
        return given_python(peer, self.peers) if self.peers else python_of(peer, PLACE)

    def _write_rows(self, row: Row, model: str) -> Padding:
        steps = row.steps(model, self.device)
        return write_rows(PLACE / "material" / model, self.data, row.rows, steps)

    def _job(self, row: Row, model: str, measure: str) -> Job:
        return Job(
            case=row.case,
            model=model,
            measure=measure,
            steps=row.steps(model, self.device),
            material=str(PLACE / "material"),
            scratch=str(self.scratch),
            device=self.device,
        )


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
    parser.add_argument("--data", type=Path, default=REAL_DATA)
    parser.add_argument("--peers", type=Path, help="folder with trl-1.16/bin/python and trl-1.12")
    options = parser.parse_args(arguments)
    usual = CUDA_MODELS if options.device == "cuda" else CPU_MODELS
    models = options.models or (usual[:1] if options.quick else usual)
    quick_turns = 1 if options.device == "cuda" else 0
    prepare(PLACE / "material", options.data, models)
    memory = Memory(PLACE / "told.json", is_fresh=options.fresh)
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        bench = Bench(
            data=options.data,
            scratch=Path(scratch),
            memory=memory,
            device=options.device,
            turns=quick_turns if options.quick else options.turns,
            peers=options.peers,
        )
        rows = [
            row
            for row in ROWS
            if options.device in row.on and row.case in (options.only or [row.case])
        ]
        if options.device == "cuda":
            bench.measure_ahead(rows, models)
        show(header(options.device))
        failures = []
        for row in rows:
            for model in models:
                try:
                    show(bench.measure(row, model))
                except MeasuringError as error:
                    failures.append(str(error))
        if not options.only:
            show("\n" + "\n".join(command_line(options.data, Path(scratch))))
    for model in models:
        of_all = padding_of_all(PLACE / "material" / model, options.data)
        show(f"Padding over all pairs of HH, 8 a batch, {model}: {of_all:.2f} times the tokens.")
    if failures:
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    main()
