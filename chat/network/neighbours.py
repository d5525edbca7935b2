"""Who answers on this machine's own wires: the kernel's neighbours, and its routers (Linux).

Rules: read only; asking somebody is a connection that others open, here is only read what came of it; where
the system does not tell, there is nobody.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from chat.network import netlink

FRESH: Final = 60.0
"""Seconds for which an answer is believed: of whoever left, the kernel keeps the entry much longer."""

# Kernel's headers: neighbour.h, rtnetlink.h.
_DESTINATION, _LINK_ADDRESS, _CACHE = 1, 2, 3
_REACHABLE, _STALE, _DELAYED, _PROBED, _PERMANENT = 0x02, 0x04, 0x08, 0x10, 0x80
_HAD_AN_ANSWER = _STALE | _DELAYED | _PROBED
_TICKS = 100  # a second, of the times that the kernel tells (USER_HZ)
_OUT_INTERFACE, _GATEWAY = 4, 5
_UNICAST = 1


@dataclass(frozen=True, slots=True)
class Router:
    """Where packets for everywhere else go: an address, and the index of the interface that leads there."""

    address: str
    index: int


def neighbours() -> Mapping[tuple[int, str], bytes]:
    """(interface index, address) to link address of those who answered lately. Raises OSError."""
    records = netlink.dump(netlink.GET_NEIGHBOUR) if netlink.AVAILABLE else []
    return dict(entry for record in records if (entry := _entry(record)))


def _entry(record: netlink.Record) -> tuple[tuple[int, str], bytes] | None:
    index, state = struct.unpack_from("=iH", record.fixed, 4)
    destination = record.attributes.get(_DESTINATION, b"")
    link_address = record.attributes.get(_LINK_ADDRESS, b"")
    if len(destination) not in (4, 16) or not link_address or not _answered(state, record):
        return None
    return (index, str(ipaddress.ip_address(destination))), link_address


def _answered(state: int, record: netlink.Record) -> bool:
    if state & (_REACHABLE | _PERMANENT):
        return True
    cache = record.attributes.get(_CACHE, b"")
    if not state & _HAD_AN_ANSWER or len(cache) < 4:
        return False
    return bool(struct.unpack_from("=I", cache)[0] <= FRESH * _TICKS)


def routers() -> tuple[Router, ...]:
    """Every default gateway. Raises OSError."""
    if not netlink.AVAILABLE:
        return ()
    return tuple(dict.fromkeys(_gateways(netlink.dump(netlink.GET_ROUTE))))


def _gateways(records: list[netlink.Record]) -> Iterator[Router]:
    for record in records:
        length, kind = record.fixed[1], record.fixed[7]
        gateway = record.attributes.get(_GATEWAY, b"")
        index = record.attributes.get(_OUT_INTERFACE, b"")
        if length == 0 and kind == _UNICAST and len(gateway) in (4, 16) and len(index) == 4:
            yield Router(str(ipaddress.ip_address(gateway)), int(struct.unpack("=I", index)[0]))


def way_to(address: str) -> int:
    """Index of the interface by which the kernel would send to an IPv4 address; 0 if it would not."""
    way = netlink.route(socket.AF_INET, socket.inet_aton(address)) if netlink.AVAILABLE else None
    index = way.attributes.get(_OUT_INTERFACE, b"") if way else b""
    return int(struct.unpack("=I", index)[0]) if len(index) == 4 else 0
