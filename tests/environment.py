"""Loaded by pytest before Django's settings: a throw-away CONCORD_VAR, the embedded PostgreSQL by default, one thread.

Tests of the same time, and the processes that they start, would compute on more threads than there are cores:
a thread that waits for another spins, and small models give each of them next to nothing to do. What they write
lies in memory where there is room: it is read once, and many a checkpoint waits until it is on the disk.
"""

import os
import shutil
import tempfile
from pathlib import Path

from deploy.embedded import ROOT, database_url

MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # noqa: S108 - folders of their own are made in it

if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ.setdefault("TMPDIR", str(MEMORY))
os.environ |= {"OMP_NUM_THREADS": "1", "CONCORD_TORCH_THREADS": "1"}
os.environ["CONCORD_VAR"] = tempfile.mkdtemp(prefix="concord-test-")  # of each worker its own
if not os.environ.get("DATABASE_URL"):  # workers inherit what the first process chose
    os.environ["DATABASE_URL"] = database_url(ROOT / "var" / "test-postgres")
