"""Two processes that are one run: forked from this one, which has loaded torch, and joined by what torchrun sets."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from training.__main__ import main
from training.runtime.checkpoint import State
from training.runtime.distributed import joined, rank
from training.runtime.run import Run

KILLED, KILLED_AT = "killed", 2


def two_processes(act: str, runs: Sequence[Path]) -> list[int | None]:
    """How two processes ended that did all ``runs``: exit codes, or minus the signal.

    In a run called KILLED the second ends as by kill -9 once the checkpoint KILLED_AT is whole.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = get_context("fork")
    pair = [fork.Process(target=_do_all, args=(act, runs, number, port)) for number in range(2)]
    for one in pair:
        one.start()
    for one in pair:
        one.join()
    return [one.exitcode for one in pair]


def _do_all(act: str, runs: Sequence[Path], number: int, port: int) -> None:
    os.environ |= {"RANK": str(number), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with joined():
        for run in runs:
            if act == "run" and run.name == KILLED:
                _die_after(KILLED_AT)
            if code := main([act, str(run)]):
                sys.exit(code)


def _die_after(step: int) -> None:
    """Let the second process be killed when the checkpoint of a step is whole."""
    save = Run.save

    def save_and_die(run: Run, state: State) -> None:
        save(run, state)
        if state.step == step and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    Run.save = save_and_die  # type: ignore[method-assign] # in this process, which ends with it
