"""Where a webhook may lead: HTTPS, to an address of the open internet.

The name is resolved once and every address of it must be public: private, loopback, link-local, shared, multicast
and reserved ones are refused, in IPv4, in IPv6, and in IPv6 that stands for IPv4. The connection goes to the address
that was checked, so that a second answer of the name server cannot lead elsewhere.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from annotation.core.errors import InvalidInput
from annotation.webhooks.models import LONGEST_URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A checked address: connect to ``ip``, speak to ``host``."""

    is_tls: bool
    host: str
    port: int
    path: str
    ip: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Check and resolve; raises InvalidInput with the reason."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput.at(
            "url", f"The address is longer than {LONGEST_URL} or not plain ASCII."
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise InvalidInput.at("url", f"This is no address: {error}.") from error
    if parts.username or parts.password:
        raise InvalidInput.at("url", "Leave name and password out of the address.")
    if parts.scheme not in {"https", "http"} or not host:
        raise InvalidInput.at("url", "The address must begin with https:// and name a host.")
    is_tls = parts.scheme == "https"
    port = (443 if is_tls else 80) if port is None else port
    ip = _resolved(host, port)
    if not is_tls and not _is_let_in(ip):
        raise InvalidInput.at("url", "The address must begin with https://.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(is_tls=is_tls, host=host, port=port, path=path, ip=str(ip))


def _resolved(host: str, port: int) -> Address:
    """The first address of the name, once all of them may be reached."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidInput.at("url", f"The name {host} cannot be resolved.") from error
    found = [ipaddress.ip_address(str(answer[4][0]).split("%")[0]) for answer in answers]
    for ip in found:
        if not (is_public(ip) or _is_let_in(ip)):
            leads_to = "" if host == str(ip) else f"leads to {ip}, which "
            raise InvalidInput.at(
                "url",
                f"{host} {leads_to}is not an address of the open internet; "
                "webhooks do not reach into this network.",
            )
    return found[0]


def is_public(ip: Address) -> bool:
    """Whether an address, and the IPv4 address that it may stand for, is of the open internet."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _inner(ip)
        if ip in NAT64_LOCAL or (inner is not None and not is_public(inner)):
            return False
        if ip.ipv4_mapped is not None or ip in NAT64:
            return True  # the inner one is public
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in NAT64 or int(ip) >> 32 == 0:  # also ::a.b.c.d
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo


def _is_let_in(ip: Address) -> bool:
    """Tests speak to a server of this machine: the setting names its network; nothing else sets it."""
    networks = settings.CONCORD_WEBHOOK_TEST_NETWORKS
    return any(ip in ipaddress.ip_network(one) for one in networks)
