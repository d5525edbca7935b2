"""Limits for peers: handshakes, connections, announcements, and turns at costly work (SPEC §16)."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol

from msgspec import Struct


class Bucket(Struct):
    """A token bucket: `rate` tokens per second, at most `size` at once."""

    rate: float
    size: float
    level: float
    updated: float

    def take(self, now: float) -> bool:
        """Take one token if there is one. A clock that goes back gives none."""
        self._fill(now)
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True

    def reserve(self, now: float, tokens: int = 1) -> float:
        """Take tokens, be they still to come; returns the seconds until they are there."""
        self._fill(now)
        self.level -= tokens
        return max(0.0, -self.level / self.rate)

    def owed(self, now: float) -> float:
        """Seconds until there is more than what was taken in advance."""
        self._fill(now)
        return max(0.0, -self.level / self.rate)

    def _fill(self, now: float) -> None:
        self.level = min(self.size, self.level + max(0.0, now - self.updated) * self.rate)
        self.updated = max(now, self.updated)


class Buckets:
    """A token bucket per key, which is full at first."""

    def __init__(self, rate: float, size: float) -> None:
        self._rate, self._size = rate, size
        self._of: dict[Hashable, Bucket] = {}

    def of(self, key: Hashable, now: float) -> Bucket:
        return self._of.setdefault(key, Bucket(self._rate, self._size, self._size, now))


OWN_A_SECOND: Final = 1.0
OWN_AT_ONCE: Final = 4.0
"""Rate of handshakes that each dialled terminal of a contact has of its own, one of them under way at a time.
Only who connects from one of its addresses can use them up."""


class Entered(NamedTuple):
    """A handshake under way from an address; `terminal`: whose own one it is, None for a shared one."""

    address: str
    terminal: Hashable | None


class Admission:
    """Limits handshakes under way, in total and per address, and new ones per second.

    A share is reserved for known addresses, so that a flood of strangers does not keep contacts out. Contacts
    can fill that share, so each of their terminals has some handshakes of its own as well.
    """

    def __init__(self, total: int, per_address: int, rate: float) -> None:
        self._total, self._per_address = total, per_address
        self._strangers, self._known = (Bucket(rate, 2 * rate, 2 * rate, 0.0) for _ in range(2))
        self._own = Buckets(OWN_A_SECOND, OWN_AT_ONCE)
        self._busy: set[Hashable] = set()
        self._open: Counter[str] = Counter()

    def enter(
        self, address: str, known: bool, now: float, terminals: Iterable[Hashable] = ()
    ) -> Entered | None:
        """Let a connection from `address` begin a handshake, or None; `leave` must follow.

        `terminals`: those of contacts that are or were at this address, if they are dialled.
        """
        for terminal in terminals:
            if terminal not in self._busy and self._own.of(terminal, now).take(now):
                self._busy.add(terminal)
                return Entered(address, terminal)
        limit = self._total if known else self._total * 3 // 4
        if self._open.total() >= limit or self._open[address] >= self._per_address:
            return None
        if not (self._known if known else self._strangers).take(now):
            return None
        self._open[address] += 1
        return Entered(address, None)

    def leave(self, entered: Entered) -> None:
        if entered.terminal is not None:
            self._busy.discard(entered.terminal)
            return
        self._open[entered.address] -= 1
        if self._open[entered.address] <= 0:
            del self._open[entered.address]


UNPROVEN: Final = 10.0
"""Seconds after which a connection must have a link: a handshake has 5 seconds, then it is closed."""


class Entrant(Protocol):
    def abort(self) -> None: ...


class Gate:
    """Limits connections to `total`, `an_address` of them per host. `now` is in seconds.

    When it is full, the oldest connection that may have no link yet makes room.
    """

    def __init__(self, total: int, an_address: int, now: Callable[[], float]) -> None:
        self._total, self._an_address, self._now = total, an_address, now
        self._inside: dict[Entrant, tuple[str, float]] = {}  # in the order of entering
        self._from: Counter[str] = Counter()

    def enter(self, entrant: Entrant, host: str) -> bool:
        """Whether it may enter. Another entrant may be aborted to make room."""
        place = host.partition("%")[0]
        if self._from[place] >= self._an_address or not self._has_room():
            return False
        self._inside[entrant] = (place, self._now())
        self._from[place] += 1
        return True

    def keep(self, entrant: Entrant) -> None:
        """It has proven what it is here for, and makes room for no other one."""
        if entrant in self._inside:
            place, _ = self._inside[entrant]
            self._inside[entrant] = (place, -math.inf)

    def left(self, entrant: Entrant) -> None:
        """It is gone; a second call does nothing."""
        place, _ = self._inside.pop(entrant, ("", 0.0))
        if place:
            self._from[place] -= 1
            if not self._from[place]:
                del self._from[place]

    def __len__(self) -> int:
        return len(self._inside)

    def _has_room(self) -> bool:
        if len(self._inside) < self._total:
            return True
        young = self._now() - UNPROVEN
        for entrant, (_, since) in self._inside.items():
            if since > young:
                self.left(entrant)
                entrant.abort()
                return True
        return False


class FairShares:
    """At most `bound` keys, shared fairly: when it is full, the source with the most keys loses its oldest.

    A source with few keys keeps them. A machine with many addresses counts as many sources: of `bound`
    addresses with one key each, the first makes room.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._source: dict[str, str] = {}
        self._keys: dict[str, dict[str, None]] = {}  # per source, oldest first

    def __len__(self) -> int:
        return len(self._source)

    def __contains__(self, key: str) -> bool:
        return key in self._source

    def add(self, key: str, source: str) -> str | None:
        """Add a key, if it is new; returns the key that was evicted for it, if any."""
        if key in self._source:
            return None
        evicted = self._evict(source) if len(self) >= self._bound else None
        self._source[key] = source
        self._keys.setdefault(source, {})[key] = None
        return evicted

    def remove(self, key: str) -> None:
        source = self._source.pop(key, None)
        if source is None:
            return
        keys = self._keys[source]
        del keys[key]
        if not keys:
            del self._keys[source]

    def take(self, *, newest: bool) -> str:
        """Remove and return a key of the source whose turn it is. Raises KeyError if there is none."""
        if not self._keys:
            raise KeyError("no keys")
        source, keys = next(iter(self._keys.items()))
        key = next(reversed(keys)) if newest else next(iter(keys))
        self.remove(key)
        if source in self._keys:
            self._keys[source] = self._keys.pop(source)  # to the end of the queue
        return key

    def clear(self) -> None:
        self._source.clear()
        self._keys.clear()

    def _evict(self, newcomer: str) -> str:
        largest = max(self._keys, key=lambda source: len(self._keys[source]))
        if len(self._keys.get(newcomer, ())) >= len(self._keys[largest]):
            largest = newcomer
        key = next(iter(self._keys[largest]))
        self.remove(key)
        return key


