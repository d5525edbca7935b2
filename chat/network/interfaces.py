"""This machine's interfaces, and which of its addresses are told to others.

Rules: everything is read anew at each call, nothing is cached; a kind is decided by what an interface
can do (carry multicast to neighbours), by its name only where the system says no more.

Noticing that the network has changed: an interface, an address, a cable, or a machine that slept.

Rules: what counts is the state, not the message that it may have changed (routers repeat themselves);
one change is told once, shortly after things are quiet; an idle network costs next to nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from chat.network import netlink
from protocol.addresses import is_link_local_v6, is_local
from protocol.discovery import ADDRESSES_MAX

if TYPE_CHECKING:
    import ifaddr

MAX_ADDRESSES: Final = ADDRESSES_MAX
"""Addresses that are announced or written into an invitation at most (SPEC §13)."""

# Kernel's headers: if.h, if_link.h, if_addr.h.
_UP, _BROADCAST, _LOOPBACK, _POINT_TO_POINT = 0x1, 0x2, 0x8, 0x10
_RUNNING, _NO_ARP, _MULTICAST = 0x40, 0x80, 0x1000
_NAME, _MASTER, _INFO, _INFO_KIND = 3, 10, 18, 1
_ADDRESS, _LOCAL, _FLAGS = 1, 2, 8
# Temporary, duplicate, deprecated, tentative: not yet, no longer or not for long at this address.
_UNFIT = 0x01 | 0x08 | 0x20 | 0x40

_HOST_ONLY_NAMES = ("vboxnet", "vmnet")  # look like Ethernet, and end in a hypervisor
# Where the system tells no kind (macOS, *BSD, Windows) only the name is left.
_TUNNEL_NAMES = ("utun", "tun", "wg", "ppp", "ipsec", "gif", "stf", "tailscale", "wireguard", "wintun")
_VIRTUAL_NAMES = (*_HOST_ONLY_NAMES, "docker", "awdl", "llw", "anpi", "hyper-v", "virtualbox", "vmware")
_LEAF_KINDS = frozenset({"veth", "tun"})  # bridge ports that lead to containers and virtual machines


class Kind(StrEnum):
    """LAN carries multicast to neighbours; TUNNEL does not (VPN); VIRTUAL ends in this machine."""

    LAN = "lan"
    TUNNEL = "tunnel"
    VIRTUAL = "virtual"
    LOOPBACK = "loopback"


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface. `up`: usable now, its cable is in. `networks`: ADDRESS/PREFIX, without scope."""

    name: str
    index: int
    kind: Kind
    up: bool
    networks: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(network.partition("/")[0] for network in self.networks)


def interfaces() -> tuple[Interface, ...]:
    """Every interface that can have addresses: ports of a bridge or bond are left out. Raises OSError."""
    return _from_netlink() if netlink.AVAILABLE else _from_ifaddr()


def own_addresses(found: Iterable[Interface] | None = None) -> tuple[str, ...]:
    """The addresses under which others may reach this machine: at most 8, local, without scope.

    Only of LAN interfaces that are up: an announcement goes out on every link, and must not tell the
    café of the company's VPN; a container bridge has the same address on every machine. Tunnels and
    virtual networks serve where there is no LAN, loopback where there is nothing else.
    """
    return _told(outward(interfaces() if found is None else found))


def outward(found: Iterable[Interface]) -> list[Interface]:
    """The interfaces on which this machine shows itself: see `own_addresses`."""
    usable = [interface for interface in found if interface.up]
    for kinds in ((Kind.LAN,), (Kind.TUNNEL, Kind.VIRTUAL), (Kind.LOOPBACK,)):
        group = [interface for interface in usable if interface.kind in kinds]
        if _told(group):
            return group
    return []


def spoken_on(found: Iterable[Interface]) -> list[str | int]:
    """Where multicast is spoken: of each outward interface one IPv4 address, and its index for IPv6."""
    on: list[str | int] = []
    for interface in outward(found):
        on += [address for address in interface.addresses if ":" not in address][:1]
        if interface.kind is not Kind.LOOPBACK and any(":" in address for address in interface.addresses):
            on.append(interface.index)
    return on


