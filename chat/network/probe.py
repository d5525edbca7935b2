"""A multicast DNS question that says nothing about this machine, for `parlour doctor` (RFC 6762)."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
from typing import Final

from msgspec import Struct

from chat.network.interfaces import Interface
from protocol.discovery import SERVICE

PORT: Final = 5353
GROUP_V4: Final = "224.0.0.251"
GROUP_V6: Final = "ff02::fb"
_HOPS: Final = 255  # RFC 6762 §11: a packet that crossed a router would have fewer
_IP_MULTICAST_ALL: Final = 49  # linux/in.h: receive only groups that this socket has joined
_SENDERS_MAX: Final = 256
_PTR_IN: Final = struct.pack(">HH", 12, 1)


class Heard(Struct, frozen=True):
    """Whether our own packet came back, and the addresses of others who sent one."""

    itself: bool
    others: frozenset[str]


class _Ear(asyncio.DatagramProtocol):
    """Collects senders, and whether our own question came back."""

    def __init__(self, question: bytes) -> None:
        self._question = question
        self.itself = False
        self.senders: set[str] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.itself = self.itself or data == self._question
        if len(self.senders) < _SENDERS_MAX:
            self.senders.add(addr[0].partition("%")[0])


async def ask(interface: Interface, family: socket.AddressFamily, seconds: float) -> Heard:
    """Ask on one interface by IPv4 or IPv6 and listen for `seconds`; others answer within one.

    Raises OSError if it cannot be sent.
    """
    # Two questions of type PTR: a name that nobody has, and the kinds of services (RFC 6763 §9).
    own, kinds = _name(f"{secrets.token_hex(8)}.{SERVICE}"), _name("_services._dns-sd._udp.local.")
    question = struct.pack(">HHHHHH", 0, 0, 2, 0, 0, 0) + own + _PTR_IN + kinds + _PTR_IN
    multicast = _open(interface, family)
    try:
        multicast.sendto(question, _group(family, interface.index))
    except OSError:
        multicast.close()
        raise
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(lambda: _Ear(question), sock=multicast)
    try:
        await asyncio.sleep(seconds)
    finally:
        transport.close()
    return Heard(ear.itself, frozenset(ear.senders - set(interface.addresses)))


def _name(dotted: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in dotted.split("."))


def _group(family: socket.AddressFamily, index: int) -> tuple[str, int] | tuple[str, int, int, int]:
    return (GROUP_V4, PORT) if family == socket.AF_INET else (GROUP_V6, PORT, 0, index)


def _open(interface: Interface, family: socket.AddressFamily) -> socket.socket:
    multicast = socket.socket(family, socket.SOCK_DGRAM)
    try:
        multicast.setblocking(False)
        multicast.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            multicast.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Bound to the group, it takes no unicast answer away from others on this port.
        here = _group(family, interface.index)
        multicast.bind(here if os.name == "posix" else ("", *here[1:]))
        (_join_v4 if family == socket.AF_INET else _join_v6)(multicast, interface)
    except OSError:
        multicast.close()
        raise
    return multicast


def _join_v4(multicast: socket.socket, interface: Interface) -> None:
    address = next(address for address in interface.addresses if ":" not in address)
    here = socket.inet_aton(address)
    if hasattr(socket, "AF_NETLINK"):
        multicast.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    multicast.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP_V4) + here)
    multicast.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
    multicast.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    multicast.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)


def _join_v6(multicast: socket.socket, interface: Interface) -> None:
    index = struct.pack("@I", interface.index)
    joined = socket.inet_pton(socket.AF_INET6, GROUP_V6) + index
    multicast.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
    multicast.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    multicast.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
    multicast.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