ANNOUNCEMENTS_PER_SECOND: Final = 50.0
ANNOUNCEMENTS_AT_ONCE: Final = 256.0
WAITING_MAX: Final = 256
"""Names that wait. Any machine on the network can fill the queue, and evicts its own names first."""
AGAIN: Final = 0.1
"""Seconds until the waiting names are tried again."""


class RateLimiter:
    """Calls `look(name)` for each name that is heard, within the rate; senders take turns in the queue.

    Each look compares an announcement's slots with all contacts, which takes time.
    """

    def __init__(self, look: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._look = look
        self._rate = Bucket(
            ANNOUNCEMENTS_PER_SECOND, ANNOUNCEMENTS_AT_ONCE, ANNOUNCEMENTS_AT_ONCE, self._loop.time()
        )
        self._waiting = FairShares(WAITING_MAX)
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, name: str, sender: str = "") -> None:
        """Look at it now or later, once for all times it is heard meanwhile."""
        if self._rate.take(self._loop.time()):
            self._look(name)
            return
        self._waiting.remove(name)
        self._waiting.add(name, sender)
        if self._timer is None:
            self._timer = self._loop.call_later(AGAIN, self._go_on)

    def forget(self, name: str) -> None:
        self._waiting.remove(name)

    def forget_all(self) -> None:
        self._waiting.clear()

    def _go_on(self) -> None:
        self._timer = None
        while self._waiting and self._rate.take(self._loop.time()):
            self._look(self._waiting.take(newest=True))
        if self._waiting:
            self._timer = self._loop.call_later(AGAIN, self._go_on)


