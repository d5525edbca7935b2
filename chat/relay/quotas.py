"""Quotas of connections, circuits, tokens and handshakes, in total and per address.

Scarce resources are shared fairly by address, so one address cannot exclude others: they are taken from the
address with the most, or go to those that ask rarely.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from chat.network.limits import Bucket


class Weights:
    """Counts per place, with the largest. The cost of a change does not depend on the number of places."""

    __slots__ = ("_at", "_most", "_of", "total")

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._at: dict[int, dict[str, None]] = {}  # places by count
        self._most = 0
        self.total = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def of(self, place: str) -> int:
        return self._of.get(place, 0)

    def change(self, place: str, number: int) -> None:
        before = self._of.pop(place, 0)
        after = before + number
        if before:
            places = self._at[before]
            del places[place]
            if not places:
                del self._at[before]
        if after:
            self._of[place] = after
            self._at.setdefault(after, {})[place] = None
        self.total += number
        self._most = max(self._most, after)
        while self._most and self._most not in self._at:
            self._most -= 1

    def far_richer(self, place: str, number: int) -> str | None:
        """A place with the largest count, if that is over twice what `place` would have; else None."""
        if self._most <= 2 * (self.of(place) + number):
            return None
        return next(iter(self._at[self._most]))


class Limits(Struct, frozen=True):
    connections: int = 16_000  # total, lowered to what the system lets the relay open
    connections_address: int = 256  # per address, behind which there may be a whole household
    unproven: int = 1_024  # of these, connections without a finished handshake; at most a quarter
    unproven_address: int = 32
    circuits_address: int = 128  # ends of circuits per address
    tokens: int = 500_000  # registered tokens in total
    tokens_address: int = 16_384
    handshakes: float = 400.0
    """Per second in total. One costs a fifth of a millisecond."""
    handshakes_address: float = 8.0  # per second and address, with bursts of BURST seconds


BURST: Final = 5.0  # seconds of handshakes that an address may begin at once
_REMEMBERED: Final = 65_536
"""Addresses whose rate is remembered. Memory is bounded by dropping the least recent one."""


def place_of(host: str) -> str:
    """The address for quotas: an IPv4 address, or the /64 within which an IPv6 host chooses its own."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


E = TypeVar("E", bound="Entrant")


class Entrant(Protocol):
    def give_way(self) -> None:
        """Close at once to make room for another."""


class Places(Generic[E]):
    """The connections. One is unproven until its handshake is finished.

    Unproven ones have a share of their own: newcomers reach a full relay, and displace no proven one.
    """

    def __init__(self, limits: Limits, connections: int | None = None) -> None:
        """`connections` is the limit of the system, None without one."""
        self._limits = limits
        total = limits.connections if connections is None else min(limits.connections, connections)
        self._unproven_most = max(1, min(limits.unproven, total // 4))
        self._proven_most = max(1, total - self._unproven_most)
        self._unproven: OrderedDict[E, str] = OrderedDict()
        self._unproven_from: Counter[str] = Counter()
        self._proven: dict[str, dict[E, None]] = {}
        self._weights = Weights()

    def __len__(self) -> int:
        return len(self._unproven) + self._weights.total

    @property
    def unproven(self) -> int:
        return len(self._unproven)

    def enter(self, entrant: E, place: str) -> bool:
        """Admit a connection if possible. The oldest unproven one may have to give way."""
        unproven = self._unproven_from[place]
        if unproven + self._weights.of(place) >= self._limits.connections_address:
            return False
        if unproven >= self._limits.unproven_address:
            return False
        if len(self._unproven) >= self._unproven_most:
            self._turn_out(*next(iter(self._unproven.items())))
        self._unproven[entrant] = place
        self._unproven_from[place] += 1
        return True

    def is_proven(self, entrant: E) -> bool:
        return entrant not in self._unproven

    def prove(self, entrant: E) -> bool:
        """Keep a connection after its handshake if possible. One of an address with far more may give way."""
        place = self._unproven[entrant]
        if self._weights.total >= self._proven_most:
            richest = self._weights.far_richer(place, 1)
            if richest is None:
                return False
            self._turn_out(next(self.newest(richest)), richest)
        self._forget_unproven(entrant)
        self._proven.setdefault(place, {})[entrant] = None
        self._weights.change(place, 1)
        return True

    def newest(self, place: str) -> Iterator[E]:
        """The proven connections of a place, newest first."""
        return reversed(self._proven.get(place, {}))

    def leave(self, entrant: E, place: str) -> None:
        """Remove a connection, if present."""
        self._forget_unproven(entrant)
        proven = self._proven.get(place, {})
        if entrant in proven:
            del proven[entrant]
            self._weights.change(place, -1)
            if not proven:
                del self._proven[place]

    def _forget_unproven(self, entrant: E) -> None:
        place = self._unproven.pop(entrant, None)
        if place is not None:
            self._unproven_from[place] -= 1
            if not self._unproven_from[place]:
                del self._unproven_from[place]

    def _turn_out(self, entrant: E, place: str) -> None:
        self.leave(entrant, place)
        entrant.give_way()


class Handshakes:
    """Rate limit of handshakes. Half of the total is reserved for addresses that ask rarely."""

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.handshakes_address
        half = limits.handshakes / 2
        self._common = Bucket(half, half, half, 0.0)
        self._kept = Bucket(half, half, half, 0.0)
        self._asked: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, place: str, now: float) -> bool:
        """Take the right to one handshake, if possible."""
        bucket = self._asked.get(place)
        if bucket is None:
            size = self._rate * BURST
            bucket = self._asked[place] = Bucket(self._rate, size, size, now)
            if len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        self._asked.move_to_end(place)
        seldom = bucket.level + (now - bucket.updated) * self._rate >= bucket.size / 2
        if not bucket.take(now):
            return False
        return self._common.take(now) or (seldom and self._kept.take(now))

    def fine(self, place: str) -> None:
        """Count another handshake for an address after an invalid one."""
        bucket = self._asked.get(place)
        if bucket is not None:
            bucket.level = max(0.0, bucket.level - 1.0)


class Shares:
    """A resource with a limit in total and per address: circuits or tokens."""

    def __init__(self, total: int, an_address: int) -> None:
        self._total, self._an_address = total, an_address
        self._weights = Weights()

    @property
    def count(self) -> int:
        return self._weights.total

    def change(self, place: str, number: int) -> bool:
        """Take `number`, or return some if negative. False, and nothing is taken, if a limit is exceeded."""
        if number > 0 and (self._is_spent(number) or self._weights.of(place) + number > self._an_address):
            return False
        self._weights.change(place, number)
        return True

    def must_give(self, place: str, number: int) -> str | None:
        """The address that must return some so that `place` can take `number`, or None."""
        if not self._is_spent(number) or self._weights.of(place) + number > self._an_address:
            return None
        return self._weights.far_richer(place, number)

    def _is_spent(self, number: int) -> bool:
        return self.count + number > self._total
