"""How gunicorn serves as it is deployed, but that the first worker is told to end before it has handlers of its own."""

import os
import signal
from typing import Any

from deploy import serving
from deploy.serving import *  # noqa: F403 - all that is set there
from tests.integration.small_site import TOLD


def post_fork(server: Any, worker: Any) -> None:  # Any: gunicorn has no types
    if worker.age == 1:
        TOLD.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGTERM)
    serving.post_fork(server, worker)
