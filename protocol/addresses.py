"""Which addresses are local, and the one spelling of each (SPEC §13).

Rules: an address is an IP literal, never a name, so nothing is ever looked up; what is not on the list is not
local; no input, however strange, makes `is_local` raise.
"""

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
"""Private, link-local, carrier-shared (overlay networks use it) and loopback; nothing else is local."""

TEXT_MAX: Final = 80
"""Characters of an address with everything around it; longer ones are none."""

_LINK_LOCAL: Final = ipaddress.IPv6Network("fe80::/10")
# An interface's name or number: what may follow `%`. Linux allows 15 bytes, others a little more.
_SCOPE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")


def literal(host: str) -> IPAddress | None:
    """The address that an IP literal (with or without %scope) names, None where the text is none."""
    if len(host) > TEXT_MAX:
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address if isinstance(address, ipaddress.IPv4Address) else _plain_v6(address)


def is_local(host: str) -> bool:
    """Whether `host` is an IP literal (with or without %scope) on the list of local networks above.

    An IPv4 address in IPv6 clothes (::ffff:10.0.0.1) counts as the IPv4 address that it reaches.
    """
    address = literal(host)
    return address is not None and any(address in network for network in LOCAL_NETWORKS)


def is_link_local_v6(host: str) -> bool:
    """Whether `host` needs a scope (an interface) to be reached: fe80::/10."""
    address = literal(host)
    return isinstance(address, ipaddress.IPv6Address) and address in _LINK_LOCAL


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by 127/8 or ::1."""
    address = literal(host)
    return address is not None and address.is_loopback


def canonical(host: str) -> str:
    """The one spelling of an IP literal: shortest form, lower case, IPv4-mapped as IPv4, scope kept.

    Raises ValueError if it is not an IP literal, or carries a scope where none belongs.
    """
    address = literal(host)
    if address is None:
        raise ValueError("not an IP address")
    return str(address)


def _plain_v6(address: ipaddress.IPv6Address) -> IPAddress | None:
    """The IPv4 address that a mapped one reaches; None for a scope that is strange or out of place."""
    if address.scope_id is not None and not (address in _LINK_LOCAL and _SCOPE.fullmatch(address.scope_id)):
        return None
    return address.ipv4_mapped or address
