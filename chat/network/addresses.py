"""How an address and a port are written, and what is said of one that may not be dialled.

Rules: which addresses are local is protocol/addresses.py's question; an address is an IP literal, never a
name, so nothing here or above is ever looked up.
"""

from __future__ import annotations

import errno
import re
from typing import Final

from protocol.addresses import (
    TEXT_MAX,
    canonical,
    is_link_local_v6,
    is_local,
    is_loopback,
    literal,
)

__all__ = [
    "NotLocal",
    "NotNamed",
    "canonical",
    "format_address",
    "is_link_local_v6",
    "is_local",
    "is_loopback",
    "parse",
]

_PORT: Final = re.compile(r"[0-9]{1,5}")


class NotLocal(OSError):
    """The address is not on this machine's local networks, so nothing is sent to it."""

    def __init__(self, host: str) -> None:
        shown = host if literal(host) else "that"
        super().__init__(errno.EACCES, f"{shown} is not a local IP address")


class NotNamed(OSError):
    """The relay is none that this person named (any more), so nothing is sent there and nothing looked up."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "that is no relay that was named here")


def parse(text: str) -> tuple[str, int]:
    """(host, port) of "10.0.0.1:4747", "[fe80::1]:4747" or "[fe80::1%eth0]:4747"; host as `canonical`.

    Raises ValueError with one line for the person. Whether it is local is not asked here.
    """
    host, colon, port = text.strip()[: TEXT_MAX + 1].rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 0 < int(port) < 65_536:
        raise ValueError("write the address as HOST:PORT, for example 192.168.1.20:4747")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    address = literal(bare)
    if address is None or bracketed != (":" in bare):
        raise ValueError("the host must be an IP address; IPv6 stands in brackets: [fe80::1%eth0]:4747")
    return str(address), int(port)


def format_address(host: str, port: int) -> str:
    """The inverse of `parse`: HOST:PORT, with IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
