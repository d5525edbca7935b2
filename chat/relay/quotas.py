"""How much each may take: connections, circuits, tokens and handshakes, in all and an address.

Rules: counts and times only, no sockets. One address cannot keep others out: what is scarce is taken from
whoever holds most of it, or goes to whoever asked least.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from chat.network.admission import Bucket


@dataclass(frozen=True, slots=True)
class Limits:
    """What a relay lets happen. Seconds, and numbers of things."""

    connections: int = 16_000
    """In all; a relay lowers it to what the system lets it open."""
    connections_address: int = 256
    """From one address, behind which a whole house may be."""
    unproven: int = 1_024
    """Connections whose handshake is not done."""
    unproven_address: int = 32
    circuits_address: int = 128
    """Circuits that one address has an end of."""
    tokens: int = 500_000
    """Waited on in all."""
    tokens_address: int = 16_384
    handshakes: float = 400.0
    """Begun a second in all. One costs a fifth of a millisecond."""
    handshakes_address: float = 8.0
    """Begun a second from one address, with as many as five seconds' worth at once."""


BURST: Final = 5.0
"""Seconds whose handshakes an address may begin at once."""
_REMEMBERED: Final = 65_536
"""Addresses whose rate is remembered; the one that has asked longest ago is forgotten first."""


def place_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 in which an IPv6 host picks its own."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


class Entrant(Protocol):
    def give_way(self) -> None:
        """Make room for another: close at once."""


class Places:
    """Who is connected. An entrant is unproven until its handshake is done."""

    def __init__(self, limits: Limits, connections: int | None = None) -> None:
        self._limits = limits
        self._total = limits.connections if connections is None else min(limits.connections, connections)
        self._unproven: OrderedDict[Entrant, str] = OrderedDict()
        self._unproven_from: Counter[str] = Counter()
        self._inside: dict[str, dict[Entrant, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def unproven(self) -> int:
        return len(self._unproven)

    def enter(self, entrant: Entrant, place: str) -> bool:
        """Let it in and True, or False. Another may be told to give way first."""
        own = len(self._inside.get(place, ()))
        if own >= self._limits.connections_address:
            return False
        if self._unproven_from[place] >= self._limits.unproven_address:
            return False
        if len(self._unproven) >= self._limits.unproven:
            self._turn_out(*next(iter(self._unproven.items())))
        if self._count >= self._total and not self._has_made_room(own):
            return False
        self._inside.setdefault(place, {})[entrant] = None
        self._unproven[entrant] = place
        self._unproven_from[place] += 1
        self._count += 1
        return True

    def prove(self, entrant: Entrant) -> bool:
        """Its handshake is done; whether that is new."""
        place = self._unproven.pop(entrant, "")
        if place:
            self._unproven_from[place] -= 1
            if not self._unproven_from[place]:
                del self._unproven_from[place]
        return bool(place)

    def leave(self, entrant: Entrant, place: str) -> None:
        """It is gone; telling so twice does no harm."""
        self.prove(entrant)
        inside = self._inside.get(place, {})
        if entrant in inside:
            del inside[entrant]
            self._count -= 1
            if not inside:
                del self._inside[place]

    def _has_made_room(self, own: int) -> bool:
        """The oldest unproven one goes; where there is none, the newest of an address that has far more."""
        if self._unproven:
            self._turn_out(*next(iter(self._unproven.items())))
            return True
        place, most = max(self._inside.items(), key=lambda held: len(held[1]))
        if len(most) <= 2 * (own + 1):
            return False
        self._turn_out(next(reversed(most)), place)
        return True

    def _turn_out(self, entrant: Entrant, place: str) -> None:
        self.leave(entrant, place)
        entrant.give_way()


class Handshakes:
    """Who may begin a handshake now. Half of the budget is kept for addresses that have hardly asked."""

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.handshakes_address
        half = limits.handshakes / 2
        self._common = Bucket(half, half, half, 0.0)
        self._kept = Bucket(half, half, half, 0.0)
        self._asked: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, place: str, now: float) -> bool:
        """Whether one may begin; then it has."""
        bucket = self._bucket(place, now)
        seldom = bucket.level + (now - bucket.updated) * self._rate >= bucket.size / 2
        if not bucket.take(now):
            return False
        return self._common.take(now) or (seldom and self._kept.take(now))

    def fine(self, place: str) -> None:
        """What came from there was no handshake: the next ones have to wait longer."""
        bucket = self._asked.get(place)
        if bucket is not None:
            bucket.level = max(0.0, bucket.level - 1.0)

    def _bucket(self, place: str, now: float) -> Bucket:
        bucket = self._asked.get(place)
        if bucket is None:
            size = self._rate * BURST
            bucket = self._asked[place] = Bucket(self._rate, size, size, now)
            if len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        self._asked.move_to_end(place)
        return bucket


class Shares:
    """Things of one kind, bounded in all and an address: circuits, or tokens."""

    def __init__(self, total: int, an_address: int) -> None:
        self._total, self._an_address = total, an_address
        self._from: Counter[str] = Counter()
        self.count = 0

    def change(self, place: str, number: int) -> bool:
        """Take so many, or give back where it is negative. False, and nothing taken, at a bound."""
        if number > 0 and (
            self.count + number > self._total or self._from[place] + number > self._an_address
        ):
            return False
        self.count += number
        self._from[place] += number
        if not self._from[place]:
            del self._from[place]
        return True
