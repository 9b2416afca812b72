"""A small server that speaks the OpenAI chat API, well or badly, for the tests."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Said(NamedTuple):
    """What the server answers to one request."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def texts(*answers: str, finish: str = "stop", prompt_tokens: int | None = None) -> Said:
    """A good answer with these texts, to a prompt of which the server says that it read so many tokens."""
    choices = [{"message": {"content": one}, "finish_reason": finish} for one in answers]
    usage = {} if prompt_tokens is None else {"usage": {"prompt_tokens": prompt_tokens}}
    return Said(body=json.dumps({"choices": choices, **usage}).encode())


class Server(ThreadingHTTPServer):
    """Answers with what ``says`` returns for a request's body; remembers all requests."""

    daemon_threads = True

    def __init__(self, says: Callable[[dict[str, Any]], Said]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.says = says
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            said = self.server.says(body)
        self.server.may_answer.wait(10)
        try:
            self._answer(said)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client went away, as the test wanted

    def _answer(self, said: Said) -> None:
        self.send_response(said.status)
        for name, value in (*said.headers, ("Content-Length", str(len(said.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, *_args: Any) -> None:
        """Keep quiet."""
