"""Every task, by its queue. A worker is started with `celery -A deploy.celery worker -Q cpu -B`, `-Q gpu` or `-Q live`.

One cpu worker runs the schedule (`-B`); a gpu or live worker runs one job at a time (`--concurrency 1`). Messages are
early acknowledged doorbells: one that is lost is rung again by the sweep, one that is doubled finds its row taken.
"""

import importlib
import pkgutil
from typing import Any

from celery.signals import worker_ready
from django.db import connections

import workers
from workers.housekeeping import sweep

for module in pkgutil.iter_modules(workers.__path__, "workers."):
    if not module.ispkg:
        importlib.import_module(module.name)


@worker_ready.connect
def sweep_at_start(**_facts: Any) -> None:  # Any: Celery's signal arguments
    """A worker that starts looks first for what its predecessor left."""
    sweep()
    connections.close_all()  # a pool process that is forked later must not inherit them
