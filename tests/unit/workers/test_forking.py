"""What a worker does before it forks the processes that do its jobs."""

import subprocess
import sys

from deploy.settings import BASE_DIR

WORKER = """
import gc
from deploy.celery import app
before = gc.get_freeze_count()
app.Worker()
loaded = any(name.startswith("workers.") for name in app.tasks)
print(before, gc.get_freeze_count(), loaded)
"""


def test_what_is_loaded_is_kept_out_of_the_garbage_collector():
    done = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=BASE_DIR, capture_output=True, text=True, check=True
    )
    before, frozen, is_loaded = done.stdout.split()[-3:]
    assert is_loaded == "True"
    assert int(frozen) > int(before) + 10_000
