"""Reads interfaces, addresses, routes and neighbours of Linux over rtnetlink (RFC 3549); sends no packet."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

AVAILABLE: Final = sys.platform == "linux"

GET_LINK: Final = 18
GET_ADDRESS: Final = 22
GET_ROUTE: Final = 26
GET_NEIGHBOUR: Final = 30

_ERROR, _DONE = 2, 3
_REQUEST, _DUMP, _INTERRUPTED = 0x001, 0x300, 0x010
_GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_FIXED = {GET_LINK: 16, GET_ADDRESS: 8, GET_ROUTE: 12, GET_NEIGHBOUR: 12}
_TYPE_MASK = 0x3FFF  # without the nested and byte-order flags
_READ = 1 << 18
_ATTEMPTS = 5


class Record(Struct, frozen=True):
    """One answer: the fixed part (16 bytes for a link, 8 for an address, else 12) and the attributes."""

    fixed: bytes
    attributes: dict[int, bytes]

    @classmethod
    def parse(cls, kind: int, payload: bytes) -> Record:
        fixed = _FIXED[kind]
        return cls(payload[:fixed], attributes(payload[fixed:]))


def dump(kind: int) -> list[Record]:
    """All records of one kind: GET_LINK, GET_ADDRESS, GET_ROUTE or GET_NEIGHBOUR. Raises OSError."""
    for _ in range(_ATTEMPTS):
        records, whole = _dump_once(kind)
        if whole:
            return records
    raise InterruptedError("the interfaces change faster than they can be read")


def route(family: int, destination: bytes) -> Record | None:
    """The kernel's route to `destination` (4 or 16 bytes), None if there is none."""
    attribute = _ATTRIBUTE.pack(4 + len(destination), 1) + destination
    fixed = struct.pack("=BBBBBBBBI", family, 8 * len(destination), 0, 0, 0, 0, 0, 0, 0)
    with _talk() as talk:
        talk.send(_request(GET_ROUTE, 0, fixed + attribute))
        for kind, _, payload in _messages(talk.recv(_READ)):
            return None if kind == _ERROR else Record.parse(GET_ROUTE, payload)
    return None


def subscribe() -> socket.socket:
    """A non-blocking socket that becomes readable when a link or an address changes. Raises OSError."""
    listening = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        listening.setblocking(False)
        listening.bind((0, _GROUPS))
    except OSError:
        listening.close()
        raise
    return listening


def drain(listening: socket.socket) -> None:
    """Discard all messages: the state is read again anyway."""
    with suppress(OSError):  # BlockingIOError at the end; ENOBUFS, which means more changes than fit
        while True:
            listening.recv(_READ)


def _talk() -> socket.socket:
    talk = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    talk.settimeout(1.0)
    return talk


def _request(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body


def _dump_once(kind: int) -> tuple[list[Record], bool]:
    """The records, and whether nothing changed while they were read."""
    records: list[Record] = []
    whole = True
    with _talk() as talk:
        talk.send(_request(kind, _DUMP, bytes(_FIXED[kind])))
        while True:
            for answer, flags, payload in _messages(talk.recv(_READ)):
                whole = whole and not flags & _INTERRUPTED
                if answer == _DONE:
                    return records, whole
                if answer == _ERROR:
                    raise OSError(-struct.unpack_from("=i", payload)[0], "the kernel refuses a list")
                records.append(Record.parse(kind, payload))


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, flags, payload) of each message of one datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, flags, data[at + _HEADER.size : at + length]
        at += _aligned(length)


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message or, nested, of an attribute: type to value, the last of a type."""
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


FRESH: Final = 60.0
"""Seconds for which a neighbour counts as present: the kernel keeps its entry much longer."""

# Kernel's headers: neighbour.h, rtnetlink.h.
_DESTINATION, _LINK_ADDRESS, _CACHE = 1, 2, 3
_REACHABLE, _STALE, _DELAYED, _PROBED, _PERMANENT = 0x02, 0x04, 0x08, 0x10, 0x80
_HAD_AN_ANSWER = _STALE | _DELAYED | _PROBED
_TICKS = 100  # a second, of the times that the kernel tells (USER_HZ)
_OUT_INTERFACE, _GATEWAY = 4, 5
_UNICAST = 1


class Router(Struct, frozen=True):
    """A default gateway: its address, and the index of its interface."""

    address: str
    index: int


def neighbours() -> Mapping[tuple[int, str], bytes]:
    """Link addresses, by (interface index, address), of those who answered recently. Raises OSError."""
    found: dict[tuple[int, str], bytes] = {}
    for record in dump(GET_NEIGHBOUR) if AVAILABLE else []:
        index, state = struct.unpack_from("=iH", record.fixed, 4)
        destination = record.attributes.get(_DESTINATION, b"")
        link_address = record.attributes.get(_LINK_ADDRESS, b"")
        if len(destination) in (4, 16) and link_address and _answered(state, record):
            found[index, str(ipaddress.ip_address(destination))] = link_address
    return found


def _answered(state: int, record: Record) -> bool:
    if state & (_REACHABLE | _PERMANENT):
        return True
    cache = record.attributes.get(_CACHE, b"")
    if not state & _HAD_AN_ANSWER or len(cache) < 4:
        return False
    return bool(struct.unpack_from("=I", cache)[0] <= FRESH * _TICKS)


def routers() -> tuple[Router, ...]:
    """Every default gateway. Raises OSError."""
    found: dict[Router, None] = {}
    for record in dump(GET_ROUTE) if AVAILABLE else []:
        length, kind = record.fixed[1], record.fixed[7]
        gateway = record.attributes.get(_GATEWAY, b"")
        index = record.attributes.get(_OUT_INTERFACE, b"")
        if length == 0 and kind == _UNICAST and len(gateway) in (4, 16) and len(index) == 4:
            found[Router(str(ipaddress.ip_address(gateway)), int(struct.unpack("=I", index)[0]))] = None
    return tuple(found)


def way_to(address: str) -> int:
    """Index of the interface on the kernel's route to an IPv4 address, 0 if there is none."""
    way = route(socket.AF_INET, socket.inet_aton(address)) if AVAILABLE else None
    index = way.attributes.get(_OUT_INTERFACE, b"") if way else b""
    return int(struct.unpack("=I", index)[0]) if len(index) == 4 else 0
