"""How gunicorn serves, wherever it is started: `gunicorn -c python:deploy.serving --bind 127.0.0.1:8000`.

The application is loaded once, before the workers are forked from it, so that they share its memory; what is loaded by
then is kept out of the garbage collector, which would write to every page of it.
"""

import gc
import os
from typing import Any

from deploy import env

wsgi_app = "deploy.wsgi"
worker_class = "deploy.worker.GranianWorker"
workers = env.integer("CONCORD_WEB_WORKERS", min(os.cpu_count() or 1, 4))
threads = env.integer("CONCORD_WEB_THREADS", 4)
keepalive = 75
preload_app = True
control_socket_disable = True
YOUNG = 20_000  # objects made until the young are looked through: a request makes thousands and lets go of nearly all


def when_ready(server: Any) -> None:  # noqa: ARG001 # Any: gunicorn has no types
    """Called once, with everything loaded and no worker forked."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def post_fork(server: Any, worker: Any) -> None:  # Any: gunicorn has no types
    """Called in each worker. What it is told before it has handlers of its own comes to its copy of the server's queue,
    by the handlers that it was forked with; unread, a server told to end as it starts would wait for that worker.
    """
    worker.told = server.SIG_QUEUE
