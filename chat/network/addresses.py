"""Which addresses are local, and how an address and a port are written.

Rules: an address is an IP literal, never a name, so nothing here or above is ever looked up; what is
not on the list is not local; no input, however strange, makes `is_local` raise.
"""

from __future__ import annotations

import errno
import ipaddress
import re
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCAL_NETWORKS: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fe80::/10",
        "fc00::/7",
        "::1/128",
    )
)
"""Private, link-local, carrier-shared (overlay networks use it) and loopback; nothing else is local."""

_LINK_LOCAL: Final = ipaddress.IPv6Network("fe80::/10")
# An interface's name or number: what may follow `%`. Linux allows 15 bytes, others a little more.
_SCOPE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LONGEST: Final = 80


class NotLocal(OSError):
    """The address is not on this machine's local networks, so nothing is sent to it."""

    def __init__(self, host: str) -> None:
        shown = host if _literal(host) else "that"
        super().__init__(errno.EACCES, f"{shown} is not a local IP address")


def is_local(host: str) -> bool:
    """Whether `host` is an IP literal (with or without %scope) on the list of local networks below.

    An IPv4 address in IPv6 clothes (::ffff:10.0.0.1) counts as the IPv4 address that it reaches.
    """
    address = _literal(host)
    return address is not None and any(address in network for network in LOCAL_NETWORKS)


def is_link_local_v6(host: str) -> bool:
    """Whether `host` needs a scope (an interface) to be reached: fe80::/10."""
    address = _literal(host)
    return isinstance(address, ipaddress.IPv6Address) and address in _LINK_LOCAL


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by 127/8 or ::1."""
    address = _literal(host)
    return address is not None and address.is_loopback


def canonical(host: str) -> str:
    """The one spelling of an IP literal: shortest form, lower case, IPv4-mapped as IPv4, scope kept.

    Raises ValueError if it is not an IP literal, or carries a scope where none belongs.
    """
    address = _literal(host)
    if address is None:
        raise ValueError("not an IP address")
    return str(address)


def parse(text: str) -> tuple[str, int]:
    """(host, port) of "10.0.0.1:4747", "[fe80::1]:4747" or "[fe80::1%eth0]:4747"; host as `canonical`.

    Raises ValueError with one line for the person. Whether it is local is not asked here.
    """
    host, colon, port = text.strip()[: _LONGEST + 1].rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 0 < int(port) < 65_536:
        raise ValueError("write the address as HOST:PORT, for example 192.168.1.20:4747")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    address = _literal(bare)
    if address is None or bracketed != (":" in bare):
        raise ValueError("the host must be an IP address; IPv6 stands in brackets: [fe80::1%eth0]:4747")
    return str(address), int(port)


def format_address(host: str, port: int) -> str:
    """The inverse of `parse`: HOST:PORT, with IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _literal(host: str) -> IPAddress | None:
    if len(host) > _LONGEST:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address if isinstance(address, ipaddress.IPv4Address) else _plain_v6(address)


def _plain_v6(address: ipaddress.IPv6Address) -> IPAddress | None:
    """The IPv4 address that a mapped one reaches; None for a scope that is strange or out of place."""
    if address.scope_id is not None and not (address in _LINK_LOCAL and _SCOPE.fullmatch(address.scope_id)):
        return None
    return address.ipv4_mapped or address
