"""How much each may take: connections, circuits, tokens and handshakes, in all and an address.

Rules: counts and times only, no sockets. One address cannot keep others out: what is scarce is taken from
whoever holds most of it, or goes to whoever asked least.

How much each place holds of something, and who holds most: the arithmetic of fair shares.

Rules: numbers alone; a change takes as many steps as it changes by, however many places there are, so that
who asks when everything is taken costs no more than anybody.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from chat.network.limits import Bucket


class Weights:
    """Whole numbers by place; a place that holds nothing is not kept."""

    __slots__ = ("_at", "_most", "_of", "total")

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._at: dict[int, dict[str, None]] = {}  # the places that hold so many
        self._most = 0
        self.total = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def of(self, place: str) -> int:
        return self._of.get(place, 0)

    def change(self, place: str, number: int) -> None:
        """It holds so many more, or fewer where that is negative."""
        before = self._of.pop(place, 0)
        after = before + number
        if before:
            self._leave_level(before, place)
        if after:
            self._of[place] = after
            self._at.setdefault(after, {})[place] = None
        self.total += number
        self._most = max(self._most, after)
        while self._most and self._most not in self._at:
            self._most -= 1

    def far_richer(self, place: str, number: int) -> str | None:
        """Who holds most, if that is over twice what `place` would hold with so many more; else None."""
        if self._most <= 2 * (self.of(place) + number):
            return None
        return next(iter(self._at[self._most]))

    def _leave_level(self, level: int, place: str) -> None:
        places = self._at[level]
        del places[place]
        if not places:
            del self._at[level]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a relay lets happen. Seconds, and numbers of things."""

    connections: int = 16_000
    """In all; a relay lowers it to what the system lets it open."""
    connections_address: int = 256
    """From one address, behind which a whole house may be."""
    unproven: int = 1_024
    """Of these, connections whose handshake is not done; never more than a quarter."""
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


E = TypeVar("E", bound="Entrant")


class Entrant(Protocol):
    def give_way(self) -> None:
        """Make room for another: close at once."""


class Places(Generic[E]):
    """Who is connected. An entrant is unproven until its handshake is done; those have a part of their own.

    So newcomers come as far as their handshake however full it is, and a mere connection puts nobody out.
    """

    def __init__(self, limits: Limits, connections: int | None = None) -> None:
        """`connections` is how many the system lets in, None for no bound."""
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
        """Let it in and True, or False. The oldest that is unproven may be told to give way first."""
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
        """Its handshake is done: it may stay and True, or False. One of a far richer address may go."""
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
        """Those from there whose handshake is done, the newest first."""
        return reversed(self._proven.get(place, {}))

    def leave(self, entrant: E, place: str) -> None:
        """It is gone; telling so twice does no harm."""
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
        self._weights = Weights()

    @property
    def count(self) -> int:
        return self._weights.total

    def change(self, place: str, number: int) -> bool:
        """Take so many, or give back where it is negative. False, and nothing taken, at a bound."""
        if number > 0 and (self._is_spent(number) or self._weights.of(place) + number > self._an_address):
            return False
        self._weights.change(place, number)
        return True

    def must_give(self, place: str, number: int) -> str | None:
        """Which address has to give back so that `place` may take so many; None where none has."""
        if not self._is_spent(number) or self._weights.of(place) + number > self._an_address:
            return None
        return self._weights.far_richer(place, number)

    def _is_spent(self, number: int) -> bool:
        return self.count + number > self._total
