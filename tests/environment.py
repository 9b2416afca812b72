"""Loaded by pytest before Django's settings: a throw-away CONCORD_VAR, the embedded PostgreSQL by default, one thread.

Tests of the same time, and the processes that they start, would compute on more threads than there are cores:
a thread that waits for another spins, and small models give each of them next to nothing to do.
"""

import os
import tempfile

from deploy.embedded import ROOT, database_url

os.environ |= {"OMP_NUM_THREADS": "1", "CONCORD_TORCH_THREADS": "1"}
os.environ["CONCORD_VAR"] = tempfile.mkdtemp(prefix="concord-test-")  # of each worker its own
if not os.environ.get("DATABASE_URL"):  # workers inherit what the first process chose
    os.environ["DATABASE_URL"] = database_url(ROOT / "var" / "test-postgres")
