"""A site that answers in the ways that are hard for a server: long, slow, broken while it is sent."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse

if not settings.configured:
    settings.configure()
PIECE = b"x" * 65_536
MANY = 4_000  # pieces: 262 MB
TOLD = Path(os.environ.get("SMALL_SITE", "")) / "told"
GO_ON = TOLD.with_name("go_on")  # a pipe: to read it is to wait for who writes


class Long:
    """Many pieces; tells how many were made, and when it is closed."""

    def __init__(self) -> None:
        self.made = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.made += 1
        if self.made > MANY:
            raise StopIteration
        TOLD.write_text(str(self.made))
        return PIECE

    def close(self) -> None:
        TOLD.write_text("closed")


def _broken() -> Iterator[bytes]:
    yield PIECE
    raise RuntimeError("This answer ends here.")


def _slow() -> bytes:
    TOLD.write_text("begun")
    return GO_ON.read_bytes()


def _sum(body: Any) -> bytes:  # Any: as WSGI has it
    seen = hashlib.sha256()
    while piece := body.read(65_536):
        seen.update(piece)
    return seen.hexdigest().encode()


def app(environ: dict[str, Any], start: Any) -> Any:  # Any: as WSGI has them
    """Answer one of the paths below; any other with the number of the process."""
    answers = {
        "/long": lambda: StreamingHttpResponse(Long()),
        "/broken": lambda: StreamingHttpResponse(_broken()),
        "/slow": lambda: HttpResponse(_slow()),
        "/sum": lambda: HttpResponse(_sum(environ["wsgi.input"])),
    }
    answer = answers.get(environ["PATH_INFO"], lambda: HttpResponse(str(os.getpid())))()
    start("200 OK", list(answer.items()))
    return answer
