"""What each process of torchrun does in the tests: `run` for every folder it is given."""

import sys

import torch

from training.__main__ import main
from training.runtime.distributed import joined

if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined():
        code = max(main(["run", folder]) for folder in sys.argv[1:])
    sys.exit(code)
