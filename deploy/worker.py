"""A worker of gunicorn that answers by granian: HTTP is spoken in Rust, beside the interpreter (docs/adr/0029).

gunicorn starts the workers, loads the application once for all of them, replaces one that dies and lets them finish.
Within one, granian takes connections and reads requests without the interpreter, and calls the application in threads
of its own. It has no public way to serve a socket that somebody else opened, so this uses private parts of the one
version that the lock names.
"""

import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from granian import _futures, _granian, wsgi
from granian._loops import loops
from granian.http import HTTP1Settings
from gunicorn.workers.base import Worker

_rust: Any = _granian  # Any: the types that come with it are of another version
_wsgi: Any = wsgi
_scheduler: Any = _futures._new_cbscheduler  # noqa: SLF001 - there is no public one
ENDING = {signal.SIGTERM, signal.SIGQUIT}
IDLE_SECONDS = 600  # then a thread with nothing to do goes, and its connection to the database
SIGN_OF_LIFE_SECONDS = 1.0


class GranianWorker(Worker):  # type: ignore[misc] # gunicorn has no types
    """Serves the one socket that gunicorn listens on, by ``threads`` threads."""

    told: queue.SimpleQueue[int]  # the signals that came, from the fork on

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002 # Any: as gunicorn has it
        self.told.put(sig)

    def run(self) -> None:
        """Serve until gunicorn says to end or is gone; what is being answered then has its graceful timeout."""
        end, ended = _rust.WorkerSignal(), threading.Event()
        end.add_cb(ended.set)
        loop = loops.get("asyncio")
        answers = _scheduler(loop, _calling(self.wsgi), impl_asyncio=True)
        self._serve()(answers, loop, end)
        while not self._is_told_to_end() and os.getppid() == self.ppid:
            self.notify()
        end.set()
        for listener in self.sockets:
            listener.close()  # so that who comes now is refused, and does not wait for nobody
        ended.wait(self.cfg.graceful_timeout)

    def _is_told_to_end(self) -> bool:
        """Whether a signal to end came, or comes until the next sign of life is due."""
        try:
            return self.told.get(timeout=SIGN_OF_LIFE_SECONDS) in ENDING
        except queue.Empty:
            return False

    def _serve(self) -> Any:  # Any: a function of granian, which has no types for it
        if len(self.sockets) != 1:
            raise RuntimeError(f"One --bind is served, and here are {len(self.sockets)}; give one.")
        listener = self.sockets[0].sock
        is_of_a_file = listener.family == socket.AF_UNIX
        holder = _rust.SocketHolder(os.dup(listener.fileno()), is_of_a_file, self.cfg.backlog)
        worker = _rust.WSGIWorker(
            worker_id=self.age,
            sock=(None, holder),
            ipc=None,
            py_threads=self.cfg.threads,
            py_threads_idle_timeout=IDLE_SECONDS,
            backpressure=self.cfg.worker_connections,
            http1_opts=HTTP1Settings(header_read_timeout=self.cfg.keepalive * 1000),
        )
        return worker.serve_str_uds if is_of_a_file else worker.serve_str


def _calling(
    site: Any,
) -> Callable[[Any, dict[str, Any]], int]:  # Any: as WSGI and granian have them
    """How a request reaches the site, whose answers are Django's. As granian's own, which puts all variables of this
    process into each, and sends an answer that is there as one that is still being made.
    """
    always = {
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": "granian",
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multiprocess": True,
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }

    def call(protocol: Any, scope: dict[str, Any]) -> int:
        head = _wsgi.Response()
        answer = site(always | scope, head)
        if answer.streaming:
            protocol.response_iter(head.status, head.headers, _wsgi.ResponseIterWrap(answer))
        else:
            protocol.response_bytes(head.status, head.headers, b"".join(answer))
            answer.close()
        return int(head.status)

    return call