GONE_MAX: Final = 32
"""Pieces per person that wait for a turn though their links have ended. Holders of keys of the person's
terminals can fill it. A new one takes the place of one drawn at random from the sources with the most."""


class _Waiting(Struct, frozen=True, eq=False):
    person: Hashable
    source: Hashable
    goes_on: Callable[[], bool]
    outlives: bool
    granted: asyncio.Future[bool]


class Turns:
    """One piece of work at a time, in turn by person, and then by the source that the piece came from.

    So a contact that causes much of it, by any number of links, delays another one by a piece at a time, and
    a copy of a terminal's key delays the terminal itself by a piece per address. `random` draws bytes.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._busy = False
        self._waiting: dict[Hashable, dict[Hashable, list[_Waiting]]] = {}  # those next in turn first

    @asynccontextmanager
    async def turn(
        self, person: Hashable, source: Hashable, goes_on: Callable[[], bool], *, outlives: bool
    ) -> AsyncIterator[bool]:
        """Wait for a turn. Yields False, without one, where another piece of the person took the place.

        `goes_on`: whether the link of the piece is still there; `outlives`: whether it counts without.
        """
        granted = not self._busy
        if granted:
            self._busy = True
        else:
            place = asyncio.get_running_loop().create_future()
            granted = await self._wait(_Waiting(person, source, goes_on, outlives, place))
        try:
            yield granted
        finally:
            if granted:
                self._pass_on()

    async def _wait(self, one: _Waiting) -> bool:
        sources = self._waiting.setdefault(one.person, {})
        sources.setdefault(one.source, []).append(one)
        gone = self._gone(one.person)
        if len(gone) > GONE_MAX:
            from_each = Counter(other.source for other in gone)
            most = max(from_each.values())
            drawn = [other for other in gone if from_each[other.source] == most]
            self._give_up(drawn[int.from_bytes(self._random(8), "little") % len(drawn)])
        try:
            return await one.granted
        except asyncio.CancelledError:
            if not one.granted.cancelled() and one.granted.result():
                self._pass_on()
            raise
        finally:
            self._drop(one)

    def _gone(self, person: Hashable) -> list[_Waiting]:
        """Those that wait though their links have ended. Those that do not count without give up."""
        gone = list[_Waiting]()
        for one in [one for line in self._waiting[person].values() for one in line]:
            if not one.granted.done() and not one.goes_on():
                if one.outlives:
                    gone.append(one)
                else:
                    self._give_up(one)
        return gone

    def _give_up(self, one: _Waiting) -> None:
        self._drop(one)
        one.granted.set_result(False)

    def _pass_on(self) -> None:
        """Let the next one in turn begin; the person and the source that it is of go to the end."""
        while self._waiting:
            person, sources = next(iter(self._waiting.items()))
            source, line = next(iter(sources.items()))
            one = line[0]
            del self._waiting[person], sources[source]
            self._waiting[person], sources[source] = sources, line
            self._drop(one)
            if one.granted.done():
                continue  # its task was cancelled
            granted = one.outlives or one.goes_on()
            one.granted.set_result(granted)
            if granted:
                return
        self._busy = False

    def _drop(self, one: _Waiting) -> None:
        sources = self._waiting.get(one.person, {})
        line = sources.get(one.source, [])
        if one in line:
            line.remove(one)
            if not line:
                del sources[one.source]
            if not sources:
                del self._waiting[one.person]
