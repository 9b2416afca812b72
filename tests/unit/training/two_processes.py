"""What each process of torchrun does in the tests: `run FOLDER` or `resume FOLDER`, every run in it.

One start serves all runs: loading torch takes the longest. Where FOLDER has a run KILLED, it comes last,
and the second process ends in it as by kill -9 once the checkpoint KILLED_AT is whole.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path

from training.__main__ import main
from training.runtime.checkpoint import State
from training.runtime.distributed import joined, rank
from training.runtime.run import Run

NOT_FOR_ALL = ("peft", "httpx", "accelerate", "scipy", "sklearn", "training.trainers.ppo")
LOADED_FILE = "loaded.json"
KILLED, KILLED_AT = "killed", 2


def begin_all(folder: Path) -> int:
    codes = []
    for kind in json.loads((folder / "kinds.json").read_text()):
        codes.append(main(["run", str(folder / kind)]))
        loaded = [name for name in NOT_FOR_ALL if name in sys.modules]
        if rank() == 0:
            (folder / kind / LOADED_FILE).write_text(json.dumps([loaded, gc.get_freeze_count()]))
    if any(codes):
        return max(codes)
    die_after(KILLED_AT)
    return main(["run", str(folder / KILLED)])


def die_after(step: int) -> None:
    """Let the second process be killed when the checkpoint of a step is whole."""
    save = Run.save

    def save_and_die(run: Run, state: State) -> None:
        save(run, state)
        if state.step == step and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    Run.save = save_and_die  # type: ignore[method-assign] # in this process, which ends with it


def resume_all(folder: Path) -> int:
    return max(main(["resume", str(one)]) for one in sorted(folder.iterdir()))


if __name__ == "__main__":
    act = {"run": begin_all, "resume": resume_all}[sys.argv[1]]
    with joined():
        code = act(Path(sys.argv[2]))
    sys.exit(code)