def scopes() -> tuple[int, ...]:
    """Indexes of the interfaces through which an IPv6 link-local address could be reached."""
    return tuple(
        interface.index
        for interface in interfaces()
        if interface.up and any(is_link_local_v6(address) for address in interface.addresses)
    )


def _told(usable: list[Interface]) -> tuple[str, ...]:
    """IPv4 first, then link-local IPv6, then unique-local IPv6 of interfaces that have no IPv4.

    On one link link-local says all that is needed; a routed address more would only tell more.
    """
    v4: list[str] = []
    link: list[str] = []
    routed: list[str] = []
    for interface in usable:
        local = [address for address in interface.addresses if is_local(address)]
        plain = [address for address in local if ":" not in address]
        v4 += plain
        link += [address for address in local if is_link_local_v6(address)]
        if not plain:
            routed += [address for address in local if ":" in address and not is_link_local_v6(address)]
    return tuple(dict.fromkeys(v4 + link + routed))[:MAX_ADDRESSES]


def _from_netlink() -> tuple[Interface, ...]:
    links = {_index(record): record for record in netlink.dump(netlink.GET_LINK)}
    networks: dict[int, list[str]] = {}
    for record in netlink.dump(netlink.GET_ADDRESS):
        if network := _network(record):
            networks.setdefault(struct.unpack_from("=I", record.fixed, 4)[0], []).append(network)
    bridges = _bridges_to_a_wire(links)
    return tuple(
        Interface(
            _name(record),
            index,
            _kind(record, index in bridges),
            _is_up(record),
            tuple(networks.get(index, ())),
        )
        for index, record in sorted(links.items())
        if not _is_port(record, links)
    )


def _index(record: netlink.Record) -> int:
    return int(struct.unpack_from("=i", record.fixed, 4)[0])


def _link_flags(record: netlink.Record) -> int:
    return int(struct.unpack_from("=I", record.fixed, 8)[0])


