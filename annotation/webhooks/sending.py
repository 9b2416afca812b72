"""One POST to a checked address: pinned, without redirects, within limits of time and size. It knows no database."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from annotation.webhooks.addresses import Target

SECONDS = 10.0  # for all of it: connecting, sending, waiting, reading
MOST_READ = 4_096  # bytes of an answer
OUT_OF_TIME, OF_ANOTHER_NAME = {9, 10}, {62, 64}  # OpenSSL's X509_V_ERR_*


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a code and how the text began; or, without a code, why nothing did."""

    code: int | None
    text: str
    took_ms: int

    @property
    def is_taken(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send ``body``; a failure is an answer too."""
    started = time.monotonic()
    try:
        code, text = _exchange(target, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        code, text = None, _reason(error, target, time.monotonic() - started)
    took = int((time.monotonic() - started) * 1000)
    return Answer(code=code, text=text.replace("\0", "�")[:500], took_ms=took)


def _reason(error: Exception, target: Target, took: float) -> str:
    """What went wrong and what to mend, for who looks after the receiver."""
    place = f"{target.host}:{target.port}"
    if took >= SECONDS or isinstance(error, TimeoutError):
        return f"No answer within {SECONDS:.0f} seconds."
    if isinstance(error, ssl.SSLError):
        return _about_tls(error, target, place)
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens at {place}: the connection was refused."
    if isinstance(error, ConnectionError):  # http.client's own, too
        return f"{place} hung up without an answer."
    if isinstance(error, http.client.HTTPException):
        return f"What {place} answered is not HTTP."
    return f"{place} cannot be reached: {getattr(error, 'strerror', None) or error}."


def _about_tls(error: ssl.SSLError, target: Target, place: str) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        told = (error.reason or "unknown").replace("_", " ").lower()
        return f"No encrypted connection to {place} ({told}). Does it speak HTTPS there, by TLS 1.2 or newer?"
    why = error.verify_message
    if error.verify_code in OF_ANOTHER_NAME:
        return f"The certificate of the receiver is not one of {target.host}: {why}"
    if error.verify_code in OUT_OF_TIME:
        return f"The certificate of {target.host} is out of date ({why}). Renew it there."
    return (
        f"The certificate of {target.host} is not trusted ({why}). Give the receiver one of a public authority, "
        "with the whole chain; for an authority of your own set SSL_CERT_FILE where the workers run."
    )


def _exchange(target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    with socket.create_connection((target.ip, target.port), timeout=SECONDS) as plain:
        # A receiver that drips byte after byte would outlive a timeout that counts between two bytes.
        watchdog = threading.Timer(SECONDS, _hang_up, [plain])
        watchdog.start()
        try:
            with _secured(plain, target) as wire:
                return _asked(wire, target, body, headers)
        finally:
            watchdog.cancel()


def _hang_up(wire: socket.socket) -> None:
    try:
        wire.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is over already


def _secured(plain: socket.socket, target: Target) -> socket.socket:
    """The wire; with TLS the certificate must be of the host's name, though the address is pinned."""
    if not target.is_tls:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)


def _asked(
    wire: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = wire
    told = {**headers, "Host": target.authority, "Connection": "close"}
    connection.request("POST", target.path, body=body, headers=told)
    answer = connection.getresponse()
    return answer.status, answer.read(MOST_READ).decode("utf-8", errors="replace")
