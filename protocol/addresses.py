"""Local addresses and their canonical spelling (SPEC §13). Only IP literals are accepted, never names."""

from __future__ import annotations

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
"""Private, link-local, carrier-grade NAT (used by overlay networks) and loopback addresses."""

TEXT_MAX: Final = 80  # longest text, in characters, that is parsed as an address
_LINK_LOCAL: Final = ipaddress.IPv6Network("fe80::/10")
# Name or number of an interface, after `%`. Linux allows 15 bytes, other systems a few more.
_SCOPE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")


def literal(host: str) -> IPAddress | None:
    """The address of an IP literal, or None. An IPv4-mapped IPv6 address is returned as IPv4.

    A scope (`%eth0`) is only accepted on a link-local IPv6 address.
    """
    if len(host) > TEXT_MAX:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None and not (address in _LINK_LOCAL and _SCOPE.fullmatch(address.scope_id)):
        return None
    return address.ipv4_mapped or address


def is_local(host: str) -> bool:
    """Whether `host` is an IP literal, with or without scope, in one of LOCAL_NETWORKS. Never raises."""
    address = literal(host)
    return address is not None and any(address in network for network in LOCAL_NETWORKS)


def is_link_local_v6(host: str) -> bool:
    """Whether `host` is in fe80::/10, where a scope names the interface."""
    address = literal(host)
    return isinstance(address, ipaddress.IPv6Address) and address in _LINK_LOCAL


def is_loopback(host: str) -> bool:
    """Whether `host` is in 127/8 or ::1."""
    address = literal(host)
    return address is not None and address.is_loopback


def canonical(host: str) -> str:
    """The canonical spelling of an IP literal: shortest form, lower case, IPv4-mapped as IPv4, scope kept.

    ValueError where `literal` returns None.
    """
    address = literal(host)
    if address is None:
        raise ValueError("not an IP address")
    return str(address)
