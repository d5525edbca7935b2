"""This machine's interfaces and addresses, and their changes. Nothing is cached."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from chat.network import clock_steps, netlink
from chat.network.clock_steps import ClockSteps
from chat.platforms import clocks
from protocol.addresses import is_link_local_v6, is_local
from protocol.discovery import ADDRESSES_MAX

if TYPE_CHECKING:
    import ifaddr

MAX_ADDRESSES: Final = ADDRESSES_MAX
"""Addresses per announcement or invitation (SPEC §13)."""

# Kernel's headers: if.h, if_link.h, if_addr.h.
_UP, _BROADCAST, _LOOPBACK, _POINT_TO_POINT = 0x1, 0x2, 0x8, 0x10
_RUNNING, _NO_ARP, _MULTICAST = 0x40, 0x80, 0x1000
_NAME, _MASTER, _INFO, _INFO_KIND = 3, 10, 18, 1
_ADDRESS, _LOCAL, _FLAGS = 1, 2, 8
# Temporary, duplicate, deprecated, tentative: not yet, no longer or not for long at this address.
_UNFIT = 0x01 | 0x08 | 0x20 | 0x40

_HOST_ONLY_NAMES = ("vboxnet", "vmnet")  # look like Ethernet, and end in a hypervisor
# macOS, *BSD and Windows report no kind, only a name.
_TUNNEL_NAMES = ("utun", "tun", "wg", "ppp", "ipsec", "gif", "stf", "tailscale", "wireguard", "wintun")
_VIRTUAL_NAMES = (*_HOST_ONLY_NAMES, "docker", "awdl", "llw", "anpi", "hyper-v", "virtualbox", "vmware")
_LEAF_KINDS = frozenset({"veth", "tun"})  # bridge ports that lead to containers and virtual machines


class Kind(StrEnum):
    """LAN carries multicast to neighbours; TUNNEL does not (VPN); VIRTUAL ends in this machine."""

    LAN = "lan"
    TUNNEL = "tunnel"
    VIRTUAL = "virtual"
    LOOPBACK = "loopback"


class Interface(Struct, frozen=True):
    """One interface. `up`: usable now, with its cable in. `networks`: ADDRESS/PREFIX, without scope."""

    name: str
    index: int
    kind: Kind
    up: bool
    networks: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(network.partition("/")[0] for network in self.networks)


def interfaces() -> tuple[Interface, ...]:
    """Every interface that can have addresses, which ports of a bridge or bond cannot. Raises OSError."""
    return _from_netlink() if netlink.AVAILABLE else _from_ifaddr()


def own_addresses(found: Iterable[Interface] | None = None) -> tuple[str, ...]:
    """The addresses of this machine for others: at most 8, local, without scope.

    Only of LAN interfaces that are up: an announcement goes out on every link and must not reveal a VPN, and
    a container bridge has the same address on every machine. Without a LAN, those of tunnels and virtual
    networks; else loopback.
    """
    return _announced(outward(interfaces() if found is None else found))


def outward(found: Iterable[Interface]) -> list[Interface]:
    """The interfaces on which this machine shows itself: see `own_addresses`."""
    usable = [interface for interface in found if interface.up]
    for kinds in ((Kind.LAN,), (Kind.TUNNEL, Kind.VIRTUAL), (Kind.LOOPBACK,)):
        group = [interface for interface in usable if interface.kind in kinds]
        if _announced(group):
            return group
    return []


def spoken_on(found: Iterable[Interface]) -> list[str | int]:
    """Per outward interface one IPv4 address, and its index for IPv6: where multicast is sent."""
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


def _announced(usable: list[Interface]) -> tuple[str, ...]:
    """IPv4 first, then link-local IPv6, then unique-local IPv6 of interfaces without IPv4.

    On one link, link-local is enough; a routed address would only reveal more.
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
    links = {
        int(struct.unpack_from("=i", record.fixed, 4)[0]): record for record in netlink.dump(netlink.GET_LINK)
    }
    networks: dict[int, list[str]] = {}
    for record in netlink.dump(netlink.GET_ADDRESS):
        if network := _network(record):
            networks.setdefault(struct.unpack_from("=I", record.fixed, 4)[0], []).append(network)
    # Bridges with at least one port that is not the end of a container or a virtual machine.
    wired = {_master(one) for one in links.values() if _master(one) and _link_kind(one) not in _LEAF_KINDS}
    found: list[Interface] = []
    for index, record in sorted(links.items()):
        master = links.get(_master(record))
        if master is None or _link_kind(master) == "vrf":  # a VRF leaves its ports' addresses in use
            is_up = _link_flags(record) & (_UP | _RUNNING) == _UP | _RUNNING
            kind = _kind(record, index in wired)
            found.append(Interface(_name(record), index, kind, is_up, tuple(networks.get(index, ()))))
    return tuple(found)


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