def _name(record: netlink.Record) -> str:
    return record.attributes.get(_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")


def _link_kind(record: netlink.Record) -> str:
    info = netlink.attributes(record.attributes.get(_INFO, b""))
    return info.get(_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace")


def _master(record: netlink.Record) -> int:
    value = record.attributes.get(_MASTER, b"")
    return int(struct.unpack("=I", value)[0]) if len(value) == 4 else 0


def _is_port(record: netlink.Record, links: dict[int, netlink.Record]) -> bool:
    """Whether its addresses, if any, belong to a bridge or bond above it (a VRF leaves them in use)."""
    master = links.get(_master(record))
    return master is not None and _link_kind(master) != "vrf"


def _is_up(record: netlink.Record) -> bool:
    return _link_flags(record) & (_UP | _RUNNING) == _UP | _RUNNING


def _bridges_to_a_wire(links: dict[int, netlink.Record]) -> frozenset[int]:
    """Bridges of which at least one port is not the end of a container or a virtual machine."""
    return frozenset(
        _master(record)
        for record in links.values()
        if _master(record) and _link_kind(record) not in _LEAF_KINDS
    )


def _kind(record: netlink.Record, has_a_wire: bool) -> Kind:
    flags, kind, name = _link_flags(record), _link_kind(record), _name(record)
    if flags & _LOOPBACK:
        return Kind.LOOPBACK
    if kind == "dummy" or (kind == "bridge" and not has_a_wire) or name.startswith(_HOST_ONLY_NAMES):
        return Kind.VIRTUAL
    neighbours = flags & _BROADCAST and flags & _MULTICAST and not flags & (_POINT_TO_POINT | _NO_ARP)
    return Kind.LAN if neighbours else Kind.TUNNEL


def _network(record: netlink.Record) -> str:
    """ADDRESS/PREFIX, or nothing for an address that is not to be used."""
    flags = record.attributes.get(_FLAGS)
    value = record.attributes.get(_LOCAL) or record.attributes.get(_ADDRESS, b"")
    if len(value) not in (4, 16) or (struct.unpack("=I", flags)[0] if flags else record.fixed[2]) & _unfit(
        value
    ):
        return ""
    return f"{ipaddress.ip_address(value)}/{record.fixed[1]}"


def _unfit(address: bytes) -> int:
    """For IPv4 the lowest flag means "secondary", which is no reason."""
    return _UNFIT if len(address) == 16 else 0


def _from_ifaddr() -> tuple[Interface, ...]:
    import ifaddr  # takes 20 ms, and Linux needs none of it

    return tuple(
        Interface(adapter.nice_name, adapter.index or 0, _kind_by_name(adapter), True, _networks(adapter))
        for adapter in ifaddr.get_adapters()
    )


def _networks(adapter: ifaddr.Adapter) -> tuple[str, ...]:
    return tuple(
        f"{ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition('%')[0]}/{ip.network_prefix}"
        for ip in adapter.ips
    )


def _kind_by_name(adapter: ifaddr.Adapter) -> Kind:
    name = adapter.nice_name.lower()
    if all(ipaddress.ip_interface(network).is_loopback for network in _networks(adapter)):
        return Kind.LOOPBACK
    if name.startswith(_VIRTUAL_NAMES):
        return Kind.VIRTUAL
    return Kind.TUNNEL if name.startswith(_TUNNEL_NAMES) else Kind.LAN


SETTLE: Final = 0.2
"""Seconds to wait after a sign of change: one cable makes several."""
TICK: Final = 1.0
"""Seconds between looks at the clock, and, where the system does not tell, at the interfaces."""
SLEPT: Final = 3.0
"""Seconds that the machine's clock may run ahead of the loop's before it must have slept."""


def network_state() -> Hashable:
    """All that matters of the interfaces that are up: name, index, networks. Raises OSError."""
    return frozenset(
        (interface.name, interface.index, interface.networks)
        for interface in interfaces()
        if interface.up and interface.kind is not Kind.VIRTUAL
    )


def time_with_sleep() -> float:
    """Seconds on a clock that goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


class NetworkWatch:
    """Calls `changed` in the event loop it was made in when the network is another than before.

    `state` and `clock` are what is compared, for tests.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        *,
        state: Callable[[], Hashable] = network_state,
        clock: Callable[[], float] = time_with_sleep,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        self._read_state = state
        self._clock = clock
        self._state: Hashable = None
        self._signs: socket.socket | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._asleep = 0.0  # by how much the machine's clock is ahead of the loop's
        self._woke = False

    def start(self) -> None:
        """Begin: what is compared with is the state of now."""
        self._state = self._look()
        self._asleep = self._clock() - self._loop.time()
        self._subscribe()
        self._tick = self._loop.call_later(TICK, self._ticked)

    def close(self) -> None:
        """Stop; nothing is called any more."""
        for timer in (self._tick, self._settling):
            if timer is not None:
                timer.cancel()
        self._tick = self._settling = None
        if self._signs is not None:
            self._loop.remove_reader(self._signs)
            self._signs.close()
            self._signs = None

    def _subscribe(self) -> None:
        """Where the system tells of changes, listen; everywhere else `_ticked` looks each second."""
        if not netlink.AVAILABLE:
            return
        try:
            self._signs = netlink.subscribe()
        except OSError:
            return  # a sandbox may forbid it
        self._loop.add_reader(self._signs, self._told)

    def _told(self) -> None:
        if self._signs is not None:
            netlink.drain(self._signs)
        self._settle()

    def _ticked(self) -> None:
        self._tick = self._loop.call_later(TICK, self._ticked)
        ahead = self._clock() - self._loop.time()
        self._woke = self._woke or ahead - self._asleep > SLEPT
        self._asleep = ahead
        if self._woke or (self._signs is None and self._look() != self._state):
            self._settle()

    def _settle(self) -> None:
        # Not put off by further signs: they would otherwise be able to put it off for ever.
        if self._settling is None:
            self._settling = self._loop.call_later(SETTLE, self._settled)

    def _settled(self) -> None:
        self._settling = None
        state = self._look()
        if self._woke or state != self._state:
            self._woke, self._state = False, state
            self._changed()

    def _look(self) -> Hashable:
        """The state now; the last one if it cannot be read at this moment."""
        try:
            return self._read_state()
        except OSError:
            return self._state
