"""What each process of torchrun does in the tests: `run` or `resume` every folder it is given."""

import sys
from pathlib import Path

import torch

from training.__main__ import main
from training.runtime.distributed import joined

if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined():
        code = max(
            main(["resume" if Path(folder, "checkpoints").exists() else "run", folder])
            for folder in sys.argv[1:]
        )
    sys.exit(code)
