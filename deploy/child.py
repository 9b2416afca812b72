"""Run a command that dies with its parent: `python -m deploy.child COMMAND...` (Linux; elsewhere it just runs).

``STARTED_BY`` in the environment is the parent's pid: a parent that ended before the command was ready ends it too.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
STARTED_BY = "STARTED_BY"


def die_with_parent(signum: int, parent: int | None = None) -> None:
    """Ask the kernel to send ``signum`` when the parent ends, however it ends.

    ``parent`` is its pid where it is known: one that has ended already can tell nobody.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signum)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signum)


def adopt_orphans(*, are_adopted: bool = True) -> None:
    """Become the parent of every descendant whose own parent ends, so that none is lost from sight; or no more."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(are_adopted))


if __name__ == "__main__":
    told = os.environ.pop(STARTED_BY, "")
    die_with_parent(signal.SIGTERM, int(told) if told else None)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the supervisor's own command, no shell
