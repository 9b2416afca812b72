"""What each process of torchrun does in the tests: `TOGETHER RESUMED`, two folders.

It runs every run of TOGETHER; of each that RESUMED has a folder for, it resumes a copy there, as
the run was one checkpoint before the last. One start serves all: loading torch takes the longest.
"""

import json
import shutil
import sys
from pathlib import Path

import torch

from training.__main__ import main
from training.runtime.checkpoint import saved_steps
from training.runtime.distributed import joined, rank, wait_for_all

NOT_FOR_ALL = ("peft", "httpx", "training.trainers.ppo")
LOADED_FILE = "loaded.json"


def as_it_was(run: Path, copy: Path) -> None:
    """A copy of a run without its last checkpoint and all that came after."""
    step = str(saved_steps(run / "checkpoints")[-2])
    shutil.copytree(run / "checkpoints" / step, copy / "checkpoints" / step)
    shutil.copy(run / "spec.json", copy)


def run_all(together: Path, resumed: Path) -> int:
    kinds = json.loads((together / "kinds.json").read_text())
    codes = []
    for kind in kinds:
        codes.append(main(["run", str(together / kind)]))
        loaded = [name for name in NOT_FOR_ALL if name in sys.modules]
        if rank() == 0:
            (together / kind / LOADED_FILE).write_text(json.dumps(loaded))
    again = [kind for kind in kinds if (resumed / kind).is_dir()]
    if rank() == 0:
        for kind in again:
            as_it_was(together / kind, resumed / kind)
    wait_for_all()
    return max(*codes, *(main(["resume", str(resumed / kind)]) for kind in again))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined():
        code = run_all(*map(Path, sys.argv[1:]))
    sys.exit(code)