def _kind(record: netlink.Record, has_a_wire: bool) -> Kind:
    flags, kind, name = _link_flags(record), _link_kind(record), _name(record)
    if flags & _LOOPBACK:
        return Kind.LOOPBACK
    if kind == "dummy" or (kind == "bridge" and not has_a_wire) or name.startswith(_HOST_ONLY_NAMES):
        return Kind.VIRTUAL
    neighbours = flags & _BROADCAST and flags & _MULTICAST and not flags & (_POINT_TO_POINT | _NO_ARP)
    return Kind.LAN if neighbours else Kind.TUNNEL


def _network(record: netlink.Record) -> str:
    """ADDRESS/PREFIX, empty for an address that is not to be used."""
    attribute = record.attributes.get(_FLAGS)
    flags = struct.unpack("=I", attribute)[0] if attribute else record.fixed[2]
    value = record.attributes.get(_LOCAL) or record.attributes.get(_ADDRESS, b"")
    # For IPv4 the lowest flag means "secondary", which is no reason.
    if len(value) not in (4, 16) or (len(value) == 16 and flags & _UNFIT):
        return ""
    return f"{ipaddress.ip_address(value)}/{record.fixed[1]}"


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
"""Seconds to wait after a sign of change: one cable causes several."""
TICK: Final = 1.0
"""Seconds between checks of the clock or of the interfaces where the system does not report their changes."""
SLEPT: Final = 3.0
"""Seconds that the machine's clock may get ahead of the loop's before it must have slept."""


def network_state() -> Hashable:
    """Name, index and networks of the interfaces that are up. Raises OSError."""
    return frozenset(
        (interface.name, interface.index, interface.networks)
        for interface in interfaces()
        if interface.up and interface.kind is not Kind.VIRTUAL
    )


def time_with_sleep() -> float:
    """Seconds on a clock that goes on while the machine sleeps."""
    return clocks.since_boot_ns() / 1e9


class NetworkWatch:
    """Calls `changed` when the network's state differs from before, or the machine slept.

    `state` and `clock`: for tests.
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
        self._steps: ClockSteps | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._asleep = 0.0  # by how much the machine's clock is ahead of the loop's
        self._woke = False

    def start(self) -> None:
        """Compare with the state of now from here on."""
        self._state = self._look()
        self._asleep = self._clock() - self._loop.time()
        if netlink.AVAILABLE:
            with suppress(OSError):  # a sandbox may forbid it: then `_ticked` looks each second
                self._signs = netlink.subscribe()
                self._loop.add_reader(self._signs, self._signalled)
        if clock_steps.AVAILABLE:
            with suppress(OSError):
                self._steps = ClockSteps()
                self._loop.add_reader(self._steps, self._stepped)
        if self._signs is None or self._steps is None:
            self._tick = self._loop.call_later(TICK, self._ticked)

    def close(self) -> None:
        for timer in (self._tick, self._settling):
            if timer is not None:
                timer.cancel()
        self._tick = self._settling = None
        if self._signs is not None:
            self._loop.remove_reader(self._signs)
            self._signs.close()
            self._signs = None
        if self._steps is not None:
            self._loop.remove_reader(self._steps)
            self._steps.close()
            self._steps = None

    def _signalled(self) -> None:
        if self._signs is not None:
            netlink.drain(self._signs)
        self._settle()

    def _stepped(self) -> None:
        if self._steps is not None:
            self._steps.drain()
        self._look_at_the_clock()

    def _ticked(self) -> None:
        self._tick = self._loop.call_later(TICK, self._ticked)
        self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        ahead = self._clock() - self._loop.time()
        self._woke = self._woke or ahead - self._asleep > SLEPT
        self._asleep = ahead
        if self._woke or (self._signs is None and self._look() != self._state):
            self._settle()

    def _settle(self) -> None:
        # Further signs do not postpone it, else they could do so for ever.
        if self._settling is None:
            self._settling = self._loop.call_later(SETTLE, self._settled)

    def _settled(self) -> None:
        self._settling = None
        state = self._look()
        if self._woke or state != self._state:
            self._woke, self._state = False, state
            self._changed()

    def _look(self) -> Hashable:
        """The state now, or the last one if it cannot be read."""
        try:
            return self._read_state()
        except OSError:
            return self._state
