"""The sockets that a relay listens on, bound before it is confined.

Rules: addresses are literals, nothing is looked up; what is bound is told by its own address.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

from chat.network.addresses import is_local
from chat.network.connection import listening_socket
from chat.network.interfaces import MAX_ADDRESSES, Kind, interfaces, own_addresses

BACKLOG: Final = 1_024
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on one address, or with an empty host on every one of the machine, on one port.

    `host` is an IP address without brackets. Raises ValueError for anything else, OSError where it cannot be.
    """
    if host:
        address = ipaddress.ip_address(host.partition("%")[0])
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        return [listening_socket(family, _numeric(family, host, port), BACKLOG)]
    bound = [listening_socket(socket.AF_INET, ("0.0.0.0", port), BACKLOG)]
    try:
        bound.append(listening_socket(socket.AF_INET6, ("::", port_of(bound[0])), BACKLOG))
    except OSError as error:
        if error.errno not in _NO_SUCH_FAMILY:
            bound[0].close()
            raise
    return bound


def reached_at(host: str) -> list[str]:
    """The addresses under which others reach what listens on `host`, public ones first; at most 8.

    A server with a public address is meant to be reached there, which `own_addresses` never tells.
    """
    plain = host.partition("%")[0]
    if plain and not ipaddress.ip_address(plain).is_unspecified:
        return [plain]
    found = interfaces()
    public = [
        address
        for interface in found
        if interface.up and interface.kind is Kind.LAN
        for address in interface.addresses
        if not is_local(address)
    ]
    near = [each for each in own_addresses(found) if not (public and ipaddress.ip_address(each).is_loopback)]
    every = [*sorted(public, key=lambda address: ":" in address), *near]
    return [each for each in every if not plain or (":" in each) == (":" in plain)][:MAX_ADDRESSES]


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def _numeric(
    family: socket.AddressFamily, host: str, port: int
) -> tuple[str, int] | tuple[str, int, int, int]:
    """A socket address; the scope of an IPv6 link-local one is a number there."""
    if family == socket.AF_INET:
        return host, port
    plain, _, scope = host.partition("%")
    if not scope:
        return plain, port, 0, 0
    return plain, port, 0, int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
